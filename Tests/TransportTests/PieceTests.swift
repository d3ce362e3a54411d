import Testing
import Transport

/// Messages over tcp in pieces: what is cut is put together again, and what a peer invents is refused.
struct PieceTests {
  private static let limits = HubLimits(maximumFrameBytes: 300_000, maximumFrames: 4, maximumQueuedMessages: 10)

  /// A message's first piece: the lengths that it states, and bytes.
  private func beginning(_ lengths: [UInt32], _ bytes: Int, count: Int? = nil) -> [UInt8] {
    let stated = lengths.flatMap { length in [0, 8, 16, 24].map { UInt8(truncatingIfNeeded: length >> UInt32($0)) } }
    return [1, UInt8(count ?? lengths.count)] + stated + [UInt8](repeating: 7, count: bytes)
  }

  private func take(_ piece: [UInt8], _ message: inout IncomingMessage) -> IncomingMessage.Outcome {
    piece.withUnsafeBytes { message.take($0, Self.limits) }
  }

  @Test("A message that has come in pieces is the one that was cut, whatever its frames' lengths")
  func wholeAgain() throws {
    let transport = try ZeroMQTransport.holder()
    let server = try transport.makeHub(Self.limits)
    let client = try transport.makeHub(Self.limits)
    let peer = try client.connect(to: server.listen(on: .tcp(host: "127.0.0.1", port: 0)))
    let edge = Pieces.maximumBytes
    let header = Pieces.headerBytes(frames: 2)
    let cases: [[Int]] = [
      [0], [1], [0, 0, 0, 0], [5, 0, 7], [edge - header, 0], [edge - header + 1, 0], [1, edge - header - 1],
      [edge - header, edge - 1], [edge - header, edge], [300_000, 300_000, 3, 299_999], [0, 300_000],
    ]
    for lengths in cases {
      var value: UInt8 = 0
      let bytes = lengths.map { length in
        (0..<length).map { _ in
          value = value &* 31 &+ 11
          return value
        }
      }
      #expect(try client.send(bytes.map { Frame(copying: $0) }, to: peer) == .sent)
      let frames = try server.message(while: client).frames
      #expect(frames.map { $0.withBytes { Array($0) } } == bytes, "\(lengths)")
    }
    for hub in [client, server] { hub.close(lingerMilliseconds: 0) }
  }

  @Test("What is no piece, or more than the limits or its own beginning allow, is refused; the next message is taken")
  func refused() {
    let pieces: [[UInt8]] = [
      [], [2], [9, 1, 1], [1], [1, 0], beginning([], 0, count: 3), beginning([300_001], 5), beginning([.max], 5),
      beginning([1, 1, 1, 1, 1], 5), beginning([4], 5), beginning([0], 1),
    ]
    for piece in pieces {
      var message = IncomingMessage()
      guard case .refused = take(piece, &message) else {
        Issue.record("\(piece.prefix(8)) was taken")
        continue
      }
      // The rest of what was refused is passed over.
      guard case .waiting = take([0, 1, 2], &message), case .message(let frames) = take(beginning([3], 3), &message)
      else {
        Issue.record("nothing is taken after \(piece.prefix(8))")
        continue
      }
      #expect(frames.map(\.count) == [3])
    }
  }

  @Test("A beginning in the middle of a message drops what there was of it; a rest that is too long is refused")
  func anew() {
    var message = IncomingMessage()
    guard case .waiting = take(beginning([10], 4), &message), case .waiting = take(beginning([6, 2], 5), &message),
      case .message(let frames) = take([0, 1, 2, 3], &message)
    else { return #expect(Bool(false), "the second message did not come") }
    #expect(frames.map(\.count) == [6, 2])
    #expect(frames[1].withBytes { Array($0) } == [2, 3])
    guard case .waiting = take(beginning([10], 4), &message),
      case .refused = take([UInt8](repeating: 0, count: 8), &message)
    else { return #expect(Bool(false), "more than was stated was taken") }
    guard case .waiting = take(beginning([10], 4), &message), case .refused = take([0], &message) else {
      return #expect(Bool(false), "a piece without bytes was taken")
    }
  }

  @Test("Whatever bytes come, nothing but messages within the limits comes of them")
  func anything() {
    var state: UInt64 = 12
    func next(_ bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % bound
    }
    var message = IncomingMessage()
    for _ in 0..<20_000 {
      var piece = (0..<next(40)).map { _ in UInt8(next(4) == 0 ? next(256) : next(3)) }
      if next(3) > 0, !piece.isEmpty { piece[0] = UInt8(next(2)) }
      guard case .message(let frames) = take(piece, &message) else { continue }
      #expect(frames.count <= Self.limits.maximumFrames && !frames.isEmpty)
      #expect(frames.allSatisfy { $0.count <= Self.limits.maximumFrameBytes })
    }
  }
}
