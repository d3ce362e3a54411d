import Synchronization

/// What a launcher tells a coordinator: a line each, on the coordinator's standard input.
package enum LauncherWord: Hashable, Sendable {
  /// A process of this name was reaped; its replacement, if there is one, is started afterwards.
  case ended(String)

  /// Reads a line without its end; nil where it is no such word.
  package init?(line: String) {
    let parts = line.split(separator: " ", omittingEmptySubsequences: false)
    guard parts.count == 2, parts[0] == "ended", !parts[1].isEmpty else { return nil }
    self = .ended(String(parts[1]))
  }

  /// The line, without its end.
  package var line: String {
    switch self {
    case .ended(let name): "ended \(name)"
    }
  }
}

/// A launcher's words on their way to whoever listens; those that came before somebody did are kept.
package final class LauncherWords: Sendable {
  private struct State {
    var waiting: [LauncherWord] = []
    var handler: (@Sendable (LauncherWord) -> Void)?
  }

  private let state = Mutex(State())

  /// Nothing was said yet.
  package init() {}

  /// Hands a word over, in the order of the calls where they come from one thread.
  package func put(_ word: LauncherWord) {
    // The handler runs under the lock, so that words that waited cannot be overtaken; it must not call back.
    state.withLock { state in
      if let handler = state.handler { handler(word) } else { state.waiting.append(word) }
    }
  }

  /// Listens; told at once of what was said before. One listens: a second takes the first one's place.
  package func listen(_ handler: @escaping @Sendable (LauncherWord) -> Void) {
    state.withLock { state in
      for word in state.waiting { handler(word) }
      state.waiting = []
      state.handler = handler
    }
  }
}
