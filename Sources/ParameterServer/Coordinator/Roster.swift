/// Who has joined a job, and what is known of each.
struct Roster: Sendable {
  struct Entry: Sendable {
    let member: Member
    let incarnation: Incarnation
    let name: String
    /// Where it is reached; nil until it is heard again after the coordinator was restarted.
    var connection: Connection?
    var heardAt: Moment
    /// When it was last sent the view.
    var toldAt: Moment?
    var ready: Ready?
    /// When another process asked for its name: it has to be heard after that to keep it.
    var challengedAt: Moment?
    /// Steps that a worker has begun, or a server has closed.
    var steps: UInt64 = 0
    /// Shards that it has computed.
    var shards: UInt64 = 0
    /// Totals of every epoch that the member has reported.
    var epochs: [EpochTotals] = []
    /// How late what a server applied has come.
    var staleness = StalenessCounts()
    var speed = SpeedMeter()
    /// Whether a server has said in the view that holds that its chunks' replicas have all that they need.
    var isInStep = false
    /// What it refused, as it said last.
    var refused = RefusedCounts()
    /// Servers that it hears nothing of, as it said last in the view that holds.
    var waits: [Wait] = []
    /// Whether it only stands by: it was removed because it did not reach a server, or was not reached.
    var isSuspended = false
    /// When it joined, and whether training had begun; nil of one that a predecessor had taken.
    var joined: (at: Moment, isLate: Bool)?

    /// Whether it can work.
    var isReady: Bool { ready != nil && !isSuspended }
  }

  enum Joining {
    case success(Entry, isNew: Bool)
    case failure(Refusal)
    /// The name is another's, who has to be heard first.
    case later
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
    // By index: an entry that is copied costs more than the search.
    for index in entries.indices where entries[index].member == member { return index }
    return nil
  }

  subscript(_ member: Member) -> Entry? { index(of: member).map { entries[$0] } }

  private func wanted(_ role: Role) -> Int { role == .server ? servers : workers }

  // MARK: Joining

  /// Gives a process a place: the one that its name asks for, or the first that is free.
  mutating func join(
    _ hello: Hello, _ incarnation: Incarnation, _ connection: Connection, at now: Moment, silence: UInt64,
    isLate: Bool
  ) -> Joining {
    if let index = entries.firstIndex(where: { $0.incarnation == incarnation }) {
      entries[index].connection = connection
      entries[index].heardAt = now
      return .success(entries[index], isNew: false)
    }
    guard hello.role == .server || hello.role == .worker else {
      return .failure(Refusal(.misplaced, "a job has one coordinator"))
    }
    if let refusal = misnamed(hello) { return .failure(refusal) }
    removeDead(inTheWayOf: hello, at: now, silence: silence)
    if let holder = entries.firstIndex(where: { !hello.name.isEmpty && Self.holds($0, hello.name) }) {
      return challenge(holder, hello.name, at: now, silence: silence)
    }
    guard let number = place(hello) else {
      return .failure(Refusal(.jobFull, "the job has \(Bounds.members) \(hello.role)s and takes no more"))
    }
    let member = Member(hello.role, number)
    let entry = Entry(
      member: member, incarnation: incarnation, name: hello.name.isEmpty ? member.description : hello.name,
      connection: connection, heardAt: now, joined: (now, isLate))
    add(entry)
    return .success(entry, isNew: true)
  }

  private static func holds(_ entry: Entry, _ name: String) -> Bool {
    entry.name == name || entry.member.description == name
  }

  /// Somebody asks for a name that is taken. Its holder may be dead without anybody knowing: it keeps the name if it is
  /// heard from now on.
  private mutating func challenge(_ holder: Int, _ name: String, at now: Moment, silence: UInt64) -> Joining {
    // A challenge that nobody has repeated for long says nothing of the holder now.
    if entries[holder].challengedAt.map({ now.milliseconds(since: $0) >= silence }) ?? false {
      entries[holder].challengedAt = nil
    }
    if let challengedAt = entries[holder].challengedAt, entries[holder].heardAt > challengedAt {
      entries[holder].challengedAt = nil
      return .failure(
        Refusal(
          .nameTaken, "the name \(name) is taken: another process works with it as \(entries[holder].member)"))
    }
    if entries[holder].challengedAt == nil { entries[holder].challengedAt = now }
    return .later
  }

