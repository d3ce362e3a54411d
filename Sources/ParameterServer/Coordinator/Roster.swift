/// Who has joined a job, and what is known of each.
struct Roster: Sendable {
  struct Entry: Sendable {
    let member: Member
    let incarnation: Incarnation
    let name: String
    var connection: Connection
    var heardAt: Moment
    var ready: Ready?
    var hasAccepted = false
    var isFinished = false
    /// Units of work that it was granted, outside sync mode.
    var granted: UInt64 = 0
    var progress = Progress(steps: 0, shards: 0, epochs: [])
    /// Totals of every epoch that the member has reported.
    var epochs: [EpochTotals] = []

    var isReady: Bool { ready != nil }
  }

  enum Joining {
    case success(Entry, isNew: Bool)
    case failure(Refusal)
  }

  private let servers: Int
  private let workers: Int
  /// In the order of their places.
  private(set) var entries: [Entry] = []

  init(servers: Int, workers: Int) {
    self.servers = servers
    self.workers = workers
  }

  private func index(of member: Member) -> Int? {
    entries.firstIndex { $0.member == member }
  }

  private func wanted(_ role: Role) -> Int { role == .server ? servers : workers }

  // MARK: Joining

  /// Gives a process a place: the one that its name asks for, or the first that is free.
  mutating func join(
    _ hello: Hello, _ incarnation: Incarnation, _ connection: Connection, at now: Moment, silence: UInt64
  ) -> Joining {
    if let index = entries.firstIndex(where: { $0.incarnation == incarnation }) {
      entries[index].connection = connection
      entries[index].heardAt = now
      return .success(entries[index], isNew: false)
    }
    guard hello.role != .coordinator else {
      return .failure(Refusal(.misplaced, "a job has one coordinator"))
    }
    if let refusal = misnamed(hello) { return .failure(refusal) }
    removeDead(inTheWayOf: hello, at: now, silence: silence)
    if !hello.name.isEmpty, let taken = entries.first(where: { $0.name == hello.name }) {
      return .failure(
        Refusal(.nameTaken, "the name \(hello.name) is taken: another process joined with it as \(taken.member)"))
    }
    guard let number = place(hello) else {
      let count = wanted(hello.role)
      return .failure(
        Refusal(.jobFull, "the job has all the \(hello.role)s that it wants: \(count)"))
    }
    let member = Member(hello.role, number)
    guard index(of: member) == nil else {
      return .failure(Refusal(.nameTaken, "the place \(member) is taken by another process"))
    }
    let entry = Entry(
      member: member, incarnation: incarnation, name: hello.name.isEmpty ? member.description : hello.name,
      connection: connection, heardAt: now)
    entries.append(entry)
    entries.sort { $0.member < $1.member }
    return .success(entry, isNew: true)
  }

  /// A process that asked and died before it was ready leaves its place to one that asks for it, or that finds no other.
  ///
  /// Nothing is heard from a process while it reads its data, so that silence alone is no reason.
  private mutating func removeDead(inTheWayOf hello: Hello, at now: Moment, silence: UInt64) {
    let isFull = place(hello) == nil
    entries.removeAll { entry in
      !entry.isReady && now.milliseconds(since: entry.heardAt) >= silence
        && (entry.name == hello.name || entry.member.description == hello.name
          || isFull && entry.member.role == hello.role)
    }
  }

  /// Why a name that reads like a place cannot be had: another role's, or a number that the job does not have.
  private func misnamed(_ hello: Hello) -> Refusal? {
    let parts = hello.name.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 2, Role.allCases.contains(where: { $0.description == parts[0] }),
      !parts[1].isEmpty, parts[1].allSatisfy(\.isNumber)
    else { return nil }
    let wanted = wanted(hello.role)
    if parts[0] == hello.role.description, let number = Int(parts[1]), number < wanted, String(number) == parts[1] {
      return nil
    }
    return Refusal(
      .misplaced,
      "the job has no place \(hello.name) for a \(hello.role): there are \(hello.role).0 to \(hello.role).\(wanted - 1)"
    )
  }

  private func place(_ hello: Hello) -> UInt32? {
    let wanted = wanted(hello.role)
    for number in 0..<UInt32(wanted) where Member(hello.role, number).description == hello.name { return number }
    return (0..<UInt32(wanted)).first { number in index(of: Member(hello.role, number)) == nil }
  }

  /// Whether this life of a process has a place.
  func contains(_ incarnation: Incarnation) -> Bool {
    entries.contains { $0.incarnation == incarnation }
  }

  /// Takes a member's place back.
  mutating func remove(_ member: Member) {
    entries.removeAll { $0.member == member }
  }

  /// Notes a sign of life; false where the sender has no place here.
  mutating func hear(
    _ member: Member, _ incarnation: Incarnation, _ connection: Connection, at now: Moment
  ) -> Bool {
    guard let index = index(of: member), entries[index].incarnation == incarnation else { return false }
    entries[index].connection = connection
    entries[index].heardAt = now
    return true
  }

