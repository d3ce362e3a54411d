import ParameterServer

/// A worker's process in the test cluster: its gradients depend on all the parameters that it holds.
struct WorkerProcess {
  private struct Sum: Hashable {
    let step: Int
    let node: ShardNode
  }

  let actor: Actor
  var machine: Worker
  var payloads = Payloads()
  var timer: UInt64?
  var stopped: StopReason?
  private(set) var violations: [String] = []
  /// Steps that were ordered, in order.
  private(set) var computed: [ComputeOrder] = []
  /// Steps whose samples were read ahead, in order.
  private(set) var readAhead: [ComputeOrder] = []

  private var view: View?
  private var servers: [Actor] = []
  private var parameters: [(version: UInt64, value: UInt64)?] = []
  private var sums: [Sum: [ToyPayload]] = [:]
  /// Parts of the gradient under way that are still to be reported, by chunk: until then its parameters are read.
  private var unreported: [Int] = []
  private var isComputing = false

  init(actor: Actor, machine: Worker) {
    self.actor = actor
    self.machine = machine
  }

  /// How it knows who speaks: a server that it is connected to.
  func destination(_ source: Actor) -> Destination? {
    servers.firstIndex(of: source).map { .server(Member(.server, UInt32($0))) }
  }

  /// Takes an event and does what the machine decides.
  mutating func handle(_ event: WorkerEvent, _ cluster: inout ClusterPost) {
    if case .gradientReady(_, _, let chunk) = event, unreported.indices.contains(chunk) { unreported[chunk] -= 1 }
    if case .computeFinished = event { isComputing = false }
    let wasOver = stopped != nil
    for effect in machine.handle(event, at: Moment(milliseconds: cluster.now)) {
      if case .release = effect {} else if wasOver { violations.append("\(actor) does \(effect) after its end") }
      perform(effect, &cluster)
    }
  }

  private mutating func perform(_ effect: WorkerEffect, _ cluster: inout ClusterPost) {
    switch effect {
    case .send(let envelope, let destination, let gradient):
      cluster.send(envelope, gradient.flatMap { payload($0) }, from: actor, to: destination, servers: servers)
    case .prepare: cluster.follow(.worker(.prepared(cluster.settings.workerReady(actor))), of: actor)
    case .connect(let view): connect(view)
    case .install(let chunk, let version, let handle): install(handle, version, chunk)
    case .release(let handle): payloads.release(handle, "release it")
    case .readAhead(let order): readAhead.append(order)
    case .compute(let order): compute(order, &cluster)
    case .timer(let moment): timer = moment.milliseconds
    case .stop(let reason): stopped = reason
    }
  }

  private mutating func connect(_ view: View) {
    self.view = view
    servers = view.servers.map { Actor(address: $0.address) ?? actor }
    parameters = Array(repeating: nil, count: view.rules.chunks.count)
    unreported = Array(repeating: 0, count: view.rules.chunks.count)
  }

  private mutating func install(_ handle: GradientHandle, _ version: UInt64, _ chunk: Int) {
    guard let payload = payloads.release(handle, "install it") else { return }
    if unreported[chunk] > 0 { violations.append("\(actor) overwrites chunk \(chunk), which the engine still reads") }
    parameters[chunk] = (version, payload.value)
  }

  private mutating func payload(_ part: GradientPart) -> ToyPayload? {
    guard let sum = sums[Sum(step: part.step, node: part.node)] else {
      violations.append("\(actor) sends a gradient of step \(part.step), \(part.node), which it has not computed")
      return nil
    }
    return sum[part.chunk]
  }

  private mutating func compute(_ order: ComputeOrder, _ cluster: inout ClusterPost) {
    let held = parameters.compactMap(\.self)
    guard let view, held.count == parameters.count, !isComputing else {
      return violations.append("\(actor) is to compute step \(order.step) without parameters, or while it computes")
    }
    isComputing = true
    computed.append(order)
    sums = [:]
    let digest = ToyModel.digest(held.map(\.value))
    for node in order.nodes {
      let shards = node.shards.filter { !order.schedule.positions(ofStep: order.step, shard: $0).isEmpty }
      sums[Sum(step: order.step, node: node)] = held.indices.map { chunk in
        let value = ToyModel.sum(of: node.shards) { shard in
          let positions = order.schedule.positions(ofStep: order.step, shard: shard)
          guard !positions.isEmpty else { return nil }
          return ToyModel.gradient(
            step: order.step, shard: shard, positions: positions, chunk: chunk, parameters: digest)
        }
        let parts = shards.map {
          ToyPayload.Part(step: order.step, shard: $0, basis: held[chunk].version, worker: machine.member.number)
        }
        return ToyPayload(value: value ?? 0, parts: parts, bytes: view.rules.chunks.bytes(of: chunk))
      }
      report(order, node, shards, &cluster)
    }
    cluster.follow(.worker(.computeFinished(step: order.step)), of: actor)
  }

  private mutating func report(_ order: ComputeOrder, _ node: ShardNode, _ shards: [Int], _ cluster: inout ClusterPost)
  {
    if shards.isEmpty { violations.append("\(actor) is to compute \(node) of step \(order.step), which is empty") }
    for shard in shards {
      if shard == shards.last {
        for chunk in parameters.indices.reversed() {
          unreported[chunk] += 1
          cluster.follow(.worker(.gradientReady(step: order.step, node: node, chunk: chunk)), of: actor)
        }
      }
      let samples = order.schedule.positions(ofStep: order.step, shard: shard).count
      cluster.follow(
        .worker(
          .computed(
            ShardResult(
              step: order.step, shard: shard, samples: samples, lossSum: Double(samples) / 2, correct: samples / 2))),
        of: actor)
    }
  }
}
