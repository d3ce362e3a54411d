import CMessages
import CProtobufC
import ParameterServer

/// Fields of a message that was read, checked one by one.
enum Fields {
  /// Most bytes of one line for a person.
  static let maximumText = 4096
  /// Most bytes of a job's settings.
  static let maximumJob = 1 << 20
  /// Most bytes of what a coordinator tells of its job and of all its members.
  static let maximumStatus = 8 << 20

  static func bytes(_ data: ProtobufCBinaryData) -> [UInt8] {
    Array(UnsafeBufferPointer(start: data.data, count: data.len))
  }

  static func digest(_ data: ProtobufCBinaryData, _ name: String) throws(WireError) -> [UInt8] {
    guard data.len == 0 || data.len == 32 else { throw .field(name, "\(data.len) bytes, not 32") }
    return bytes(data)
  }

  static func text(
    _ pointer: UnsafeMutablePointer<CChar>?, _ name: String, maximum: Int = maximumText
  ) throws(WireError) -> String {
    guard let pointer else { return "" }
    guard let text = String(validatingCString: pointer) else { throw .field(name, "it is not UTF-8") }
    guard text.utf8.count <= maximum else {
      throw .field(name, "\(text.utf8.count) bytes, at most \(maximum) are taken")
    }
    return text
  }

  static func role(_ value: UInt32, _ name: String) throws(WireError) -> Role {
    guard let role = UInt8(exactly: value).flatMap(Role.init(rawValue:)) else {
      throw .field(name, "there is no role \(value)")
    }
    return role
  }

  /// A number of something.
  static func int(_ value: UInt64, _ name: String, maximum: Int = Int(Bounds.count)) throws(WireError) -> Int {
    guard value <= UInt64(maximum) else { throw .field(name, "\(value), at most \(maximum) is taken") }
    return Int(value)
  }

  /// The same as an unsigned number.
  static func count(_ value: UInt64, _ name: String) throws(WireError) -> UInt64 { UInt64(try int(value, name)) }

  /// A number that only rises: what is added to it does not overflow.
  static func counter(_ value: UInt64, _ name: String) throws(WireError) -> UInt64 {
    UInt64(try int(value, name, maximum: Int(Bounds.counter)))
  }

  /// The number of a member: that of one which was not given any, or one of those that there are.
  static func member(_ value: UInt32, _ name: String) throws(WireError) -> UInt32 {
    guard value < Bounds.members || value == Member.unassigned else {
      throw .field(name, "\(value), and a role has at most \(Bounds.members) members")
    }
    return value
  }

  /// A name or an address.
  static func name(_ pointer: UnsafeMutablePointer<CChar>?, _ name: String) throws(WireError) -> String {
    try text(pointer, name, maximum: Bounds.nameBytes)
  }

  /// A text as it is taken: what is longer than one line for a person may be is cut, at a character.
  static func line(_ text: String) -> String {
    guard text.utf8.count > maximumText else { return text }
    var count = 0
    return String(
      text.prefix { character in
        count += character.utf8.count
        return count <= maximumText
      })
  }

  /// The bits of what a gradient is multiplied by: none is made longer, and one that is not finite has no number for it.
  static func scale(_ bits: UInt64, _ name: String) throws(WireError) -> UInt64 {
    let scale = Double(bitPattern: bits)
    guard scale.isNaN || (0...1).contains(scale) else { throw .field(name, "\(scale), not from 0 to 1") }
    return bits
  }

  static func node(level: UInt32, index: UInt32, _ name: String) throws(WireError) -> ShardNode {
    let deepest = ShardTree.maximumShards.trailingZeroBitCount
    guard level <= UInt32(deepest), index < UInt32(ShardTree.maximumShards) >> level else {
      throw .field(name, "there is no node \(index) at level \(level)")
    }
    return ShardNode(level: UInt8(level), index: index)
  }

  /// The message that a body's pointer leads to.
  static func message<Message>(_ pointer: UnsafeMutablePointer<Message>?, _ name: String) throws(WireError) -> Message {
    guard let pointer else { throw .field(name, "it is missing") }
    return pointer.pointee
  }

  /// The numbers of a repeated field.
  static func numbers(
    _ pointer: UnsafeMutablePointer<UInt32>?, _ count: Int, _ name: String, maximum: Int
  ) throws(WireError) -> [UInt32] {
    guard count <= maximum else { throw .field(name, "\(count) of them, at most \(maximum) are taken") }
    guard let pointer else { return [] }
    return Array(UnsafeBufferPointer(start: pointer, count: count))
  }

  /// The large numbers of a repeated field.
  static func counts(
    _ pointer: UnsafeMutablePointer<UInt64>?, _ count: Int, _ name: String, maximum: Int
  ) throws(WireError) -> [UInt64] {
    guard count <= maximum else { throw .field(name, "\(count) of them, at most \(maximum) are taken") }
    guard let pointer else { return [] }
    var numbers: [UInt64] = []
    for number in UnsafeBufferPointer(start: pointer, count: count) { numbers.append(try self.count(number, name)) }
    return numbers
  }

  /// The messages of a repeated field.
  static func messages<Message>(
    _ pointer: UnsafeMutablePointer<UnsafeMutablePointer<Message>?>?, _ count: Int, _ name: String, maximum: Int
  ) throws(WireError) -> [Message] {
    guard count <= maximum else { throw .field(name, "\(count) of them, at most \(maximum) are taken") }
    guard let pointer else { return [] }
    return (0..<count).compactMap { pointer[$0]?.pointee }
  }
}