  /// Takes an entry in, as it was.
  mutating func add(_ entry: Entry) {
    let index = entries.firstIndex { entry.member < $0.member } ?? entries.count
    entries.insert(entry, at: index)
  }

  /// A process that asked and died before it was ready leaves its place to one that asks for it.
  ///
  /// Nothing is heard from a process while it reads its data, so that silence alone is no reason.
  private mutating func removeDead(inTheWayOf hello: Hello, at now: Moment, silence: UInt64) {
    entries.removeAll { entry in
      !entry.isReady && now.milliseconds(since: entry.heardAt) >= silence && Self.holds(entry, hello.name)
    }
  }

  /// Why a name that reads like a place cannot be had: another role's, or a number that no job has.
  private func misnamed(_ hello: Hello) -> Refusal? {
    let parts = hello.name.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 2, Role.allCases.contains(where: { $0.description == parts[0] }),
      !parts[1].isEmpty, parts[1].allSatisfy(\.isNumber)
    else { return nil }
    if parts[0] == hello.role.description, let number = Int(parts[1]), number < Int(Bounds.members),
      String(number) == parts[1]
    {
      return nil
    }
    return Refusal(
      .misplaced,
      "the job has no place \(hello.name) for a \(hello.role): they are \(hello.role).0, \(hello.role).1 and so on")
  }

  private func place(_ hello: Hello) -> UInt32? {
    let prefix = "\(hello.role)."
    // What only resembles a place's name, as `worker.+1`, is a name as any other.
    if hello.name.hasPrefix(prefix), let number = UInt32(hello.name.dropFirst(prefix.count)), number < Bounds.members,
      hello.name == "\(prefix)\(number)"
    {
      return index(of: Member(hello.role, number)) == nil ? number : nil
    }
    return (0..<Bounds.members).first { number in index(of: Member(hello.role, number)) == nil }
  }

  /// Whether this life of a process has a place.
  func contains(_ incarnation: Incarnation) -> Bool {
    entries.contains { $0.incarnation == incarnation }
  }

  /// Takes a member's place back.
  mutating func remove(_ member: Member) {
    entries.removeAll { $0.member == member }
  }

