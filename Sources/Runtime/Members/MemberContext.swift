package import Logging
package import ParameterServer
package import Transport

/// What a server or a worker is started with.
package struct MemberContext: Sendable {
  /// Where its bytes travel.
  package let transport: any Transport
  /// The coordinator's address.
  package let coordinator: Address
  /// The name that it asks for; empty takes any.
  package let name: String
  /// The job's secret.
  package let token: JobToken
  /// This life of it.
  package let incarnation: Incarnation
  /// How long it waits.
  package let deadlines: Deadlines
  /// What stops it from outside.
  package let stop: StopRequest
  /// Where it logs.
  package let logger: Logger
  /// When its process, or its thread, began, in seconds of the monotonic clock.
  package let startedAt: Double

  /// A context with a fresh incarnation.
  package init(
    transport: any Transport, coordinator: Address, name: String, token: JobToken,
    deadlines: Deadlines = Deadlines(), stop: StopRequest, logger: Logger, startedAt: Double = MonotonicClock.seconds
  ) {
    self.transport = transport
    self.coordinator = coordinator
    self.name = name
    self.token = token
    incarnation = Incarnation(UInt64.random(in: .min ... .max))
    self.deadlines = deadlines
    self.stop = stop
    self.logger = logger
    self.startedAt = startedAt
  }

  /// The same member as another life.
  func renewed() -> MemberContext {
    MemberContext(
      transport: transport, coordinator: coordinator, name: name, token: token, deadlines: deadlines, stop: stop,
      logger: logger)
  }

  /// Connects to an address that may be used.
  func connect(_ post: Post, to address: Address) throws(ConvoyError) -> Peer {
    try Self.requireLoopback(address)
    return try post.connect(to: address)
  }

  /// Opens the address that other members reach; returns it as bound.
  func listen(_ post: Post) throws(ConvoyError) -> Address {
    try post.listen(on: listeningAddress)
  }

  /// Where a server that joins this coordinator listens: any free place of the same transport.
  var listeningAddress: Address {
    switch coordinator {
    case .tcp(let host, _): .tcp(host: host, port: 0)
    case .ipc(let path):
      .ipc(
        path:
          "\(path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/"))/\(incarnation.text)"
      )
    case .inproc(let name): .inproc(name: "\(name)-\(incarnation.text)")
    }
  }

  /// Refuses an address that other machines could reach: without keys nothing is to be had from there.
  static func requireLoopback(_ address: Address) throws(ConvoyError) {
    guard !address.isLoopback else { return }
    throw ConvoyError(
      .refused,
      "\(address) is not a loopback address: this version has no keys yet and stays on one machine; use tcp://127.0.0.1:PORT"
    )
  }

  /// The end of a member's run: nothing where the job was completed, an error otherwise.
  static func check(_ reason: StopReason, stop: StopRequest, coordinator: Address) throws(ConvoyError) {
    switch reason {
    case .failed(let text):
      // A signal that came after the failure does not explain it.
      if let signal = stop.signal, text == signal.explanation { throw ConvoyError(signal.exitCode, text) }
      throw ConvoyError(.failed, text)
    // Whoever goes on as another life has not ended.
    case .completed, .fenced: return
    case .interrupted:
      if let signal = stop.signal { throw ConvoyError(signal.exitCode, signal.explanation) }
      throw ConvoyError(.interrupted, "the job was interrupted")
    case .unreachable(let text): throw ConvoyError(.tryAgain, "\(coordinator): \(text)")
    case .rejected(let text): throw ConvoyError(.refused, text)
    }
  }
}

extension Incarnation {
  /// The number in hexadecimal, for names.
  var text: String { String(rawValue, radix: 16) }
}
