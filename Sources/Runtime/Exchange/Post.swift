package import ParameterServer
package import Transport
import WireFormat

/// One thread's messages: a hub's bytes as envelopes and payloads, and back.
///
/// Used by the thread that made it, as its hub is.
package final class Post {
  /// What came.
  package enum Incoming {
    /// A message, with its payload where it has one.
    case message(Envelope, from: Peer, payload: Frame?)
    /// Bytes that are no message, or one whose sender is not whose key it came by; the refusal says why, and may be sent
    /// as the answer.
    case unreadable(Refusal, from: Peer)
    /// Another thread woke this one.
    case woken
    /// Nothing came in time.
    case timeout
  }

  private let hub: any Hub
  /// The file of the socket that it listens on, where it has one.
  private var socketPath: String?
  /// Messages that could not be sent: the peer is gone or takes nothing more.
  package private(set) var undelivered = 0

  /// Most bytes of a chunk's whole state: its values twice, and the optimiser's state of some hundred workers.
  package static let maximumStateBytes = 256 << 20

  /// A member's messages over a transport.
  ///
  /// - Parameter takesStates: whether payloads may be whole states of chunks, as servers and the coordinator take them;
  ///   a worker takes chunks, with the optimiser's state in local mode.
  package convenience init(_ transport: any Transport, takesStates: Bool = false) throws(ConvoyError) {
    let chunk = ChunkTable.preferredBytes * (1 + JobRules.maximumSlots)
    let limits = Self.limits(payloadBytes: takesStates ? Self.maximumStateBytes : chunk, messages: Self.queuedMessages)
    do throws(TransportError) {
      self.init(try transport.makeHub(limits))
    } catch {
      throw ConvoyError(.failed, error.description)
    }
  }

  /// Takes over a hub.
  package init(_ hub: any Hub) {
    self.hub = hub
  }

  /// Messages that may wait for one peer: the protocol has at most one for each chunk and node under way.
  package static let queuedMessages = 4096

  /// Wakes the thread that waits in `receive`.
  package var waker: Waker { hub.waker }

  /// Frames of a message: the envelope, and at most one payload.
  package static let maximumFrames = 2

  /// Limits of a hub whose payloads have at most so many bytes.
  package static func limits(payloadBytes: Int, messages: Int) -> HubLimits {
    HubLimits(
      maximumFrameBytes: max(payloadBytes, WireFormat.maximumEnvelopeBytes) + 1024, maximumFrames: maximumFrames,
      maximumQueuedMessages: messages)
  }

  /// Takes messages at an address; returns it as bound.
  package func listen(on address: Address) throws(ConvoyError) -> Address {
    do throws(TransportError) {
      let bound = try hub.listen(on: address)
      if case .ipc(let path) = bound {
        socketPath = path
        Leftovers.add(path)
      }
      return bound
    } catch {
      throw ConvoyError(error)
    }
  }

  /// Connects to an address; a message may be sent at once.
  ///
  /// - Parameter listener: the name of whoever must listen there, as in `server.0`: with keys nobody else is spoken to.
  package func connect(to address: Address, expecting listener: String) throws(ConvoyError) -> Peer {
    do throws(TransportError) {
      return try hub.connect(to: address, expecting: listener)
    } catch {
      throw ConvoyError(error)
    }
  }

  /// Lets go of a peer: its connection is closed.
  package func letGo(of peer: Peer) { hub.letGo(of: peer) }

  /// States what a view makes possible: of a peer's messages no more waits here than its chunks' values and states, for
  /// each of the sums that it may push.
  package func adopt(_ view: View) {
    let chunks = view.rules.chunks
    let bytes = (0..<chunks.count).reduce(0) { $0 + chunks.bytes(of: $1) }
    hub.limitWaiting(toBytes: 16 * bytes + Self.maximumOtherBytes)
  }

  /// Bytes of messages without payloads that may wait.
  private static let maximumOtherBytes = 8 << 20

  /// What has become of a connection that was made with keys; nil for any other.
  package func state(of peer: Peer) -> ConnectionState? { hub.state(of: peer) }

  /// Sends a message; the payload is not copied.
  package func send(_ envelope: Envelope, payload: Frame?, to peer: Peer) throws(ConvoyError) {
    let header = Frame(copying: WireFormat.encode(envelope))
    do throws(TransportError) {
      let outcome = try hub.send(payload.map { [header, $0] } ?? [header], to: peer)
      if outcome != .sent { undelivered += 1 }
    } catch {
      throw ConvoyError(.failed, error.description)
    }
  }

  /// Waits for a message for at most so many milliseconds.
  package func receive(timeoutMilliseconds: Int) throws(ConvoyError) -> Incoming {
    let received: Received
    do throws(TransportError) {
      received = try hub.receive(timeoutMilliseconds: timeoutMilliseconds)
    } catch {
      throw ConvoyError(.failed, error.description)
    }
    switch received {
    case .woken: return .woken
    case .timeout: return .timeout
    case .refused(let peer, let reason):
      guard let peer else { return .woken }
      return .unreadable(Refusal(.malformed, reason), from: peer)
    case .message(let peer, let frames):
      let incoming = Self.decode(frames, from: peer)
      guard case .message(let envelope, _, _) = incoming,
        let refusal = SenderCheck.refusal(of: envelope, provedBy: hub.identity(of: peer))
      else { return incoming }
      return .unreadable(refusal, from: peer)
    }
  }

  private static func decode(_ frames: [Frame], from peer: Peer) -> Incoming {
    guard let header = frames.first, frames.count <= maximumFrames else {
      return .unreadable(Refusal(.malformed, "a message of \(frames.count) frames"), from: peer)
    }
    do throws(WireError) {
      let envelope = try header.withBytes { bytes throws(WireError) in try WireFormat.decode(bytes) }
      return .message(envelope, from: peer, payload: frames.count > 1 ? frames[1] : nil)
    } catch {
      let reason: RefusalReason = error.isWrongProtocol ? .wrongProtocol : .malformed
      return .unreadable(Refusal(reason, error.description), from: peer)
    }
  }

  /// Closes the sockets, after waiting so long for what is still to be sent.
  package func close(lingerMilliseconds: Int) {
    hub.close(lingerMilliseconds: lingerMilliseconds)
    if let socketPath { Leftovers.forget(socketPath) }
  }
}
