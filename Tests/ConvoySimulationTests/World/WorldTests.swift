import ConvoySimulation
import ParameterServer
import Testing

/// What is sent in these tests.
private final class Note: Sendable {
  let number: Int

  init(_ number: Int) { self.number = number }
}

/// The world without any machine: letters are numbers.
struct WorldTests: ~Copyable {
  private var world = World<Note>(processes: 3, shape: NetworkShape(), seed: 1)

  init() {
    for process in 0..<3 { world.begin(process) }
  }

  /// Everything that happens until nothing does, in words.
  private mutating func run(until limit: UInt64 = 60_000_000) -> [String] {
    var log: [String] = []
    while let next = world.next(until: limit) {
      switch next {
      case .message(let note, _, _, _, _): log.append("\(note.number)")
      case .local(let number, let process): log.append("local \(number) of \(process)")
      case .timer(let process): log.append("timer of \(process) at \(world.now)")
      case .start(let process): log.append("start of \(process)")
      case .fault(let number, let begins): log.append("fault \(number) \(begins ? "begins" : "ends")")
      }
    }
    return log
  }

  private mutating func send(_ numbers: Range<Int>, bytes: Int = 0, toRouter: Bool = true) -> [SendOutcome] {
    numbers.map { world.send(Note($0), bytes: bytes, dealer: 1, router: 0, toRouter: toRouter) }
  }

  @Test mutating func aConnectionKeepsItsOrder() {
    _ = send(0..<50)
    #expect(run() == (0..<50).map(String.init))
  }

  @Test mutating func lettersOfDifferentConnectionsOvertakeEachOther() {
    for number in 0..<50 {
      _ = world.send(Note(number), bytes: 0, dealer: 1, router: 0, toRouter: true)
      _ = world.send(Note(100 + number), bytes: 0, dealer: 2, router: 0, toRouter: true)
    }
    let log = run()
    #expect(log.count == 100 && Set(log).count == 100)
    #expect(log != (0..<50).flatMap { ["\($0)", "\(100 + $0)"] })
  }

  @Test mutating func bytesTakeTime() {
    _ = send(0..<1, bytes: 12_500_000)
    #expect(run(until: 9000) == [])
    #expect(run(until: 12_000) == ["0"])
  }

  @Test mutating func aRouterDropsWhatIsForALostConnection() {
    let old = world.network.generation(dealer: 1, router: 0)
    #expect(world.send(Note(1), bytes: 0, dealer: 1, router: 0, toRouter: false, generation: old) == .sent)
    let until = world.now
    world.withNetwork { $0.cut(dealer: 1, router: 0, until: until) }
    #expect(world.send(Note(2), bytes: 0, dealer: 1, router: 0, toRouter: false, generation: old) == .unreachable)
    #expect(run() == [])
    #expect(world.network.lostWithConnection == 1)
  }

  @Test mutating func aDealerKeepsWhatItSendsWhileItsConnectionIsDown() {
    world.withNetwork { $0.cut(dealer: 1, router: 0, until: 5000) }
    #expect(send(0..<3) == [.sent, .sent, .sent])
    #expect(send(3..<4, toRouter: false) == [.unreachable])
    #expect(run(until: 4999) == [])
    #expect(run() == ["0", "1", "2"])
  }

  @Test func aQueueHasAHighWaterMark() {
    var shape = NetworkShape()
    shape.highWaterMark = 5
    var world = World<Note>(processes: 2, shape: shape, seed: 1)
    world.begin(0)
    world.begin(1)
    let outcomes = (0..<7).map { world.send(Note($0), bytes: 0, dealer: 1, router: 0, toRouter: true) }
    #expect(outcomes == Array(repeating: .sent, count: 5) + [.full, .full])
    #expect(world.network.peakQueue == 5)
    while world.next(until: 1_000_000) != nil {}
    #expect(world.send(Note(7), bytes: 0, dealer: 1, router: 0, toRouter: true) == .sent)
  }

