import Foundation
import Testing
import Transport

/// Hubs of one transport and a place where they meet, cleared away with the test.
final class Meeting {
  /// The transports under test; `inproc` is ZeroMQ's, `inProcess` needs no library.
  enum Medium: String, CaseIterable, Codable, Sendable {
    case tcp, ipc, inproc, inProcess
    /// Media whose connections are made anew when they are lost.
    static let reconnecting: [Medium] = [.tcp, .ipc, .inProcess]
    /// Media whose addresses are known before anybody listens there.
    static let named: [Medium] = [.ipc, .inproc, .inProcess]
  }

  static let limits = HubLimits(maximumFrameBytes: 1 << 20, maximumFrames: 4, maximumQueuedMessages: 1000)
  /// Milliseconds that only a test which fails waits for.
  static let patience = 20_000

  let transport: any Transport
  let folder: String
  private let medium: Medium
  private var hubs: [any Hub] = []

  init(_ medium: Medium) throws {
    self.medium = medium
    transport =
      switch medium {
      case .inProcess: InProcessTransport()
      case .tcp: try ZeroMQTransport.holder()
      case .ipc, .inproc: ZeroMQTransport()
      }
    folder = NSTemporaryDirectory() + "convoy-" + UUID().uuidString.prefix(8)
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  }

  deinit {
    for hub in hubs { hub.close(lingerMilliseconds: 0) }
    try? FileManager.default.removeItem(atPath: folder)
  }

  var address: Address {
    switch medium {
    case .tcp: .tcp(host: "127.0.0.1", port: 0)
    case .ipc: .ipc(path: "\(folder)/socket")
    case .inproc, .inProcess: .inproc(name: "meeting")
    }
  }

  func hub(_ limits: HubLimits = limits) throws -> any Hub {
    let hub = try transport.makeHub(limits)
    hubs.append(hub)
    return hub
  }
}

/// A message of one frame that holds a number.
func numbered(_ number: Int) -> [Frame] {
  [Frame(copying: withUnsafeBytes(of: UInt64(number).littleEndian) { Array($0) })]
}

/// The number that a message holds.
func number(of frames: [Frame]) -> Int {
  frames[0].withBytes { Int(UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self))) }
}

extension Hub {
  /// The next message, while hubs of the same thread do what they have to do.
  func message(while others: any Hub...) throws -> (peer: Peer, frames: [Frame]) {
    for _ in 0..<Meeting.patience {
      for other in others { _ = try other.receive(timeoutMilliseconds: 0) }
      if case .message(let peer, let frames) = try receive(timeoutMilliseconds: 1) { return (peer, frames) }
    }
    throw NoMessage()
  }
}

struct NoMessage: Error {}
