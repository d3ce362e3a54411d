import Glibc

/// A network interface of this machine that is up.
public struct NetworkInterface: Hashable, Sendable, CustomStringConvertible {
  /// Its name, as in `eth0`.
  public let name: String
  /// Its numbers: IPv4 and IPv6, without those of IPv6 that are good on one link only.
  public internal(set) var hosts: [String]

  /// Name and numbers.
  public var description: String { ([name] + hosts).joined(separator: " ") }
}

/// The interfaces of this machine, and which of them leads where.
public enum Interfaces {
  /// The interfaces that are up and have an address, in the system's order.
  public static func all() throws(TransportError) -> [NetworkInterface] {
    var list: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&list) == 0 else { throw .system("list the network interfaces", String(cString: strerror(errno))) }
    defer { freeifaddrs(list) }
    var interfaces: [NetworkInterface] = []
    var entry = list
    while let current = entry?.pointee {
      entry = current.ifa_next
      guard current.ifa_flags & UInt32(IFF_UP) != 0, let host = HostNames.text(of: current.ifa_addr),
        !host.contains("%")
      else { continue }
      let name = String(cString: current.ifa_name)
      if let index = interfaces.firstIndex(where: { $0.name == name }) {
        interfaces[index].hosts.append(host)
      } else {
        interfaces.append(NetworkInterface(name: name, hosts: [host]))
      }
    }
    return interfaces
  }

  /// What there is, for messages.
  static var summary: String {
    let interfaces = (try? all()) ?? []
    return interfaces.isEmpty ? "no interface that is up" : interfaces.map(\.description).joined(separator: ", ")
  }

  /// The number of this machine by which it reaches an address, as the system routes. No byte is sent. Looks up names,
  /// as `Address.resolved()` does.
  ///
  /// - Precondition: the address is a host and a port.
  public static func localHost(towards address: Address) throws(TransportError) -> String {
    guard case .tcp(let host, let port) = try address.resolved() else {
      preconditionFailure("\(address) is reached over no interface")
    }
    var hints = addrinfo()
    hints.ai_flags = AI_NUMERICHOST
    hints.ai_socktype = Int32(SOCK_DGRAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    // Any port will do, but 0.
    guard getaddrinfo(host, String(max(port, 1)), &hints, &list) == 0, let target = list?.pointee else {
      throw .unusableAddress(address, "\(host) is no number of a host")
    }
    defer { freeaddrinfo(list) }
    let descriptor = socket(target.ai_family, target.ai_socktype | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw .system("open a socket", String(cString: strerror(errno))) }
    defer { close(descriptor) }
    guard connect(descriptor, target.ai_addr, target.ai_addrlen) == 0 else {
      throw .unusableAddress(address, "\(String(cString: strerror(errno))); this machine has \(summary)")
    }
    var own = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let text = withUnsafeMutablePointer(to: &own) { own in
      own.withMemoryRebound(to: sockaddr.self, capacity: 1) { own in
        getsockname(descriptor, own, &length) == 0 ? HostNames.text(of: own) : nil
      }
    }
    guard let text else { throw .system("read a socket's own address", String(cString: strerror(errno))) }
    return text
  }

  /// The number of an interface, stated by its name or by one of its numbers.
  ///
  /// - Parameter address: what is to be reached from there: of an interface with several numbers the first of the same
  ///   family is taken.
  public static func host(of text: String, towards address: Address) throws(TransportError) -> String {
    let interfaces = try all()
    if interfaces.contains(where: { $0.hosts.contains(text) }) { return text }
    guard let interface = interfaces.first(where: { $0.name == text }) else {
      throw .unknownInterface(text, known: summary)
    }
    let isIPv6 = try address.resolved().isIPv6
    guard let host = interface.hosts.first(where: { $0.contains(":") == isIPv6 }) else {
      throw .unusableAddress(
        address, "the interface \(interface) has no address of \(isIPv6 ? "IPv6" : "IPv4") to reach it from")
    }
    return host
  }

  /// The address to tell others in place of one that is bound on every interface; another address as it is.
  ///
  /// - Parameter asker: who is told: the interface is that which leads there. Where nobody is stated it is the one that
  ///   leads to machines elsewhere, as the system routes; without such a route the first that other machines reach; the
  ///   loopback of a machine that has no other.
  public static func advertised(_ bound: Address, towards asker: Address? = nil) throws(TransportError) -> Address {
    guard bound.isEveryInterface, case .tcp(let every, let port) = bound else { return bound }
    if let asker { return .tcp(host: try localHost(towards: asker), port: port) }
    // A number of no machine (RFC 5737): only its route is asked for.
    if let host = try? localHost(towards: .tcp(host: "192.0.2.1", port: 9)) { return .tcp(host: host, port: port) }
    let hosts = try all().flatMap(\.hosts).filter { every == "::" || !$0.contains(":") }
    return .tcp(host: hosts.first { !Address.tcp(host: $0, port: port).isLoopback } ?? "127.0.0.1", port: port)
  }

  /// Where a process listens for those who take part in a job: any free port of the interface that leads to the
  /// coordinator, or of the one that is stated by name or number.
  ///
  /// - Precondition: the coordinator's address is a host and a port.
  public static func listeningAddress(
    towards coordinator: Address, interface: String? = nil
  ) throws(TransportError) -> Address {
    if let interface { return .tcp(host: try host(of: interface, towards: coordinator), port: 0) }
    return .tcp(host: try localHost(towards: coordinator), port: 0)
  }
}
