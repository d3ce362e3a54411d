import ParameterServer
import Transport

/// What the processes of a simulation share: the world, the monitor, the counters.
struct SimulationContext: ~Copyable {
  let shape: RunShape
  let bug: PlantedBug?
  /// What the job computes; nil in a job of toy numbers alone.
  var training: TrainingModel?
  var world: World<Letter>
  var monitor: Monitor
  var coverage = Coverage()
  var trace: [String]?
  /// Letters of long ago, for strangers to say again.
  private(set) var captured: [(letter: Letter, dealer: Int, router: Int, toRouter: Bool)] = []
  /// Letters to be written anew.
  var blanks = Letter.Blanks()
  private var sent: UInt64 = 0
  /// Which slot is whose: the role and the name of the process that is started there.
  var roles: [Role]
  var names: [String]
  /// Slowness of each slot's computing, 1 for all that is well.
  var slowness: [UInt64]
  /// Whether the machine of a slot has said that it leaves, and why.
  private(set) var hasStopped: [Bool]
  private(set) var stopReasons: [StopReason?]
  /// What disks do to who writes: by slot.
  var isDiskFull: [Bool]
  var isSyncFailing: [Bool]

  static let coordinatorSlot = 0
  private static let messageBytes = 100
  private static let capturedLetters = 64

  init(shape: RunShape, cluster: Cluster, roles: [Role], names: [String], chunks: Int) {
    self.shape = shape
    bug = cluster.bug
    world = World(processes: roles.count, shape: shape.network, seed: shape.seed)
    monitor = Monitor(
      invariants: cluster.invariants, model: shape.model, slots: roles.count, chunks: chunks, workers: shape.workers)
    trace = cluster.tracing ? [] : nil
    self.roles = roles
    self.names = names
    slowness = roles.indices.map { shape.slowness(ofSlot: $0) }
    hasStopped = Array(repeating: false, count: roles.count)
    stopReasons = Array(repeating: nil, count: roles.count)
    isDiskFull = Array(repeating: false, count: roles.count)
    isSyncFailing = Array(repeating: false, count: roles.count)
  }

  /// Sends to the address that a process connected to.
  mutating func send(
    _ envelope: consuming Envelope, _ payload: ToyPayload?, _ frame: consuming Frame? = nil, from dealer: Int,
    toAddressOf router: Int
  ) {
    let bytes = Int(payload?.bytes ?? 0)
    post(
      blanks.write(envelope, payload, frame), bytes: bytes, dealer: dealer, router: router, toRouter: true,
      generation: nil)
  }

  /// Sends to whoever connected.
  mutating func send(
    _ envelope: consuming Envelope, _ payload: ToyPayload?, _ frame: consuming Frame? = nil, from router: Int,
    to connection: Connection
  ) {
    let dealer = Int(connection.rawValue & 0xffff)
    if case .refused(let refusal) = envelope.message { count(refusal) }
    // A stranger's connection leads nowhere.
    guard dealer < roles.count else { return }
    let bytes = Int(payload?.bytes ?? 0)
    post(
      blanks.write(envelope, payload, frame), bytes: bytes, dealer: dealer, router: router, toRouter: false,
      generation: UInt32(truncatingIfNeeded: connection.rawValue >> 16))
  }

  /// How a router knows a connection.
  static func connection(dealer: Int, generation: UInt32) -> Connection {
    Connection(UInt64(generation) << 16 | UInt64(dealer))
  }

  /// A connection of a process that is none of the job's.
  static let strangersConnection = Connection(0xffff)

  private mutating func post(
    _ letter: consuming Letter, bytes: Int, dealer: Int, router: Int, toRouter: Bool, generation: UInt32?
  ) {
    sent += 1
    if sent & 15 == 0 { capture((letter, dealer, router, toRouter)) }
    let summary = trace == nil ? nil : letter.envelope?.message.summary
    let outcome = world.send(
      letter, bytes: Self.messageBytes + bytes, dealer: dealer, router: router, toRouter: toRouter,
      generation: generation)
    if let summary {
      let (from, to) = toRouter ? (dealer, router) : (router, dealer)
      let ending = outcome == .sent ? "" : " (\(outcome))"
      trace?.append("\(world.now) \(names[from]) → \(names[to]): \(summary)\(ending)")
    }
  }

  private mutating func capture(_ letter: (letter: Letter, dealer: Int, router: Int, toRouter: Bool)) {
    if captured.count < Self.capturedLetters {
      captured.append(letter)
    } else {
      // Older letters stay more and more likely: a stranger repeats what was said in other views.
      let place = Int(sent >> 4) % (Self.capturedLetters * 4)
      if place < Self.capturedLetters { captured[place] = letter }
    }
  }

  private mutating func count(_ refusal: Refusal) {
    note(refusal)
    switch refusal.reason {
    case .wrongJob: coverage.count(.refusedJob)
    case .oldView: coverage.count(.refusedView)
    case .deadIncarnation: coverage.count(.refusedIncarnation)
    default: coverage.count(.refusedOther)
    }
  }

  /// Something was refused, whether or not somebody is answered.
  mutating func note(_ refusal: Refusal) { coverage.count(refusal.reason) }

  /// The machine of a slot leaves.
  mutating func stop(_ slot: Int, _ reason: StopReason) {
    hasStopped[slot] = true
    stopReasons[slot] = reason
  }

  /// A process begins or ends: what its machine said is no more.
  mutating func forgetStop(_ slot: Int) {
    hasStopped[slot] = false
    stopReasons[slot] = nil
  }

  /// A line of the trace.
  mutating func note(_ text: @autoclosure () -> String) {
    guard trace != nil else { return }
    trace?.append("\(world.now) \(text())")
  }

  /// A machine that does something after it has stopped.
  mutating func misuse(_ slot: Int, _ text: @autoclosure () -> String) {
    monitor.violations.now = world.now
    let name = names[slot]
    let text = text()
    monitor.misuse("\(name) \(text)")
  }
}

extension View {
  /// Who computes what, for the trace.
  fileprivate var shares: String {
    let lines = workers.map { "\($0.member.number): \($0.nodes)\(since > 0 ? " before \($0.earlierNodes)" : "")" }
    return ", shards from step \(since) on \(lines.joined(separator: ", "))"
  }
}

extension Message {
  /// A few words for the trace.
  var summary: String {
    switch self {
    case .view(let view): "view \(view.number.rawValue) of era \(view.era)\(view.shares)"
    case .welcome(let welcome): "welcome, \(welcome.member)"
    case .ready: "ready"
    case .status: "status"
    default: "\(self)"
    }
  }
}
