import Glibc
package import Runtime

/// Which of this machine's addresses leads to another.
package enum Route {
  /// The local address of the interface by which a host is reached. Sends nothing: the kernel's table answers.
  ///
  /// - Parameter destination: the host as the person wrote it, for errors.
  package static func localAddress(toReach host: String, for destination: String) throws(ConvoyError) -> String {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_DGRAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    // The port is never used.
    let result = getaddrinfo(host, "9", &hints, &list)
    guard result == 0, let first = list else {
      throw ConvoyError(
        .configuration,
        "the host \(destination) is not known by the name \(host): \(String(cString: gai_strerror(result))); give its address, or state --listen"
      )
    }
    defer { freeaddrinfo(first) }
    // IPv4 first, whatever the resolver puts first: every member has it.
    for isWanted in [{ $0 == AF_INET }, { $0 != AF_INET }] as [(Int32) -> Bool] {
      var next: UnsafeMutablePointer<addrinfo>? = first
      while let candidate = next {
        let family = candidate.pointee.ai_family
        if isWanted(family), let address = localAddress(toReach: candidate.pointee) { return address }
        next = candidate.pointee.ai_next
      }
    }
    throw ConvoyError(.configuration, "no interface of this machine leads to \(destination): state --listen")
  }

  /// Whether a numeric address is one of the loopback interface.
  package static func isLoopback(_ address: String) -> Bool {
    address == "::1" || address.hasPrefix("127.")
  }

  private static func localAddress(toReach candidate: addrinfo) -> String? {
    let descriptor = socket(candidate.ai_family, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    guard connect(descriptor, candidate.ai_addr, candidate.ai_addrlen) == 0 else { return nil }
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    let isNamed = withUnsafeMutablePointer(to: &storage) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        getsockname(descriptor, address, &length) == 0
          && getnameinfo(address, length, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST) == 0
      }
    }
    guard isNamed else { return nil }
    return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }
}