  /// The life that a process of this name is.
  func entry(named name: String) -> Entry? {
    entries.first { Self.holds($0, name) }
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

  /// Notes that a member was sent the view.
  mutating func told(_ member: Member, at now: Moment) {
    if let index = index(of: member), entries[index].connection != nil { entries[index].toldAt = now }
  }

  /// Everyone counts as heard now: after a pause of the coordinator's own, silence says nothing of others.
  mutating func hearAll(at now: Moment) {
    for index in entries.indices {
      entries[index].heardAt = now
      entries[index].challengedAt = nil
    }
  }

  /// The names of those that have not joined or are not ready.
  var missing: [String] {
    let places =
      (0..<UInt32(servers)).map { Member(.server, $0) } + (0..<UInt32(workers)).map { Member(.worker, $0) }
    return places.filter { place in !entries.contains { $0.member == place && $0.ready != nil } }.map(\.description)
  }

  /// Whether as many of each role are ready as the job begins with.
  var isComplete: Bool {
    readyCount(.server) >= servers && readyCount(.worker) >= workers
  }

  /// Number of the members of a role that can work.
  func readyCount(_ role: Role) -> Int {
    entries.indices.count { entries[$0].member.role == role && entries[$0].isReady }
  }

  /// Of the workers that can work, by number: how fast each is; nil where that is not known.
  var rates: [UInt64?] {
    entries.indices.lazy.filter { entries[$0].member.role == .worker && entries[$0].isReady }.map {
      entries[$0].speed.rate
    }
  }

  /// The steps that a member has begun or closed; 0 of one that is not here.
  func steps(of member: Member) -> UInt64 { index(of: member).map { entries[$0].steps } ?? 0 }

  /// Members that are ready and were not heard for so long, and when the first of them was.
  func silent(for milliseconds: UInt64, at now: Moment) -> (members: [Member], since: Moment)? {
    let silent = entries.indices.filter {
      entries[$0].ready != nil && now.milliseconds(since: entries[$0].heardAt) >= milliseconds
    }
    return silent.first.map { first in (silent.map { entries[$0].member }, entries[first].heardAt) }
  }

  /// Members of a role that can work, by number.
  func ready(_ role: Role) -> [Entry] {
    entries.filter { $0.member.role == role && $0.isReady }
  }

  /// Has a member only stand by, or no longer.
  mutating func suspend(_ member: Member, _ isSuspended: Bool) {
    if let index = index(of: member) { entries[index].isSuspended = isSuspended }
  }

  /// Nothing is known of who waits for whom: in a new view all begin anew.
  mutating func forgetWaits() {
    for index in entries.indices where !entries[index].waits.isEmpty { entries[index].waits = [] }
  }

  mutating func setReady(_ ready: Ready, _ member: Member) {
    if let index = index(of: member) { entries[index].ready = ready }
  }

  /// Whether a member can work.
  func isReady(_ member: Member) -> Bool { index(of: member).map { entries[$0].isReady } ?? false }

  // MARK: Training

  /// Notes a report; of one from another view the steps say nothing, as they may be of another era.
  mutating func record(_ progress: Progress, of member: Member, isCurrent: Bool) {
    guard let index = index(of: member) else { return }
    if isCurrent {
      entries[index].isInStep = progress.behind == 0
      if !progress.waits.isEmpty || !entries[index].waits.isEmpty { entries[index].waits = progress.waits }
    }
    if progress.refused.messages.total >= entries[index].refused.messages.total,
      progress.refused.connections.total >= entries[index].refused.connections.total
    {
      entries[index].refused = progress.refused
    }
    // Totals only grow: of two reports the larger is the newer, in whatever order they come.
    if progress.shards >= entries[index].shards, !isCurrent || progress.steps >= entries[index].steps {
      if isCurrent { entries[index].steps = progress.steps }
      entries[index].shards = progress.shards
      entries[index].speed.update(shards: progress.shards, busy: progress.busy)
    }
    if member.role == .server, progress.staleness.count >= entries[index].staleness.count {
      entries[index].staleness = progress.staleness
    }
    for totals in progress.epochs.prefix(Progress.maximumEpochs) {
      if let known = entries[index].epochs.firstIndex(where: { $0.epoch == totals.epoch }) {
        if totals.samples >= entries[index].epochs[known].samples { entries[index].epochs[known] = totals }
      } else {
        entries[index].epochs.append(totals)
      }
    }
  }

  /// How long ago a worker joined that has now computed its first shard, and whether training had begun then; nil of any
  /// other, and from then on.
  mutating func begins(_ member: Member, at now: Moment) -> (milliseconds: UInt64, isLate: Bool)? {
    guard member.role == .worker, let index = index(of: member), entries[index].shards > 0,
      let joined = entries[index].joined
    else { return nil }
    entries[index].joined = nil
    return (now.milliseconds(since: joined.at), joined.isLate)
  }

  /// The steps of a role's members are void: those of servers with each view, which gives them other chunks, those of
  /// workers with each era.
  mutating func forgetSteps(of role: Role) {
    for index in entries.indices where entries[index].member.role == role {
      entries[index].steps = 0
      entries[index].isInStep = false
    }
  }

  /// The most steps that a worker has begun, or a server has closed.
  var begunSteps: Int {
    entries.indices.reduce(0) { max($0, Int(clamping: entries[$1].steps)) }
  }
}
