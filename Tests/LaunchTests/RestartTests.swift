import Foundation
import Launch
import Runtime
import Testing

extension ProcessTests {
  /// Processes that end while training goes on: who is started again, how often, and who is told. Shell scripts play the
  /// roles; they wait for each other by named pipes, so the launcher has heard `started` before anyone ends.
  @Suite struct RestartTests {
    static let summaryText =
      #"{"buffers_sha256":"e3b0","engine":"openblas","epochs":2,"images_per_second":5211.5,"mode":"sync","#
      + #""parameters":431080,"parameters_sha256":"9f86","precision":"fp32","run_dir":"runs/a","seconds":25.5,"#
      + #""servers":1,"shards":2,"steps":938,"test_accuracy":0.8915,"test_loss":0.3,"train_loss":0.375,"workers":2}"#
    /// Tells the result, and lets members leave: an end of line for each of them, in a pipe that they hold open.
    private static let finished = """
      say '{"event":"finished",\(summaryText.dropFirst())'
      printf '\\n\\n\\n' > "$here/over"
      """
    private static let meeting = #"{ read -r a; read -r b; read -r c; } <> "$here/meeting""#
    private static let comeBy = #"echo "$name" > "$here/meeting""#
    /// Waits until the coordinator lets one process go on.
    private static let waitForGo = #"read -r go < "$here/go""#
    private static let go = #"echo go > "$here/go""#
    /// A coordinator that trains, and then does what the test is about.
    private static let train = "listening; \(meeting); started"
    private static let member = "\(comeBy); wait_for_over"

    private func run(
      _ program: borrowing StandIn, budget: Int = 3, wait: Double = 0.001, stop: StopRequest = StopRequest(),
      notice: @escaping (String) -> Void = { _ in }
    ) throws -> JobSummary {
      var job = Job()
      job.transport = .tcp
      return try Cluster(
        job: job, runDirectory: program.runDirectory, executable: program.executable, launchedAt: 1.5,
        restarts: RestartPolicy(budget: budget, firstWait: wait, longestWait: max(wait, 0.002)), report: { _ in },
        notice: notice
      ).run(stop: stop)
    }

    private func failure(_ program: borrowing StandIn, budget: Int = 3) throws -> ConvoyError {
      do {
        _ = try run(program, budget: budget)
      } catch let error as ConvoyError {
        return error
      }
      throw ConvoyError(.success, "it went well")
    }

    @Test(
      "A member that ends unexpectedly is started again under its name, after the coordinator was told",
      arguments: [
        ("kill -9 $$", "was ended by signal 9 (Killed)"), ("exit 1", "ended with exit code 1"),
        ("exit 75", "ended with exit code 75"),
      ])
    func member(how: String, said: String) throws {
      let program = try StandIn(
        coordinator: """
          \(Self.train); \(Self.go)
          read -r again <> "$here/meeting"
          # The word is there before the replacement is: reading does not wait.
          dd bs=100 count=1 iflag=nonblock > "$here/told" 2>/dev/null
          \(Self.finished)
          """, server: Self.member,
        worker: "\(Self.comeBy); if [ $name$life = worker.11 ]; then \(Self.waitForGo); \(how); fi; wait_for_over")
      var notices: [String] = []
      #expect(try run(program, notice: { notices.append($0) }).steps == 938)
      #expect(try program.noted("told") == ["ended worker.1"])
      #expect(notices == ["worker.1 \(said): restart 1 in 0 s, 2 left"])
      #expect(
        try ["coordinator", "server.0", "worker.0", "worker.1"].map { try program.noted("lives.\($0)").count } == [
          1, 1, 1, 2,
        ])
      let log = try String(contentsOfFile: "\(program.runDirectory)/logs/launcher.log", encoding: .utf8)
      #expect(log.contains("worker.1 \(said): restart 1 in 0 s, 2 left; it said nothing\n"), "\(log)")
      #expect(log.matches(of: /worker\.1 is process \d+ now\n/).count == 1, "\(log)")
      #expect(try program.survivors().isEmpty)
    }

    @Test("When a process has used up its restarts, the job ends with a line that says so", arguments: [0, 2])
    func budget(budget: Int) throws {
      let program = try StandIn(
        coordinator: "\(Self.train); \(Self.go); wait_for_end",
        server: Self.member,
        worker: """
          if [ $life = 1 ]; then \(Self.comeBy); fi
          if [ $name$life = worker.11 ]; then \(Self.waitForGo); fi
          if [ $name = worker.1 ]; then echo ouch >&2; kill -9 $$; fi
          wait_for_over
          """)
      let spent = budget == 0 ? "" : "; --restarts allows no more than 2 restarts of it"
      let error = try failure(program, budget: budget)
      #expect(error == ConvoyError(.failed, "worker.1 was ended by signal 9 (Killed); its last words: ouch\(spent)"))
      #expect(try program.noted("lives.worker.1").count == budget + 1)
      #expect(try program.survivors().isEmpty)
    }

