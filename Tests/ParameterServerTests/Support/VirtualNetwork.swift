import ParameterServer

/// A process of the test cluster, by the order in which it is started: not its place in the job.
enum Actor: Hashable, Comparable, Sendable {
  case coordinator
  case server(Int)
  case worker(Int)
}

/// How the network treats messages.
struct Weather: Sendable {
  enum Order: Sendable, CaseIterable {
    /// All messages arrive in the order in which they were sent.
    case inOrder
    /// Each connection keeps its order, the connections do not wait for each other.
    case inOrderPerConnection
    /// Any message may overtake any other.
    case shuffled
  }

  var order = Order.inOrder
  /// Of a hundred messages, so many arrive twice.
  var duplicates = 0
  /// Of a hundred messages, so many take up to fifty milliseconds longer.
  var delays = 0
}

/// Something that is on its way to a process.
struct Delivery: Sendable {
  enum Content: Sendable {
    case message(Envelope, ToyPayload?)
    case event(LocalEvent)
  }

  let source: Actor
  let target: Actor
  let content: Content
  fileprivate let number: Int
  fileprivate let notBefore: UInt64
}

/// What a process has done for its machine.
enum LocalEvent: Sendable {
  case coordinator(CoordinatorEvent)
  case server(ServerEvent)
  case worker(WorkerEvent)
}

/// Messages on their way, delivered as the weather and a seed say.
struct VirtualNetwork {
  /// A connection in one direction, or what a process has done for itself.
  private struct Link {
    let source: Actor
    let target: Actor
    let isLocal: Bool
    var queue: [Delivery] = []
  }

  let weather: Weather
  private var links: [Link] = []
  private var generator: SeededGenerator
  private var sent = 0

  init(weather: Weather, seed: UInt64) {
    self.weather = weather
    generator = SeededGenerator(seed: seed)
  }

  /// Whether nothing is on its way.
  var isEmpty: Bool { links.allSatisfy(\.queue.isEmpty) }

  /// Sends a message, perhaps twice, perhaps late.
  mutating func send(_ envelope: Envelope, _ payload: ToyPayload?, from source: Actor, to target: Actor, at now: UInt64)
  {
    for _ in 0..<(generator.chance(weather.duplicates) ? 2 : 1) {
      let delay = generator.chance(weather.delays) ? UInt64.random(in: 1...50, using: &generator) : 0
      add(.message(envelope, payload), source, target, isLocal: false, notBefore: now + delay)
    }
  }

  /// Something that a process has done for itself: never twice, never overtaken by another of its own.
  mutating func follow(_ event: LocalEvent, of actor: Actor, at now: UInt64) {
    add(.event(event), actor, actor, isLocal: true, notBefore: now)
  }

  private mutating func add(
    _ content: Delivery.Content, _ source: Actor, _ target: Actor, isLocal: Bool, notBefore: UInt64
  ) {
    sent += 1
    let delivery = Delivery(source: source, target: target, content: content, number: sent, notBefore: notBefore)
    if let index = links.firstIndex(where: { $0.source == source && $0.target == target && $0.isLocal == isLocal }) {
      links[index].queue.append(delivery)
    } else {
      links.append(Link(source: source, target: target, isLocal: isLocal, queue: [delivery]))
    }
  }

  /// Forgets what is on its way to or from a process.
  mutating func forget(_ actor: Actor) {
    links.removeAll { $0.source == actor || $0.target == actor }
  }

  /// The next thing to arrive by now, if there is one.
  mutating func next(at now: UInt64) -> Delivery? {
    let due = links.indices.filter { !links[$0].queue.isEmpty && links[$0].queue[0].notBefore <= now }
    guard !due.isEmpty else { return nil }
    switch weather.order {
    case .inOrder:
      let first = due.min { links[$0].queue[0].number < links[$1].queue[0].number }!
      return links[first].queue.removeFirst()
    case .inOrderPerConnection:
      return links[generator.pick(due)].queue.removeFirst()
    case .shuffled:
      let link = generator.pick(due)
      let arrived = links[link].queue.indices.filter { links[link].queue[$0].notBefore <= now }
      return links[link].queue.remove(at: links[link].isLocal ? 0 : generator.pick(arrived))
    }
  }
}
