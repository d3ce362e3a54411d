import Glibc
import Runtime

/// A name of the job and the processes that bear it, one after the other.
final class Slot {
  /// `coordinator`, `server.N` or `worker.N`.
  let name: String
  /// Where its processes run; nil for this machine.
  let host: Host?
  /// The process of now, or the last one.
  private(set) var process: ChildProcess
  /// Its standard input, where that is not the pipe that children share.
  private(set) var input: InputPipe?
  /// What it writes to standard error.
  var log: ChildLog
  /// The same file, for what comes by the other pipe: lines of two pipes are not mixed.
  var output: ChildLog
  /// Whether its process on another host was reached.
  private(set) var isReached = false
  /// What it was started again for.
  var restarts = RestartRecord()
  /// When the process was started, in seconds of the monotonic clock.
  private(set) var startedAt: Double
  /// When the next process is started; nil while none is to be.
  var restartAt: Double?

  private let logPath: String

  /// A name with its first process.
  init(name: String, host: Host?, logFolder: String, process: ChildProcess, input: InputPipe?) {
    self.name = name
    self.host = host
    self.process = process
    self.input = input
    logPath = "\(logFolder)/\(name).log"
    log = ChildLog(name: name, path: logPath)
    output = ChildLog(name: name, path: logPath)
    startedAt = MonotonicClock.seconds
  }

  /// Takes the process that follows one that has ended.
  func replace(process: ChildProcess, input: InputPipe?) {
    self.process = process
    self.input = input
    log = ChildLog(name: name, path: logPath)
    output = ChildLog(name: name, path: logPath)
    startedAt = MonotonicClock.seconds
    restartAt = nil
    isReached = false
  }

  /// Something came by its standard output: on another host, what `RemoteHosts` has its shell say first.
  func noteOutput() { isReached = true }

  /// Whether it has a process.
  var isRunning: Bool { process.ending == nil }

  /// Whether it has no process and gets none.
  var isOver: Bool { !isRunning && restartAt == nil }

  /// The name, and the host where that is another.
  var title: String { host.map { "\(name) on \($0.destination)" } ?? name }

  /// Whether what ended is the way to its process on another host, once there was one. The process there leaves by itself.
  func isConnectionLost(_ ending: ProcessEnding) -> Bool {
    guard host != nil, isReached else { return false }
    if case .signal = ending { return true }
    return ending == RemoteHosts.connectionEnded
  }

  /// How a process of it ended, as what follows its title.
  func text(_ ending: ProcessEnding) -> String {
    guard host != nil else { return ending.text }
    switch ending {
    case .signal: return "lost its ssh client, which \(ending.text)"
    case RemoteHosts.connectionEnded where isReached:
      return "lost its ssh connection or was killed there: ssh \(ending.text)"
    case RemoteHosts.connectionEnded: return "was not reached: ssh \(ending.text)"
    case .exit: return ending.text
    }
  }

  /// What is made of the end of its process. A signal to the client of another host's process asked that one nothing.
  func verdict(_ ending: ProcessEnding) -> ProcessEnding.Verdict {
    if host != nil, case .signal = ending { return .restart }
    return ending.verdict
  }

  /// Asks its process to leave.
  func askToLeave() {
    // The end of its standard input reaches a process on another host, whose exit code comes back; a signal would end
    // only the connection.
    if host != nil { input?.close() } else { process.send(SIGTERM) }
  }

  /// Closes what belongs to a process that has ended.
  func close() {
    process.closeOutput()
    process.closeErrors()
    input?.close()
    log.finish()
    output.finish()
  }

  /// The newest line that it wrote, as the end of a sentence.
  var lastWords: String {
    guard let line = (output.newest + log.newest).last(where: { !$0.isEmpty }) else { return "; it said nothing" }
    return "; its last words: \(line)"
  }
}
