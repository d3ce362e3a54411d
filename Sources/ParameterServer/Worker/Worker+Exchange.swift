/// What a worker has of the servers, and what they have of it.
extension Worker {
  mutating func adopt(_ view: View, _ effects: inout [WorkerEffect]) {
    guard let holders = view.serverOfChunk else { return }
    let isNewEra = self.view?.era != view.era
    self.view = view
    mine = view.worker(session.member)
    servers = holders.map { view.servers[$0].member }
    effects.append(.adopt(view))
    pendingCut = 0
    markedCut = 0
    let chunks = view.rules.chunks.count
    if isNewEra { forgetEra(chunks: chunks, &effects) }
    wants = [Want?](repeating: nil, count: chunks)
    awaited = nil
    for chunk in servers.indices { resend(chunk, &effects) }
    // Where steps overlap, shards that were another's may be missing of steps that this worker has left behind.
    if let target, overlap(at: target, view.rules) > 0 { probe() }
    requestLeases(&effects)
    advance(&effects)
  }

  /// Lets go of everything of an earlier era.
  private mutating func forgetEra(chunks: Int, _ effects: inout [WorkerEffect]) {
    // Those of the order under way are let go of when it has ended.
    for sum in sums where sum.order != computation?.order.number {
      effects.append(.discard(order: sum.order, node: sum.node))
    }
    sums.removeAll()
    for case let (_, payload)? in deferred { effects.append(.release(payload)) }
    deferred = [(parameters: Parameters, payload: GradientHandle)?](repeating: nil, count: chunks)
    probe()
    computation?.isVoid = true
    computed.removeAll()
    leases = LeaseQueue()
    readAheadEnd = 0
    begunSteps = 0
  }

  // MARK: Pushing

  /// A part of a sum is final: hands it to its server.
  mutating func ready(_ chunk: Int, of node: ShardNode, in order: UInt64, _ effects: inout [WorkerEffect]) {
    guard computation?.order.number == order, computation?.isVoid == false, servers.indices.contains(chunk) else {
      return drops.count(.outdated)
    }
    remaining[chunk] -= 1
    guard let index = sums.firstIndex(where: { $0.order == order && $0.node == node }) else {
      return drops.count(.outdated)
    }
    sums[index].becomeReady(chunk)
    push(index, chunk, &effects)
    if remaining[chunk] == 0 { installDeferred(chunk, &effects) }
  }

  /// Hands a part of a sum to its server; the answer is what the next round needs.
  private mutating func push(_ index: Int, _ chunk: Int, _ effects: inout [WorkerEffect]) {
    let (order, step, node, terms) = (sums[index].order, sums[index].step, sums[index].node, sums[index].terms)
    if terms.isSummed {
      wants[chunk] = Want(closed: terms.awaits, isExact: true)
      if awaited?.closed != terms.awaits { awaited = nil }
    }
    let push = Push(
      chunk: UInt32(chunk), step: UInt64(step), node: node, basis: sums[index].parts[chunk].basis,
      awaits: UInt64(terms.awaits))
    send(
      .push(push), to: .server(servers[chunk]), gradient: GradientPart(order: order, node: node, chunk: chunk), &effects
    )
  }

  /// Pushes what has no answer once more, and asks once more for what is waited for.
  private mutating func resend(_ chunk: Int, _ effects: inout [WorkerEffect]) {
    for index in sums.indices where sums[index].isPending(chunk) { push(index, chunk, &effects) }
  }

  /// Sends again what has had no answer.
  mutating func retry(_ effects: inout [WorkerEffect]) {
    guard view != nil else { return }
    fallBack()
    retries += 1
    for chunk in Rotation.order(servers.count, turn: retries) {
      let want = wants[chunk]
      resend(chunk, &effects)
      // A push that is answered no later says the same.
      let isAsked = sums.contains { sum in
        sum.isPending(chunk) && sum.terms.awaits <= want?.closed ?? 0
      }
      if let want, !isAsked {
        forgetWant(chunk)
        self.want(chunk, closed: want.closed, isExact: want.isExact, &effects)
      }
    }
    if markedCut > 0, markedCut == pendingCut { sendMarkers(&effects) }
    advance(&effects)
  }

