import Foundation
import Glibc
import TestSupport
import Testing

/// `convoy train --hosts`: whole jobs whose members are started by a real `ssh`, through a real `sshd` on the loopback
/// interface.
@Suite(
  .serialized, .timeLimit(.minutes(30)),
  .enabled(
    if: LoopbackSSH.isInstalled,
    "there is no sshd to test with: apt-get install openssh-server, and as root mkdir /run/sshd"))
struct HostsTests {
  private static let job = ["train", "--servers", "1", "--workers", "2", "--shards", "2", "--seed", "5"]

  /// The words that send a job's members through a daemon, into a folder.
  private func words(_ daemon: LoopbackSSH, _ folder: TemporaryFolder) throws -> [String] {
    let file = "\(folder.path)/hosts"
    let line = "127.0.0.1 convoy=\(Convoy.executable.path) dir=\(folder.path) threads=1 interface=lo\n"
    try Data(line.utf8).write(to: URL(filePath: file))
    let options = daemon.options()
    return ["--hosts", file]
      + stride(from: 0, to: options.count, by: 2).flatMap { ["--ssh-option", "\(options[$0]) \(options[$0 + 1])"] }
  }

  /// The words that have a job listen where other machines reach it, and so take keys.
  private static let outside = KeyedJobTests.outerHost.map { ["--listen", "tcp://\($0):0"] }
  /// A job on the loopback interface without keys, and one with keys where this machine has another address.
  private static let listening = [[]] + [outside, outside.map { _ in ["--listen", "tcp://*:0"] }].compactMap { $0 }

