/// Views: who serves which chunks, and who works on which shards.
extension Coordinator {
  /// All members are ready: the first view, from a checkpoint where the job resumes.
  mutating func begin(at now: Moment, _ effects: inout [CoordinatorEffect]) {
    guard let agreed, let samples = Int(exactly: agreed.samples), let rules = plan.rules(samples: samples) else {
      return end(
        .failed("the job has no step, or too many to be counted: it needs at least one sample and one step"), at: now,
        &effects)
    }
    phase = .running
    effects.append(.journal(.agreed(fingerprint: agreed.fingerprint, data: agreed.data)))
    if plan.resumes {
      recovery = .loading
      effects.append(.load)
    } else {
      beginEra(.initial, rules, covered: UnitSet(), at: now, &effects)
    }
  }

  /// The rules of the job: those of its views, or of the plan before the first.
  var rules: JobRules? { view?.rules ?? agreed.flatMap { plan.rules(samples: Int(clamping: $0.samples)) } }

  /// Begins an era: every chunk is placed anew on the servers that are there.
  mutating func beginEra(
    _ origin: View.Origin, _ rules: JobRules, covered: UnitSet, at now: Moment,
    _ effects: inout [CoordinatorEffect]
  ) {
    recovery = nil
    eraBegan = false
    let servers = Array(roster.ready(.server).prefix(plan.servers))
    guard !servers.isEmpty else { return gatherServers(at: now) }
    let bytes = (0..<rules.chunks.count).map(rules.chunks.bytes(of:))
    let placed = Placement.servers(ofChunks: bytes, servers: servers.count)
    // The next server keeps the replica: where one is lost, its load falls on the others alike.
    let replicas = placed.map { plan.hasReplicas && servers.count > 1 ? ($0 + 1) % servers.count : -1 }
    book = LeaseBook(from: origin.step * rules.schedule.tree.shards, applied: covered)
    cuts.abandonAll(&effects)
    roster.forgetSteps(of: .worker)
    let shares = ShardShares.nodes(of: rules.schedule.tree, rates: workerRates)
    establish(
      View(
        number: nextNumber, era: (view?.era ?? 0) + 1, origin: origin, isBeginning: true, rules: rules,
        servers: Self.lines(servers, placed: placed, replicas: replicas),
        workers: zip(roster.ready(.worker), shares).map { line($0, $1, earlier: []) }),
      view == nil ? .begun : .restored, at: now, &effects)
  }

  /// The most steps that a worker has begun or a server closed, as far as is known: what a member says may be anything.
  var begunSteps: Int { min(roster.begunSteps, view?.rules.steps ?? 0) }

  var nextNumber: ViewNumber { ViewNumber((view?.number.rawValue ?? 0) + 1) }

  private var workerRates: [UInt64?] {
    let rates = roster.rates
    return plan.rebalances ? rates : [UInt64?](repeating: nil, count: rates.count)
  }

  static func lines(_ servers: [Roster.Entry], placed: [Int], replicas: [Int]) -> [View.Server] {
    servers.indices.map { index in
      View.Server(
        member: servers[index].member, incarnation: servers[index].incarnation, name: servers[index].name,
        address: servers[index].ready?.address ?? "",
        chunks: placed.indices.filter { placed[$0] == index }.map(UInt32.init),
        replicas: replicas.indices.filter { replicas[$0] == index }.map(UInt32.init))
    }
  }

  private func line(_ entry: Roster.Entry, _ nodes: [ShardNode], earlier: [ShardNode]) -> View.Worker {
    View.Worker(
      member: entry.member, incarnation: entry.incarnation, name: entry.name, nodes: nodes, earlierNodes: earlier)
  }

  /// Makes a view hold: writes it down, tells the servers; the workers are told when all servers work in it.
  mutating func establish(
    _ view: View, _ reason: ViewReason, at now: Moment, _ effects: inout [CoordinatorEffect]
  ) {
    precondition(view.problem == nil, "view \(view.number.rawValue): \(view.problem ?? "")")
    self.view = view
    accepted = []
    closedSteps = view.origin.step
    isPlaced = false
    // Servers and workers give up a cut with their view: the next has a new number.
    cuts.isMarking = false
    roster.forgetSteps(of: .server)
    roster.forgetWaits()
    toldStalls = []
    disturb(at: now)
    effects.append(.journal(.view(view)))
    effects.append(.report(.view(view, reason)))
    for server in view.servers {
      roster.told(server.member, at: now)
      tellView(to: server.member, &effects)
    }
  }

  /// Sends a member the view that did not come, or whose answer did not come; not more often than that can take.
  mutating func tellAgain(_ member: Member, at now: Moment, _ effects: inout [CoordinatorEffect]) {
    let restores = view.map { $0.isBeginning && !isPlaced && $0.origin != .initial } ?? false
    let pause = restores ? 4 * deadlines.retry : deadlines.retry
    guard roster[member]?.toldAt.map({ now.milliseconds(since: $0) >= pause }) ?? true else { return }
    roster.told(member, at: now)
    tellView(to: member, &effects)
  }