  /// A worker that was late for a step tries to catch up with the newest. Where that does not come, the oldest open step
  /// may need this very worker.
  private mutating func fallBack() {
    guard let rules = view?.rules, let target, target < rules.steps, rules.consistency(ofStep: target).sparedShards > 0,
      computation == nil, !held.contains(where: { $0 == nil })
    else { return }
    let lowest = held.reduce(Int.max) { min($0, $1?.closed ?? 0) }
    guard lowest < target else { return }
    self.target = lowest
    hasFallenBack = true
    forgetWants()
  }

  // MARK: Waiting

  /// Notes how long servers are not heard that something is asked of, and asks whether they hear.
  mutating func watchLinks(at now: Moment, _ effects: inout [WorkerEffect]) {
    let requests = links.servers.map { request(to: $0) }
    for server in links.look(at: now, session.deadlines, requests: requests) {
      send(.alive, to: .server(server), &effects)
    }
  }

  /// The first thing that is asked of a server; nil where nothing is.
  private func request(to server: Member) -> Wait.Request? {
    for chunk in servers.indices where servers[chunk] == server {
      if let sum = sums.first(where: { $0.isPending(chunk) }) {
        return .push(chunk: UInt32(chunk), step: UInt64(sum.step))
      }
      if let want = wants[chunk] { return .pull(chunk: UInt32(chunk), step: UInt64(want.closed)) }
    }
    return markedCut > 0 && markedCut == pendingCut ? .marker(markedCut) : nil
  }

  // MARK: Pulling

  /// Waits for nothing.
  mutating func forgetWants() {
    for chunk in wants.indices { wants[chunk] = nil }
    awaited = nil
  }

  private mutating func forgetWant(_ chunk: Int) {
    wants[chunk] = nil
    awaited = nil
  }

  /// Asks for a chunk, unless that was asked before.
  mutating func want(_ chunk: Int, closed: Int, isExact: Bool, _ effects: inout [WorkerEffect]) {
    let want = Want(closed: closed, isExact: isExact)
    guard wants[chunk] != want else { return }
    wants[chunk] = want
    send(
      .pull(Pull(chunk: UInt32(chunk), closed: UInt64(closed), isExact: isExact)), to: .server(servers[chunk]), &effects
    )
  }

  mutating func receive(
    _ parameters: Parameters, from server: Member, payload: ReceivedPayload?, _ effects: inout [WorkerEffect]
  ) -> Refusal? {
    let chunk = Int(parameters.chunk)
    guard let rules = view?.rules, servers.indices.contains(chunk), servers[chunk] == server else {
      return Refusal(.misplaced, "\(server) does not serve chunk \(chunk)")
    }
    guard parameters.closed <= UInt64(rules.steps) else {
      return Refusal(
        .outOfBounds, "chunk \(chunk) came with \(parameters.closed) closed steps: the job has \(rules.steps)")
    }
    guard let payload, payload.bytes == rules.payloadBytes(ofChunk: chunk, step: Int(parameters.closed))
    else {
      return Refusal(.malformed, "chunk \(chunk) came with another length")
    }
    settle(chunk, by: parameters, rules, &effects)
    if let want = wants[chunk], want.isExact {
      if want.closed == Int(parameters.closed) {
        install(parameters, payload.handle, &effects)
      } else {
        drops.count(.outdated)
        effects.append(.release(payload.handle))
        moved(chunk, to: Int(parameters.closed), isGone: false, rules)
      }
    } else if wants[chunk].map({ $0.closed <= Int(parameters.closed) }) ?? (parameters.answers != nil),
      held[chunk].map({ $0.version < parameters.version }) ?? true
    {
      install(parameters, payload.handle, &effects)
    } else {
      drops.count(.repeated)
      effects.append(.release(payload.handle))
      if wants[chunk].map({ $0.closed <= Int(parameters.closed) }) ?? false { forgetWant(chunk) }
    }
    advance(rules, &effects)
    return nil
  }

