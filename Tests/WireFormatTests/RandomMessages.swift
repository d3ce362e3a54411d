import ParameterServer

/// Random messages and records of every kind.
struct RandomMessages {
  private var state: UInt64
  /// Whether numbers are at the ends of what is permitted.
  private let isExtreme: Bool

  init(seed: UInt64, isExtreme: Bool = false) {
    state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 0x1234_5678
    self.isExtreme = isExtreme
  }

  mutating func number(_ bound: UInt64 = Bounds.count + 1) -> UInt64 {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    if isExtreme { return [0, min(1, bound - 1), bound / 2, bound - 1][Int(state >> 33 & 3)] }
    return (state >> 17) % min(bound, 1 << 40)
  }

  /// A number that only goes up by one.
  private mutating func counter() -> UInt64 { number(Bounds.counter + 1) }

  private mutating func member() -> UInt32 {
    number(8) == 0 ? Member.unassigned : UInt32(number(UInt64(Bounds.members)))
  }

  /// The bits of a number from 0 to 1, or of none.
  private mutating func scale() -> UInt64 {
    number(8) == 0 ? Double.nan.bitPattern : (Double(number(1 << 53)) / Double(1 << 53 - 1)).bitPattern
  }

  mutating func flag() -> Bool { number(2) == 0 }

  private mutating func text() -> String {
    let alphabet = Array("abc .:-äß日")
    return String((0..<number(30)).map { _ in alphabet[Int(number(UInt64(alphabet.count)))] })
  }

  private mutating func digest() -> [UInt8] {
    number(4) == 0 ? [] : (0..<32).map { _ in UInt8(number(256)) }
  }

  private mutating func node() -> ShardNode {
    let level = number(17)
    return ShardNode(level: UInt8(level), index: UInt32(number(UInt64(1) << (16 - level))))
  }

  private mutating func units(width: UInt64 = 1000) -> UnitSet {
    var next = 0
    let ranges = (0..<number(5)).map { _ in
      let first = next + 1 + Int(number(1 << 30))
      next = first + 1 + Int(number(width))
      return first..<next
    }
    return UnitSet(ranges: ranges)!
  }

  private mutating func chunk() -> UInt32 { UInt32(number(1 << 20)) }

  private mutating func position() -> ChunkPosition {
    ChunkPosition(
      chunk: chunk(), version: number(), closed: number(), covered: units(), scale: flag() ? nil : scale())
  }

  private mutating func epochs(_ most: UInt64) -> [EpochTotals] {
    (0..<number(most + 1)).map { _ in
      let samples = number()
      let loss = Double(samples) * Double(number(1 << 20)) / 7
      let most = Double(samples) * Double(Float.greatestFiniteMagnitude)
      return EpochTotals(
        epoch: UInt32(number(1 << 32)), samples: samples, lossSum: isExtreme ? (flag() ? most : -most) : loss,
        correct: number(samples + 1))
    }
  }

  private mutating func progress() -> Progress {
    var progress = Progress(
      steps: number(), shards: number(), busy: number(), epochs: epochs(UInt64(Progress.maximumEpochs)),
      behind: number(), staleness: staleness())
    if number(2) == 0 {
      progress.refused.messages = RefusalCounts(numbers: RefusalReason.allCases.map { _ in number(1000) })
      progress.refused.connections.unknownKey = number()
      progress.refused.connections.otherMechanism = number()
      progress.refused.connections.wrongListenerKey = number()
      progress.refused.connections.unproven = number()
    }
    if flag() { progress.waits = (0..<number(UInt64(Progress.maximumWaits) + 1)).map { _ in wait() } }
    return progress
  }

  private mutating func wait() -> Wait {
    let request: Wait.Request =
      switch number(4) {
      case 0: .pull(chunk: chunk(), step: number())
      case 1: .push(chunk: chunk(), step: number())
      case 2: .marker(number())
      default: .exchange
      }
    return Wait(server: Member(.server, UInt32(number(4096))), milliseconds: number(), request: request)
  }

  private mutating func staleness() -> StalenessCounts {
    guard flag() else { return StalenessCounts() }
    let bins = (0...number(UInt64(StalenessCounts.maximumBins))).map { _ in 1 + number(Bounds.count) }
    let (count, largest) = (StalenessCounts(bins: bins).count, number())
    let (most, overflow) = count.multipliedReportingOverflow(by: largest)
    return StalenessCounts(
      bins: bins, sum: number((overflow ? Bounds.counter : min(most, Bounds.counter)) + 1), largest: largest)
  }

  private mutating func consistency(shards: Int) -> Consistency {
    switch number(5) {
    case 0: .sync
    case 1: .async
    case 2: .ssp(1 + Int(number(1024)))
    case 3: shards > 1 ? .backup(1 + Int(number(UInt64(shards - 1)))) : .sync
    default: .local(1 + Int(number(1024)))
    }
  }

  private mutating func rules() -> JobRules {
    let tree = ShardTree(shards: 1 << Int(number(5)))!
    let schedule = BatchSchedule(samples: Int(number(1 << 20)) + 1, batch: Int(number(1 << 10)) + 1, tree: tree)!
    var segments = [JobRules.Segment(firstStep: 0, consistency: consistency(shards: tree.shards))]
    for _ in 0..<number(3) {
      segments.append(
        JobRules.Segment(
          firstStep: segments.last!.firstStep + 1 + Int(number(100)), consistency: consistency(shards: tree.shards)))
    }
    return JobRules(
      schedule: schedule, steps: Int(number(900_000)) + 1,
      chunks: ChunkTable(
        elements: Int(number(1 << 22)) + 1, buffers: Int(number(1 << 16)), servers: 3, keepsBlocks: true)!,
      segments: segments, slots: Int(number(9)), checkpointEvery: flag() ? nil : Int(number(1000)) + 1,
      maximumStaleness: flag() ? nil : number(100), clipsNorm: flag())!
  }

