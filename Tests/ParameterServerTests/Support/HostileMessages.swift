import ParameterServer

/// Messages of every kind with random contents: nearly right, wrong, or at the edge of what a number can hold.
struct HostileMessages {
  var generator: SeededGenerator
  /// The view of the cluster that they are thrown at, once there is one.
  var view: View?
  /// Whether what ends a member is mostly left unsaid, so that the others get deep into a job.
  var isPatient = false

  private mutating func number() -> UInt64 {
    switch Int.random(in: 0..<4, using: &generator) {
    case 0: UInt64.random(in: 0...6, using: &generator)
    case 1: UInt64.random(in: 0...70, using: &generator)
    case 2: generator.pick([.max, .max - 1, 1 << 63, 1 << 62, UInt64(Int.max), 1 << 48, 1 << 40, 1 << 32, 1 << 31])
    default: generator.next()
    }
  }

  private mutating func small() -> UInt32 { UInt32(truncatingIfNeeded: number()) }

  /// A chunk, mostly one that there is.
  private mutating func chunk() -> UInt32 {
    guard let view, generator.chance(90) else { return small() }
    return UInt32.random(in: 0..<UInt32(view.rules.chunks.count), using: &generator)
  }

  /// A step or version, mostly one that there can be.
  private mutating func version() -> UInt64 {
    guard let view, generator.chance(90) else { return number() }
    if generator.chance(50) { return UInt64.random(in: 0...1, using: &generator) }
    return UInt64.random(in: 0...view.rules.finalVersion, using: &generator)
  }

  private mutating func node() -> ShardNode {
    if let tree = view?.rules.schedule.tree, generator.chance(60) {
      let shard = Int.random(in: 0..<tree.shards, using: &generator)
      return generator.pick(tree.nodes(covering: shard..<Int.random(in: shard + 1...tree.shards, using: &generator)))
    }
    return ShardNode(
      level: generator.chance(80) ? UInt8.random(in: 0...4, using: &generator) : UInt8(truncatingIfNeeded: number()),
      index: generator.chance(80) ? UInt32.random(in: 0...8, using: &generator) : small())
  }

  private mutating func progress() -> Progress {
    let epochs = (0..<Int.random(in: 0...4, using: &generator)).map { _ in
      EpochTotals(
        epoch: small(), samples: number(), lossSum: generator.pick([0, -1, .nan, .infinity, 1e308]), correct: number())
    }
    return Progress(steps: number(), shards: number(), epochs: epochs)
  }

  private mutating func text() -> String {
    generator.pick(["", "worker.0", "worker.1", "server.0", "worker.4294967295", "worker.-1", "💥", "."])
  }

  private mutating func digest() -> [UInt8] {
    generator.pick([[], ClusterSettings.digest(1), ClusterSettings.digest(4), [UInt8](repeating: 0, count: 500)])
  }

  private mutating func member() -> Member {
    Member(
      generator.pick(Role.allCases),
      generator.chance(90) ? UInt32.random(in: 0...3, using: &generator) : generator.pick([.max, 1 << 31, 77]))
  }

  private mutating func stopReason() -> StopReason {
    generator.pick([.completed, .interrupted, .failed("no"), .unreachable("no"), .rejected("no")])
  }

  /// The cluster's view with some of it changed, or one of another job.
  private mutating func anyView() -> View {
    guard let view, generator.chance(80) else {
      return generator.chance(50) ? ServerStage().view : WorkerStage(.async).view
    }
    var servers = view.servers
    var workers = view.workers
    if generator.chance(30) { servers.removeLast() }
    if generator.chance(30) { workers.removeLast() }
    if generator.chance(30), !workers.isEmpty {
      let worker = generator.pick(workers)
      let nodes = (0..<Int.random(in: 0...3, using: &generator)).map { _ in node() }
      workers[Int(worker.member.number)] = View.Worker(
        member: generator.chance(50) ? worker.member : member(), incarnation: worker.incarnation, name: text(),
        nodes: nodes)
    }
    if generator.chance(30), !servers.isEmpty {
      let server = generator.pick(servers)
      let chunks = (0..<Int.random(in: 0...3, using: &generator)).map { _ in small() }
      servers[Int(server.member.number)] = View.Server(
        member: generator.chance(50) ? server.member : member(), incarnation: server.incarnation, name: text(),
        address: text(), chunks: chunks)
    }
    return View(
      number: generator.chance(50) ? view.number : ViewNumber(number()), rules: rules(view.rules), servers: servers,
      workers: workers)
  }