  mutating func receive(
    position: Parameters, from server: Member, _ effects: inout [WorkerEffect]
  ) -> Refusal? {
    let chunk = Int(position.chunk)
    guard let rules = view?.rules, servers.indices.contains(chunk), servers[chunk] == server,
      position.closed <= UInt64(rules.steps)
    else {
      return Refusal(.misplaced, "\(server) does not serve chunk \(chunk)")
    }
    settle(chunk, by: position, rules, &effects)
    // An answer to an earlier question says nothing of this one.
    let isGone = wants[chunk].map { $0.isExact && UInt64($0.closed) == position.asked } ?? false
    moved(chunk, to: Int(position.closed), isGone: isGone, rules)
    advance(rules, &effects)
    return nil
  }

  /// A chunk has gone past what was wanted of it: so have the others, or nearly.
  ///
  /// - Parameter isGone: whether its server said that it has not what was wanted any more.
  private mutating func moved(_ chunk: Int, to closed: Int, isGone: Bool, _ rules: JobRules) {
    guard let want = wants[chunk], want.isExact, closed > want.closed, let target else {
      return drops.count(.outdated)
    }
    forgetWant(chunk)
    let isSparing = target < rules.steps && rules.consistency(ofStep: target).sparedShards > 0
    let before = Self.roundBefore(closed, rules)
    // What was closed before is kept until the next round is whole, which takes that everybody has read this one.
    // Whoever looks for the oldest open step goes no further than to what may be that.
    let newest = (isSparing && !hasFallenBack) || (isGone && want.closed == before) ? closed : before
    guard newest > target else { return }
    self.target = newest
    forgetWants()
  }

  /// The first step of the round that ends where so many steps are closed.
  static func roundBefore(_ closed: Int, _ rules: JobRules) -> Int {
    closed == 0 ? 0 : rules.round(ofStep: closed - 1).lowerBound
  }

  /// Notes which sums a server has; those that all have are let go of.
  private mutating func settle(
    _ chunk: Int, by answer: Parameters, _ rules: JobRules, _ effects: inout [WorkerEffect]
  ) {
    var isDone = false
    for index in sums.indices {
      // By index: a record that is copied costs more than what is done with it.
      let step = sums[index].step
      let isAnswered =
        if let contribution = answer.answers {
          contribution.step == UInt64(step) && contribution.node == sums[index].node
        } else { false }
      let isClosed = Int(answer.closed) > step
      guard sums[index].isReady(chunk), isClosed || (isAnswered && !sums[index].terms.isSummed) else {
        continue
      }
      if isAnswered, !isClosed, answer.answers?.isStale == true { sums[index].isStale = true }
      sums[index].settle(chunk)
      isDone = isDone || sums[index].isSettled
    }
    if isDone { discardSettled(rules, &effects) }
  }

  private mutating func discardSettled(_ rules: JobRules, _ effects: inout [WorkerEffect]) {
    for sum in sums where sum.isSettled {
      effects.append(.discard(order: sum.order, node: sum.node))
      let unit = rules.unit(step: sum.step, shard: sum.node.shards.lowerBound)
      let isLeased = rules.consistency(ofStep: sum.step).isLeased
      if sum.isStale {
        if isLeased { leases.putBack(unit) } else { computed.removeAll { $0.step == sum.step && $0.node == sum.node } }
      } else if isLeased {
        leases.finish(unit)
      }
    }
    sums.removeAll(where: \.isSettled)
  }

  // MARK: Installing

  private mutating func install(
    _ parameters: Parameters, _ payload: GradientHandle, _ effects: inout [WorkerEffect]
  ) {
    let chunk = Int(parameters.chunk)
    wants[chunk] = nil
    if awaited?.closed != Int(parameters.closed) { awaited = nil }
    if computation != nil, remaining[chunk] > 0 {
      // The engine still reads what is held.
      if let (_, earlier) = deferred[chunk] { effects.append(.release(earlier)) }
      deferred[chunk] = (parameters, payload)
      return
    }
    held[chunk] = Held(version: parameters.version, closed: Int(parameters.closed))
    effects.append(.install(chunk: chunk, payload: payload))
  }

  mutating func installDeferred(_ chunk: Int, _ effects: inout [WorkerEffect]) {
    guard let (parameters, payload) = deferred[chunk] else { return }
    deferred[chunk] = nil
    held[chunk] = Held(version: parameters.version, closed: Int(parameters.closed))
    effects.append(.install(chunk: chunk, payload: payload))
  }
}
