/// A numbered statement of who serves which chunks and who works on which shards.
public struct View: Hashable, Sendable {
  /// A server of the view.
  public struct Server: Hashable, Sendable {
    /// Its place.
    public let member: Member
    /// The life of the process that fills it.
    public let incarnation: Incarnation
    /// The name that it was started with.
    public let name: String
    /// Where workers reach it.
    public let address: String
    /// The chunks that it serves, in ascending order.
    public let chunks: [UInt32]
    /// The chunks that it keeps a replica of, in ascending order.
    public let replicas: [UInt32]

    /// A server's line of the view.
    public init(
      member: Member, incarnation: Incarnation, name: String, address: String, chunks: [UInt32],
      replicas: [UInt32] = []
    ) {
      self.member = member
      self.incarnation = incarnation
      self.name = name
      self.address = address
      self.chunks = chunks
      self.replicas = replicas
    }
  }

  /// A worker of the view.
  public struct Worker: Hashable, Sendable {
    /// Its place.
    public let member: Member
    /// The life of the process that fills it.
    public let incarnation: Incarnation
    /// The name that it was started with.
    public let name: String
    /// The nodes of the shard tree that it computes in steps from `since` on; none where it stands by.
    public let nodes: [ShardNode]
    /// The nodes that it computes in earlier steps.
    public let earlierNodes: [ShardNode]

    /// A worker's line of the view.
    public init(
      member: Member, incarnation: Incarnation, name: String, nodes: [ShardNode], earlierNodes: [ShardNode] = []
    ) {
      self.member = member
      self.incarnation = incarnation
      self.name = name
      self.nodes = nodes
      self.earlierNodes = earlierNodes
    }
  }

  /// What the chunks of an era begin with.
  public enum Origin: Hashable, Sendable {
    /// The network's first parameters.
    case initial
    /// A checkpoint after so many steps.
    case checkpoint(step: Int)

    /// Steps that are closed when the era begins.
    public var step: Int {
      if case .checkpoint(let step) = self { step } else { 0 }
    }
  }

  /// What a view states, in one place: a view is handed on with every event, and a reference is copied cheaply.
  private final class Statement: Sendable {
    struct Fields: Hashable, Sendable {
      let number: ViewNumber
      let era: UInt32
      let origin: Origin
      let isBeginning: Bool
      let rules: JobRules
      let servers: [Server]
      let workers: [Worker]
      let since: Int
    }

    let fields: Fields
    let serverOfChunk: [Int]?
    let replicaOfChunk: [Int]?

    init(_ fields: Fields) {
      self.fields = fields
      serverOfChunk = View.holders(fields.rules, fields.servers, \.chunks).flatMap { $0.contains(-1) ? nil : $0 }
      replicaOfChunk = View.holders(fields.rules, fields.servers, \.replicas)
    }

    /// See `View.incarnation(of:)`. Every message is checked by this: the line is looked at where it is.
    func incarnation(of member: Member) -> Incarnation? {
      switch member.role {
      case .coordinator, .client: break
      case .server:
        for index in fields.servers.indices where fields.servers[index].member == member {
          return fields.servers[index].incarnation
        }
      case .worker:
        for index in fields.workers.indices where fields.workers[index].member == member {
          return fields.workers[index].incarnation
        }
      }
      return nil
    }
  }

  private let statement: Statement

  /// Its number.
  public var number: ViewNumber { statement.fields.number }
  /// How often the job has begun, anew or from a checkpoint: what belongs to an earlier era is void.
  public var era: UInt32 { statement.fields.era }
  /// What the era began with.
  public var origin: Origin { statement.fields.origin }
  /// Whether servers that hold nothing yet are given what the era began with; later ones get it from each other.
  public var isBeginning: Bool { statement.fields.isBeginning }
  /// The job's rules.
  public var rules: JobRules { statement.fields.rules }
  /// The servers, by number.
  public var servers: [Server] { statement.fields.servers }
  /// The workers, by number.
  public var workers: [Worker] { statement.fields.workers }
  /// The first step in which workers compute their `nodes`; in earlier ones they compute their `earlierNodes`.
  public var since: Int { statement.fields.since }