  /// What a member works with that does not agree with the job or with the others, or nil.
  func mismatch(_ ready: Ready, of member: Member, plan: JobPlan) -> Refusal? {
    func differs(_ what: String, _ theirs: [UInt8], _ ours: [UInt8]) -> Refusal? {
      guard theirs != ours else { return nil }
      return Refusal(
        .mismatch,
        "\(member) has another \(what) (\(Self.short(theirs))) than the job (\(Self.short(ours))): start it from the same build, job and data"
      )
    }
    if let refusal = differs("build of convoy", ready.digests.build, plan.digests.build)
      ?? differs("network", ready.digests.network, plan.digests.network)
      ?? differs("job", ready.digests.job, plan.digests.job)
    {
      return refusal
    }
    if member.role == .worker, !plan.digests.data.isEmpty,
      let refusal = differs("data set", ready.digests.data, plan.digests.data)
    {
      return refusal
    }
    guard member.role == .worker,
      let other = entries.first(where: { $0.member.role == .worker && $0.member != member && $0.isReady }),
      let theirs = other.ready
    else { return nil }
    if let refusal = differs("data set", ready.digests.data, theirs.digests.data) { return refusal }
    if ready.samples != theirs.samples {
      return Refusal(
        .mismatch, "\(member) counts \(ready.samples) training samples, \(other.member) \(theirs.samples)")
    }
    if plan.consistency == .sync, ready.engineFingerprint != theirs.engineFingerprint {
      return Refusal(
        .mismatch,
        "\(member) computes with \(ready.engineFingerprint), \(other.member) with \(theirs.engineFingerprint): a sync job's bytes would not repeat"
      )
    }
    return nil
  }

  private static func short(_ digest: [UInt8]) -> String {
    let digits = Array("0123456789abcdef")
    return String(digest.prefix(4).flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
  }

  /// The names of those that have not joined or are not ready.
  var missing: [String] {
    let places =
      (0..<UInt32(servers)).map { Member(.server, $0) } + (0..<UInt32(workers)).map { Member(.worker, $0) }
    return places.filter { place in !entries.contains { $0.member == place && $0.isReady } }.map(\.description)
  }

  var isComplete: Bool { missing.isEmpty }

  mutating func setReady(_ ready: Ready, _ member: Member) {
    if let index = index(of: member) { entries[index].ready = ready }
  }

  /// The number of training samples that the workers agree on.
  var samples: Int? {
    entries.first { $0.member.role == .worker }?.ready.flatMap { Int(exactly: $0.samples) }
  }

  /// The view of all members.
  func view(number: ViewNumber, rules: JobRules) -> View {
    View.assigning(
      number: number, rules: rules,
      servers: entries.filter { $0.member.role == .server }
        .map { ($0.incarnation, $0.name, $0.ready?.address ?? "") },
      workers: entries.filter { $0.member.role == .worker }.map { ($0.incarnation, $0.name) })
  }

  // MARK: Training

  mutating func accept(_ member: Member) {
    if let index = index(of: member) { entries[index].hasAccepted = true }
  }

  var allServersAccepted: Bool {
    entries.allSatisfy { $0.member.role != .server || $0.hasAccepted }
  }

  /// Whether a member was sent the view in this phase, so that it is sent again on request.
  func hasView(_ member: Member, in phase: Coordinator.Phase) -> Bool {
    if case .placing = phase { return member.role == .server }
    return true
  }

  mutating func record(_ progress: Progress, of member: Member) {
    guard let index = index(of: member) else { return }
    // Totals only grow: of two reports the larger is the newer, in whatever order they come.
    if progress.shards >= entries[index].progress.shards { entries[index].progress = progress }
    for totals in progress.epochs.prefix(Progress.maximumEpochs) {
      if let known = entries[index].epochs.firstIndex(where: { $0.epoch == totals.epoch }) {
        if totals.samples >= entries[index].epochs[known].samples { entries[index].epochs[known] = totals }
      } else if entries[index].epochs.count < Self.maximumEpochs {
        entries[index].epochs.append(totals)
      }
    }
  }

  /// Epochs that are kept of a member: bounds what it can make the coordinator remember.
  static let maximumEpochs = 100_000

  mutating func finish(_ member: Member) {
    if let index = index(of: member) { entries[index].isFinished = true }
  }

  /// Notes units of work that a worker is granted; returns how many it has had in all.
  mutating func grant(_ count: Int, to worker: Member) -> UInt64 {
    guard let index = index(of: worker) else { return 0 }
    entries[index].granted += UInt64(count)
    return entries[index].granted
  }

  /// Whether every server has made its last update and every worker has said its last word.
  func allFinished(_ view: View) -> Bool {
    entries.allSatisfy(\.isFinished)
  }

  /// What the workers have reported, together. A member's numbers are its own: sums wrap rather than trap where it lies.
  func progress(totalSteps: Int, view: View) -> JobProgress {
    var epochs: [EpochTotals] = []
    var shards: UInt64 = 0
    var steps: Int?
    for entry in entries where entry.member.role == .worker {
      shards &+= entry.progress.shards
      let stands = view.rules.consistency == .sync && view.workers[Int(entry.member.number)].nodes.isEmpty
      if !stands { steps = min(steps ?? .max, Int(clamping: entry.progress.steps)) }
      for totals in entry.epochs {
        if let known = epochs.firstIndex(where: { $0.epoch == totals.epoch }) {
          epochs[known].samples &+= totals.samples
          epochs[known].lossSum += totals.lossSum
          epochs[known].correct &+= totals.correct
        } else {
          epochs.append(totals)
        }
      }
    }
    epochs.sort { $0.epoch < $1.epoch }
    return JobProgress(
      steps: min(steps ?? 0, totalSteps), totalSteps: totalSteps, samples: epochs.reduce(0) { $0 &+ $1.samples },
      epochs: epochs, shards: shards)
  }
}
