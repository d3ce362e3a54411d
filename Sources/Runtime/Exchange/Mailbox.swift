import Synchronization
package import Transport

/// Where other threads leave what a member's own thread has to handle, in order.
package final class Mailbox<Element: Sendable>: Sendable {
  private let elements = Mutex<[Element]>([])
  private let waker: Waker

  /// A mailbox whose owner waits in the hub of this waker.
  package init(waker: Waker) {
    self.waker = waker
  }

  /// Leaves something and wakes the owner.
  package func put(_ element: Element) {
    let wasEmpty = elements.withLock { elements in
      elements.append(element)
      return elements.count == 1
    }
    if wasEmpty { waker.wake() }
  }

  /// Takes everything that was left.
  package func takeAll() -> [Element] {
    elements.withLock { elements in
      let taken = elements
      elements.removeAll(keepingCapacity: true)
      return taken
    }
  }
}
