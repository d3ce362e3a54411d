import ParameterServer
import Transport

/// How a process of a job may be reached from other machines, as its command line says.
public struct NetworkOptions: Hashable, Sendable {
  /// The folder of the job's keys, with the key of this process; nil for a job whose token is its only key.
  public var keys: String?
  /// Whether the token is key enough on addresses other than the loopback interface's.
  public var isInsecure: Bool
  /// The interface to listen on, by name or number; nil for the one that leads to the coordinator.
  public var interface: String?

  /// Options as stated: this machine alone where nothing is.
  public init(keys: String? = nil, isInsecure: Bool = false, interface: String? = nil) {
    self.keys = keys
    self.isInsecure = isInsecure
    self.interface = interface
  }

  /// The opened folder of keys; nil where there is none. Throws where others may read or change it.
  func keyFolder() throws(ConvoyError) -> KeyFolder? {
    guard let keys else { return nil }
    return try KeyFolder(path: keys)
  }

  /// Whether a coordinator that listens at an address needs keys. Looks up names, which may take seconds.
  package func needsKeys(at address: String) throws(ConvoyError) -> Bool {
    do throws(TransportError) {
      return try !Address(parsing: address).resolved().isLoopback && !isInsecure
    } catch { throw ConvoyError(error) }
  }

  /// Whether an address is that of every interface, of which one may be stated beside it.
  package static func isEveryInterface(_ text: String) -> Bool {
    (try? Address(parsing: text))?.isEveryInterface ?? false
  }

  /// A coordinator's address as it was stated, on the interface that was stated.
  package func listenAddress(_ text: String) throws(ConvoyError) -> String {
    let address: Address
    do throws(TransportError) { address = try Address(parsing: text) } catch { throw ConvoyError(error) }
    return try NetworkAccess(interface: interface).coordinatorAddress(address).description
  }

  /// This machine's address on an interface, with any free port, for a coordinator whose members are elsewhere.
  package static func address(on interface: String) throws(ConvoyError) -> String {
    do throws(TransportError) {
      let target = Address.tcp(host: interface.contains(":") ? "::1" : "127.0.0.1", port: 0)
      return Address.tcp(host: try Interfaces.host(of: interface, towards: target), port: 0).description
    } catch { throw ConvoyError(error) }
  }
}

extension MemberOptions {
  /// What the process takes part with: its name, the job's token, and its keys where there are any.
  func credentials(
    _ role: PeerRole, token: () throws(ConvoyError) -> JobToken
  ) throws(ConvoyError) -> (name: String, token: JobToken, access: NetworkAccess) {
    var access = NetworkAccess(isInsecure: network.isInsecure, interface: network.interface)
    if let secrets {
      let name = name ?? ""
      access.security = try secrets.security(for: name)
      return (name, secrets.token, access)
    }
    guard let folder = try network.keyFolder() else { return (name ?? "", try token(), access) }
    let name = if let name { name } else { try folder.onlyName(of: role) }
    let security = try folder.security(for: name)
    guard security.identity?.role == role else {
      throw ConvoyError(
        .configuration, "\(name) is no name of a \(role.rawValue): its key would be refused; see --name")
    }
    access.security = security
    return (name, try folder.token(), access)
  }
}
