import Foundation
import Logging
import ParameterServer
package import Transport

/// Where the coordinator listens, and who was not let in.
extension CoordinatorRole {
  /// Opens the address that members reach; returns the one to tell them, with its port.
  package func listen(on address: Address) throws(ConvoyError) -> Address {
    try access.requireAllowed(address)
    let bound: Address
    isGuarded = address.isTCP
    let listening = try post.listen(on: address)
    do throws(TransportError) { bound = try Interfaces.advertised(listening) } catch { throw ConvoyError(error) }
    let keys = access.security.map { ", with keys of \($0.allowed?.summary ?? "all")" } ?? ""
    logger.info("listens on \(bound) for \(prepared.job.servers) servers and \(prepared.job.workers) workers\(keys)")
    if access.security == nil, access.isInsecure, !address.isLoopback {
      logger.warning("\(bound) is open to everybody who has the job's token, as any member: --insecure")
    }
    if let problem = prepared.job.precisionProblem { logger.warning("\(problem)") }
    folder.note(address: bound.description)
    report(.listening(address: bound.description))
    return bound
  }

  /// Tells of connections that were refused since it did so last.
  ///
  /// - Parameter isLast: whether it is told now or never.
  func tellRefusedConnections(isLast: Bool = false) {
    let refused = transport.refusedConnections
    guard refused != refusedConnections else { return }
    let last = refused.lastUnknown.map { "; the last of an unknown key came from \($0)" } ?? ""
    let text = "connections refused so far: \(refused)\(last)"
    // What a line leaves out the next one counts too.
    guard isLast || connectionLog.line(text, at: MonotonicClock.seconds) != nil else { return }
    refusedConnections = refused
    logger.warning("\(text)")
  }

  /// A message as it leaves: how the job does is known to the machine, who was not let in to the transport.
  func completed(_ envelope: Envelope) -> Envelope {
    guard case .status(let text) = envelope.message,
      var status = try? JSONDecoder().decode(JobStatus.self, from: Data(text.utf8))
    else { return envelope }
    status.complete(with: isGuarded ? transport.refusedConnections : nil)
    guard let data = try? JSONEncoder().encode(status) else { return envelope }
    return Envelope(
      token: envelope.token, view: envelope.view, sender: envelope.sender, incarnation: envelope.incarnation,
      message: .status(String(decoding: data, as: UTF8.self)))
  }
}
