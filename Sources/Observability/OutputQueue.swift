import Dispatch
import Glibc
import Synchronization

/// Text on its way to a descriptor whose reader may stop to read: a terminal after Ctrl-S, a pipe behind which nobody is.
///
/// Who puts text here never waits. One thread writes it, in order; while that is stuck, text waits up to a bound by its
/// importance, and what exceeds that is dropped and counted. What waits at the program's end is written before it ends.
public final class OutputQueue: Sendable {
  /// How much of a kind of text may wait.
  public enum Importance: Sendable {
    /// What the next of its kind makes worthless: progress.
    case passing
    /// A line of a log, or about a job.
    case ordinary
    /// A result or an error.
    case lasting

    /// Bytes that wait already and keep another text out.
    var limit: Int {
      switch self {
      case .passing: 16 << 10
      case .ordinary: 1 << 20
      case .lasting: 16 << 20
      }
    }
  }

  /// The program's standard output.
  public static let standardOutput = OutputQueue(descriptor: STDOUT_FILENO, isWrittenAtExit: true)
  /// The program's standard error.
  public static let standardError = OutputQueue(descriptor: STDERR_FILENO, isWrittenAtExit: true)

  /// Milliseconds that a program which was told to stop still waits for a reader.
  public static let hurriedMilliseconds = 2000

  private struct State {
    var waiting: [[UInt8]] = []
    var waitingBytes = 0
    var dropped = 0
    var failure: Int32?
  }

  private let descriptor: Int32
  private let state = Mutex(State())
  private let writer = DispatchQueue(label: "output")
  private let underWay = DispatchGroup()
  private static let isHurried = Atomic(false)
  /// What has the standard ones written when the program calls `exit`.
  private static let exitHandler: Void = {
    atexit {
      _ = OutputQueue.standardError.flush()
      _ = OutputQueue.standardOutput.flush()
    }
  }()

  /// A queue for a descriptor, which stays the caller's.
  public convenience init(descriptor: Int32) {
    self.init(descriptor: descriptor, isWrittenAtExit: false)
  }

  private init(descriptor: Int32, isWrittenAtExit: Bool) {
    self.descriptor = descriptor
    if isWrittenAtExit { Self.exitHandler }
  }

  /// From now on nobody is waited for longer than `hurriedMilliseconds`: somebody asks the program to stop.
  public static func hurry() { isHurried.store(true, ordering: .relaxed) }

  /// Texts that were dropped and not told of yet.
  public var dropped: Int { state.withLock { $0.dropped } }

  /// Adds a text, whole or not at all.
  public func put(_ text: String, _ importance: Importance = .ordinary) {
    guard !text.isEmpty else { return }
    let bytes = Array(text.utf8)
    let isTaken = state.withLock { state in
      guard state.waitingBytes < importance.limit else {
        state.dropped += 1
        return false
      }
      state.waiting.append(bytes)
      state.waitingBytes += bytes.count
      return true
    }
    guard isTaken else { return }
    underWay.enter()
    writer.async { [self] in
      writeNext()
      underWay.leave()
    }
  }

  /// Waits until everything is written; returns the number of the first error since the last call, or nil.
  public func flush() -> Int32? {
    var waited = 0
    let slice = 50
    while underWay.wait(timeout: .now() + .milliseconds(slice)) == .timedOut {
      guard Self.isHurried.load(ordering: .relaxed) else { continue }
      waited += slice
      if waited >= Self.hurriedMilliseconds { break }
    }
    return state.withLock { state in
      defer { state.failure = nil }
      return state.failure
    }
  }

  // MARK: The thread

  private func writeNext() {
    guard let bytes = state.withLock({ $0.waiting.isEmpty ? nil : $0.waiting.removeFirst() }) else { return }
    let failure = write(bytes)
    let dropped = state.withLock { state in
      state.waitingBytes -= bytes.count
      if state.failure == nil { state.failure = failure }
      guard state.waiting.isEmpty, failure == nil else { return 0 }
      defer { state.dropped = 0 }
      return state.dropped
    }
    if dropped > 0 { _ = write(Array("(\(dropped) lines are left out here: nobody read them)\n".utf8)) }
  }

  /// Writes all of some bytes, however long that takes; the error's number where that fails.
  private func write(_ bytes: [UInt8]) -> Int32? {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count >= 0 {
        rest = rest.dropFirst(count)
      } else if errno == EAGAIN {
        // Somebody who has the same terminal open wants nobody to wait for it.
        var writable = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        poll(&writable, 1, -1)
      } else if errno != EINTR {
        return errno
      }
    }
    return nil
  }
}
