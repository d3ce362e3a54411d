import Glibc

/// A child process: its number, the ends of its pipes, and how it ended.
///
/// Everything that this program opens is closed on exec, so a child has its three standard descriptors and nothing else.
final class ChildProcess {
  let name: String
  let identifier: pid_t
  /// What it writes to its standard output and error, to be read here; -1 once closed.
  private(set) var output: Int32
  private(set) var errors: Int32

  private(set) var ending: ProcessEnding?

  /// Starts a program.
  ///
  /// - Parameters:
  ///   - executable: a path, or a name that is looked for in PATH.
  ///   - input: the descriptor that becomes its standard input.
  ///   - isApart: whether it gets a process group of its own, so that the terminal's Ctrl-C does not reach it.
  init(
    name: String, executable: String, arguments: [String], environment: [String: String], input: Int32,
    isApart: Bool = false
  ) throws(SpawnFailure) {
    let outputPipe = try Pipe()
    let errorPipe = try Pipe()
    defer {
      close(outputPipe.writing)
      close(errorPipe.writing)
    }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO)
    posix_spawn_file_actions_adddup2(&actions, outputPipe.writing, STDOUT_FILENO)
    posix_spawn_file_actions_adddup2(&actions, errorPipe.writing, STDERR_FILENO)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // The launcher blocks the signals that it waits for; its children begin with none blocked.
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    // Nor does it ignore what the launcher ignores.
    var defaults = sigset_t()
    sigemptyset(&defaults)
    for ignored in [SIGPIPE, SIGXFSZ] { sigaddset(&defaults, ignored) }
    posix_spawnattr_setsigdefault(&attributes, &defaults)
    posix_spawnattr_setpgroup(&attributes, 0)
    let group = isApart ? POSIX_SPAWN_SETPGROUP : 0
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | group))
    var process: pid_t = 0
    let result = Self.withCStrings([executable] + arguments) { arguments in
      Self.withCStrings(environment.map { "\($0.key)=\($0.value)" }) { environment in
        posix_spawnp(&process, executable, &actions, &attributes, arguments, environment)
      }
    }
    guard result == 0 else {
      close(outputPipe.reading)
      close(errorPipe.reading)
      throw SpawnFailure(text: "\(name) cannot be started: \(String(cString: strerror(result)))")
    }
    self.name = name
    identifier = process
    // A grandchild can hold a pipe open and silent, so a read must never wait.
    for pipe in [outputPipe, errorPipe] { _ = fcntl(pipe.reading, F_SETFL, O_NONBLOCK) }
    output = outputPipe.reading
    errors = errorPipe.reading
  }

  deinit {
    closeOutput()
    closeErrors()
  }

  /// A pipe whose ends are closed on exec.
  struct Pipe {
    let reading: Int32
    let writing: Int32

    init() throws(SpawnFailure) {
      var ends: [Int32] = [-1, -1]
      // Only the thread that makes pipes starts processes, so none is started before the flags are set.
      guard pipe(&ends) == 0, ends.allSatisfy({ fcntl($0, F_SETFD, FD_CLOEXEC) == 0 }) else {
        throw SpawnFailure(text: "no pipe can be made: \(String(cString: strerror(errno)))")
      }
      // Where this process was started without standard input or output, a pipe may get their numbers, and one end
      // would overwrite another in the child.
      let moved = ends.map { $0 > STDERR_FILENO ? $0 : fcntl($0, F_DUPFD_CLOEXEC, STDERR_FILENO + 1) }
      for (end, new) in zip(ends, moved) where end != new { close(end) }
      guard moved.allSatisfy({ $0 > STDERR_FILENO }) else { throw SpawnFailure(text: "no pipe can be made") }
      reading = moved[0]
      writing = moved[1]
    }
  }

  private static func withCStrings<Result>(
    _ texts: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
  ) -> Result {
    let pointers = texts.map { strdup($0) } + [nil]
    defer { for pointer in pointers { free(pointer) } }
    return body(pointers)
  }

  func closeOutput() {
    if output >= 0 { close(output) }
    output = -1
  }

  func closeErrors() {
    if errors >= 0 { close(errors) }
    errors = -1
  }

  func send(_ signal: Int32) {
    // Not once it was waited for: its number may be another's by then.
    if ending == nil { kill(identifier, signal) }
  }

  /// Looks whether it has ended, or waits for it.
  func reap(waiting: Bool) {
    guard ending == nil else { return }
    var status: Int32 = 0
    guard waitpid(identifier, &status, waiting ? 0 : WNOHANG) == identifier else { return }
    ending = ProcessEnding(status: status)
  }
}

/// Why a process cannot be started.
struct SpawnFailure: Error {
  let text: String
}
