import Dispatch
import Foundation

/// A thread beside a loop, for what would keep the loop from answering: does one task after the other.
package final class WorkThread: Sendable {
  private let tasks = BlockingQueue<@Sendable () -> Void>()
  private let ended = DispatchSemaphore(value: 0)

  /// Starts the thread.
  package init(name: String) {
    let thread = Thread { [tasks, ended] in
      while let task = tasks.take() { task() }
      ended.signal()
    }
    thread.name = name
    thread.stackSize = 8 << 20
    thread.start()
  }

  /// Has something done after what was asked for before.
  package func put(_ task: @escaping @Sendable () -> Void) { tasks.put(task) }

  /// Ends the thread after the task that it is at, and waits for that; what was not begun is not done.
  package func close() {
    tasks.close()
    ended.wait()
    ended.signal()
  }
}
