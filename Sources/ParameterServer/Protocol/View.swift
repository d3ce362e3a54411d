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
    /// The chunks that it holds, in ascending order.
    public let chunks: [UInt32]

    /// A server's line of the view.
    public init(member: Member, incarnation: Incarnation, name: String, address: String, chunks: [UInt32]) {
      self.member = member
      self.incarnation = incarnation
      self.name = name
      self.address = address
      self.chunks = chunks
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
    /// The nodes of the shard tree that it computes in sync mode; none where it stands by.
    public let nodes: [ShardNode]

    /// A worker's line of the view.
    public init(member: Member, incarnation: Incarnation, name: String, nodes: [ShardNode]) {
      self.member = member
      self.incarnation = incarnation
      self.name = name
      self.nodes = nodes
    }
  }

  /// Its number.
  public let number: ViewNumber
  /// The job's rules.
  public let rules: JobRules
  /// The servers, by number.
  public let servers: [Server]
  /// The workers, by number.
  public let workers: [Worker]

  /// A view as stated; see `problem` for whether it holds together.
  public init(number: ViewNumber, rules: JobRules, servers: [Server], workers: [Worker]) {
    self.number = number
    self.rules = rules
    self.servers = servers
    self.workers = workers
  }

  /// The server that holds each chunk, by chunk, as an index into `servers`; nil where the view is not whole.
  public var serverOfChunk: [Int]? {
    var holder = [Int](repeating: -1, count: rules.chunks.count)
    for (index, server) in servers.enumerated() {
      for chunk in server.chunks {
        guard Int(chunk) < holder.count, holder[Int(chunk)] < 0 else { return nil }
        holder[Int(chunk)] = index
      }
    }
    return holder.contains(-1) ? nil : holder
  }

  /// What is wrong with the view, or nil: every chunk has one server, every shard one worker, every place one process.
  public var problem: String? {
    if number == .none { return "it has no number" }
    if serverOfChunk == nil { return "not every chunk has exactly one server" }
    for (index, server) in servers.enumerated() where server.member != Member(.server, UInt32(index)) {
      return "\(server.member) stands in the place of server.\(index)"
    }
    for (index, worker) in workers.enumerated() where worker.member != Member(.worker, UInt32(index)) {
      return "\(worker.member) stands in the place of worker.\(index)"
    }
    guard rules.consistency == .sync else { return workers.isEmpty ? "it has no worker" : nil }
    let nodes = workers.flatMap(\.nodes).sorted()
    var next = 0
    for node in nodes {
      guard rules.schedule.tree.contains(node), node.shards.lowerBound == next else {
        return "not every shard has exactly one worker"
      }
      next = node.shards.upperBound
    }
    return next == rules.schedule.tree.shards ? nil : "not every shard has a worker"
  }

  /// The incarnation that fills a place in this view, or nil.
  public func incarnation(of member: Member) -> Incarnation? {
    let number = Int(member.number)
    switch member.role {
    case .coordinator: return nil
    case .server: return number < servers.count ? servers[number].incarnation : nil
    case .worker: return number < workers.count ? workers[number].incarnation : nil
    }
  }

  /// The first view of a job, or a later one of the same members: placement and shards follow from their numbers.
  public static func assigning(
    number: ViewNumber, rules: JobRules, servers: [(incarnation: Incarnation, name: String, address: String)],
    workers: [(incarnation: Incarnation, name: String)]
  ) -> View {
    let bytes = (0..<rules.chunks.count).map(rules.chunks.bytes(of:))
    let placed = Placement.servers(ofChunks: bytes, servers: servers.count)
    let tree = rules.schedule.tree
    return View(
      number: number, rules: rules,
      servers: servers.indices.map { index in
        let chunks = placed.indices.filter { placed[$0] == index }.map(UInt32.init)
        return Server(
          member: Member(.server, UInt32(index)), incarnation: servers[index].incarnation, name: servers[index].name,
          address: servers[index].address, chunks: chunks)
      },
      workers: workers.indices.map { index in
        let shards = tree.shards(ofWorker: index, of: workers.count)
        let nodes = rules.consistency == .sync ? tree.nodes(covering: shards) : []
        return Worker(
          member: Member(.worker, UInt32(index)), incarnation: workers[index].incarnation, name: workers[index].name,
          nodes: nodes)
      })
  }
}
