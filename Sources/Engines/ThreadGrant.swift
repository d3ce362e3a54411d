/// How many threads an engine may compute on.
public struct ThreadGrant: Hashable, Sendable {
  /// As many as were wanted, or fewer.
  public let count: Int
  /// Why it is fewer, and what to do; empty where it is not.
  public let reason: String

  /// A grant as stated.
  public init(count: Int, reason: String = "") {
    self.count = count
    self.reason = reason
  }
}

extension Engine {
  /// Refuses to compute on more threads than the environment grants.
  public func requireThreads(_ wanted: Int) throws(EngineError) {
    let grant = try grantedThreads(of: wanted)
    guard grant.count < wanted else { return }
    throw .environment("\(wanted) threads are to compute, and \(grant.count) may: \(grant.reason)")
  }
}
