/// What a chunk is a part of, and so how its updates are made.
public enum ChunkKind: Hashable, Sendable {
  /// The parameters: an update is a step of the optimiser.
  case parameters
  /// The buffers, as batch normalisation's running statistics: an update is a moving average.
  case buffers
}

/// How the flat vectors of parameters and of buffers are cut into chunks: all of one size but each vector's last.
///
/// The parameters' chunks come first; no chunk holds both.
public struct ChunkTable: Hashable, Sendable {
  /// Elements of the flat vector of parameters.
  public let elements: Int
  /// Elements of the flat vector of buffers; 0 of a network without any.
  public let bufferElements: Int
  /// Elements of every chunk but each vector's last, which may be smaller.
  public let chunkElements: Int
  /// Number of chunks, of both kinds.
  public let count: Int
  /// Number of the parameters' chunks: those of the buffers come after them.
  private let parameterChunks: Int

  /// Bytes of an element: fp32.
  public static let elementBytes = 4
  /// Bytes of a chunk, unless a server would have too few: large enough that its header costs nothing, small
  /// enough that sending, adding and applying overlap.
  public static let preferredBytes = 1 << 20
  /// Chunks that every server has at least, so that its work comes in pieces.
  public static let minimumPerServer = 4
  /// Chunks begin at multiples of this many elements: a cache line.
  public static let alignment = 16
  /// Most chunks of a job: bounds what a peer may state.
  public static let maximumChunks = 1 << 20
  /// Elements of a norm's block, unless the vector would have too few: 64 KiB.
  public static let preferredNormElements = 16_384
  /// Blocks of a norm that a vector has at least where it can: as many as leave their borders to the chunks.
  public static let minimumNormBlocks = 256

  /// The cut for so many elements and servers: about a mebibyte each, less where a server would have fewer than four.
  ///
  /// Every machine computes the same cut. Nil where there is no parameter or no server.
  ///
  /// - Parameter keepsBlocks: whether no chunk's border cuts a block of the norm; then more than 64 servers may have fewer
  ///   than four chunks.
  public init?(elements: Int, buffers: Int = 0, servers: Int, keepsBlocks: Bool = false) {
    guard elements > 0, servers > 0 else { return nil }
    let share = elements / (Self.minimumPerServer * servers)
    let wanted = min(Self.preferredBytes / Self.elementBytes, share)
    let unit = keepsBlocks ? Self.normElements(of: elements) : Self.alignment
    self.init(elements: elements, buffers: buffers, chunkElements: max(unit, wanted / unit * unit))
  }

  /// A cut as stated, or nil where it is not one that `init(elements:buffers:servers:)` could have made.
  public init?(elements: Int, buffers: Int = 0, chunkElements: Int) {
    guard elements > 0, elements <= 1 << 40, buffers >= 0, buffers <= 1 << 40, chunkElements > 0,
      chunkElements % Self.alignment == 0, chunkElements <= 1 << 28
    else { return nil }
    self.elements = elements
    bufferElements = buffers
    self.chunkElements = chunkElements
    parameterChunks = (elements + chunkElements - 1) / chunkElements
    count = parameterChunks + (buffers + chunkElements - 1) / chunkElements
    guard count <= Self.maximumChunks else { return nil }
  }

  /// The chunks of a kind.
  public func chunks(of kind: ChunkKind) -> Range<Int> {
    switch kind {
    case .parameters: 0..<parameterChunks
    case .buffers: parameterChunks..<count
    }
  }

  /// What a chunk is a part of.
  public func kind(of chunk: Int) -> ChunkKind {
    chunk < parameterChunks ? .parameters : .buffers
  }

  /// The elements of a chunk within the flat vector of its kind.
  public func range(of chunk: Int) -> Range<Int> {
    precondition(chunk >= 0 && chunk < count, "chunk \(chunk) of \(count)")
    let isParameters = chunk < parameterChunks
    let first = (isParameters ? chunk : chunk - parameterChunks) * chunkElements
    return first..<min(first + chunkElements, isParameters ? elements : bufferElements)
  }

  /// Bytes of a chunk.
  public func bytes(of chunk: Int) -> Int {
    // Asked for with every message: all chunks but each vector's last are of one size.
    if chunk >= 0, chunk + 1 < parameterChunks { return chunkElements * Self.elementBytes }
    return range(of: chunk).count * Self.elementBytes
  }

  /// Elements of each block over which the gradient's squares are summed, but the last: a power of two that follows from
  /// the number of parameters alone, so that a norm's sums are the same whatever the chunks.
  public var normElements: Int { Self.normElements(of: elements) }

  private static func normElements(of elements: Int) -> Int {
    let share = max(elements / minimumNormBlocks, alignment)
    return min(1 << (Int.bitWidth - 1 - share.leadingZeroBitCount), preferredNormElements)
  }

  /// Whether every block of the norm lies in one chunk.
  public var keepsBlocks: Bool { chunkElements % normElements == 0 }

  /// Bytes of a chunk's part of the norm: a double for each block.
  public func normBytes(of chunk: Int) -> Int { (range(of: chunk).count + normElements - 1) / normElements * 8 }
}

/// Which server holds which chunk.
public enum Placement {
  /// The server of each chunk, by chunk: the servers' bytes as equal as whole chunks allow, the same on every machine.
  ///
  /// Largest chunk first to the server with the fewest bytes; ties go to the smaller number. Neighbouring chunks land
  /// on different servers, so that the chunks of one layer travel side by side.
  public static func servers(ofChunks bytes: [Int], servers: Int) -> [Int] {
    precondition(servers > 0, "no server to place chunks on")
    let order = bytes.indices.sorted { (bytes[$1], $0) < (bytes[$0], $1) }
    var load = [Int](repeating: 0, count: servers)
    var placed = [Int](repeating: 0, count: bytes.count)
    for chunk in order {
      var lightest = 0
      for server in load.indices where load[server] < load[lightest] { lightest = server }
      placed[chunk] = lightest
      load[lightest] += bytes[chunk]
    }
    return placed
  }
}
