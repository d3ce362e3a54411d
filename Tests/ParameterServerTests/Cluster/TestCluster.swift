import ParameterServer

/// Random numbers of a seed (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) {
    state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 1
  }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

/// A toy model with one number for each chunk, whose sums depend on their order.
enum Toy {
  static func initial(chunk: Int) -> Double { Double(chunk) + 0.1 }

  static func gradient(step: Int, shard: Int, chunk: Int, parameter: Double) -> Double {
    let mixed = parameter * 1.37 + Double(step * 31 + shard * 7 + chunk) * 0.618_033_988_7
    return (mixed - mixed.rounded(.down)) * 0.3 + Double(shard) * 1e-3
  }

  static func update(_ parameter: Double, gradient: Double, samples: Int) -> Double {
    parameter - 0.01 * gradient / Double(samples)
  }

  /// The sum of a node's shards, as the tree adds them; nil where none has a sample.
  static func sum(_ node: ShardNode, _ rules: JobRules, step: Int, gradient: (Int) -> Double) -> Double? {
    if node.level == 0 {
      let shard = Int(node.index)
      return rules.schedule.positions(ofStep: step, shard: shard).isEmpty ? nil : gradient(shard)
    }
    let left = ShardNode(level: node.level - 1, index: node.index * 2)
    let sums = (
      sum(left, rules, step: step, gradient: gradient), sum(left.sibling, rules, step: step, gradient: gradient)
    )
    if let first = sums.0, let second = sums.1 { return first + second }
    return sums.0 ?? sums.1
  }

  /// The chunks after all steps of a sync job, computed one after the other.
  static func sequential(_ rules: JobRules) -> [Double] {
    var chunks = (0..<rules.chunks.count).map(initial(chunk:))
    for step in 0..<rules.steps {
      for chunk in chunks.indices {
        let parameter = chunks[chunk]
        let total = sum(rules.schedule.tree.root, rules, step: step) { shard in
          gradient(step: step, shard: shard, chunk: chunk, parameter: parameter)
        }
        chunks[chunk] = update(parameter, gradient: total!, samples: rules.schedule.positions(ofStep: step).count)
      }
    }
    return chunks
  }
}

/// How messages travel.
struct NetworkFaults {
  /// Share of the messages between workers and servers that come twice.
  var duplicates = 0.0
  /// Whether messages of one connection may overtake each other.
  var reorders = false
}

/// A whole job of the three machines on one thread, with a clock that jumps to the next deadline.
final class TestCluster {
  struct InFlight {
    let from: Int
    let to: Int
    let envelope: Envelope
    let payload: Double?
  }

  /// An apply as a server was ordered to make it.
  struct Applied: Hashable {
    let chunk: Int
    let version: UInt64
    let staleness: UInt64
  }

  let plan: JobPlan
  let samples: Int
  let token = JobToken([UInt8](repeating: 7, count: 16))!
  private var random: SeededGenerator
  private let faults: NetworkFaults

  private(set) var now = Moment(milliseconds: 1000)
  private(set) var coordinator: Coordinator
  private(set) var servers: [ToyServer] = []
  private(set) var workers: [ToyWorker] = []
  private var inFlight: [InFlight] = []
  private var deadlines: [Int: Moment] = [:]
  private var coordinatorPayloads: [UInt64: Double] = [:]
  private var nextHandle: UInt64 = 0

  private(set) var final: [Int: Double] = [:]
  private(set) var ended: [Int: StopReason] = [:]
  private(set) var reports: [CoordinatorReport] = []
  private(set) var applied: [Applied] = []

  init(
    _ consistency: Consistency = .sync, servers: Int = 2, workers: Int = 2, shards: Int = 4, batch: Int = 16,
    samples: Int = 40, epochs: Int = 2, elements: Int = 1000, seed: UInt64 = 1, faults: NetworkFaults = NetworkFaults()
  ) {
    plan = JobPlan(
      consistency: consistency, servers: servers, workers: workers, tree: ShardTree(shards: shards)!, batch: batch,
      epochs: epochs, maximumSteps: nil, elements: elements, job: "job", digests: Self.digests)
    self.samples = samples
    self.faults = faults
    random = SeededGenerator(seed: seed)
    coordinator = Coordinator(plan: plan, token: token, incarnation: Incarnation(99))
    for number in 0..<servers {
      self.servers.append(
        ToyServer(
          machine: Server(name: "server.\(number)", token: token, incarnation: Incarnation(UInt64(100 + number)))))
    }
    for number in 0..<workers {
      self.workers.append(
        ToyWorker(
          machine: Worker(name: "worker.\(number)", token: token, incarnation: Incarnation(UInt64(200 + number)))))
    }
  }

