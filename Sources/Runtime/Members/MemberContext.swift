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
  /// Whom it lets in and where.
  package let access: NetworkAccess
  /// Threads of a worker; nil for the job's.
  package let threads: Int?
  /// Where it logs.
  package let logger: Logger
  /// When its process, or its thread, began, in seconds of the monotonic clock.
  package let startedAt: Double

  /// A context with a fresh incarnation.
  package init(
    transport: any Transport, coordinator: Address, name: String, token: JobToken,
    access: NetworkAccess = NetworkAccess(), threads: Int? = nil, deadlines: Deadlines = Deadlines(),
    stop: StopRequest, logger: Logger, startedAt: Double = MonotonicClock.seconds
  ) {
    self.transport = transport
    self.coordinator = coordinator
    self.name = name
    self.token = token
    self.access = access
    self.threads = threads
    incarnation = Incarnation(UInt64.random(in: .min ... .max))
    self.deadlines = deadlines
    self.stop = stop
    self.logger = logger
    self.startedAt = startedAt
  }

  /// The same member as another life.
  func renewed() -> MemberContext {
    MemberContext(
      transport: transport, coordinator: coordinator, name: name, token: token, access: access, threads: threads,
      deadlines: deadlines, stop: stop, logger: logger)
  }

  /// Connects to an address that may be used, where a member of this name listens.
  func connect(_ post: Post, to address: Address, expecting name: String) throws(ConvoyError) -> Peer {
    try access.requireAllowed(address)
    return try post.connect(to: address, expecting: name)
  }

  /// Opens the address that other members reach; returns it as bound.
  func listen(_ post: Post) throws(ConvoyError) -> Address {
    try post.listen(on: try listeningAddress())
  }

  /// Where a server that joins this coordinator listens: any free place of the same transport, over tcp on the interface
  /// that leads to the coordinator.
  func listeningAddress() throws(ConvoyError) -> Address {
    switch coordinator {
    case .tcp: return try access.listeningAddress(towards: coordinator)
    case .ipc(let path):
      return .ipc(
        path:
          "\(path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/"))/\(incarnation.text)"
      )
    case .inproc(let name): return .inproc(name: "\(name)-\(incarnation.text)")
    }
  }

  /// Throws where the coordinator has refused the connection for good: the keys would have to change.
  func requireTaken(_ connection: ConnectionState?) throws(ConvoyError) {
    guard let connection, connection.isOver else { return }
    throw ConvoyError(
      .refused, "the coordinator at \(coordinator) takes no connection: \(connection.problem ?? "it says no more")")
  }

  /// The end of a member's run: nothing where the job was completed, an error otherwise.
  ///
  /// - Parameter connection: what has become of the connection to the coordinator, where that is known.
  func check(_ reason: StopReason, _ connection: ConnectionState?) throws(ConvoyError) {
    switch reason {
    case .failed(let text, let kind): throw ConvoyError(ExitCode(kind), text)
    // Whoever goes on as another life has not ended.
    case .completed, .fenced: return
    case .interrupted:
      if let signal = stop.signal { throw ConvoyError(signal.exitCode, signal.explanation) }
      throw ConvoyError(.interrupted, "the job was interrupted")
    case .unreachable(let text):
      let problem = connection?.problem.map { ": \($0)" } ?? ""
      throw ConvoyError(.tryAgain, "\(coordinator): \(text)\(problem)")
    case .rejected(let text): throw ConvoyError(.refused, text)
    }
  }
}

extension Incarnation {
  /// The number in hexadecimal, for names.
  var text: String { String(rawValue, radix: 16) }
}