  @Test mutating func aPartitionIsOneWay() {
    world.withNetwork { $0.block(from: 1, to: 0, until: 20_000, now: 0) }
    _ = send(0..<3)
    _ = send(10..<12, toRouter: false)
    #expect(run(until: 19_999) == ["10", "11"])
    #expect(run() == ["0", "1", "2"])
  }

  @Test mutating func aPartitionPastTheKeepAliveLosesTheConnection() {
    _ = send(0..<1)
    world.withNetwork { $0.block(from: 1, to: 0, until: 11_000_000, now: 0) }
    #expect(run() == [])
    #expect(send(1..<2, toRouter: false) == [.sent])
  }

  @Test mutating func weatherLosesDoublesAndReorders() {
    world.withNetwork { network in
      network.change(from: 1, to: 0) {
        $0.loss = 6554
        $0.duplicates = 6554
        $0.reordering = 6554
      }
    }
    let outcomes = send(0..<1000)
    let lost = outcomes.count { $0 == .lost }
    let log = run()
    #expect((50..<200).contains(lost))
    #expect(Set(log).count == 1000 - lost)
    #expect(UInt64(log.count) == 1000 - UInt64(lost) + world.network.doubled)
    #expect(log != log.sorted { Int($0)! < Int($1)! })
    let now = world.now
    world.withNetwork { $0.heal(now: now) }
    _ = send(0..<100)
    #expect(run(until: 70_000_000) == (0..<100).map(String.init))
  }

  @Test mutating func aProcessThatWasStoppedGetsAllAtOnce() {
    world.pause(0)
    _ = send(0..<3)
    world.finish(7, process: 0, after: 10)
    world.setTimer(process: 0, at: Moment(milliseconds: 5))
    #expect(run(until: 900_000) == [])
    world.resume(0)
    let log = run(until: 900_000)
    #expect(Set(log) == ["0", "1", "2", "local 7 of 0", "timer of 0 at 900000"])
    #expect(log.filter { Int($0) != nil } == ["0", "1", "2"])
  }

  @Test mutating func theDeadDoNothing() {
    _ = send(0..<3)
    world.finish(7, process: 0, after: 10)
    world.setTimer(process: 0, at: Moment(milliseconds: 5))
    world.end(0)
    world.planStart(of: 0, after: 3000)
    #expect(run() == ["start of 0"])
    world.begin(0)
    #expect(run() == [])
  }

  @Test mutating func aTimerIsReplaced() {
    world.setTimer(process: 0, at: Moment(milliseconds: 5))
    world.setTimer(process: 0, at: Moment(milliseconds: 9))
    #expect(run() == ["timer of 0 at 9000"])
    world.setTimer(process: 0, at: Moment(milliseconds: 70_000))
    world.setTimer(process: 0, at: Moment(milliseconds: 61_000))
    #expect(run(until: 100_000_000) == ["timer of 0 at 61000000"])
  }

  @Test mutating func aClockThatJumpsBringsItsTimerForward() {
    world.setTimer(process: 0, at: Moment(milliseconds: 500))
    #expect(run(until: 100_000) == [])
    world.advanceClock(of: 0, by: 300_000)
    #expect(world.moment(of: 0) == Moment(milliseconds: 400))
    #expect(run() == ["timer of 0 at 200000"])
  }

  @Test func theSameSeedGivesTheSameHash() {
    func hash(_ seed: UInt64) -> TraceHash {
      var world = World<Note>(processes: 3, shape: NetworkShape(), seed: seed)
      for process in 0..<3 { world.begin(process) }
      for number in 0..<100 {
        _ = world.send(Note(number), bytes: 0, dealer: number % 2 + 1, router: 0, toRouter: true)
      }
      while world.next(until: 1_000_000) != nil {}
      return world.hash
    }
    #expect(hash(1) == hash(1))
    #expect(hash(1) != hash(2))
  }
}
