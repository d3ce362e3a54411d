/// What a worker computes next.
extension Worker {
  /// Goes on where nothing is missing: orders the next computation, or asks for what it needs.
  mutating func advance(_ effects: inout [WorkerEffect]) {
    guard let rules = view?.rules else { return }
    advance(rules, &effects)
  }

  /// The same, where the rules are at hand.
  mutating func advance(_ rules: JobRules, _ effects: inout [WorkerEffect]) {
    guard computation == nil, !servers.isEmpty, !session.isOver else { return }
    markCut(&effects)
    guard isProbed(rules, &effects) else { return }
    while let step = target {
      if isLeasing(from: step, rules) { return advanceLeased(rules, &effects) }
      guard step < rules.steps else { return }
      let isNext =
        switch rules.consistency(ofStep: step) {
        case .sync, .backup, .local: advanceSummed(step, rules, &effects)
        case .ssp(let slack): advanceStale(step, slack: slack, rules, &effects)
        case .async: advanceIdle(step, rules, &effects)
        }
      guard isNext else { return }
      markCut(&effects)
    }
  }

  /// Begins again to look where the chunks are.
  mutating func probe() {
    isProbing = true
    target = nil
    awaited = nil
    held = [Held?](repeating: nil, count: servers.count)
  }

  /// Whether every chunk is held, and with it the round to begin with is known.
  private mutating func isProbed(_ rules: JobRules, _ effects: inout [WorkerEffect]) -> Bool {
    guard isProbing else { return true }
    // Whoever stands by reads nothing.
    guard !standsBy(rules) else { return false }
    for chunk in held.indices where held[chunk] == nil { want(chunk, closed: 0, isExact: false, &effects) }
    guard !held.contains(where: { $0 == nil }) else { return false }
    isProbing = false
    let lowest = held.reduce(Int.max) { min($0, $1?.closed ?? 0) }
    let highest = held.reduce(0) { max($0, $1?.closed ?? 0) }
    let overlaps = lowest < rules.steps && !rules.consistency(ofStep: lowest).isSummed
    target = overlaps ? lowest : max(lowest, Self.roundBefore(highest, rules))
    return true
  }

  /// Whether nothing is to be computed in this view.
  private mutating func standsBy(_ rules: JobRules) -> Bool {
    guard let mine else { return true }
    return mine.nodes.isEmpty && mine.earlierNodes.isEmpty && leases.waiting.isEmpty
      && !rules.leasesWork
  }

  // MARK: Summed

  /// Works on a round whose shards are summed; true where the next one has begun.
  private mutating func advanceSummed(
    _ step: Int, _ rules: JobRules, _ effects: inout [WorkerEffect]
  ) -> Bool {
    if standsBy(rules) {
      probe()
      return false
    }
    let round = rules.round(ofStep: step)
    let isComputed = isComputed(round: step, rules)
    let wanted = isComputed ? round.upperBound : step
    // Looked at with every chunk that comes: while one is missing, nothing else has changed.
    if let awaited, awaited.closed == wanted, held[awaited.chunk]?.closed != wanted { return false }
    var isComplete = true
    for chunk in held.indices where held[chunk]?.closed != wanted {
      isComplete = false
      want(chunk, closed: wanted, isExact: true, &effects)
      awaited = (chunk, wanted)
    }
    guard isComplete else { return false }
    guard isComputed else {
      order(round, missingNodes(ofRound: step, rules), rules, &effects)
      return false
    }
    begin(round.upperBound, rules)
    return true
  }

  private mutating func begin(_ step: Int, _ rules: JobRules) {
    target = step
    begunSteps = max(begunSteps, UInt64(min(step + 1, rules.steps)))
    // A worker that looks anew where the chunks are goes back by the slack at most.
    let kept = step - overlap(at: step, rules) - 1
    computed.removeAll { $0.step < kept }
  }

  /// How many steps before one can be open where a worker has come to it: its own slack, or its predecessor's.
  func overlap(at step: Int, _ rules: JobRules) -> Int {
    let last = rules.steps - 1
    return max(
      rules.consistency(ofStep: min(step, last)).slack, step == 0 ? 0 : rules.consistency(ofStep: step - 1).slack)
  }

