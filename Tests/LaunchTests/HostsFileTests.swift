import Runtime
import Testing

import Launch

/// The hosts file, who runs where, and the words that reach a host.
@Suite struct HostsFileTests {
  private func failure(_ text: String) -> String? {
    do throws(ConvoyError) {
      _ = try HostsFile.parse(text, path: "h.txt")
      return nil
    } catch {
      return error.code == .configuration ? error.message : "exit code \(error.code)"
    }
  }

  @Test("Names, users, addresses, settings and comments are read")
  func read() throws {
    let hosts = try HostsFile.parse(
      """
      # the lab
      node1

        ana@node2  workers=2 threads=4\tport=2222 # the big one
      fe80::1 servers=0 convoy=/opt/c=d/convoy dir=/data/x interface=eth1
      """, path: "h.txt")
    var second = Host(destination: "ana@node2")
    (second.workers, second.threads, second.port) = (2, 4, 2222)
    var third = Host(destination: "fe80::1")
    (third.servers, third.program, third.directory, third.interface) = (0, "/opt/c=d/convoy", "/data/x", "eth1")
    #expect(hosts == [Host(destination: "node1"), second, third])
  }

  @Test(
    "What is wrong is named with file and line",
    arguments: [
      ("", "the hosts file h.txt names no host"),
      ("# a\n", "the hosts file h.txt names no host"),
      ("a\nb workers=x", "h.txt:2: workers=x is no whole number from 0 to 1024"),
      ("a threads=0", "h.txt:1: threads=0 is no whole number from 1 to 256"),
      ("a port=65536", "h.txt:1: port=65536 is no whole number from 1 to 65535"),
      ("a worker=1", "h.txt:1: there is no setting worker; did you mean workers?"),
      ("a workers", "h.txt:1: workers is no setting: write NAME=VALUE"),
      ("a dir=", "h.txt:1: dir has no value"),
      ("a dir=x dir=y", "h.txt:1: dir stands there twice"),
      ("a\n\na", "h.txt:3: a stands on line 1 already: one line for each host"),
      (
        "-oProxyCommand=x",
        "h.txt:1: -oProxyCommand=x is no host: a line begins with NAME, USER@NAME or an address"
      ),
      ("workers=2", "h.txt:1: workers=2 is no host: a line begins with NAME, USER@NAME or an address"),
      ("a;b", "h.txt:1: a;b is no host: a line begins with NAME, USER@NAME or an address"),
    ])
  func wrong(text: String, said: String) {
    #expect(failure(text) == said)
  }

  @Test("A file that is not there is named")
  func missing() {
    let error = #expect(throws: ConvoyError.self) { try HostsFile.read("/nowhere/hosts") }
    #expect(error?.message == "the hosts file /nowhere/hosts cannot be read: No such file or directory")
  }

  private func lines(_ text: String, servers: Int, workers: Int) throws -> [String] {
    try RemoteHosts(HostsFile.parse(text, path: "h"), servers: servers, workers: workers).lines
  }

  @Test("Members go to hosts in turn, after what hosts state; workers begin where servers ended")
  func spread() throws {
    #expect(
      try lines("a\nb\nc", servers: 2, workers: 3) == [
        "a: server.0, worker.1", "b: server.1, worker.2", "c: worker.0",
      ])
    #expect(
      try lines("a workers=2 servers=0\nb\nc workers=0", servers: 1, workers: 4) == [
        "a: worker.0, worker.1", "b: server.0, worker.2, worker.3", "c: nothing",
      ])
  }

  @Test(
    "Counts that do not fit say what to give",
    arguments: [
      ("a workers=3", "the hosts run 3 workers, the job has 2: give --workers 3"),
      (
        "a workers=1",
        "the hosts run 1 workers, the job has 2: give --workers 1, or leave workers= away on a host"
      ),
    ])
  func unfit(text: String, said: String) throws {
    let error = #expect(throws: ConvoyError.self) { try lines(text, servers: 1, workers: 2) }
    #expect(error?.message == said)
    #expect(error?.code == .configuration)
  }

  @Test("The words for ssh: a connection of its own that asks nobody, the person's options, one quoted line")
  func words() throws {
    let host = try #require(
      try HostsFile.parse("ana@b port=22 threads=2 interface=eth0 convoy=/o/it's dir=/a/$x", path: "h").first)
    let hosts = try RemoteHosts([host], servers: 1, workers: 1, options: ["-i", "key"])
    let words = hosts.sshArguments(
      to: host, running: ["worker", "--name", "worker.0"] + host.arguments(forRole: "worker"))
    #expect(words.starts(with: ["-T", "-a", "-x", "-o", "BatchMode=yes"]))
    for option in ["ControlPath=none", "ControlMaster=no", "ServerAliveInterval=5", "ServerAliveCountMax=3"] {
      #expect(words.contains(option))
    }
    #expect(try #require(words.firstIndex(of: "-i")) < #require(words.firstIndex(of: "ConnectTimeout=10")))
    #expect(words.suffix(5).dropLast() == ["-p", "22", "--", "ana@b"])
    #expect(
      words.last
        == "echo connected && cd '/a/$x' && exec env OMP_WAIT_POLICY=passive OPENBLAS_NUM_THREADS=1 '/o/it'\\''s' worker --name worker.0 --threads 2 --interface eth0 --secrets-stdin"
    )
  }

  @Test("The coordinator listens where the first host that is another machine reaches it")
  func listen() throws {
    // Stands for ssh, which is asked for the name behind a destination.
    func hosts(_ text: String) throws -> RemoteHosts {
      try RemoteHosts(
        HostsFile.parse(text, path: "h"), servers: 1, workers: 1,
        options: ["-c", "for host; do :; done; echo hostname $host", "sh"], program: "sh")
    }
    #expect(try hosts("127.0.0.1\n127.0.0.2").listenAddress() == "tcp://127.0.0.1:0")
    #expect(try hosts("::1").listenAddress() == "tcp://[::1]:0")
    #expect(try hosts("localhost").listenAddress() == "tcp://127.0.0.1:0")
    let error = #expect(throws: ConvoyError.self) { try hosts("ana@b.invalid").listenAddress() }
    #expect(error?.message.hasPrefix("the host ana@b.invalid is not reached by the name ana@b.invalid: ") == true)
  }
}