  /// Sends a member the view, where it is one of it and may have it: workers never meet a server that does not know it.
  mutating func tellView(to member: Member, _ effects: inout [CoordinatorEffect]) {
    guard recovery == nil, let view, let entry = roster[member], view.incarnation(of: member) == entry.incarnation,
      member.role == .server || isPlaced
    else { return }
    send(.view(view), to: entry.connection, &effects)
    guard view.isBeginning, !isPlaced, case .checkpoint = view.origin, let line = view.server(member) else { return }
    restore((line.chunks + line.replicas).sorted(), to: member, &effects)
  }

  /// Sends a server what chunks of its begin the era with.
  mutating func restore(_ chunks: [UInt32], to member: Member, _ effects: inout [CoordinatorEffect]) {
    guard let mark = newestCheckpoint, let rules = view?.rules else {
      return note(Refusal(.misplaced, "\(member) is to begin from a checkpoint, and none is loaded"), &effects)
    }
    for chunk in chunks {
      let position = ChunkPosition(
        chunk: chunk, version: mark.version(in: rules), closed: UInt64(mark.step), covered: mark.covered)
      send(.restore(position), to: roster[member]?.connection, restoring: Int(chunk), &effects)
    }
  }

  mutating func viewAccepted(
    by member: Member, _ connection: Connection, closed: UInt64, at now: Moment, _ effects: inout [CoordinatorEffect]
  ) {
    guard let view, view.server(member) != nil else {
      return refuse(Refusal(.misplaced, "\(member) is no server of the view that it accepts"), connection, &effects)
    }
    guard closed <= UInt64(view.rules.steps) else {
      let problem = "\(closed) closed steps: the job has \(view.rules.steps)"
      return refuse(outOfBounds(member, problem), connection, &effects)
    }
    guard recovery == nil else { return drops.count(.outdated) }
    guard !accepted.contains(member) else { return drops.count(.repeated) }
    accepted.append(member)
    closedSteps = max(closedSteps, Int(closed))
    if closedSteps > view.origin.step { futileReturns.stepped() }
    guard accepted.count == view.servers.count else { return }
    if let wanted = wantedMode, switchMode(to: wanted, at: now, &effects) { return }
    isPlaced = true
    eraBegan = true
    for worker in view.workers {
      roster.told(worker.member, at: now)
      tellView(to: worker.member, &effects)
    }
    if hasBegun {
      let milliseconds = now.milliseconds(since: disturbedAt ?? now)
      effects.append(.report(.resumed(view, milliseconds: milliseconds)))
    } else {
      hasBegun = true
      effects.append(.report(.begun(view)))
    }
    disturbedAt = nil
  }

  // MARK: Changes

  /// Makes the view that follows from the members that are there now.
  mutating func revise(_ reason: ViewReason, at now: Moment, _ effects: inout [CoordinatorEffect]) {
    guard let view, recovery == nil else { return }
    let ready = roster.ready(.server)
    let kept = view.servers.compactMap { line in ready.first { $0.incarnation == line.incarnation } }
    let added = ready.filter { entry in !kept.contains { $0.incarnation == entry.incarnation } }
    let isBeginning = view.isBeginning && !eraBegan
    let wantsAdded = plan.hasReplicas || isBeginning
    let servers = (kept + (wantsAdded ? Array(added.prefix(max(0, plan.servers - kept.count))) : []))
      .sorted { $0.member < $1.member }
    guard let (placed, replicas) = place(view, on: servers, isBeginning: isBeginning) else {
      return lose(at: now, &effects)
    }
    let (workers, since) = assign(view, reason)
    establish(
      View(
        number: nextNumber, era: view.era, origin: view.origin, isBeginning: isBeginning, rules: view.rules,
        servers: Self.lines(servers, placed: placed, replicas: replicas), workers: workers, since: since),
      reason, at: now, &effects)
  }

