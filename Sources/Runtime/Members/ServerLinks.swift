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

  /// Connects to the servers of a view but to the member itself, and lets go of those that are in it no more: their
  /// connections would be tried for ever.
  mutating func adopt(
    _ view: View, besides own: Member, connect: (Address, _ name: String) throws(ConvoyError) -> Peer,
    letGo: (Peer) -> Void
  ) throws(ConvoyError) {
    for (member, link) in links where !view.servers.contains(where: { Self.isSame(link, $0) && $0.member == member }) {
      links[member] = nil
      members[link.peer] = nil
      letGo(link.peer)
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
    }
  }

  private static func isSame(_ link: Link, _ server: View.Server) -> Bool {
    link.incarnation == server.incarnation && link.address == server.address
  }

  /// The way to a server, or nil.
  func peer(of member: Member) -> Peer? { links[member]?.peer }

  /// The server at the other end, or nil.
  func member(of peer: Peer) -> Member? { members[peer] }
}
