import Foundation
import Launch
import Runtime
import Testing

/// Tests that write programs and start processes run one after the other: a process that is being started holds whatever
/// is open at that moment, and a program that is open for writing cannot be started.
@Suite(.serialized, .timeLimit(.minutes(30))) struct ProcessTests {}

extension ProcessTests {
  /// Child processes: how they are started, watched and ended. The roles are played by a shell script.
  @Suite struct ClusterTests {
    private static let summaryText =
      #"{"buffers_sha256":"e3b0","engine":"openblas","epochs":2,"images_per_second":5211.5,"mode":"sync","#
      + #""parameters":431080,"parameters_sha256":"9f86","precision":"fp32","run_dir":"runs/a","seconds":25.5,"#
      + #""servers":1,"shards":2,"steps":938,"test_accuracy":0.8915,"test_loss":0.3,"train_loss":0.375,"workers":2}"#
    private static let finished = "say '{\"event\":\"finished\",\(summaryText.dropFirst())'"
    /// Waits until three members have come by. Opened for writing too, so that it does not end between two of them.
    private static let meeting = #"{ read -r a; read -r b; read -r c; } <> "$here/meeting""#
    private static let comeBy = #"echo "$name" > "$here/meeting""#

    private func job(_ transport: TransportKind = .tcp) -> Job {
      var job = Job()
      job.transport = transport
      return job
    }

    /// Runs a cluster of a stand-in: one server, two workers.
    private func run(
      _ program: borrowing StandIn, transport: TransportKind = .tcp, stop: StopRequest = StopRequest(),
      report: @escaping (JobEvent) -> Void = { _ in }, notice: @escaping (String) -> Void = { _ in }
    ) throws -> JobSummary {
      try Cluster(
        job: job(transport), runDirectory: program.runDirectory, executable: program.executable, launchedAt: 1.5,
        report: report, notice: notice
      ).run(stop: stop)
    }

    private func failure(_ program: borrowing StandIn) throws -> ConvoyError {
      do {
        _ = try run(program)
      } catch let error as ConvoyError {
        return error
      }
      throw ConvoyError(.success, "it went well")
    }

    @Test("A job that goes well: everyone is started with its arguments, and the coordinator's result comes back")
    func success() throws {
      let note = #"echo "$*" >> "$here/arguments""#
      let program = try StandIn(
        coordinator: "\(note); listening; \(Self.meeting); \(Self.finished)", server: "\(note); \(Self.comeBy)",
        worker: "\(note); \(Self.comeBy)")
      var events: [JobEvent] = []
      let summary = try run(program, report: { events.append($0) })
      #expect(summary.json == Self.summaryText)
      #expect(events == [.listening(address: "tcp://127.0.0.1:1"), .finished(summary)])
      let arguments = try program.noted("arguments")
      let run = program.runDirectory
      #expect(arguments.first == "coordinator --job \(run)/job.yaml --listen tcp://127.0.0.1:0 --run-dir \(run)")
      #expect(
        arguments.dropFirst().sorted() == [
          "server --coordinator tcp://127.0.0.1:1 --name server.0",
          "worker --coordinator tcp://127.0.0.1:1 --name worker.0",
          "worker --coordinator tcp://127.0.0.1:1 --name worker.1",
        ])
      #expect(try program.survivors().isEmpty)
    }