  /// Whether nothing of a round is left to this worker. Asked for with every chunk that comes.
  private mutating func isComputed(round step: Int, _ rules: JobRules) -> Bool {
    if missing?.step == step { missing?.nodes.isEmpty == true } else { missingNodes(ofRound: step, rules).isEmpty }
  }

  /// This worker's nodes that hold samples in a round and that it has not computed.
  private mutating func missingNodes(ofRound step: Int, _ rules: JobRules) -> [ShardNode] {
    // The same until something is computed.
    if let missing, missing.step == step { return missing.nodes }
    guard let since = view?.since, let own = step >= since ? mine?.nodes : mine?.earlierNodes else { return [] }
    let nodes = own.filter { node in
      !computed.contains { $0.step == step && $0.node.covers(node) } && rules.samples(ofRound: step, under: node) > 0
    }
    missing = (step, nodes)
    return nodes
  }

  // MARK: Stale

  /// Works on a step whose shards are applied one by one; true where the next one has begun.
  private mutating func advanceStale(
    _ step: Int, slack: Int, _ rules: JobRules, _ effects: inout [WorkerEffect]
  ) -> Bool {
    guard !sums.contains(where: { $0.step <= step }) else { return false }
    let bound = max(rules.segment(ofStep: step).firstStep, step - slack)
    var isComplete = true
    for chunk in held.indices where held[chunk].map({ $0.closed < bound }) ?? true {
      isComplete = false
      want(chunk, closed: bound, isExact: false, &effects)
    }
    guard isComplete else { return false }
    let missing = missingNodes(ofRound: step, rules).flatMap { node in
      node.shards.map { ShardNode(level: 0, index: UInt32($0)) }
    }.filter { node in
      !computed.contains { $0.step == step && $0.node == node } && rules.samples(ofRound: step, under: node) > 0
    }
    guard missing.isEmpty else {
      order(step..<step + 1, missing, rules, &effects)
      return false
    }
    begin(step + 1, rules)
    return true
  }

  // MARK: Leased

  /// Nothing is leased now: goes on to the steps after those that are, where there are any.
  private mutating func advanceIdle(_ step: Int, _ rules: JobRules, _ effects: inout [WorkerEffect]) -> Bool {
    guard let next = rules.segments.first(where: { $0.firstStep > step }) else { return false }
    target = next.firstStep
    return true
  }

  /// Whether leased work comes first: what is leased of a later segment waits until the steps before it are done.
  private mutating func isLeasing(from step: Int, _ rules: JobRules) -> Bool {
    guard rules.leasesWork else { return false }
    if sums.contains(where: { rules.consistency(ofStep: $0.step).isLeased }) { return true }
    return leases.waiting.first.map { rules.segment(ofStep: rules.unit($0).step).firstStep <= step } ?? false
  }

  private mutating func advanceLeased(_ rules: JobRules, _ effects: inout [WorkerEffect]) {
    guard sums.isEmpty else { return }
    guard let unit = leases.waiting.first else { return }
    let (step, shard) = rules.unit(unit)
    let bound = rules.segment(ofStep: step).firstStep
    var isComplete = true
    for chunk in held.indices where held[chunk].map({ $0.closed < bound }) ?? true {
      isComplete = false
      want(chunk, closed: bound, isExact: false, &effects)
    }
    guard isComplete else { return }
    _ = leases.take()
    begunSteps = max(begunSteps, UInt64(step) + 1)
    order(step..<step + 1, [ShardNode(level: 0, index: UInt32(shard))], rules, &effects)
    if leases.isLow, leases.asksNow() { requestLeases(&effects) }
  }

