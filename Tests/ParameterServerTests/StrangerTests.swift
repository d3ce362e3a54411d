import ParameterServer
import Testing

/// Who does not know a job's token is not told it by the answer.
@Suite struct StrangerTests {
  private static let other = JobToken([UInt8](repeating: 9, count: 16))!

  private static func knock(_ view: ViewNumber) -> Envelope {
    Envelope(token: other, view: view, sender: worker(0), incarnation: Incarnation(77), message: .alive)
  }

  @Test func theCoordinatorAnswersAStrangerByItsOwnToken() {
    var bench = CoordinatorBench.training(CoordinatorBench.plan())
    let wrong = bench.handle(.message(Self.knock(ViewNumber(1)), from: Connection(9), payload: nil))
    #expect(wrong.tokens == [Self.other])
    let unreadable = bench.handle(.unreadable(Refusal(.malformed, "no message"), from: Connection(9)))
    #expect(unreadable.tokens == [JobToken.none])
  }

  @Test func aWorkerThatAsksToJoinTakesARefusalOfWhatNobodyCouldRead() {
    func refused(by token: JobToken) -> [WorkerEffect] {
      var worker = Worker(name: "", token: Job.token, incarnation: Incarnation(5))
      _ = worker.handle(.started, at: Moment(milliseconds: 0))
      let refusal = Envelope(
        token: token, view: .none, sender: .coordinator, incarnation: Incarnation(1),
        message: .refused(Refusal(.malformed, "no message")))
      return worker.handle(.message(refusal, from: .coordinator, payload: nil), at: Moment(milliseconds: 1))
    }
    #expect(refused(by: .none).stops.count == 1)
    #expect(refused(by: Self.other).stops.isEmpty, "another job's coordinator ends nothing")
  }

  @Test func aServerAnswersAStrangerByItsOwnToken() {
    var bench = ServerBench(Job.view(Job.rules(), 1))
    let source = Destination.connection(Connection(9))
    let wrong = bench.handle(.message(Self.knock(ViewNumber(1)), from: source, payload: nil))
    #expect(wrong.tokens == [Self.other])
    let unreadable = bench.handle(.unreadable(Refusal(.malformed, "no message"), from: source))
    #expect(unreadable.tokens == [JobToken.none])
  }
}

extension [CoordinatorEffect] {
  fileprivate var tokens: [JobToken] {
    compactMap { if case .send(let envelope, _, _) = $0 { envelope.token } else { nil } }
  }
}

extension [ServerEffect] {
  fileprivate var tokens: [JobToken] {
    compactMap { if case .send(let envelope, _, _) = $0 { envelope.token } else { nil } }
  }
}
