/// Why bytes cannot travel.
public enum TransportError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The text is no address; it says what was expected.
  case malformedAddress(String)
  /// Somebody else listens there.
  case addressInUse(Address)
  /// Nothing can listen there, or nothing can be reached.
  case unusableAddress(Address, String)
  /// Other machines reach it, and the process has no keys.
  case needsKeys(Address)
  /// It is a host and a port, and the transport has no keys at all.
  case unprotected(Address)
  /// There is no key of this name, and those that there are.
  case unknownName(String, known: String)
  /// No address is known for a host: why, and whether that may change by itself.
  case unresolvable(host: String, String, isTemporary: Bool)
  /// No such interface or address of this machine is there; those that there are.
  case unknownInterface(String, known: String)
  /// The library or the system failed: what was done, and what it said.
  case system(String, String)

  /// One line for a person.
  public var description: String {
    switch self {
    case .malformedAddress(let text): text
    case .addressInUse(let address):
      "\(address) is in use: another process listens there; stop it or choose another address (port 0 takes a free one)"
    case .unusableAddress(let address, let problem): "\(address) cannot be used: \(problem)"
    case .needsKeys(let address):
      "\(address) is no loopback address, and without keys whoever learns the job's token there could pose as any member: make keys with convoy keys, or pass --insecure where the token is safe"
    case .unprotected(let address): "\(address) cannot be used: over tcp both sides need keys"
    case .unknownName(let name, let known):
      "there is no key of \(name); the keys are of \(known)"
    case .unresolvable(let host, let problem, let isTemporary):
      "the host \(host) cannot be found: \(problem); \(isTemporary ? "try again" : "check its spelling, /etc/hosts and DNS")"
    case .unknownInterface(let text, let known):
      "\(text) is no interface or address of this machine that is up; it has \(known)"
    case .system(let action, let problem): "\(action): \(problem)"
    }
  }
}
