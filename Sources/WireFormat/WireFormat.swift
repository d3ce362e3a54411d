import CMessages
public import ParameterServer

/// Messages to bytes and back.
///
/// An envelope is one protobuf message; a payload of floats is a frame of its own beside it, never copied here.
public enum WireFormat {
  /// The protocol's version: raised when processes of both sides of a change could not understand each other.
  public static let protocolVersion: UInt32 = 2

  /// protobuf-c's version, as in `1.4.1`.
  public static var libraryVersion: String { ProtobufC.version }

  /// Most bytes of an envelope. The longest is a view of many chunks and members.
  public static let maximumEnvelopeBytes = 16 << 20

  /// Most bytes of memory that reading an envelope may take: protobuf-c's structures are larger than the bytes
  /// they come from, by at most a pointer and a header for each few bytes.
  static func memoryBudget(forBytes bytes: Int) -> Int { 4096 + 32 * bytes }

  /// The bytes of a message.
  public static func encode(_ envelope: Envelope) -> [UInt8] {
    var arena = ProtobufC.Arena()
    let wire = arena.make(convoy__wire__envelope__init)
    wire.pointee.protocol = protocolVersion
    wire.pointee.token = arena.bytes(envelope.token.bytes)
    wire.pointee.view = envelope.view.rawValue
    wire.pointee.sender_role = UInt32(envelope.sender.role.rawValue)
    wire.pointee.sender_number = envelope.sender.number
    wire.pointee.incarnation = envelope.incarnation.rawValue
    encode(envelope.message, into: &wire.pointee, &arena)
    return ProtobufC.pack(
      wire, size: { convoy__wire__envelope__get_packed_size($0) }, into: { convoy__wire__envelope__pack($0, $1) })
  }

  /// Reads a message. Every number is checked before it is believed.
  public static func decode(_ bytes: UnsafeRawBufferPointer) throws(WireError) -> Envelope {
    guard bytes.count <= maximumEnvelopeBytes else {
      throw .tooLong(bytes: bytes.count, maximum: maximumEnvelopeBytes)
    }
    let envelope = try ProtobufC.unpack(
      bytes, budget: memoryBudget(forBytes: bytes.count), with: { convoy__wire__envelope__unpack($0, $1, $2) },
      free: { convoy__wire__envelope__free_unpacked($0, $1) }
    ) { wire throws(WireError) in try decode(wire) }
    guard let envelope else { throw .unreadable(bytes: bytes.count) }
    return envelope
  }

  private static func decode(_ wire: Convoy__Wire__Envelope) throws(WireError) -> Envelope {
    guard wire.protocol == protocolVersion else { throw .otherProtocol(wire.protocol) }
    guard let token = JobToken(Fields.bytes(wire.token)) else {
      throw .field("token", "\(wire.token.len) bytes, not \(JobToken.byteCount)")
    }
    return Envelope(
      token: token, view: ViewNumber(try Fields.counter(wire.view, "view")),
      sender: Member(
        try Fields.role(wire.sender_role, "sender_role"), try Fields.member(wire.sender_number, "sender_number")),
      incarnation: Incarnation(wire.incarnation), message: try decodeBody(wire))
  }
}
