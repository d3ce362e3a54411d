import Dispatch
import Synchronization

/// Bytes between hubs of one process, without any library: for tests. Frames are shared, never copied.
public final class InProcessTransport: Transport {
  fileprivate let registry = Mutex<[Address: InProcessInbox]>([:])

  /// A transport whose hubs reach each other and nobody else.
  public init() {}

  /// A hub for one thread.
  public func makeHub(_ limits: HubLimits) throws(TransportError) -> any Hub {
    InProcessHub(self, limits)
  }
}

/// What other hubs put for one hub, and the wait for it.
private final class InProcessInbox: Sendable {
  struct State {
    var messages: [(from: InProcessLink, frames: [Frame])] = []
    var isWoken = false
    var isClosed = false
  }

  let state = Mutex(State())
  private let semaphore = DispatchSemaphore(value: 0)

  func put(_ frames: [Frame], from link: InProcessLink, limit: Int) -> SendOutcome {
    let outcome: SendOutcome = state.withLock { state in
      if state.isClosed { return .unreachable }
      if state.messages.count >= limit { return .full }
      state.messages.append((link, frames))
      return .sent
    }
    semaphore.signal()
    return outcome
  }

  func wake() {
    state.withLock { $0.isWoken = true }
    semaphore.signal()
  }

  /// Waits until something may be there; false when the time is over.
  func wait(until deadline: DispatchTime) -> Bool {
    semaphore.wait(timeout: deadline) == .success
  }
}

/// The two ends of a connection.
private final class InProcessLink: Sendable {
  let client: InProcessInbox
  let server: InProcessInbox

  init(client: InProcessInbox, server: InProcessInbox) {
    self.client = client
    self.server = server
  }
}

private final class InProcessHub: Hub {
  private let transport: InProcessTransport
  private let limits: HubLimits
  private let inbox = InProcessInbox()
  private var listening: Address?
  private var peers: [Peer: (link: InProcessLink, isOurs: Bool)] = [:]
  private var numbers: [ObjectIdentifier: Peer] = [:]
  private var nextPeer: UInt64 = 1

  init(_ transport: InProcessTransport, _ limits: HubLimits) {
    self.transport = transport
    self.limits = limits
  }

  deinit {
    close(lingerMilliseconds: 0)
  }

  var waker: Waker { Waker { [inbox] in inbox.wake() } }

  func listen(on address: Address) throws(TransportError) -> Address {
    let inbox = inbox
    var bound = address
    let isFree = transport.registry.withLock { registry in
      if case .tcp(let host, 0) = address {
        var port: UInt16 = 1
        while registry[.tcp(host: host, port: port)] != nil { port += 1 }
        bound = .tcp(host: host, port: port)
      }
      guard registry[bound] == nil else { return false }
      registry[bound] = inbox
      return true
    }
    guard isFree else { throw .addressInUse(address) }
    listening = bound
    return bound
  }

  func connect(to address: Address) throws(TransportError) -> Peer {
    guard let server = transport.registry.withLock({ $0[address] }) else {
      throw .unusableAddress(address, "nobody listens there")
    }
    return number(InProcessLink(client: inbox, server: server), isOurs: true)
  }

  private func number(_ link: InProcessLink, isOurs: Bool) -> Peer {
    if let known = numbers[ObjectIdentifier(link)] { return known }
    let peer = Peer(rawValue: nextPeer)
    nextPeer += 1
    numbers[ObjectIdentifier(link)] = peer
    peers[peer] = (link, isOurs)
    return peer
  }

  func send(_ frames: [Frame], to peer: Peer) throws(TransportError) -> SendOutcome {
    guard let (link, isOurs) = peers[peer] else { return .unreachable }
    let target = isOurs ? link.server : link.client
    return target.put(frames, from: link, limit: limits.maximumQueuedMessages)
  }

  func receive(timeoutMilliseconds: Int) throws(TransportError) -> Received {
    let deadline = DispatchTime.now() + .milliseconds(timeoutMilliseconds)
    while true {
      if let received = take() { return received }
      // The count of signals may lag behind the messages that were taken, so that a wait can end with nothing there.
      guard inbox.wait(until: deadline) else { return take() ?? .timeout }
    }
  }

  private func take() -> Received? {
    let (isWoken, next): (Bool, (from: InProcessLink, frames: [Frame])?) = inbox.state.withLock { state in
      if state.isWoken {
        state.isWoken = false
        return (true, nil)
      }
      return (false, state.messages.isEmpty ? nil : state.messages.removeFirst())
    }
    if isWoken { return .woken }
    guard let next else { return nil }
    let peer = number(next.from, isOurs: next.from.client === inbox)
    if next.frames.count > limits.maximumFrames {
      return .refused(peer, "a message of more than \(limits.maximumFrames) frames")
    }
    if next.frames.contains(where: { $0.count > limits.maximumFrameBytes }) {
      return .refused(peer, "a frame of more than \(limits.maximumFrameBytes) bytes")
    }
    return .message(peer, next.frames)
  }

  func close(lingerMilliseconds: Int) {
    inbox.state.withLock { state in
      state.isClosed = true
      state.messages = []
    }
    guard let listening else { return }
    let inbox = inbox
    transport.registry.withLock { registry in
      if registry[listening] === inbox { registry[listening] = nil }
    }
    self.listening = nil
  }
}
