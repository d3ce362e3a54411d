import ParameterServer
import Transport

/// A member's ways to the servers of its view. A way is kept across views as long as the same life of a server is at the
/// same address.
struct ServerLinks {
  private struct Link {
    let incarnation: Incarnation
    let address: String
    let peer: Peer
  }

  private var links: [Member: Link] = [:]
  private var members: [Peer: Member] = [:]
  /// Ways to lives that are over: what still comes by them is dropped.
  private var retired: Set<Peer> = []

  /// Connects to the servers of a view but to the member itself.
  mutating func adopt(
    _ view: View, besides own: Member, connect: (Address, _ name: String) throws(ConvoyError) -> Peer
  ) throws(ConvoyError) {
    for (member, link) in links where !view.servers.contains(where: { Self.isSame(link, $0) && $0.member == member }) {
      links[member] = nil
      members[link.peer] = nil
      retired.insert(link.peer)
    }
    for server in view.servers where server.member != own && links[server.member] == nil {
      let address: Address
      do throws(TransportError) {
        address = try Address(parsing: server.address)
      } catch {
        throw ConvoyError(.failed, "\(server.member) states an address that cannot be used: \(error.description)")
      }
      let peer = try connect(address, server.member.description)
      links[server.member] = Link(incarnation: server.incarnation, address: server.address, peer: peer)
      members[peer] = server.member
      retired.remove(peer)
    }
  }

  private static func isSame(_ link: Link, _ server: View.Server) -> Bool {
    link.incarnation == server.incarnation && link.address == server.address
  }

  /// The way to a server, or nil.
  func peer(of member: Member) -> Peer? { links[member]?.peer }

  /// The server at the other end, or nil.
  func member(of peer: Peer) -> Member? { members[peer] }

  /// Whether the way led to a life that is over.
  func isRetired(_ peer: Peer) -> Bool { retired.contains(peer) }
}
