/// The routing ids of a ROUTER's peers and the numbers that a hub gave them.
///
/// Bounded: a peer that has not spoken for longest is forgotten, and is a new one when it speaks again.
struct RouteTable {
  private var peers: [[UInt8]: Peer] = [:]
  private var routings: [Peer: [UInt8]] = [:]
  private var order: [Peer] = []

  /// Most peers that are remembered.
  static let maximumPeers = 65_536

  /// The number of a routing id; a new one where it is not known.
  mutating func peer(for routing: [UInt8], new: () -> Peer) -> Peer {
    if let known = peers[routing] { return known }
    if routings.count >= Self.maximumPeers { forgetOldest() }
    let peer = new()
    peers[routing] = peer
    routings[peer] = routing
    order.append(peer)
    return peer
  }

  /// The routing id of a peer, or nil.
  func routing(of peer: Peer) -> [UInt8]? { routings[peer] }

  /// Forgets a peer that is gone.
  mutating func forget(_ peer: Peer) {
    guard let routing = routings.removeValue(forKey: peer) else { return }
    peers[routing] = nil
  }

  private mutating func forgetOldest() {
    var index = 0
    while index < order.count, routings[order[index]] == nil { index += 1 }
    if index < order.count { forget(order[index]) }
    order.removeFirst(min(index + 1, order.count))
  }
}