  static let digests = Digests(
    build: [UInt8](repeating: 1, count: 32), network: [UInt8](repeating: 2, count: 32),
    job: [UInt8](repeating: 3, count: 32), data: [])

  var rules: JobRules { plan.rules(samples: samples)! }

  private func serverNode(_ index: Int) -> Int { 1 + index }
  private func workerNode(_ index: Int) -> Int { 1 + servers.count + index }

  /// Runs until nothing is left to happen, or so many events have.
  func run(maximumEvents: Int = 200_000) {
    perform(coordinator.handle(.started, at: now))
    for index in servers.indices { server(index, .started) }
    for index in workers.indices { worker(index, .started) }
    var events = 0
    while ended.count < 1 + servers.count + workers.count, events < maximumEvents {
      events += 1
      if !inFlight.isEmpty { deliver() } else if !advance() { return }
    }
  }

  private func deliver() {
    var index = 0
    if faults.reorders {
      index = Int.random(in: inFlight.indices, using: &random)
    } else {
      // In order on each connection, in any order between them.
      let candidate = inFlight[Int.random(in: inFlight.indices, using: &random)]
      index = inFlight.firstIndex { $0.from == candidate.from && $0.to == candidate.to }!
    }
    let message = inFlight.remove(at: index)
    let isExchange = message.from != 0 && message.to != 0
    if isExchange, Double.random(in: 0..<1, using: &random) < faults.duplicates { inFlight.append(message) }
    arrive(message)
  }

  private func advance() -> Bool {
    guard let next = deadlines.min(by: { ($0.value, $0.key) < ($1.value, $1.key) }) else { return false }
    deadlines[next.key] = nil
    now = max(now, next.value)
    if next.key == 0 { perform(coordinator.handle(.timer, at: now)) }
    if next.key > 0, next.key <= servers.count { server(next.key - 1, .timer) }
    if next.key > servers.count { worker(next.key - 1 - servers.count, .timer) }
    return true
  }

  private func arrive(_ message: InFlight) {
    let payload = message.payload.map { value -> (ReceivedPayload, Double) in
      defer { nextHandle += 1 }
      let chunk: Int
      switch message.envelope.message {
      case .push(let push): chunk = Int(push.chunk)
      case .parameters(let parameters): chunk = Int(parameters.chunk)
      default: chunk = 0
      }
      return (ReceivedPayload(handle: GradientHandle(nextHandle), bytes: rules.chunks.bytes(of: chunk)), value)
    }
    if message.to == 0 {
      if let payload { coordinatorPayloads[payload.0.handle.rawValue] = payload.1 }
      let connection = Connection(UInt64(message.from))
      perform(coordinator.handle(.message(message.envelope, from: connection, payload: payload?.0), at: now))
    } else if message.to <= servers.count {
      let index = message.to - 1
      if let payload { servers[index].gradients[payload.0.handle] = payload.1 }
      let source: Destination = message.from == 0 ? .coordinator : .connection(Connection(UInt64(message.from)))
      server(index, .message(message.envelope, from: source, payload: payload?.0))
    } else {
      let index = message.to - 1 - servers.count
      if let payload { workers[index].payloads[payload.0.handle] = payload.1 }
      let source: Destination = message.from == 0 ? .coordinator : .server(Member(.server, UInt32(message.from - 1)))
      worker(index, .message(message.envelope, from: source, payload: payload?.0))
    }
  }

  /// Lets something happen to the coordinator from outside.
  func tell(_ event: CoordinatorEvent) {
    perform(coordinator.handle(event, at: now))
  }

  // MARK: Effects

  private func perform(_ effects: [CoordinatorEffect]) {
    for effect in effects {
      switch effect {
      case .send(let envelope, let connection):
        inFlight.append(InFlight(from: 0, to: Int(connection.rawValue), envelope: envelope, payload: nil))
      case .collect(let chunk, let handle): final[chunk] = coordinatorPayloads.removeValue(forKey: handle.rawValue)!
      case .release(let handle): _ = coordinatorPayloads.removeValue(forKey: handle.rawValue)!
      case .store: perform(coordinator.handle(.stored, at: now))
      case .report(let report): reports.append(report)
      case .timer(let moment): deadlines[0] = moment
      case .stop(let reason):
        ended[0] = reason
        deadlines[0] = nil
      }
    }
  }

