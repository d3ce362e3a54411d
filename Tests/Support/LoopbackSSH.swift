import Foundation
import Glibc

/// A real `sshd` on a free port of 127.0.0.1, unprivileged, with keys of its own, for as long as this value lives.
///
/// The listening socket is the test's own, so the port is free for certain; each connection is handed to an `sshd` of its
/// own, as inetd does.
package final class LoopbackSSH: @unchecked Sendable {
  /// The port.
  package let port: UInt16
  private let folder: String
  private let listener: Int32
  private static let program = "/usr/sbin/sshd"
  /// Where the daemon wants to lock itself up when it runs as root.
  private static let privilegeFolder = "/run/sshd"

  /// Whether a daemon is installed here, and can be started.
  package static var isInstalled: Bool {
    FileManager.default.isExecutableFile(atPath: program)
      && (getuid() != 0 || FileManager.default.fileExists(atPath: privilegeFolder))
  }

  /// Why there is no daemon.
  package struct Failure: Error {}

  /// A daemon that lets the current user in with a key that only it knows.
  package init() throws {
    folder = NSTemporaryDirectory() + "convoy-ssh-" + UUID().uuidString
    try FileManager.default.createDirectory(
      atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    for name in ["host", "client", "stranger"] {
      try Self.run("/usr/bin/ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", "\(folder)/\(name)"])
    }
    listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard listener >= 0, let port = ChaosProxy.listen(listener) else { throw Failure() }
    self.port = port
    try write(
      """
      HostKey \(folder)/host
      AuthorizedKeysFile \(folder)/client.pub
      StrictModes no
      UsePAM no
      PasswordAuthentication no
      KbdInteractiveAuthentication no
      PidFile none
      PrintMotd no
      """, to: "config")
    let key = try String(contentsOfFile: "\(folder)/host.pub", encoding: .utf8)
    try write("convoy-test \(key)", to: "known")
    let (listener, folder) = (listener, folder)
    let thread = Thread { Self.serve(listener, folder) }
    thread.name = "sshd"
    thread.start()
  }

  deinit {
    // The thread's `accept` ends.
    shutdown(listener, Int32(SHUT_RDWR))
    try? FileManager.default.removeItem(atPath: folder)
  }

  /// Words for `ssh` that reach the daemon, or the port of a proxy before it, with its own key or a stranger's.
  package func options(port: UInt16? = nil, key: String = "client") -> [String] {
    [
      "-F", "none", "-p", "\(port ?? self.port)", "-i", "\(folder)/\(key)", "-o", "IdentitiesOnly=yes", "-o",
      "UserKnownHostsFile=\(folder)/known", "-o", "HostKeyAlias=convoy-test",
    ]
  }

  private func write(_ text: String, to name: String) throws {
    try Data(text.utf8).write(to: URL(filePath: "\(folder)/\(name)"))
  }

  private static func run(_ program: String, _ arguments: [String]) throws {
    let process = try Process.run(URL(filePath: program), arguments: arguments)
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw Failure() }
  }

  private static func serve(_ listener: Int32, _ folder: String) {
    // The daemon would inherit what the tests' threads block, and would not hear of the end of what it runs.
    var none = sigset_t()
    sigemptyset(&none)
    pthread_sigmask(SIG_SETMASK, &none, nil)
    while true {
      let connection = accept(listener, nil, nil)
      guard connection >= 0 else { break }
      _ = fcntl(connection, F_SETFD, FD_CLOEXEC)
      let handle = FileHandle(fileDescriptor: connection, closeOnDealloc: true)
      let process = Process()
      process.executableURL = URL(filePath: program)
      process.arguments = ["-i", "-f", "\(folder)/config"]
      process.standardInput = handle
      process.standardOutput = handle
      process.standardError = FileHandle.nullDevice
      try? process.run()
    }
    close(listener)
  }
}