  /// The server of each chunk and of its replica, as few moved as can be; nil where a chunk's state is nowhere.
  private func place(
    _ view: View, on servers: [Roster.Entry], isBeginning: Bool
  ) -> (placed: [Int], replicas: [Int])? {
    guard let holders = view.serverOfChunk, let keepers = view.replicaOfChunk, !servers.isEmpty else { return nil }
    func index(_ line: Int) -> Int {
      line < 0 ? -1 : servers.firstIndex { $0.incarnation == view.servers[line].incarnation } ?? -1
    }
    var load = [Int](repeating: 0, count: servers.count)
    var placed = [Int](repeating: -1, count: holders.count)
    var replicas = placed
    for chunk in holders.indices {
      let (holder, keeper) = (index(holders[chunk]), index(keepers[chunk]))
      placed[chunk] = holder >= 0 ? holder : keeper
      replicas[chunk] = holder >= 0 ? keeper : -1
      if placed[chunk] < 0, isBeginning { placed[chunk] = lightest(load, but: -1) }
      guard placed[chunk] >= 0 else { return nil }
      load[placed[chunk]] += view.rules.chunks.bytes(of: chunk)
      if replicas[chunk] >= 0 { load[replicas[chunk]] += view.rules.chunks.bytes(of: chunk) }
    }
    guard plan.hasReplicas, servers.count > 1 else {
      return (placed, [Int](repeating: -1, count: holders.count))
    }
    for chunk in holders.indices where replicas[chunk] < 0 {
      replicas[chunk] = lightest(load, but: placed[chunk])
      load[replicas[chunk]] += view.rules.chunks.bytes(of: chunk)
    }
    return (placed, replicas)
  }

  private func lightest(_ load: [Int], but excluded: Int) -> Int {
    var best = -1
    for server in load.indices where server != excluded && (best < 0 || load[server] < load[best]) { best = server }
    return best
  }

  /// Who computes which shards from now on, and from a later step on.
  ///
  /// Shards of a worker who is gone go to the others at once. Otherwise shards move at a step that nobody has begun.
  private func assign(_ view: View, _ reason: ViewReason) -> (workers: [View.Worker], since: Int) {
    let ready = roster.ready(.worker)
    let tree = view.rules.schedule.tree
    guard !ready.isEmpty else { return ([], 0) }
    let rates = workerRates
    let isSettled = begunSteps > view.since
    let lines = ready.map { entry in view.workers.first { $0.incarnation == entry.incarnation } }
    let own = lines.map { $0.map(\.nodes) ?? [] }
    let gone = view.workers.filter { line in !ready.contains { $0.incarnation == line.incarnation } }
    if view.workers.isEmpty || lines.allSatisfy({ $0 == nil }) {
      let shares = ShardShares.nodes(of: tree, rates: rates)
      return (zip(ready, shares).map { line($0, $1, earlier: []) }, 0)
    }
    let current = ShardShares.adopting(gone.flatMap(\.nodes), by: own, rates: rates)
    if !isSettled, view.since > 0 {
      // Two steps with different shards are open: only what holds for both is safe.
      return (zip(ready, current).map { line($0, $1, earlier: []) }, 0)
    }
    let isReplacing = lines.contains { $0 == nil } || !gone.isEmpty || Self.leavesIdle(current)
    guard plan.rebalances || isReplacing else {
      return (zip(ready, current).map { line($0, $1, earlier: []) }, 0)
    }
    let next = balanced(tree, rates, current: current, isForced: isReplacing || reason == .rebalanced)
    guard next != current else { return (zip(ready, current).map { line($0, $1, earlier: []) }, 0) }
    let since = min(view.rules.steps, max(begunSteps, closedSteps) + 2)
    return (
      ready.indices.map { line(ready[$0], next[$0], earlier: current[$0]) }, since
    )
  }

  private func balanced(
    _ tree: ShardTree, _ rates: [UInt64?], current: [[ShardNode]], isForced: Bool
  ) -> [[ShardNode]] {
    isForced ? ShardShares.nodes(of: tree, rates: rates) : current
  }

  /// Whether a worker has nothing to do although another could give it a shard: it came while shards were on the move.
  private static func leavesIdle(_ nodes: [[ShardNode]]) -> Bool {
    let counts = nodes.map { $0.reduce(0) { $0 + $1.shards.count } }
    return counts.contains(0) && counts.contains { $0 > 1 }
  }

  /// Moves shards to idle workers, and to faster ones where a step becomes shorter by a tenth at least.
  mutating func rebalance(at now: Moment, _ effects: inout [CoordinatorEffect]) {
    guard isPlaced, recovery == nil, let view, view.workers.count > 1, begunSteps > view.since else { return }
    if Self.leavesIdle(view.workers.map(\.nodes)) {
      disturb(at: now)
      return revise(.rebalanced, at: now, &effects)
    }
    guard plan.rebalances,
      now.milliseconds(since: rebalancedAt ?? Moment(milliseconds: 0)) >= deadlines.rebalance,
      !view.rules.consistency(ofStep: min(begunSteps, view.rules.steps - 1)).isLeased
    else { return }
    let rates = workerRates
    guard rates.allSatisfy({ $0 != nil }), view.workers.count == rates.count else { return }
    rebalancedAt = now
    let shares = ShardShares.shards(view.rules.schedule.tree.shards, rates: rates)
    let current = view.workers.map { $0.nodes.reduce(0) { $0 + $1.shards.count } }
    guard ShardShares.time(shares, rates: rates) * 10 < ShardShares.time(current, rates: rates) * 9 else { return }
    disturb(at: now)
    revise(.rebalanced, at: now, &effects)
  }
}
