import ParameterServer

/// A server's process in the test cluster: toy numbers in place of floats.
struct ServerProcess {
  /// An update that was made.
  struct Applied {
    let order: ApplyOrder
    let gradient: ToyPayload
  }

  let actor: Actor
  var machine: Server
  var payloads = Payloads()
  var timer: UInt64?
  var stopped: StopReason?
  private(set) var view: View?
  private(set) var chunks: [Int: (version: UInt64, value: UInt64)] = [:]
  private(set) var applied: [Applied] = []
  private(set) var violations: [String] = []
  private var updating: Set<Int> = []

  init(actor: Actor, machine: Server) {
    self.actor = actor
    self.machine = machine
  }

  /// Takes an event and does what the machine decides.
  mutating func handle(_ event: ServerEvent, _ cluster: inout ClusterPost) {
    let wasOver = stopped != nil
    for effect in machine.handle(event, at: Moment(milliseconds: cluster.now)) {
      if case .release = effect {} else if wasOver { violations.append("\(actor) does \(effect) after its end") }
      perform(effect, &cluster)
    }
  }

  private mutating func perform(_ effect: ServerEffect, _ cluster: inout ClusterPost) {
    switch effect {
    case .send(let envelope, let destination, let parameters):
      cluster.send(envelope, parameters.flatMap { payload($0) }, from: actor, to: destination)
    case .prepare: cluster.follow(.server(.prepared(cluster.settings.serverReady(actor))), of: actor)
    case .initialise(let view): initialise(view, &cluster)
    case .combine(let left, let right, let sum): combine(left, right, sum)
    case .release(let handle): payloads.release(handle, "release it")
    case .apply(let order): apply(order, &cluster)
    case .timer(let moment): timer = moment.milliseconds
    case .stop(let reason): stopped = reason
    }
  }

  private mutating func payload(_ parameters: Parameters) -> ToyPayload? {
    guard let view, let chunk = chunks[Int(parameters.chunk)] else {
      violations.append("\(actor) sends chunk \(parameters.chunk), which it does not hold")
      return nil
    }
    if chunk.version != parameters.version {
      violations.append("\(actor) states version \(parameters.version) of a chunk at \(chunk.version)")
    }
    return ToyPayload(value: chunk.value, bytes: view.rules.chunks.bytes(of: Int(parameters.chunk)))
  }

  private mutating func initialise(_ view: View, _ cluster: inout ClusterPost) {
    self.view = view
    for chunk in view.servers[Int(machine.member.number)].chunks {
      chunks[Int(chunk)] = (0, ToyModel.initial(Int(chunk)))
    }
    cluster.follow(.server(.initialised), of: actor)
  }

  private mutating func combine(_ left: GradientHandle, _ right: GradientHandle, _ sum: GradientHandle) {
    guard let first = payloads.read(left, "add it"), let second = payloads.read(right, "add it") else { return }
    payloads.hold(
      ToyPayload(value: ToyModel.sum(first.value, second.value), parts: first.parts + second.parts, bytes: first.bytes),
      as: sum)
  }

  private mutating func apply(_ order: ApplyOrder, _ cluster: inout ClusterPost) {
    guard let gradient = payloads.release(order.gradient, "apply it"), let chunk = chunks[order.chunk] else { return }
    if order.version != chunk.version + 1 || !updating.isEmpty && updating.contains(order.chunk) {
      violations.append("\(actor) makes version \(order.version) of chunk \(order.chunk) from \(chunk.version)")
    }
    updating.insert(order.chunk)
    applied.append(Applied(order: order, gradient: gradient))
    cluster.follow(.server(.applied(chunk: order.chunk)), of: actor)
  }

  /// The update is made only now: until then the old version is there to be read.
  mutating func finishApply(of chunk: Int) {
    guard let last = applied.last(where: { $0.order.chunk == chunk }), let old = chunks[chunk] else { return }
    updating.remove(chunk)
    chunks[chunk] = (
      last.order.version,
      ToyModel.updated(old.value, by: last.gradient.value, step: last.order.step, samples: last.order.samples)
    )
  }
}