  private func server(_ index: Int, _ event: ServerEvent) {
    let node = serverNode(index)
    var follow: [ServerEvent] = []
    for effect in servers[index].machine.handle(event, at: now) {
      switch effect {
      case .send(let envelope, let destination, let parameters):
        let payload = parameters.map { servers[index].parameters[Int($0.chunk)]! }
        inFlight.append(InFlight(from: node, to: self.node(destination), envelope: envelope, payload: payload))
      case .prepare:
        follow.append(.prepared(Ready(digests: Self.digests, samples: 0, engineFingerprint: "", address: "s\(index)")))
      case .initialise(let view):
        for chunk in view.servers[index].chunks {
          servers[index].parameters[Int(chunk)] = Toy.initial(chunk: Int(chunk))
        }
        follow.append(.initialised)
      case .combine(let left, let right, let sum):
        servers[index].gradients[sum] = servers[index].gradients[left]! + servers[index].gradients[right]!
      case .release(let handle): servers[index].release(handle)
      case .apply(let order):
        let gradient = servers[index].gradients[order.gradient]!
        servers[index].release(order.gradient)
        servers[index].parameters[order.chunk] = Toy.update(
          servers[index].parameters[order.chunk]!, gradient: gradient, samples: order.samples)
        applied.append(Applied(chunk: order.chunk, version: order.version, staleness: order.staleness))
        follow.append(.applied(chunk: order.chunk))
      case .timer(let moment): deadlines[node] = moment
      case .stop(let reason):
        ended[node] = reason
        deadlines[node] = nil
      }
    }
    for event in follow { server(index, event) }
  }

  private func worker(_ index: Int, _ event: WorkerEvent) {
    let node = workerNode(index)
    var follow: [WorkerEvent] = []
    for effect in workers[index].machine.handle(event, at: now) {
      switch effect {
      case .send(let envelope, let destination, let part):
        let payload = part.map { workers[index].sums[SumKey(node: $0.node, chunk: $0.chunk)]! }
        inFlight.append(InFlight(from: node, to: self.node(destination), envelope: envelope, payload: payload))
      case .prepare:
        var digests = Self.digests
        digests.data = [UInt8](repeating: 4, count: 32)
        follow.append(
          .prepared(Ready(digests: digests, samples: UInt64(samples), engineFingerprint: "toy", address: "")))
      case .connect, .readAhead: break
      case .install(let chunk, _, let handle): workers[index].parameters[chunk] = workers[index].take(handle)
      case .release(let handle): _ = workers[index].take(handle)
      case .compute(let order): follow += compute(order, index)
      case .timer(let moment): deadlines[node] = moment
      case .stop(let reason):
        ended[node] = reason
        deadlines[node] = nil
      }
    }
    for event in follow { worker(index, event) }
  }

  private func compute(_ order: ComputeOrder, _ index: Int) -> [WorkerEvent] {
    var events: [WorkerEvent] = []
    for node in order.nodes {
      for shard in node.shards {
        let count = order.schedule.positions(ofStep: order.step, shard: shard).count
        if count > 0 {
          events.append(.computed(ShardResult(step: order.step, shard: shard, samples: count, lossSum: 1, correct: 0)))
        }
      }
      // The backward pass ends with the first chunk.
      for chunk in (0..<rules.chunks.count).reversed() {
        let parameter = workers[index].parameters[chunk]!
        workers[index].sums[SumKey(node: node, chunk: chunk)] = Toy.sum(node, rules, step: order.step) { shard in
          Toy.gradient(step: order.step, shard: shard, chunk: chunk, parameter: parameter)
        }
        events.append(.gradientReady(step: order.step, node: node, chunk: chunk))
      }
    }
    return events + [.computeFinished(step: order.step)]
  }

  private func node(_ destination: Destination) -> Int {
    switch destination {
    case .coordinator: 0
    case .server(let member): serverNode(Int(member.number))
    case .connection(let connection): Int(connection.rawValue)
    }
  }
}

/// A server machine with numbers for floats.
struct ToyServer {
  var machine: Server
  var parameters: [Int: Double] = [:]
  var gradients: [GradientHandle: Double] = [:]
  /// Gradients that were let go twice, or were never there.
  var wrongReleases = 0

  mutating func release(_ handle: GradientHandle) {
    if gradients.removeValue(forKey: handle) == nil { wrongReleases += 1 }
  }
}

/// A part of a worker's gradient.
struct SumKey: Hashable {
  let node: ShardNode
  let chunk: Int
}

/// A worker machine with numbers for floats.
struct ToyWorker {
  var machine: Worker
  var parameters: [Int: Double] = [:]
  var sums: [SumKey: Double] = [:]
  var payloads: [GradientHandle: Double] = [:]
  var wrongReleases = 0

  mutating func take(_ handle: GradientHandle) -> Double? {
    let value = payloads.removeValue(forKey: handle)
    if value == nil { wrongReleases += 1 }
    return value
  }
}
