import ParameterServer

/// What the processes of a test cluster share: the time and the network.
struct ClusterPost {
  let settings: ClusterSettings
  var now: UInt64 = 1000
  var network: VirtualNetwork

  mutating func follow(_ event: LocalEvent, of actor: Actor) {
    network.follow(event, of: actor, at: now)
  }

  mutating func send(
    _ envelope: Envelope, _ payload: ToyPayload?, from actor: Actor, to destination: Destination, servers: [Actor] = []
  ) {
    let target: Actor? =
      switch destination {
      case .coordinator: .coordinator
      case .server(let member): servers.indices.contains(Int(member.number)) ? servers[Int(member.number)] : nil
      case .connection(let connection): Actor(connection)
      }
    guard let target, target != actor, settings.contains(target) else { return }
    network.send(envelope, payload, from: actor, to: target, at: now)
  }
}

/// The three machines, a virtual clock and a network that misbehaves as it is told, all from one seed.
struct Cluster {
  var post: ClusterPost
  var coordinator: CoordinatorProcess
  var servers: [ServerProcess]
  var workers: [WorkerProcess]
  private var dead: Set<Actor> = []
  private var generator: SeededGenerator
  private(set) var deliveries = 0

  var settings: ClusterSettings { post.settings }

  init(_ settings: ClusterSettings) {
    generator = SeededGenerator(seed: settings.seed &+ 1_000_003)
    post = ClusterPost(
      settings: settings, network: VirtualNetwork(weather: settings.weather, seed: settings.seed &+ 77))
    coordinator = CoordinatorProcess(
      machine: Coordinator(
        plan: settings.plan, token: ClusterSettings.token, incarnation: Actor.coordinator.incarnation,
        deadlines: settings.deadlines))
    servers = (0..<settings.servers).map { index in
      let actor = Actor.server(index)
      return ServerProcess(
        actor: actor,
        machine: Server(
          name: index == 0 ? "" : "server \(index)", token: ClusterSettings.token, incarnation: actor.incarnation,
          deadlines: settings.deadlines))
    }
    workers = (0..<settings.workers).map { index in
      let actor = Actor.worker(index)
      return WorkerProcess(
        actor: actor,
        machine: Worker(
          name: index % 2 == 0 ? "" : "machine \(index)", token: ClusterSettings.token,
          incarnation: actor.incarnation, deadlines: settings.deadlines))
    }
  }

  /// Every process, the coordinator first.
  var actors: [Actor] {
    [.coordinator] + servers.indices.map(Actor.server) + workers.indices.map(Actor.worker)
  }

  /// Starts processes; all of them unless some are named.
  mutating func start(_ some: [Actor]? = nil) {
    for actor in some ?? actors {
      switch actor {
      case .coordinator: post.follow(.coordinator(.started), of: actor)
      case .server: post.follow(.server(.started), of: actor)
      case .worker: post.follow(.worker(.started), of: actor)
      }
    }
  }

  /// Ends a process without a word.
  mutating func kill(_ actor: Actor) {
    dead.insert(actor)
    post.network.forget(actor)
  }

  /// Whether every process has left or is dead.
  var isOver: Bool { actors.allSatisfy { dead.contains($0) || stopReason(of: $0) != nil } }

  func stopReason(of actor: Actor) -> StopReason? {
    switch actor {
    case .coordinator: coordinator.stopped
    case .server(let index): servers[index].stopped
    case .worker(let index): workers[index].stopped
    }
  }

  /// Runs until a condition holds or everything is over; false where it does neither within so many deliveries.
  @discardableResult
  mutating func run(deliveries limit: Int = 100_000, until condition: (Cluster) -> Bool = { _ in false }) -> Bool {
    let end = deliveries + limit
    while deliveries < end {
      if condition(self) { return true }
      if isOver, post.network.isEmpty { return true }
      step()
    }
    return false
  }

  /// One thing happens: a timer, a delivery, or time passes.
  mutating func step() {
    deliveries += 1
    if let actor = actors.first(where: { (timer(of: $0) ?? .max) <= post.now && !dead.contains($0) }) {
      return fireTimer(of: actor)
    }
    if let delivery = post.network.next(at: post.now) {
      post.now += UInt64.random(in: 0...1, using: &generator)
      if !dead.contains(delivery.target) { deliver(delivery) }
    } else if post.network.isEmpty {
      let next = actors.filter { !dead.contains($0) && stopReason(of: $0) == nil }.compactMap { timer(of: $0) }.min()
      post.now = max(post.now + 1, next ?? 0)
    } else {
      post.now += 1
    }
  }

  private func timer(of actor: Actor) -> UInt64? {
    switch actor {
    case .coordinator: coordinator.timer
    case .server(let index): servers[index].timer
    case .worker(let index): workers[index].timer
    }
  }

  private mutating func fireTimer(of actor: Actor) {
    switch actor {
    case .coordinator:
      coordinator.timer = nil
      coordinator.handle(.timer, &post)
    case .server(let index):
      servers[index].timer = nil
      servers[index].handle(.timer, &post)
    case .worker(let index):
      workers[index].timer = nil
      workers[index].handle(.timer, &post)
    }
  }

  private mutating func deliver(_ delivery: Delivery) {
    switch delivery.content {
    case .message(let envelope, let payload): hand(envelope, payload, from: delivery.source, to: delivery.target)
    case .event(.coordinator(let event)): coordinator.handle(event, &post)
    case .event(.server(let event)):
      guard case .server(let index) = delivery.target else { return }
      if case .applied(let chunk) = event { servers[index].finishApply(of: chunk) }
      servers[index].handle(event, &post)
    case .event(.worker(let event)):
      guard case .worker(let index) = delivery.target else { return }
      workers[index].handle(event, &post)
    }
  }

  /// Hands a message over, now; through a connection of its own where a stranger speaks for the source.
  mutating func hand(
    _ envelope: Envelope, _ payload: ToyPayload?, from source: Actor, to target: Actor,
    through connection: Connection? = nil
  ) {
    let connection = connection ?? source.connection
    switch target {
    case .coordinator:
      let payload = payload.map { coordinator.payloads.keep($0) }
      coordinator.handle(.message(envelope, from: connection, payload: payload), &post)
    case .server(let index):
      let payload = payload.map { servers[index].payloads.keep($0) }
      let destination: Destination = source == .coordinator ? .coordinator : .connection(connection)
      servers[index].handle(.message(envelope, from: destination, payload: payload), &post)
    case .worker(let index):
      guard let destination = source == .coordinator ? .coordinator : workers[index].destination(source) else { return }
      let payload = payload.map { workers[index].payloads.keep($0) }
      workers[index].handle(.message(envelope, from: destination, payload: payload), &post)
    }
  }

  /// What machines did that no machine may do.
  var violations: [String] {
    coordinator.violations + coordinator.payloads.violations
      + servers.flatMap { $0.violations + $0.payloads.violations }
      + workers.flatMap { $0.violations + $0.payloads.violations }
  }

  /// Payloads that are still held.
  var heldPayloads: Int {
    coordinator.payloads.count + servers.reduce(0) { $0 + $1.payloads.count }
      + workers.reduce(0) { $0 + $1.payloads.count }
  }
}