  private mutating func numbers() -> [UInt32] { (0..<number(20)).map { _ in UInt32(number(1 << 20)) } }

  private mutating func nodes() -> [ShardNode] { (0..<number(4)).map { _ in node() } }

  private mutating func view() -> View {
    var servers: [View.Server] = []
    for index in 0..<number(4) {
      servers.append(
        View.Server(
          member: Member(.server, UInt32(2 * index)), incarnation: Incarnation(number(.max)), name: text(),
          address: text(), chunks: numbers(), replicas: numbers()))
    }
    var workers: [View.Worker] = []
    for index in 0..<number(5) {
      workers.append(
        View.Worker(
          member: Member(.worker, UInt32(3 * index)), incarnation: Incarnation(number(.max)), name: text(),
          nodes: nodes(), earlierNodes: nodes()))
    }
    return View(
      number: ViewNumber(counter()), era: UInt32(number(1 << 32)),
      origin: flag() ? .initial : .checkpoint(step: Int(number())), isBeginning: flag(), rules: rules(),
      servers: servers,
      workers: workers, since: Int(number()))
  }

  private mutating func update() -> Update {
    Update(
      chunk: chunk(), version: number(), closed: number(), unit: flag() ? nil : number(),
      kind: [.summed, .single, .averaged][Int(number(3))], step: number(), staleness: number(), basis: number(),
      worker: flag() ? nil : member(), samples: number(Bounds.count) + 1, shards: UInt32(number(1 << 16)) + 1,
      scale: flag() ? nil : scale())
  }

  private mutating func parameters() -> Parameters {
    Parameters(
      chunk: chunk(), version: number(), closed: number(),
      answers: flag() ? nil : Contribution(step: number(), node: node(), isStale: flag()),
      asked: number())
  }

  private mutating func leases() -> Leases { Leases(grant: counter(), units: units(width: 200)) }

  private mutating func failureKind() -> FailureKind {
    FailureKind.allCases[Int(number(UInt64(FailureKind.allCases.count)))]
  }

  static let kinds = 32

  mutating func message(_ kind: Int) -> Message {
    switch kind {
    case 0: .hello(Hello(role: [.server, .worker, .client][Int(number(3))], name: text()))
    case 1:
      .ready(
        Ready(
          digests: Digests(build: digest(), network: digest(), job: digest(), data: digest()),
          samples: number((1 << 40) + 1),
          engineFingerprint: text(), address: text()))
    case 2: .viewAccepted(closed: number())
    case 3: .progress(progress())
    case 4: .leaseRequest(LeaseRequest(grant: counter(), held: units(), wantsMore: flag()))
    case 5: .stateLost(chunk: chunk())
    case 6: .leaving(Leaving(text: text(), isOrderly: flag(), kind: failureKind(), progress: progress()))
    case 7: .welcome(Welcome(member: Member(.worker, member()), job: text()))
    case 8: .view(view())
    case 9: .leases(leases())
    case 10: .alive
    case 11: .stop(.completed)
    case 12: .stop(.failed(text(), failureKind()))
    case 13: .stop(.interrupted)
    case 14: .pull(Pull(chunk: chunk(), closed: number(), isExact: flag()))
    case 15: .push(Push(chunk: chunk(), step: number(), node: node(), basis: number(), awaits: number()))
    case 16: .parameters(parameters())
    case 17: .snapshot(position())
    case 18: .restore(position())
    case 19: .cut(counter())
    case 20: .snapshotTaken(chunk: chunk(), version: number())
    case 21: .marker(counter())
    case 22: .position(parameters())
    case 23: .replicate(update())
    case 24: .replica(position())
    case 25: .replicated(chunk: chunk(), version: number())
    case 26: .statusRequest
    case 27: .setMode(consistency(shards: 1024))
    case 28: .norm(chunk: chunk(), step: number())
    case 29: .scale(step: number(), bits: scale())
    case 30: .outranked(term: number())
    default: otherMessage()
    }
  }

  private mutating func otherMessage() -> Message {
    if flag() { return .status(text()) }
    let reasons = RefusalReason.allCases
    return .refused(Refusal(reasons[Int(number(UInt64(reasons.count)))], text()))
  }

  mutating func envelope(_ kind: Int) -> Envelope {
    Envelope(
      token: JobToken((0..<16).map { _ in UInt8(number(256)) })!, view: ViewNumber(counter()),
      sender: Member(Role.allCases[Int(number(4))], member()),
      incarnation: Incarnation(number(.max)), message: message(kind))
  }

  /// A mark of a step of its own job.
  private mutating func mark() -> CheckpointMark {
    let rules = rules()
    let end = 1 + Int(number(UInt64(rules.units)))
    let covered = flag() ? UnitSet() : UnitSet(ranges: [Int(number(UInt64(end)))..<end])!
    return CheckpointMark(
      step: Int(number(UInt64(rules.steps) + 1)), version: number(), rules: rules, covered: covered)
  }

  static let recordKinds = 8

  mutating func record(_ kind: Int) -> JournalRecord {
    switch kind {
    case 0: .term(counter())
    case 1: .view(view())
    case 2: .leased(Member(.worker, member()), Incarnation(number(.max)), leases())
    case 3: .checkpoint(mark())
    case 4: .totals(epochs(40), staleness())
    case 5: .leaseBook(LeaseStand(frontier: Int(number()), returned: units(), applied: units()))
    case 6: .agreed(fingerprint: text(), data: digest())
    default: .completed
    }
  }
}
