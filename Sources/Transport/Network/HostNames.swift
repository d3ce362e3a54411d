import Glibc

extension Address {
  /// The address with its host as a number: names are looked up, as `/etc/hosts` and DNS have them, and the first
  /// number is taken. Numbers, `*` (every interface) and other kinds of addresses are returned as they are.
  ///
  /// Asks the network for names that this machine does not know, and waits for the answer: seconds, at worst.
  /// Throws `TransportError.unresolvable` where there is none.
  public func resolved() throws(TransportError) -> Address {
    guard case .tcp(let host, let port) = self, host != "*", !Self.isNumber(host) else { return self }
    // Always the one that everything listens on.
    if host == "localhost" { return .tcp(host: "127.0.0.1", port: port) }
    return .tcp(host: try HostNames.numbers(of: host)[0], port: port)
  }

  /// Whether a host is a number of IPv4 or IPv6 already.
  package static func isNumber(_ host: String) -> Bool {
    var number = in6_addr()
    return inet_pton(AF_INET, host, &number) == 1 || inet_pton(AF_INET6, host, &number) == 1
  }
}

/// Looks up hosts by name.
enum HostNames {
  /// The numbers of a host, the preferred one first; at least one.
  static func numbers(of host: String) throws(TransportError) -> [String] {
    var hints = addrinfo()
    hints.ai_family = AF_UNSPEC
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    let code = getaddrinfo(host, nil, &hints, &list)
    guard code == 0 else {
      throw .unresolvable(host: host, String(cString: gai_strerror(code)), isTemporary: code == EAI_AGAIN)
    }
    defer { freeaddrinfo(list) }
    var numbers: [String] = []
    var entry = list
    while let current = entry {
      if let number = text(of: current.pointee.ai_addr), !numbers.contains(number) { numbers.append(number) }
      entry = current.pointee.ai_next
    }
    guard !numbers.isEmpty else { throw .unresolvable(host: host, "it has no address", isTemporary: false) }
    return numbers
  }

  /// A socket address of IPv4 or IPv6 as a number; nil for another kind.
  static func text(of address: UnsafePointer<sockaddr>?) -> String? {
    guard let address else { return nil }
    let isIPv6 = address.pointee.sa_family == sa_family_t(AF_INET6)
    guard isIPv6 || address.pointee.sa_family == sa_family_t(AF_INET) else { return nil }
    let length = isIPv6 ? MemoryLayout<sockaddr_in6>.size : MemoryLayout<sockaddr_in>.size
    var buffer = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    let code = getnameinfo(
      address, socklen_t(length), &buffer, socklen_t(buffer.count), nil, 0, Int32(NI_NUMERICHOST))
    guard code == 0 else { return nil }
    return String(decoding: buffer.prefix(while: { $0 != 0 }).map(UInt8.init(bitPattern:)), as: UTF8.self)
  }
}
