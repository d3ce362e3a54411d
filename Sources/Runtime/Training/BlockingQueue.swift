import Dispatch
import Synchronization

/// A queue between two threads of ours: the one that takes waits.
package final class BlockingQueue<Element: Sendable>: Sendable {
  private struct State {
    var elements: [Element] = []
    var isClosed = false
  }

  private let state = Mutex(State())
  private let available = DispatchSemaphore(value: 0)

  /// An empty queue.
  package init() {}

  /// Adds an element, unless the queue is closed.
  package func put(_ element: Element) {
    state.withLock { if !$0.isClosed { $0.elements.append(element) } }
    available.signal()
  }

  /// Waits for the next element; nil once the queue is closed, whatever it still holds.
  package func take() -> Element? {
    while true {
      available.wait()
      let (element, isClosed): (Element?, Bool) = state.withLock { state in
        if state.isClosed { return (nil, true) }
        return (state.elements.isEmpty ? nil : state.elements.removeFirst(), false)
      }
      if isClosed {
        // The next taker must not wait either.
        available.signal()
        return nil
      }
      if let element { return element }
    }
  }

  /// Ends every wait.
  package func close() {
    state.withLock { $0.isClosed = true }
    available.signal()
  }
}