  mutating func take(_ granted: Leases, in number: ViewNumber, _ effects: inout [WorkerEffect]) {
    // A grant of another view may be of another era: it is given again.
    guard let view, number == view.number else { return drops.count(.outdated) }
    let rules = view.rules
    guard granted.units.count <= Leases.maximumUnits, rules.contains(granted.units) else {
      return refuse(Refusal(.outOfBounds, "grant \(granted.grant) is of shards that the job has not"), &effects)
    }
    guard leases.add(granted, holdsWork: { !rules.isEmpty(unit: $0) }) else { return drops.count(.repeated) }
    for unit in granted.units.ranges.joined() where !rules.isEmpty(unit: unit) {
      let (step, shard) = rules.unit(unit)
      effects.append(
        .readAhead(makeOrder(step..<step + 1, [ShardNode(level: 0, index: UInt32(shard))], rules, number: 0)))
    }
    if leases.isLow, leases.asksNow() { requestLeases(&effects) }
    advance(&effects)
  }

  /// Tells the coordinator what is held; asks for more where little is left. Said again with every sign of life.
  mutating func requestLeases(_ effects: inout [WorkerEffect]) {
    guard let rules = view?.rules, rules.leasesWork else { return }
    let request = LeaseRequest(grant: leases.grant, held: leases.held, wantsMore: leases.isLow)
    send(.leaseRequest(request), to: .coordinator, &effects)
  }

  // MARK: Cuts

  /// Marks a cut where nothing that came before it is still on its way.
  private mutating func markCut(_ effects: inout [WorkerEffect]) {
    guard pendingCut > markedCut, sums.isEmpty, computation == nil else { return }
    markedCut = pendingCut
    sendMarkers(&effects)
  }

  mutating func sendMarkers(_ effects: inout [WorkerEffect]) {
    guard let view else { return }
    for server in view.servers { send(.marker(markedCut), to: .server(server.member), &effects) }
  }

  // MARK: Orders

  private mutating func makeOrder(
    _ steps: Range<Int>, _ nodes: [ShardNode], _ rules: JobRules, number: UInt64
  ) -> ComputeOrder {
    ComputeOrder(
      number: number, steps: steps, nodes: nodes, consistency: rules.consistency(ofStep: steps.lowerBound),
      schedule: rules.schedule)
  }

  private mutating func order(
    _ steps: Range<Int>, _ nodes: [ShardNode], _ rules: JobRules, _ effects: inout [WorkerEffect]
  ) {
    let order = makeOrder(steps, nodes, rules, number: nextOrder)
    nextOrder += 1
    begunSteps = max(begunSteps, UInt64(steps.lowerBound) + 1)
    hasFallenBack = false
    computation = Computation(order: order)
    remaining.removeAll(keepingCapacity: true)
    remaining.append(contentsOf: repeatElement(nodes.count, count: held.count))
    let parts = held.map { SumRecord.Part(basis: $0?.version ?? 0) }
    let terms = SumRecord.Terms(step: steps.lowerBound, rules)
    for node in nodes {
      sums.append(
        SumRecord(order: order.number, step: steps.lowerBound, node: node, terms: terms, parts: parts))
      if !order.consistency.isLeased { computed.append((steps.lowerBound, node)) }
    }
    forgetWants()
    effects.append(.compute(order))
    if !order.consistency.isLeased { readAhead(after: steps.upperBound, rules, &effects) }
  }

  private mutating func readAhead(after step: Int, _ rules: JobRules, _ effects: inout [WorkerEffect]) {
    var next = max(step, readAheadEnd)
    while next < min(step + Self.readAheadSteps, rules.steps), !rules.consistency(ofStep: next).isLeased {
      let round = rules.round(ofStep: next)
      let nodes = missingNodes(ofRound: round.lowerBound, rules)
      if !nodes.isEmpty { effects.append(.readAhead(makeOrder(round, nodes, rules, number: 0))) }
      next = round.upperBound
    }
    readAheadEnd = max(readAheadEnd, next)
  }

  /// Everything that was ordered is computed.
  mutating func finished(_ number: UInt64, _ milliseconds: UInt64, _ effects: inout [WorkerEffect]) {
    guard let finished = computation, finished.order.number == number else { return drops.count(.outdated) }
    computation = nil
    busyMilliseconds += milliseconds
    if finished.isVoid {
      for node in finished.order.nodes { effects.append(.discard(order: number, node: node)) }
    }
    for chunk in deferred.indices { installDeferred(chunk, &effects) }
    advance(&effects)
  }
}