  /// The processes that run in a folder: only those on "other hosts" do.
  private func processes(in folder: TemporaryFolder) -> [pid_t] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return names.compactMap { pid_t($0) }.filter { process in
      let link = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(process)/cwd")
      return link == folder.path
    }
  }

  @Test(
    "A job over ssh, with keys or without, ends in the same bytes as on this machine, and leaves nothing",
    arguments: listening)
  func sameBytes(_ listen: [String]) throws {
    let folder = TemporaryFolder()
    let daemon = try LoopbackSSH()
    let steps = ["--max-steps", "3", "--json"]
    let here = try Convoy.run(Self.job + steps + ["--run-dir", "\(folder.path)/here"])
    let there = try Convoy.run(
      Self.job + steps + listen + ["--run-dir", "\(folder.path)/there"] + words(daemon, folder))
    #expect(there.exitCode == 0, "\(there.errors)")
    let digests = try [here, there].map {
      try #require($0.output.firstMatch(of: /"parameters_sha256":"([0-9a-f]{64})"/)).1
    }
    #expect(digests[0] == digests[1])
    #expect(there.errors.contains("127.0.0.1: server.0, worker.0, worker.1\n"))
    #expect(processes(in: folder).isEmpty)
    #expect(there.errors.contains(", with keys of coordinator, server.0 to ") == !listen.isEmpty)
    #expect(try folder.read("there/logs/server.0.log").contains("server.0 listens on tcp://127.0.0.1:"))
    // Where the coordinator listens everywhere, the host is told the address that leads there from this machine.
    let isTold = there.errors.contains("127.0.0.1 reaches the coordinator at tcp://127.0.0.1:")
    #expect(isTold == (listen.last == "tcp://*:0"), "\(there.errors)")
    for secret in ["token", "keys"] {
      #expect(!FileManager.default.fileExists(atPath: "\(folder.path)/there/\(secret)"))
    }
  }

  @Test(
    "Ctrl-C and the launcher's sudden end leave no process on any host, and no secret is in a command line",
    arguments: [(SIGINT, 130), (SIGKILL, 128 + SIGKILL)] as [(Int32, Int32)])
  func ended(signal: Int32, code: Int32) throws {
    let folder = TemporaryFolder()
    let daemon = try LoopbackSSH()
    let job = try Running(Self.job + ["--epochs", "1000", "--run-dir", "\(folder.path)/run"] + words(daemon, folder))
    try #require(job.waitForLine(containing: "the first step begins"), "\(job.wait().errors)")
    let members = processes(in: folder)
    let watched = (members + children(of: job.identifier)).compactMap { Watched($0) }
    // Three members there; the coordinator and three connections here.
    #expect(members.count == 3)
    #expect(watched.count == 7)
    let token = try folder.read("run/token").trimmingCharacters(in: .whitespacesAndNewlines)
    for process in members + children(of: job.identifier) {
      for file in ["cmdline", "environ"] {
        let bytes = FileManager.default.contents(atPath: "/proc/\(process)/\(file)") ?? Data()
        #expect(!bytes.isEmpty)
        #expect(!String(decoding: bytes, as: UTF8.self).contains(token))
      }
    }
    job.send(signal)
    #expect(job.wait().exitCode == code)
    for process in watched { #expect(process.ends(withinSeconds: 10)) }
  }

  @Test(
    "With keys, each host is handed its processes' own by standard input: none is in a command line",
    .enabled(if: outside != nil, "this machine has no address but loopback"))
  func keyed() throws {
    let folder = TemporaryFolder()
    let daemon = try LoopbackSSH()
    let job = try Running(
      Self.job + ["--epochs", "1000", "--run-dir", "\(folder.path)/run"] + (Self.outside ?? [])
        + words(daemon, folder))
    try #require(job.waitForLine(containing: "the first step begins"), "\(job.wait().errors)")
    let keys = try FileManager.default.contentsOfDirectory(atPath: "\(folder.path)/run/keys")
    let secrets = try keys.filter { $0.hasSuffix(".key") }.compactMap {
      try folder.read("run/keys/\($0)").split(separator: "\n").last?.split(separator: " ").last
    }
    // Spare ones among them, for processes that come later.
    #expect(secrets.count > 3 + 2)
    let members = processes(in: folder)
    #expect(members.count == 3)
    for process in members + children(of: job.identifier) {
      for file in ["cmdline", "environ"] {
        let bytes = FileManager.default.contents(atPath: "/proc/\(process)/\(file)") ?? Data()
        let text = String(decoding: bytes, as: UTF8.self)
        #expect(!text.isEmpty && !secrets.contains { text.contains($0) })
        // Nor do they find a file of it: they might be anywhere.
        #expect(!members.contains(process) || !text.contains("run/keys"))
      }
    }
    job.send(SIGINT)
    #expect(job.wait().exitCode == 130)
    #expect(!FileManager.default.fileExists(atPath: "\(folder.path)/run/keys"))
  }

  @Test("A member that reads its secrets from standard input says when there are none")
  func noSecrets() throws {
    let outcome = try Convoy.run(["worker", "--coordinator", "tcp://127.0.0.1:1", "--secrets-stdin"])
    #expect(outcome.exitCode == 75)
    #expect(
      outcome.errors
        == "convoy: the secrets on standard input ended early: whoever started this process has gone\n")
    let both = try Convoy.run([
      "server", "--coordinator", "tcp://127.0.0.1:1", "--secrets-stdin", "--token-file", "token",
    ])
    #expect(both.exitCode == 64)
    #expect(both.errors.contains("--secrets-stdin holds the job's token: leave out --token-file"))
  }

  @Test("What does not go with hosts is refused before anything starts")
  func refused() throws {
    let folder = TemporaryFolder()
    let file = "\(folder.path)/hosts"
    try Data("a workers=1\n".utf8).write(to: URL(filePath: file))
    let cases: [([String], Int32, String)] = [
      (["--hosts", file], 78, "the hosts run 1 workers, the job has 2"),
      (["--hosts", file, "--transport", "ipc"], 64, "--hosts: ipc stays on one machine"),
      (["--hosts", "\(folder.path)/none"], 78, "/none cannot be read: No such file or directory"),
      (["--ssh-option", "-v"], 64, "--ssh-option is for the machines of --hosts"),
      (["--restarts=-1"], 64, "--restarts: -1 is no whole number"),
      (["--restart-backoff", "0"], 64, "--restart-backoff: 0.0 is no number of seconds"),
      (["--listen", "tcp://127.0.0.1:0", "--transport", "inproc"], 64, "--listen: an inproc job"),
    ]
    for (words, code, said) in cases {
      let outcome = try Convoy.run(["train", "--run-dir", "\(folder.path)/run"] + words)
      #expect(outcome.exitCode == code, "\(words)")
      #expect(outcome.errors.contains(said), "\(outcome.errors)")
      #expect(outcome.output.isEmpty)
    }
    #expect(!FileManager.default.fileExists(atPath: "\(folder.path)/run"))
  }
}
