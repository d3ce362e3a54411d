import Foundation
import ParameterServer
import Runtime
import Transport

/// Those who speak to a job without belonging to it.
enum Strangers {
  /// The transport of whoever has learned a job's secret.
  static func holder(of token: JobToken) throws -> ZeroMQTransport {
    try ZeroMQTransport(security: token.sharedSecurity())
  }

  /// Sends what a coordinator must refuse, and waits for its answers: by the token's key, nothing of it is in the messages.
  static func speak(to address: String, token: JobToken) throws {
    let hub = try holder(of: token).makeHub(
      HubLimits(maximumFrameBytes: 1 << 20, maximumFrames: 8, maximumQueuedMessages: 64))
    defer { hub.close(lingerMilliseconds: 0) }
    let peer = try hub.connect(to: try Address(parsing: address))
    let messages: [[Frame]] = [
      [Frame(copying: Array("GET / HTTP/1.1".utf8))],
      [Frame(copying: [])],
      [Frame(copying: [UInt8](repeating: 0xFF, count: 3000))],
      // Another version of the protocol, and nothing else.
      [Frame(copying: [8, 99])],
      (0..<6).map { Frame(copying: [UInt8($0)]) },
    ]
    for frames in messages {
      _ = try hub.send(frames, to: peer)
      // The answer is a refusal; it shows that the message was looked at.
      waiting: while true {
        switch try hub.receive(timeoutMilliseconds: 10_000) {
        case .message: break waiting
        case .timeout: throw Unanswered()
        case .woken, .refused: continue
        }
      }
    }
  }

  struct Unanswered: Error {}
}
