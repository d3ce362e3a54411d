package import ParameterServer
import Tensors
package import Transport

/// By which addresses a process of a job may be reached, and whom it lets in there.
package struct NetworkAccess: Sendable {
  /// The process's keys; nil where it has none of its own: then the job's token is its key, and it stays on this machine.
  package var security: TransportSecurity?
  /// Whether the job's token is key enough on other addresses than the loopback interface's too.
  package var isInsecure: Bool
  /// The interface to listen on, by name or number; nil for the one that leads to the coordinator.
  package var interface: String?

  /// Access as stated: without anything, to this machine alone.
  package init(security: TransportSecurity? = nil, isInsecure: Bool = false, interface: String? = nil) {
    self.security = security
    self.isInsecure = isInsecure
    self.interface = interface
  }

  /// ZeroMQ for a job whose coordinator is at an address: over tcp with the process's keys, or with the one that
  /// follows from the job's token. Has I/O threads of its own, and with keys one more. Throws where the system has no room.
  func makeTransport(towards coordinator: Address, _ token: JobToken) throws(ConvoyError) -> ZeroMQTransport {
    guard coordinator.isTCP else { return ZeroMQTransport() }
    do throws(TransportError) {
      if let security { return try ZeroMQTransport(security: security) }
      return try ZeroMQTransport(security: token.sharedSecurity())
    } catch {
      throw ConvoyError(.failed, error.description)
    }
  }

  /// Refuses (exit code 77) an address that other machines reach, where there are no keys of its own. Looks up names, which may take
  /// seconds.
  func requireAllowed(_ address: Address) throws(ConvoyError) {
    do throws(TransportError) {
      if security != nil || isInsecure { return }
      try TransportPolicy.requireAllowed(address.resolved(), security: security, insecure: isInsecure)
    } catch { throw ConvoyError(error) }
  }

  /// Where a process listens for members that reach it as it reaches the coordinator: any free port there.
  ///
  /// - Precondition: the coordinator's address is a host and a port.
  func listeningAddress(towards coordinator: Address) throws(ConvoyError) -> Address {
    do throws(TransportError) {
      return try Interfaces.listeningAddress(towards: coordinator, interface: interface)
    } catch { throw ConvoyError(error) }
  }

  /// A coordinator's address as it was stated, on the interface that was stated.
  func coordinatorAddress(_ listen: Address) throws(ConvoyError) -> Address {
    guard let interface, case .tcp(_, let port) = listen else { return listen }
    do throws(TransportError) {
      return .tcp(host: try Interfaces.host(of: interface, towards: listen), port: port)
    } catch { throw ConvoyError(error) }
  }
}

extension ConvoyError {
  /// What a person is told of an address or a key that cannot be used, with its exit code.
  init(_ error: TransportError) {
    let code: ExitCode =
      switch error {
      case .needsKeys: .refused
      case .unresolvable(_, _, isTemporary: true): .tryAgain
      case .malformedAddress: .usage
      case .system: .failed
      default: .configuration
      }
    self.init(code, error.description)
  }
}

extension ConnectionRefusals {
  /// What a transport counted.
  init(_ counts: RefusedConnections) {
    self.init()
    unknownKey = UInt64(counts.unknownKey)
    otherMechanism = UInt64(counts.otherMechanism)
    wrongListenerKey = UInt64(counts.wrongListenerKey)
    // Messages between members know no reason of its own for those that sent without end.
    unproven = UInt64(counts.unproven + counts.excessive)
  }
}

extension JobToken {
  /// The security of whoever holds the token and no key of its own: the key is a digest of the token, which nobody finds
  /// from it.
  package func sharedSecurity() throws(TransportError) -> TransportSecurity {
    let label = Array("convoy: the key of all who hold this job's token, 1".utf8)
    return try TransportSecurity(sharedSecret: SHA256.digest(of: label + bytes).bytes)
  }
}
