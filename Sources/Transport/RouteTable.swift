/// The routing ids of a ROUTER's peers, the numbers that a hub gave them, and who they proved to be.
///
/// Bounded: past the most peers, one that has been silent is forgotten for each new one, so that a stranger who
/// connects again and again does not push out those who work. Who is forgotten is a new peer when it speaks again.
package struct RouteTable {
  private struct Route {
    let peer: Peer
    let name: String?
    let identity: PeerIdentity?
    let meter: ConnectionMeter?
    var hasSpoken: Bool
    /// What has come of a message so far, where messages come in pieces.
    var incoming = IncomingMessage()
  }

  private let maximumPeers: Int
  private var routes: [[UInt8]: Route] = [:]
  private var routings: [Peer: [UInt8]] = [:]
  /// A clock of second chances: who spoke since the hand came by last is passed over once.
  private var clock: [Peer] = []
  private var hand = 0

  /// A table that remembers at most so many peers.
  package init(maximumPeers: Int = 16_384) {
    precondition(maximumPeers > 0, "a table of \(maximumPeers) peers")
    self.maximumPeers = maximumPeers
  }

  /// Number of peers that are remembered.
  package var count: Int { routings.count }

  /// The number of a routing id that has spoken; a new one where it is not known, or was another's before: a peer may
  /// choose its routing id, but not its name.
  ///
  /// - Parameter name: who the peer proved to be, or nil.
  package mutating func peer(for routing: [UInt8], name: String? = nil, new: () -> Peer) -> Peer {
    peer(for: routing, name: name, meter: nil, new: new)
  }

  /// The same, of a peer whose connection has a meter: it is forgotten once the connection is over.
  mutating func peer(
    for routing: [UInt8], name: String?, meter: @autoclosure () -> ConnectionMeter?, new: () -> Peer
  ) -> Peer {
    if let index = routes.index(forKey: routing) {
      if routes.values[index].name == name {
        routes.values[index].hasSpoken = true
        return routes.values[index].peer
      }
      forget(routes.values[index].peer)
    }
    forgetOver()
    let peer = new()
    makeRoom(for: peer)
    routes[routing] = Route(
      peer: peer, name: name, identity: name.flatMap { PeerIdentity(name: $0) }, meter: meter(), hasSpoken: false)
    routings[peer] = routing
    return peer
  }

  /// Takes a piece of a message from a routing id that is known.
  mutating func take(_ piece: UnsafeRawBufferPointer, from routing: [UInt8], _ limits: HubLimits)
    -> IncomingMessage.Outcome
  {
    guard let index = routes.index(forKey: routing) else { return .waiting }
    routes.values[index].meter?.count(piece.count)
    return routes.values[index].incoming.take(piece, limits)
  }

  /// Forgets those whose connections are over, and what had come of their messages.
  mutating func forgetOver() {
    for peer in routes.values.filter({ $0.meter?.isOver == true }).map(\.peer) { forget(peer) }
  }

  /// The routing id of a peer, or nil.
  package func routing(of peer: Peer) -> [UInt8]? { routings[peer] }

  /// Who a peer proved to be, or nil.
  package func identity(of peer: Peer) -> PeerIdentity? {
    routings[peer].flatMap { routes[$0]?.identity }
  }

  /// Forgets a peer that is gone.
  package mutating func forget(_ peer: Peer) {
    guard let routing = routings.removeValue(forKey: peer) else { return }
    routes[routing] = nil
  }

  /// Finds a place in the clock: a new one, or that of who is gone or silent.
  private mutating func makeRoom(for peer: Peer) {
    guard clock.count >= maximumPeers else {
      clock.append(peer)
      return
    }
    if let free = clock.firstIndex(where: { routings[$0] == nil }) {
      clock[free] = peer
      return
    }
    while true {
      let candidate = clock[hand]
      if let routing = routings[candidate], routes[routing]?.hasSpoken == true {
        routes[routing]?.hasSpoken = false
        hand = (hand + 1) % clock.count
        continue
      }
      forget(candidate)
      clock[hand] = peer
      hand = (hand + 1) % clock.count
      return
    }
  }
}
