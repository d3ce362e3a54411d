import Foundation
package import ParameterServer
package import Transport

/// How a running job does, as its coordinator tells.
public struct JobStatus: Codable, Hashable, Sendable {
  /// A member of the job.
  public struct Member: Codable, Hashable, Sendable {
    /// The name that it was started with.
    public var name: String
    /// Its place: `worker.1`.
    public var place: String
    /// Whether it works, stands by, or reads the job and its data.
    public var state: String
    /// Steps that it has begun, or that a server has closed.
    public var steps: Int
    /// Shards that it has computed.
    public var shards: Int
    /// Messages that it refused.
    public var refused: Int
    /// Milliseconds since it was heard.
    public var silentMilliseconds: Int
    /// Chunks that a server serves; nil of a worker.
    public var chunks: Int?
    /// Chunks that a server keeps the replica of; nil of a worker.
    public var replicas: Int?

    enum CodingKeys: String, CodingKey {
      case name, place, state, steps, shards, refused, chunks, replicas
      case silentMilliseconds = "silent_ms"
    }
  }

  /// A member that does not hear a server.
  public struct Wait: Codable, Hashable, Sendable {
    /// The member's place.
    public var member: String
    /// The server's.
    public var server: String
    /// Where it listens.
    public var address: String
    /// For how long.
    public var milliseconds: Int
    /// What was asked for first.
    public var request: String

    /// One line for a person.
    public var text: String {
      "\(member) waits for \(server) at \(address) for \(milliseconds / 1000) s (\(request))"
    }
  }

  /// What the job does: waiting for members, placing, training, recovering, ending,
  /// evaluating.
  public var state: String
  /// When pushes are applied, now.
  public var mode: String
  /// Steps begun.
  public var step: Int
  /// Steps of the job.
  public var steps: Int
  /// The number of the view.
  public var view: Int
  /// How often the job has begun, anew or from a checkpoint.
  public var era: Int
  /// Messages refused by all members since each began, those who are gone too.
  public var refused: Int
  /// The same by reason, as `wrong_key`; reasons that did not occur are left out.
  public var refusals: [String: Int]
  /// Connections refused for want of a key that the job knows, by all who listen; nil in a job that goes by no tcp.
  public var refusedConnections: Int?
  /// The same by reason: `unknown_key`, `other_mechanism`, `wrong_listener_key`, `unproven`.
  public var connectionRefusals: [String: Int]?
  /// How late what was pushed has come so far; nil where nothing was applied one by one.
  public var staleness: StalenessSummary?
  /// Places that nobody fills.
  public var missing: [String]
  /// The members.
  public var members: [Member]
  /// Who does not hear a server, where that lasts; nil where all hear theirs.
  public var waits: [Wait]?

  enum CodingKeys: String, CodingKey {
    case state, mode, step, steps, view, era, refused, refusals, missing, members, staleness, waits
    case refusedConnections = "refused_connections"
    case connectionRefusals = "connection_refusals"
  }

  /// Takes in the connections that the coordinator's own transport refused; nil where the job goes by no tcp.
  package mutating func complete(with own: RefusedConnections?) {
    guard let own else {
      refusedConnections = nil
      connectionRefusals = nil
      return
    }
    // What others counted is a coordinator's word.
    func sum(_ first: Int, _ second: Int) -> Int {
      let (sum, overflow) = first.addingReportingOverflow(second)
      return overflow ? .max : sum
    }
    refusedConnections = sum(refusedConnections ?? 0, own.total)
    guard var counts = connectionRefusals else { return }
    for (name, count) in own.counts { counts[name] = sum(counts[name] ?? 0, count) }
    connectionRefusals = counts
  }

  /// Messages refused as a line for a person; nil where none was.
  public var refusalsText: String? {
    guard refused > 0 else { return nil }
    let parts = refusals.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
    return parts.map { "\($0.value) \($0.key.replacing("_", with: " "))" }.joined(separator: ", ")
  }

  /// Connections refused as a line for a person; nil in a job that goes by no tcp.
  public var connectionsText: String? {
    guard let refusedConnections, let counts = connectionRefusals else { return nil }
    let reasons = refusedConnections > 0 ? ": \(RefusedConnections(counts))" : ""
    return "\(refusedConnections) connections refused\(reasons)"
  }
}