  private mutating func rules(_ rules: JobRules) -> JobRules {
    guard generator.chance(30),
      let schedule = BatchSchedule(
        samples: generator.pick([1, 7, 1 << 40]), batch: generator.pick([1, 7, 1 << 40]), tree: rules.schedule.tree),
      let changed = JobRules(
        consistency: generator.chance(50) ? .sync : .async, schedule: schedule, steps: generator.pick([1, 9, 1 << 31]),
        chunks: rules.chunks)
    else { return rules }
    return changed
  }

  /// Any message at all.
  mutating func message() -> Message {
    while true {
      let message = anyMessage()
      switch message {
      case .stop, .leaving, .refused, .view:
        if isPatient, generator.chance(95) { continue }
      default: break
      }
      return message
    }
  }

  private mutating func anyMessage() -> Message {
    switch Int.random(in: 0..<24, using: &generator) {
    case 0: .hello(Hello(role: generator.pick(Role.allCases), name: text()))
    case 1:
      .ready(
        Ready(
          digests: Digests(build: digest(), network: digest(), job: digest(), data: digest()), samples: number(),
          engineFingerprint: text(), address: text()))
    case 2: .viewAccepted
    case 3: .progress(progress())
    case 4: .leaseRequest
    case 5: .finished(Finished(progress: progress()))
    case 6: .leaving(text())
    case 7: .welcome(Welcome(member: member(), job: text()))
    case 8: .view(anyView())
    case 9: .leases(Leases(first: number(), count: small()))
    case 10: .alive
    case 11: .stop(stopReason())
    case 12, 13, 14: .pull(Pull(chunk: chunk(), version: version()))
    case 15, 16, 17, 18, 19: .push(Push(chunk: chunk(), step: version(), node: node(), basis: version()))
    case 20, 21: .parameters(Parameters(chunk: chunk(), version: version()))
    default: .refused(Refusal(generator.pick(RefusalReason.allCases), text()))
    }
  }

  /// A message as if from one process, which mostly knows how to write an envelope.
  mutating func envelope(from source: Actor, as member: Member) -> Envelope {
    Envelope(
      token: generator.chance(95) ? ClusterSettings.token : ClusterSettings.otherToken,
      view: generator.chance(85) ? view?.number ?? .none : ViewNumber(number()),
      sender: generator.chance(85) ? member : self.member(),
      incarnation: generator.chance(90) ? source.incarnation : Incarnation(number()), message: message())
  }

  /// What marks a gradient that is none.
  static let forged = ToyPayload.Part(step: -1, shard: -1, basis: 0, worker: 0)

  /// A payload for a message, mostly as long as it should be; or none.
  mutating func payload(for message: Message) -> ToyPayload? {
    let chunk: UInt32? =
      switch message {
      case .push(let push): push.chunk
      case .parameters(let parameters): parameters.chunk
      default: generator.chance(20) ? 0 : nil
      }
    guard let chunk, let view, Int(chunk) < view.rules.chunks.count, generator.chance(90) else {
      return generator.chance(50) ? nil : ToyPayload(value: number(), bytes: generator.pick([0, 4, 64, 1 << 40]))
    }
    return ToyPayload(value: number(), parts: [Self.forged], bytes: view.rules.chunks.bytes(of: Int(chunk)))
  }
}
