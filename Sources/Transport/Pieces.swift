import Glibc

/// How a message travels over tcp: cut into pieces, each a message of the library's with one frame.
///
/// libzmq looks at the length of a frame only, takes the same length before anyone has proved a key as after, and keeps a
/// message's frames where nobody sees them until the last has come. So frames are short, and a message of several is an
/// error of whoever sends it.
///
/// A piece's first byte is 1 where a message begins and 0 where it goes on. At the beginning follow the number of frames,
/// one byte, and the length of each, four bytes, little-endian. The rest is the frames' bytes, one after the other.
package enum Pieces {
  /// Bytes of a piece at most.
  package static let maximumBytes = 64 << 10

  /// Pieces of the largest chunk and some more: what a queue of messages is counted in.
  static let perMessage = 17

  /// Bytes of a message's own that come before its frames' in the first piece.
  package static func headerBytes(frames: Int) -> Int { 2 + 4 * frames }
}

/// A message on its way out: over tcp piece by piece, elsewhere whole.
struct OutgoingMessage {
  private let frames: [Frame]
  private let isCut: Bool
  private var frame = 0
  private var offset = 0
  private var left: Int
  /// Whether a part of it has left, so that the rest has to follow.
  private(set) var hasBegun = false

  init(_ frames: [Frame], isCut: Bool) {
    precondition(frames.count <= UInt8.max, "a message of \(frames.count) frames")
    self.frames = frames
    self.isCut = isCut
    left = frames.reduce(0) { $0 + $1.count }
  }

  /// Sends what is left of it, as far as the socket takes it; nil when all went, the reason otherwise.
  mutating func send(on socket: ZeroMQSocket, routing: [UInt8]?) -> ZeroMQ.Failure? {
    guard isCut else { return socket.send(routing: routing, frames) }
    while left > 0 || !hasBegun {
      var next = self
      let header = hasBegun ? 1 : Pieces.headerBytes(frames: frames.count)
      let count = min(Pieces.maximumBytes, header + left)
      if let failure = socket.send(routing: routing, count: count, filledBy: { next.fill($0) }) { return failure }
      self = next
    }
    return nil
  }

  private mutating func fill(_ piece: UnsafeMutableRawBufferPointer) {
    piece[0] = hasBegun ? 0 : 1
    var position = 1
    if !hasBegun {
      piece[1] = UInt8(frames.count)
      position = Pieces.headerBytes(frames: frames.count)
      for (index, frame) in frames.enumerated() {
        piece.storeBytes(of: UInt32(frame.count).littleEndian, toByteOffset: 2 + 4 * index, as: UInt32.self)
      }
    }
    hasBegun = true
    while position < piece.count {
      let count = min(frames[frame].count - offset, piece.count - position)
      frames[frame].withBytes { bytes in
        guard count > 0 else { return }
        memcpy(piece.baseAddress! + position, bytes.baseAddress! + offset, count)
      }
      position += count
      left -= count
      offset += count
      if offset == frames[frame].count { (frame, offset) = (frame + 1, 0) }
    }
  }
}

/// A message on its way in, until its last piece has come.
///
/// Memory is taken for lengths that the limits allow, and filled as bytes come.
package struct IncomingMessage {
  /// What a piece makes of it.
  package enum Outcome {
    /// More is to come, or what came belongs to nothing that is looked at.
    case waiting
    case message([Frame])
    case refused(String)
  }

  private var frames: [Frame] = []
  /// The frames' memory: theirs, and written to until they are handed over.
  private var memories: [UnsafeMutableRawBufferPointer] = []
  private var frame = 0
  private var offset = 0
  private var left = 0

  /// Nothing has come.
  package init() {}

  /// Takes the next piece. The rest of a message that was refused, or whose beginning was lost with another connection, is
  /// passed over.
  package mutating func take(_ piece: UnsafeRawBufferPointer, _ limits: HubLimits) -> Outcome {
    guard let first = piece.first, first <= 1 else { return refuse("a piece without a beginning") }
    var content = UnsafeRawBufferPointer(rebasing: piece.dropFirst())
    if first == 1 {
      if let problem = begin(&content, limits) { return refuse(problem) }
    } else if frames.isEmpty {
      return .waiting
    } else if content.isEmpty {
      return refuse("a piece without bytes")
    }
    guard content.count <= left else { return refuse("a message that is longer than it states") }
    append(content)
    guard left == 0 else { return .waiting }
    defer { forget() }
    return .message(frames)
  }

  /// Reads a message's beginning; the reason where it is not taken.
  private mutating func begin(_ content: inout UnsafeRawBufferPointer, _ limits: HubLimits) -> String? {
    forget()
    guard let count = content.first.map(Int.init), count > 0, content.count >= 1 + 4 * count else {
      return "a message that does not state its frames"
    }
    if count > limits.maximumFrames { return limits.tooManyFrames }
    let lengths = (0..<count).map { index in
      Int(UInt32(littleEndian: content.loadUnaligned(fromByteOffset: 1 + 4 * index, as: UInt32.self)))
    }
    if lengths.contains(where: { $0 > limits.maximumFrameBytes }) { return limits.tooLongFrame }
    for length in lengths {
      let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: max(length, 1), alignment: 16)
      memories.append(memory)
      frames.append(Frame(bytes: UnsafeRawBufferPointer(rebasing: memory[..<length]), storage: .own(memory)))
      left += length
    }
    content = UnsafeRawBufferPointer(rebasing: content.dropFirst(1 + 4 * count))
    return nil
  }

  private mutating func append(_ content: UnsafeRawBufferPointer) {
    var position = 0
    while position < content.count {
      let count = min(frames[frame].count - offset, content.count - position)
      if count > 0 { memcpy(memories[frame].baseAddress! + offset, content.baseAddress! + position, count) }
      position += count
      offset += count
      if offset == frames[frame].count { (frame, offset) = (frame + 1, 0) }
    }
    left -= content.count
  }

  private mutating func refuse(_ problem: String) -> Outcome {
    forget()
    return .refused(problem)
  }

  private mutating func forget() {
    frames = []
    memories = []
    (frame, offset, left) = (0, 0, 0)
  }
}
