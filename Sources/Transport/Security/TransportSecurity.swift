/// What the owner of a key may be in a job.
public enum PeerRole: String, Hashable, Sendable, CaseIterable {
  /// Keeps the membership and the view.
  case coordinator
  /// Holds parameters.
  case server
  /// Computes gradients.
  case worker
  /// Asks how a job is, and takes no part in it.
  case client
}

/// Who the owner of a key is: a role, and the name of the place that it fills.
public struct PeerIdentity: Hashable, Sendable, CustomStringConvertible {
  /// What it may be.
  public let role: PeerRole
  /// `coordinator`, `client`, or a role with a number: `server.0`, `worker.12`.
  public let name: String
  /// The number among those of its role; nil for a coordinator and a client, of which there is one.
  public let number: UInt32?

  /// The identity of a name, or nil where the text is no such name.
  public init?(name: String) {
    let parts = name.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    guard let role = parts.first.flatMap({ PeerRole(rawValue: String($0)) }) else { return nil }
    switch role {
    case .coordinator, .client:
      guard parts.count == 1 else { return nil }
      number = nil
    case .server, .worker:
      // Written one way only: no sign, no leading zero.
      guard parts.count == 2, let number = UInt32(parts[1]), String(number) == parts[1] else { return nil }
      self.number = number
    }
    self.role = role
    self.name = name
  }

  /// The name.
  public var description: String { name }
}

/// The public keys of a job's processes, and whose they are. Holds no secret.
public struct AllowList: Hashable, Sendable {
  private let identities: [CurvePublicKey: PeerIdentity]
  private let keys: [String: CurvePublicKey]

  /// A list of names and their keys, or nil where a name or a key is there twice.
  public init?(_ entries: [(identity: PeerIdentity, key: CurvePublicKey)]) {
    var identities: [CurvePublicKey: PeerIdentity] = [:]
    var keys: [String: CurvePublicKey] = [:]
    for (identity, key) in entries {
      guard identities.updateValue(identity, forKey: key) == nil, keys.updateValue(key, forKey: identity.name) == nil
      else { return nil }
    }
    self.identities = identities
    self.keys = keys
  }

  /// Whose a key is; nil where it is nobody's of this job.
  public func identity(of key: CurvePublicKey) -> PeerIdentity? { identities[key] }

  /// The key of a name, or nil.
  public func key(of name: String) -> CurvePublicKey? { keys[name] }

  /// All names, ordered by role and number.
  public var names: [String] {
    let ranks = Dictionary(uniqueKeysWithValues: PeerRole.allCases.enumerated().map { ($1, $0) })
    return identities.values
      .sorted { (ranks[$0.role]!, $0.number ?? 0) < (ranks[$1.role]!, $1.number ?? 0) }
      .map(\.name)
  }

  /// The names in one line for a person: `coordinator, server.0, worker.0 to worker.3, client`.
  public var summary: String {
    var runs: [(first: PeerIdentity, last: PeerIdentity)] = []
    for identity in names.compactMap({ PeerIdentity(name: $0) }) {
      if let last = runs.last?.last, last.role == identity.role, let number = last.number,
        identity.number == number + 1
      {
        runs[runs.count - 1].last = identity
      } else {
        runs.append((identity, identity))
      }
    }
    return runs.map { $0.first == $0.last ? $0.first.name : "\($0.first) to \($0.last)" }.joined(separator: ", ")
  }
}

/// What a process needs to prove who it is and to let in only those whom it knows: a key of its own and a list of
/// everybody's, or one key that follows from a secret of the job's, which all who hold the secret share.
///
/// A process that takes the place of another of the same name uses the same key. Only connections over tcp are
/// protected by it, and all of those are: ipc is by the modes of its folders and files, and inproc stays within the
/// process.
public struct TransportSecurity: Sendable {
  /// This process's own name and role; nil where one key is everybody's.
  public let identity: PeerIdentity?
  /// The processes that may connect, and the keys that listeners prove to have; nil where one key is everybody's.
  public let allowed: AllowList?
  /// This process's own key.
  package let keys: CurveKeyPair

  /// Security of the process of a name, or nil where the list does not give this key to that name.
  public init?(name: String, keys: CurveKeyPair, allowed: AllowList) {
    guard let identity = allowed.identity(of: keys.publicKey), identity.name == name else { return nil }
    self.identity = identity
    self.keys = keys
    self.allowed = allowed
  }

  /// Security of whoever holds a secret of the job's, 32 bytes: it lets in its other holders, and speaks to nobody else.
  /// Which of them a holder is, nothing proves. Fails where libzmq was built without CURVE.
  public init(sharedSecret: [UInt8]) throws(TransportError) {
    identity = nil
    allowed = nil
    keys = try CurveKeyPair(sharedSecret: sharedSecret)
  }

  /// What the ZAP handler calls the owner of a key; nil for one who is not let in.
  func userID(of key: CurvePublicKey) -> String? {
    if let allowed { return allowed.identity(of: key)?.name }
    return key == keys.publicKey ? "holder" : nil
  }

  /// The key that the listener of a name must have, and who that is; nobody where one key is everybody's.
  func listener(
    _ name: String?, at address: Address
  ) throws(TransportError) -> (key: CurvePublicKey, identity: PeerIdentity?) {
    guard let allowed else { return (keys.publicKey, nil) }
    guard let name else { throw .unusableAddress(address, "whose key its listener must have was not stated") }
    guard let key = allowed.key(of: name), let identity = allowed.identity(of: key) else {
      throw .unknownName(name, known: allowed.summary)
    }
    return (key, identity)
  }
}

/// The one rule of which addresses may be used.
public enum TransportPolicy {
  /// Refuses an address that other machines reach, unless the process has a key of its own or is told that the job's
  /// secret suffices.
  ///
  /// A name other than `localhost` is taken for another machine's: state what it resolves to, with
  /// `Address.resolved()`, to have that judged.
  ///
  /// - Parameters:
  ///   - security: the process's keys, or nil where it has none of its own.
  ///   - insecure: whether the person lets everybody in who holds the job's secret, wherever they are.
  public static func requireAllowed(
    _ address: Address, security: TransportSecurity?, insecure: Bool
  ) throws(TransportError) {
    guard security == nil, !insecure, !address.isLoopback else { return }
    throw .needsKeys(address)
  }
}
