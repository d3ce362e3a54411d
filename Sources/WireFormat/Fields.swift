import CMessages
import CProtobufC
import ParameterServer

/// Fields of a message that was read, checked one by one.
enum Fields {
  /// Most characters of a name, an address, or one line for a person.
  static let maximumText = 4096
  /// Most bytes of a job's settings.
  static let maximumJob = 1 << 20

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

  /// A number of something; at most all shards of all steps that a job may have, and one.
  static func int(_ value: UInt64, _ name: String, maximum: Int = 1 << 57) throws(WireError) -> Int {
    guard value <= UInt64(maximum) else { throw .field(name, "\(value), at most \(maximum) is taken") }
    return Int(value)
  }

  /// The same as an unsigned number.
  static func count(_ value: UInt64, _ name: String) throws(WireError) -> UInt64 { UInt64(try int(value, name)) }

  /// A number that only rises: what is added to it does not overflow.
  static func counter(_ value: UInt64, _ name: String) throws(WireError) -> UInt64 {
    UInt64(try int(value, name, maximum: 1 << 62))
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
