import Foundation
import Glibc
import Launch
import Runtime
import TestSupport
import Testing

extension ProcessTests {
  /// Members on other hosts, by a real `ssh` to a real `sshd` on the loopback interface. Shell scripts play the roles.
  @Suite(
    .enabled(
      if: LoopbackSSH.isInstalled,
      "there is no sshd to test with: apt-get install openssh-server, and as root mkdir /run/sshd"))
  struct SSHTests {
    private static let meeting = #"{ read -r a; read -r b; read -r c; } <> "$here/meeting""#
    private static let comeBy = #"echo "$name" > "$here/meeting""#
    /// Reads the block of secrets, which has 29 bytes here, and notes what follows its head.
    private static let takeSecrets =
      #"dd bs=1 count=29 2> /dev/null | od -An -v -tx1 | tr -d ' \n' > "$here/secrets.$name""#
    private static let note = #"{ echo "$*"; env; } > "$here/known.$name""#
    private static let finished = """
      say '{"event":"finished",\(RestartTests.summaryText.dropFirst())'
      printf '\\n\\n\\n' > "$here/over"
      """

    private func cluster(
      _ program: borrowing StandIn, _ options: [String], stop: StopRequest = StopRequest(),
      report: @escaping (JobEvent) -> Void = { _ in }, notice: @escaping (String) -> Void = { _ in }
    ) throws -> Cluster {
      var job = Job()
      job.transport = .tcp
      // Two names of one machine.
      let text =
        "127.0.0.1 servers=1 workers=1 convoy=\(program.executable)\nlocalhost threads=3 convoy=\(program.executable)"
      let hosts = try RemoteHosts(
        HostsFile.parse(text, path: "hosts"), servers: 1, workers: 2, options: options)
      return Cluster(
        job: job, runDirectory: program.runDirectory, executable: program.executable, launchedAt: 1.5,
        restarts: RestartPolicy(budget: 3, firstWait: 0.001), hosts: hosts, report: report, notice: notice)
    }

    @Test("Members run on their hosts with the token by standard input, and nothing of it elsewhere")
    func success() throws {
      let daemon = try LoopbackSSH()
      // Behind the secrets come beats.
      let beat = #"read -r beat; echo "beat $beat" > "$here/beat.$name""#
      let member = "\(Self.note); \(Self.takeSecrets); \(beat); \(Self.comeBy); wait_for_over"
      let program = try StandIn(
        coordinator: #"cat "$here/run/token" > "$here/token"; "#
          + "\(Self.note); listening; \(Self.meeting); started; \(Self.finished)",
        server: member, worker: member)
      #expect(try cluster(program, daemon.options()).run(stop: StopRequest()).steps == 938)
      let token = try #require(try program.noted("token").first)
      for name in ["server.0", "worker.0", "worker.1"] {
        #expect(try program.noted("secrets.\(name)") == ["434f4e564f595331" + "11000000" + token + "00"])
        let known = try program.noted("known.\(name)")
        let threads = name == "worker.1" ? "--threads 3 " : ""
        #expect(
          known.first
            == "\(name.prefix { $0 != "." }) --coordinator tcp://127.0.0.1:1 --name \(name) \(threads)--secrets-stdin")
        #expect(!known.contains { $0.contains(token) })
        #expect(try program.noted("beat.\(name)") == ["beat "])
        #expect(known.contains("OPENBLAS_NUM_THREADS=1"))
      }
      #expect(try program.noted("known.coordinator").first?.contains("--listen tcp://127.0.0.1:0 ") == true)
      #expect(try program.survivors().isEmpty)
    }

    @Test("A request to stop ends the processes on every host")
    func stopped() throws {
      let daemon = try LoopbackSSH()
      let member = "\(Self.takeSecrets); \(Self.comeBy); wait_for_end"
      let program = try StandIn(
        coordinator: "listening; \(Self.meeting); started; wait_for_end", server: member, worker: member)
      let stop = StopRequest()
      let cluster = try cluster(
        program, daemon.options(), report: { if case .started = $0 { stop.request(.interrupt) } })
      let error = #expect(throws: ConvoyError.self) { try cluster.run(stop: stop) }
      #expect(error?.code == .interrupted)
      #expect(try program.noted("processes").count == 4)
      #expect(try program.survivors().isEmpty)
    }

    @Test("When a connection is cut, the process on the host ends, and another takes its place")
    func cut() throws {
      let daemon = try LoopbackSSH()
      let proxy = try ChaosProxy(to: daemon.port)
      let member = "\(Self.takeSecrets); \(Self.comeBy); if [ $life = 1 ]; then wait_for_end; fi; wait_for_over"
      let program = try StandIn(
        coordinator: "listening; \(Self.meeting); started; \(Self.meeting); \(Self.finished)", server: member,
        worker: member)
      var watched: [Watched] = []
      var notices: [String] = []
      let cluster = try cluster(
        program, daemon.options(port: proxy.port),
        report: { event in
          guard case .started = event else { return }
          watched = ((try? program.noted("processes")) ?? []).dropFirst().compactMap {
            pid_t($0).flatMap { Watched($0) }
          }
          proxy.cutAll()
        }, notice: { notices.append($0) })
      #expect(try cluster.run(stop: StopRequest()).steps == 938)
      #expect(watched.count == 3)
      for process in watched { #expect(process.ends(withinSeconds: 10)) }
      #expect(proxy.counts.cut == 3)
      #expect(proxy.counts.accepted == 6)
      #expect(
        notices.sorted() == [
          "server.0 on 127.0.0.1 lost its ssh connection or was killed there: ssh ended with exit code 255: restart 1 in 0 s, 2 left",
          "worker.0 on 127.0.0.1 lost its ssh connection or was killed there: ssh ended with exit code 255: restart 1 in 0 s, 2 left",
          "worker.1 on localhost lost its ssh connection or was killed there: ssh ended with exit code 255: restart 1 in 0 s, 2 left",
        ])
      #expect(try program.survivors().isEmpty)
    }

    @Test("A host that lets nobody in ends the job with its name and with what ssh said")
    func refused() throws {
      let daemon = try LoopbackSSH()
      let program = try StandIn(coordinator: "listening; wait_for_end")
      let error = #expect(throws: ConvoyError.self) {
        try cluster(program, daemon.options(key: "stranger")).run(stop: StopRequest())
      }
      #expect(error?.code == .failed)
      let message = error?.message ?? ""
      #expect(
        message.contains(
          /^(server|worker)\.\d on (127\.0\.0\.1|localhost) was not reached: ssh ended with exit code 255; its last words: \S/
        ))
      #expect(message.contains("Permission denied (publickey)"))
      #expect(try program.survivors().isEmpty)
    }

    @Test("A program that a host does not have is named")
    func noProgram() throws {
      let daemon = try LoopbackSSH()
      let program = try StandIn(coordinator: "listening; wait_for_end")
      var job = Job()
      job.transport = .tcp
      let text = "127.0.0.1 convoy=\(program.folder)/none dir=\(program.folder)"
      let hosts = try RemoteHosts(
        HostsFile.parse(text, path: "hosts"), servers: 1, workers: 2, options: daemon.options())
      let cluster = Cluster(
        job: job, runDirectory: program.runDirectory, executable: program.executable, launchedAt: 1.5, hosts: hosts,
        report: { _ in }, notice: { _ in })
      let error = #expect(throws: ConvoyError.self) { try cluster.run(stop: StopRequest()) }
      #expect(error?.message.contains("ended with exit code 127; its last words: ") == true, "\(error?.message ?? "")")
      #expect(error?.message.contains("\(program.folder)/none") == true)
    }
  }
}