/// Asks a coordinator how its job does, or for another consistency.
package struct StatusClient {
  private let address: Address
  private let token: JobToken
  private let transport: any Transport

  /// Milliseconds until the coordinator must have answered.
  package static let deadlineMilliseconds = 5000
  private static let repeatMilliseconds = 1000

  /// A client of the coordinator at an address.
  package init(address: Address, token: JobToken) throws(ConvoyError) {
    self.address = address
    self.token = token
    transport = try NetworkAccess().makeTransport(towards: address, token)
  }

  /// A client of a run's coordinator, or of the one at an address whose token this person has on this machine.
  ///
  /// - Parameter network: the folder of the job's keys, which holds the client's; in a run's folder its own is found.
  package init(
    _ place: String, tokenFile: String?, network: NetworkOptions = NetworkOptions()
  ) throws(ConvoyError) {
    let addressFile = "\(place)/\(RunFolder.addressName)"
    let isFolder = FileManager.default.fileExists(atPath: place)
    var text = place
    if isFolder {
      guard let written = try? String(contentsOfFile: addressFile, encoding: .utf8) else {
        let isOver = FileManager.default.fileExists(atPath: "\(place)/summary.json")
        throw ConvoyError(
          isOver ? .refused : .tryAgain,
          isOver
            ? "the job of \(place) is over: see \(place)/summary.json"
            : "no coordinator runs for \(place): there is no \(addressFile)")
      }
      text = written.trimmingCharacters(in: .whitespacesAndNewlines)
    }
    do throws(TransportError) { address = try Address(parsing: text) } catch {
      throw ConvoyError(.usage, "\(place) is neither a run folder nor an address: \(error.description)")
    }
    var network = network
    let ownKeys = "\(place)/\(RunFolder.keysName)"
    if network.keys == nil, isFolder, FileManager.default.fileExists(atPath: ownKeys) { network.keys = ownKeys }
    let keys = try network.keyFolder()
    let access = NetworkAccess(security: try keys?.security(for: "client"), isInsecure: network.isInsecure)
    try access.requireAllowed(address)
    if let keys {
      token = try keys.token()
      transport = try access.makeTransport(towards: address, token)
      return
    }
    let shared = TokenFile.findShared(for: address.description) ?? TokenFile.shared(for: address.description)
    let file = tokenFile ?? (isFolder ? "\(place)/token" : shared)
    if tokenFile == nil, !FileManager.default.fileExists(atPath: file) {
      throw ConvoyError(
        .tryAgain,
        "no coordinator at \(address) has left its token in \(file): none runs there, or name the token's file with --token-file"
      )
    }
    token = try TokenFile.read(file)
    transport = try access.makeTransport(towards: address, token)
  }

  /// Asks, and asks for a mode where one is given; returns the answer.
  package func ask(settingMode mode: Consistency? = nil) throws(ConvoyError) -> JobStatus {
    let post = try Post(transport)
    defer { post.close(lingerMilliseconds: 0) }
    let peer = try post.connect(to: address, expecting: Member.coordinator.description)
    let incarnation = Incarnation(UInt64.random(in: .min ... .max))
    let message: Message = mode.map { .setMode($0) } ?? .statusRequest
    let envelope = Envelope(
      token: token, view: .none, sender: Member(.client, 0), incarnation: incarnation, message: message)
    let start = MonotonicClock.now
    while true {
      let waited = Int(MonotonicClock.now.milliseconds(since: start))
      guard waited < Self.deadlineMilliseconds else {
        throw ConvoyError(
          .tryAgain,
          "the coordinator at \(address) does not answer within \(Self.deadlineMilliseconds / 1000) s: nobody is there, or it is being started again"
        )
      }
      try post.send(envelope, payload: nil, to: peer)
      let answer = try post.receive(timeoutMilliseconds: Self.repeatMilliseconds)
      if let state = post.state(of: peer), state.isOver {
        throw ConvoyError(
          .refused, "the coordinator at \(address) takes no connection: \(state.problem ?? "it says no more")")
      }
      guard case .message(let reply, _, _) = answer, reply.token == token else { continue }
      switch reply.message {
      case .status(let text):
        guard let status = try? JSONDecoder().decode(JobStatus.self, from: Data(text.utf8)) else {
          throw ConvoyError(.failed, "the coordinator at \(address) answers what this version cannot read")
        }
        return status
      case .refused(let refusal): throw ConvoyError(.refused, "the coordinator refused: \(refusal.explanation)")
      default: continue
      }
    }
  }
}