    @Test("The coordinator listens where it is told to")
    func listen() throws {
      let program = try StandIn(coordinator: #"echo "$5" > "$here/arguments"; "# + Self.finished)
      _ = try Cluster(
        job: job(.auto), runDirectory: program.runDirectory, executable: program.executable, launchedAt: 1.5,
        listen: "tcp://127.0.0.1:5", report: { _ in }, notice: { _ in }
      ).run(stop: StopRequest())
      #expect(try program.noted("arguments") == ["tcp://127.0.0.1:5"])
    }

    @Test("The token is there before anyone, for its owner only, and gone afterwards")
    func token() throws {
      let program = try StandIn(
        coordinator: #"stat -c '%a %s' "$CONVOY_TOKEN_FILE" > "$here/mode"; "# + Self.finished)
      _ = try run(program)
      #expect(try program.noted("mode") == ["600 33"])
      #expect(!FileManager.default.fileExists(atPath: "\(program.runDirectory)/token"))
    }

    @Test("Sockets in the file system lie in a folder that only this user reaches, and that is gone afterwards")
    func socketFolder() throws {
      let program = try StandIn(
        coordinator: #"""
          path=${5#ipc://}; folder=$(dirname "$path")
          echo "$folder" > "$here/socket"; stat -c %a "$folder" >> "$here/socket"; : > "$path"
          """# + "\n" + Self.finished)
      _ = try run(program, transport: .auto)
      let noted = try program.noted("socket")
      #expect(noted.last == "700")
      let folder = try #require(noted.first)
      #expect(!FileManager.default.fileExists(atPath: folder))
    }

    @Test("Children have their own environment, and no end of another's pipe")
    func inheritance() throws {
      let noteDescriptors = #"""
        env > "$here/environment.$name"
        all=$(for descriptor in /proc/$$/fd/*; do readlink "$descriptor"; done); echo "$all" > "$here/descriptors.$name"
        own=$(for descriptor in 0 1 2; do readlink /proc/$$/fd/$descriptor; done); echo "$own" > "$here/own.$name"
        """#
      let program = try StandIn(
        coordinator: "listening; \(Self.meeting); \(Self.finished)", server: "\(noteDescriptors)\n\(Self.comeBy)",
        worker: "\(noteDescriptors)\n\(Self.comeBy)")
      _ = try run(program)
      let environment = try program.noted("environment.worker.1").filter { line in
        ["CONVOY_", "OPENBLAS_", "OMP_"].contains { line.hasPrefix($0) }
      }
      // What the libraries find in the environment of the tests themselves, as where one instruction set is asked for,
      // is the children's too.
      let inherited = ProcessInfo.processInfo.environment.filter { variable in
        ["OPENBLAS_", "OMP_"].contains { variable.key.hasPrefix($0) }
          && !["OMP_WAIT_POLICY", "OPENBLAS_NUM_THREADS"].contains(variable.key)
      }
      #expect(
        environment.sorted()
          == ([
            "CONVOY_LAUNCHED_AT=1.5", "CONVOY_LIFELINE=1", "CONVOY_TOKEN_FILE=\(program.runDirectory)/token",
            "OMP_WAIT_POLICY=passive", "OPENBLAS_NUM_THREADS=1",
          ] + inherited.map { "\($0.key)=\($0.value)" }).sorted())
      // The lifeline, which all wait at and only the launcher holds the other end of, standard output and standard error.
      // Pipes of other tests are nobody's here: a process that is started holds what another thread has just opened.
      let own = try program.noted("own.worker.1")
      let held = try program.noted("descriptors.worker.1")
      #expect(Set(own).count == 3 && own.allSatisfy { $0.hasPrefix("pipe:") })
      #expect(held.count { $0 == own.first } == 1)
      for other in ["worker.0", "server.0"] {
        #expect(Set(held).isDisjoint(with: try program.noted("own.\(other)").dropFirst()))
        #expect(try Set(program.noted("descriptors.\(other)")).isDisjoint(with: own.dropFirst()))
      }
    }

    @Test("Each child's lines are in its log behind its name, whichever pipe they came by; events are not")
    func logs() throws {
      let program = try StandIn(
        coordinator: "say 'no event'; listening; \(Self.meeting); \(Self.finished)", server: Self.comeBy,
        worker: "echo out; echo error >&2; printf unended >&2; \(Self.comeBy)")
      _ = try run(program)
      let coordinator = try String(contentsOfFile: "\(program.runDirectory)/logs/coordinator.log", encoding: .utf8)
      #expect(coordinator == "[coordinator] no event\n")
      let worker = try String(contentsOfFile: "\(program.runDirectory)/logs/worker.1.log", encoding: .utf8)
      #expect(
        worker.split(separator: "\n").sorted() == ["[worker.1] error", "[worker.1] out", "[worker.1] unended"])
    }

    @Test(
      "A member that ends badly ends the job, with its name, how, and its last words",
      arguments: [
        ("echo first >&2; echo out of cheese >&2; exit 3", "ended with exit code 3; its last words: out of cheese"),
        ("kill -9 $$", "was ended by signal 9 (Killed); it said nothing"),
      ])
    func death(what: String, said: String) throws {
      let program = try StandIn(
        coordinator: "listening; wait_for_end", worker: "if [ $name = worker.1 ]; then \(what); fi; wait_for_end")
      let error = try failure(program)
      #expect(error == ConvoyError(.failed, "worker.1 \(said)"))
      #expect(try program.survivors().isEmpty)
    }

    @Test("A dead member is noticed although a process that it left behind holds its pipes")
    func grandchild() throws {
      let program = try StandIn(
        coordinator: "listening; wait_for_end", server: "exec 3<&0; cat <&3 & echo gone >&2; exit 3")
      #expect(try failure(program).message == "server.0 ended with exit code 3; its last words: gone")
    }

    @Test("A member that only closes its pipes has not ended")
    func closedPipes() throws {
      let program = try StandIn(
        coordinator: "listening; \(Self.meeting); \(Self.finished)", server: "exec >&- 2>&-; \(Self.comeBy)",
        worker: Self.comeBy)
      #expect(try run(program).steps == 938)
    }

    @Test("The coordinator's own explanation and exit code come before anyone's end")
    func explained() throws {
      let program = try StandIn(
        coordinator: #"""
          say '{"event":"failed","message":"no data","exit_code":65}'; exit 65
          """#)
      #expect(try failure(program) == ConvoyError(.badData, "no data"))
    }

    @Test("A coordinator that leaves without a result ends the job")
    func noResult() throws {
      let program = try StandIn(
        coordinator: "listening; \(Self.meeting); echo tired >&2; exit 0",
        server: "\(Self.comeBy); wait_for_end", worker: "\(Self.comeBy); wait_for_end")
      #expect(
        try failure(program) == ConvoyError(.failed, "the coordinator left without a result; its last words: tired"))
      #expect(try program.survivors().isEmpty)
    }

    @Test("What a member does after the job is done does not undo it")
    func afterwards() throws {
      let program = try StandIn(
        coordinator: "listening; \(Self.meeting); \(Self.finished); : > \"$here/done\"; exit 0",
        server: Self.comeBy, worker: "\(Self.comeBy); while [ ! -e \"$here/done\" ]; do :; done; exit 9")
      #expect(try run(program).steps == 938)
    }

    @Test(
      "A request to stop is told at once, ends everyone, and is the exit code",
      arguments: [(StopRequest.Signal.interrupt, ExitCode.interrupted, "SIGINT"), (.terminate, .terminated, "SIGTERM")])
    func stopped(signal: StopRequest.Signal, code: ExitCode, name: String) throws {
      let program = try StandIn(
        coordinator: "listening; \(Self.meeting); say '{\"event\":\"waiting\",\"missing\":[]}'; wait_for_end",
        server: "\(Self.comeBy); wait_for_end", worker: "\(Self.comeBy); wait_for_end")
      let stop = StopRequest()
      var notices: [String] = []
      let error = try #require(throws: ConvoyError.self) {
        try run(
          program, stop: stop, report: { if case .waiting = $0 { stop.request(signal) } },
          notice: { notices.append($0) })
      }
      #expect(error.code == code)
      #expect(notices == ["stopped by \(name): ending 4 processes"])
      #expect(try program.survivors().isEmpty)
    }

    @Test("A second request kills at once whoever does not listen")
    func stoppedTwice() throws {
      let deaf = "trap '' TERM; \(Self.comeBy); while :; do wait_for_end; done"
      let program = try StandIn(
        coordinator:
          "trap '' TERM; listening; \(Self.meeting); say '{\"event\":\"waiting\",\"missing\":[]}'; wait_for_end",
        server: deaf, worker: deaf)
      let stop = StopRequest()
      let cluster = Cluster(
        job: job(), runDirectory: program.runDirectory, executable: program.executable, launchedAt: 0,
        report: { if case .waiting = $0 { stop.request(.interrupt) } }, notice: { _ in })
      stop.listen(cluster.again)
      let error = try #require(throws: ConvoyError.self) { try cluster.run(stop: stop) }
      #expect(error.code == .interrupted)
      #expect(try program.survivors().isEmpty)
    }

    @Test("A program that is not there is named")
    func noProgram() throws {
      let program = try StandIn(coordinator: "")
      let cluster = Cluster(
        job: job(), runDirectory: program.runDirectory, executable: "\(program.folder)/none", launchedAt: 0,
        report: { _ in }, notice: { _ in })
      let error = try #require(throws: ConvoyError.self) { try cluster.run(stop: StopRequest()) }
      #expect(error.message == "coordinator cannot be started: No such file or directory")
    }
  }
}