  /// A view as stated; see `problem` for whether it holds together.
  public init(
    number: ViewNumber, era: UInt32 = 1, origin: Origin = .initial, isBeginning: Bool = true, rules: JobRules,
    servers: [Server], workers: [Worker], since: Int = 0
  ) {
    statement = Statement(
      Statement.Fields(
        number: number, era: era, origin: origin, isBeginning: isBeginning, rules: rules, servers: servers,
        workers: workers, since: since))
  }

  /// Whether two views state the same.
  public static func == (left: View, right: View) -> Bool {
    left.statement === right.statement || left.statement.fields == right.statement.fields
  }

  /// Hashes what is stated.
  public func hash(into hasher: inout Hasher) { hasher.combine(statement.fields) }

  /// The server of each chunk, by chunk, as an index into `servers`; nil where not every chunk has exactly one.
  public var serverOfChunk: [Int]? { statement.serverOfChunk }

  /// The server that keeps each chunk's replica, by chunk, as an index into `servers`, -1 where none does; nil where two
  /// do.
  public var replicaOfChunk: [Int]? { statement.replicaOfChunk }

  private static func holders(_ rules: JobRules, _ servers: [Server], _ chunks: (Server) -> [UInt32]) -> [Int]? {
    var holder = [Int](repeating: -1, count: rules.chunks.count)
    for (index, server) in servers.enumerated() {
      for chunk in chunks(server) {
        guard Int(chunk) < holder.count, holder[Int(chunk)] < 0 else { return nil }
        holder[Int(chunk)] = index
      }
    }
    return holder
  }

  /// What is wrong with the view, or nil: every chunk has one server and at most one replica elsewhere, every shard one
  /// worker where there are workers, every place one process.
  public var problem: String? {
    if number == .none || era == 0 { return "it has no number" }
    if number.rawValue > Bounds.counter { return "its number is above all that are counted to" }
    guard let holders = serverOfChunk else { return "not every chunk has exactly one server" }
    guard let replicas = replicaOfChunk, !zip(holders, replicas).contains(where: ==) else {
      return "a chunk has two replicas, or one beside itself"
    }
    for (left, right) in zip(servers, servers.dropFirst()) where left.member >= right.member {
      return "\(right.member) stands after \(left.member)"
    }
    for (left, right) in zip(workers, workers.dropFirst()) where left.member >= right.member {
      return "\(right.member) stands after \(left.member)"
    }
    if servers.contains(where: { $0.member.role != .server }) || workers.contains(where: { $0.member.role != .worker })
    {
      return "a member stands in another role's place"
    }
    if !(0...rules.steps).contains(since) || !(0...rules.steps).contains(origin.step) {
      return "its steps are not the job's"
    }
    if (servers.last?.member.number ?? 0) >= Bounds.members || (workers.last?.member.number ?? 0) >= Bounds.members {
      return "a member has a number above all members'"
    }
    guard !workers.isEmpty else { return nil }
    return coverageProblem(workers.map(\.nodes)) ?? (since > 0 ? coverageProblem(workers.map(\.earlierNodes)) : nil)
  }

  private func coverageProblem(_ nodes: [[ShardNode]]) -> String? {
    var next = 0
    for node in nodes.joined().sorted() {
      guard rules.schedule.tree.contains(node), node.shards.lowerBound == next else {
        return "not every shard has exactly one worker"
      }
      next = node.shards.upperBound
    }
    return next == rules.schedule.tree.shards ? nil : "not every shard has a worker"
  }

  /// The line of a server, or nil.
  public func server(_ member: Member) -> Server? { servers.first { $0.member == member } }

  /// The line of a worker, or nil.
  public func worker(_ member: Member) -> Worker? { workers.first { $0.member == member } }

  /// Whether a message is of this view and of a process that has a place in it.
  func admits(_ envelope: Envelope) -> Bool {
    statement.fields.number == envelope.view && statement.incarnation(of: envelope.sender) == envelope.incarnation
  }

  /// The incarnation that fills a place in this view, or nil.
  public func incarnation(of member: Member) -> Incarnation? { statement.incarnation(of: member) }
}