    @Test(
      "What would end the same way again is not started again",
      arguments: [ExitCode.usage, .badData, .refused, .configuration])
    func final(code: ExitCode) throws {
      let program = try StandIn(
        coordinator: "\(Self.train); \(Self.go); wait_for_end", server: Self.member,
        worker:
          "\(Self.comeBy); if [ $name = worker.1 ]; then \(Self.waitForGo); exit \(code.rawValue); fi; wait_for_over")
      #expect(
        try failure(program)
          == ConvoyError(code, "worker.1 ended with exit code \(code.rawValue); it said nothing"))
      #expect(try program.noted("lives.worker.1").count == 1)
    }

    @Test(
      "A member that was asked to leave is not started again, and the job goes on",
      arguments: [("exit 0", 0), ("exit 143", 1), ("kill -TERM $$; wait_for_over", 1)])
    func left(how: String, noticed: Int) throws {
      let program = try StandIn(
        coordinator: "\(Self.train); \(Self.go); read -r word; echo $word > \"$here/told\"; \(Self.finished)",
        server: Self.member,
        worker: "\(Self.comeBy); if [ $name = worker.1 ]; then \(Self.waitForGo); \(how); fi; wait_for_over")
      var notices: [String] = []
      #expect(try run(program, notice: { notices.append($0) }).steps == 938)
      #expect(try program.noted("told") == ["ended worker.1"])
      #expect(try program.noted("lives.worker.1").count == 1)
      let texts = [String](repeating: "worker.1 was asked to leave, and left: it is not started again", count: noticed)
      #expect(notices == texts)
    }

    @Test("A coordinator is started again on the address that it had, and members stay")
    func coordinator() throws {
      let program = try StandIn(
        coordinator: """
          echo "$*" >> "$here/arguments"
          if [ $life = 1 ]; then \(Self.train); kill -9 $$; fi
          listening; \(Self.finished)
          """, server: Self.member, worker: Self.member)
      #expect(try run(program).steps == 938)
      let run = program.runDirectory
      #expect(
        try program.noted("arguments") == [
          "coordinator --job \(run)/job.yaml --listen tcp://127.0.0.1:0 --run-dir \(run)",
          "coordinator --job \(run)/job.yaml --listen tcp://127.0.0.1:1 --run-dir \(run)",
        ])
      for name in ["server.0", "worker.0", "worker.1"] { #expect(try program.noted("lives.\(name)").count == 1) }
      #expect(try program.survivors().isEmpty)
    }

    @Test("Whoever ends while the coordinator is away is named to its successor")
    func untold() throws {
      // Both end together: the worker as soon as the coordinator's number names no living process.
      let program = try StandIn(
        coordinator: """
          if [ $life = 1 ]; then \(Self.train); echo $$ > "$here/go"; kill -9 $$; fi
          read -r word; echo $word > "$here/told"; read -r again <> "$here/meeting"; \(Self.finished)
          """, server: Self.member,
        worker: """
          \(Self.comeBy)
          if [ $name$life = worker.11 ]; then
            read -r other < "$here/go"
            while grep -q '^State:.[^ZX]' /proc/$other/status 2>/dev/null; do :; done
            kill -9 $$
          fi
          wait_for_over
          """)
      #expect(try run(program).steps == 938)
      #expect(try program.noted("told") == ["ended worker.1"])
    }

    @Test("A request to stop takes back a restart that waits")
    func stopped() throws {
      let program = try StandIn(
        coordinator: "\(Self.train); \(Self.go); wait_for_end", server: Self.member,
        worker: "\(Self.comeBy); if [ $name = worker.1 ]; then \(Self.waitForGo); exit 1; fi; wait_for_over")
      let stop = StopRequest()
      var notices: [String] = []
      let error = #expect(throws: ConvoyError.self) {
        try run(
          program, wait: 3600, stop: stop,
          notice: {
            notices.append($0)
            stop.request(.interrupt)
          })
      }
      #expect(error?.code == .interrupted)
      #expect(
        notices == [
          "worker.1 ended with exit code 1: restart 1 in 3600 s, 2 left", "stopped by SIGINT: ending 3 processes",
        ])
      #expect(try program.noted("lives.worker.1").count == 1)
      #expect(try program.survivors().isEmpty)
    }
  }
}
