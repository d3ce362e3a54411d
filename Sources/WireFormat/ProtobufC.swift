import CMessages
import CProtobufC
import Glibc

/// The one door to protobuf-c: packing from memory that goes all at once, unpacking within a budget of bytes.
enum ProtobufC {
  /// The library's version.
  static var version: String { String(cString: protobuf_c_version()) }

  /// Memory for a message that is being packed: freed together when the message is packed.
  struct Arena: ~Copyable {
    private var blocks: [UnsafeMutableRawPointer] = []

    /// One value, set by `initialise`, which protobuf-c generates for each message.
    mutating func make<Message>(
      _ initialise: (UnsafeMutablePointer<Message>) -> Void
    ) -> UnsafeMutablePointer<Message> {
      let pointer = array(of: Message.self, count: 1)
      initialise(pointer)
      return pointer
    }

    /// Room for an array.
    mutating func array<Element>(of type: Element.Type, count: Int) -> UnsafeMutablePointer<Element> {
      let bytes = MemoryLayout<Element>.stride * max(count, 1)
      let block = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 16)
      blocks.append(block)
      return block.bindMemory(to: Element.self, capacity: max(count, 1))
    }

    /// A string as C reads it; what follows a zero byte is lost, so there must be none.
    mutating func string(_ text: String) -> UnsafeMutablePointer<CChar> {
      let bytes = Array(text.utf8)
      let pointer = array(of: CChar.self, count: bytes.count + 1)
      for (index, byte) in bytes.enumerated() { pointer[index] = CChar(bitPattern: byte == 0 ? 0x20 : byte) }
      pointer[bytes.count] = 0
      return pointer
    }

    /// A byte string.
    mutating func bytes(_ bytes: [UInt8]) -> ProtobufCBinaryData {
      let pointer = array(of: UInt8.self, count: bytes.count)
      bytes.withUnsafeBufferPointer { if let base = $0.baseAddress { pointer.update(from: base, count: bytes.count) } }
      return ProtobufCBinaryData(len: bytes.count, data: pointer)
    }

    deinit {
      for block in blocks { block.deallocate() }
    }
  }

  /// The bytes of a message, by the functions that protobuf-c generates for it.
  static func pack<Message>(
    _ message: UnsafePointer<Message>, size: (UnsafePointer<Message>) -> Int,
    into write: (UnsafePointer<Message>, UnsafeMutablePointer<UInt8>) -> Int
  ) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: size(message)) { buffer, count in
      count = buffer.baseAddress.map { write(message, $0) } ?? 0
    }
  }

  /// Reads a message and hands it to `body`; nil where the bytes are none, or want more memory than the budget.
  static func unpack<Message, Result, Failure: Error>(
    _ bytes: UnsafeRawBufferPointer, budget: Int,
    with unpack: (
      UnsafeMutablePointer<ProtobufCAllocator>, Int, UnsafePointer<UInt8>?
    ) -> UnsafeMutablePointer<Message>?,
    free: (UnsafeMutablePointer<Message>, UnsafeMutablePointer<ProtobufCAllocator>) -> Void,
    _ body: (Message) throws(Failure) -> Result
  ) throws(Failure) -> Result? {
    var remaining = budget
    return try withUnsafeMutablePointer(to: &remaining) { remaining throws(Failure) in
      var allocator = ProtobufCAllocator(alloc: allocate, free: release, allocator_data: remaining)
      let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
      guard let message = unpack(&allocator, bytes.count, start) else { return nil }
      defer { free(message, &allocator) }
      return try body(message.pointee)
    }
  }

  /// Takes memory from the budget; none once it is used up, which ends the unpacking.
  private static let allocate: @convention(c) (UnsafeMutableRawPointer?, Int) -> UnsafeMutableRawPointer? = {
    data, size in
    guard let remaining = data?.assumingMemoryBound(to: Int.self), size <= remaining.pointee else { return nil }
    remaining.pointee -= size
    return malloc(max(size, 1))
  }

  private static let release: @convention(c) (UnsafeMutableRawPointer?, UnsafeMutableRawPointer?) -> Void = {
    _, pointer in free(pointer)
  }
}
