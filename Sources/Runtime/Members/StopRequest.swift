import Synchronization

/// A request from outside to stop: a signal, or the end of the process that started this one.
package final class StopRequest: Sendable {
  /// What asks.
  package enum Signal: Sendable {
    /// Ctrl-C.
    case interrupt
    /// `kill`.
    case terminate
    /// The terminal was closed.
    case hangUp
    /// The launcher is gone.
    case orphaned

    /// Its name for a person.
    package var name: String {
      switch self {
      case .interrupt: "SIGINT"
      case .terminate: "SIGTERM"
      case .hangUp: "SIGHUP"
      case .orphaned: "the end of the process that started it"
      }
    }

    /// What a member says when it leaves for it.
    package var explanation: String { "stopped by \(name)" }

    /// The exit code that says so.
    package var exitCode: ExitCode {
      switch self {
      case .interrupt: .interrupted
      case .terminate: .terminated
      case .hangUp: .hungUp
      case .orphaned: .failed
      }
    }
  }

  private struct State {
    var signal: Signal?
    var handlers: [@Sendable (Signal) -> Void] = []
  }

  private let state = Mutex(State())

  /// Nobody asks yet.
  package init() {}

  /// What asked first, or nil.
  package var signal: Signal? { state.withLock { $0.signal } }

  /// Asks to stop; the first time, whoever listens is told.
  package func request(_ signal: Signal) {
    let handlers: [@Sendable (Signal) -> Void] = state.withLock { state in
      guard state.signal == nil else { return [] }
      state.signal = signal
      return state.handlers
    }
    for handler in handlers { handler(signal) }
  }

  /// Listens; told at once where somebody has asked before.
  package func listen(_ handler: @escaping @Sendable (Signal) -> Void) {
    let earlier: Signal? = state.withLock { state in
      state.handlers.append(handler)
      return state.signal
    }
    if let earlier { handler(earlier) }
  }
}
