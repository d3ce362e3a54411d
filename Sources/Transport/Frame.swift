/// Bytes that travel: immutable, shared by reference, freed when the last holder lets go.
///
/// Any thread may let go last; transports do so from threads of their own. Unchecked: the bytes never change once the
/// frame is made, and what holds them is let go exactly once.
public final class Frame: @unchecked Sendable {
  /// What keeps the bytes where they are, and gives them back at the end.
  package enum Storage {
    /// Memory of the frame's own.
    case own(UnsafeMutableRawBufferPointer)
    /// Another object's memory.
    case kept(any AnyObject & Sendable)
    /// A message of the library's.
    case received(ZeroMQMessage)
  }

  private let bytes: UnsafeRawBufferPointer
  private let storage: Storage

  /// Number of bytes.
  public var count: Int { bytes.count }

  package init(bytes: UnsafeRawBufferPointer, storage: Storage) {
    self.bytes = bytes
    self.storage = storage
  }

  /// A frame with bytes of its own.
  public convenience init(copying source: UnsafeRawBufferPointer) {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: max(source.count, 1), alignment: 16)
    memory.copyMemory(from: source)
    self.init(bytes: UnsafeRawBufferPointer(rebasing: memory[..<source.count]), storage: .own(memory))
  }

  /// A frame with bytes of its own.
  public convenience init(copying source: [UInt8]) {
    self.init(source)
  }

  private convenience init(_ source: [UInt8]) {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: max(source.count, 1), alignment: 16)
    source.withUnsafeBytes { memory.copyMemory(from: $0) }
    self.init(bytes: UnsafeRawBufferPointer(rebasing: memory[..<source.count]), storage: .own(memory))
  }

  /// A frame of another object's bytes, not copied: the object lives, and must not change them, until the last
  /// holder of the frame let go.
  package convenience init(keeping owner: any AnyObject & Sendable, bytes: UnsafeRawBufferPointer) {
    self.init(bytes: bytes, storage: .kept(owner))
  }

  deinit {
    if case .own(let memory) = storage { memory.deallocate() }
  }

  /// Reads the bytes. They begin at any address.
  public func withBytes<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try body(bytes)
  }
}
