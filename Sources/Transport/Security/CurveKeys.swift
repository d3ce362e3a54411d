/// The public half of a process's key, as CURVE uses it: 32 bytes. Not a secret.
public struct CurvePublicKey: Hashable, Sendable, CustomStringConvertible {
  /// The bytes, 32 of them.
  public let bytes: [UInt8]

  /// Number of bytes of a key, public or secret.
  public static let byteCount = 32
  /// Number of characters of a key as text.
  public static let textLength = 40

  /// A key of 32 bytes, or nil for another number of them.
  public init?(_ bytes: [UInt8]) {
    guard bytes.count == Self.byteCount else { return nil }
    self.bytes = bytes
  }

  /// A key from its 40 characters of Z85, or nil where the text is something else.
  public init?(text: String) {
    guard let bytes = Z85.decode(text) else { return nil }
    self.init(bytes)
  }

  /// The key as 40 characters of Z85.
  public var description: String { Z85.encode(bytes) }
}

/// A process's key: the public half that others know it by, and the secret half. What is printed of it, or dumped, is
/// the public half only.
public struct CurveKeyPair: Sendable, CustomStringConvertible, CustomReflectable {
  /// What others know it by.
  public let publicKey: CurvePublicKey
  /// The secret half, 32 bytes.
  package let secretBytes: [UInt8]

  private init(publicKey: CurvePublicKey, secretBytes: [UInt8]) {
    self.publicKey = publicKey
    self.secretBytes = secretBytes
  }

  /// A new key, from the system's source of randomness. Fails where libzmq was built without CURVE.
  public static func generate() throws(TransportError) -> CurveKeyPair {
    let pair = try ZeroMQ.makeCurveKeys()
    guard let publicKey = CurvePublicKey(text: pair.publicText), let secret = Z85.decode(pair.secretText),
      secret.count == CurvePublicKey.byteCount
    else { throw .system("make a key", "libzmq gave what is no key") }
    return CurveKeyPair(publicKey: publicKey, secretBytes: secret)
  }

  /// The key whose secret half this is, as 40 characters of Z85, or nil where the text is something else or libzmq was
  /// built without CURVE. The public half follows from it.
  package init?(secretText: String) {
    guard let secret = Z85.decode(secretText), secret.count == CurvePublicKey.byteCount,
      let text = ZeroMQ.curvePublicText(ofSecret: secretText), let publicKey = CurvePublicKey(text: text)
    else { return nil }
    self.init(publicKey: publicKey, secretBytes: secret)
  }

  /// The key whose secret half is 32 bytes that a job's processes have in common; CURVE takes any. Fails where libzmq was
  /// built without CURVE.
  ///
  /// - Precondition: there are 32 bytes.
  init(sharedSecret: [UInt8]) throws(TransportError) {
    precondition(sharedSecret.count == CurvePublicKey.byteCount, "a secret key of \(sharedSecret.count) bytes")
    guard let pair = CurveKeyPair(secretText: Z85.encode(sharedSecret)) else {
      throw .system("use a key", "libzmq \(ZeroMQ.version) was built without CURVE")
    }
    self = pair
  }

  /// The secret half as 40 characters of Z85: for its file of mode 0600, and nothing else.
  package var secretText: String { Z85.encode(secretBytes) }

  /// The public half.
  public var description: String { "the key \(publicKey)" }

  /// Only the public half, so that a dump shows no secret.
  public var customMirror: Mirror { Mirror(self, children: ["publicKey": publicKey.description]) }
}

/// ZeroMQ's text form of bytes: five printable characters for four bytes.
package enum Z85 {
  private static let alphabet = Array(
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#".utf8)

  /// The text of bytes, whose number is a multiple of four.
  package static func encode(_ bytes: [UInt8]) -> String {
    precondition(bytes.count.isMultiple(of: 4), "\(bytes.count) bytes have no Z85 text")
    var text: [UInt8] = []
    for start in stride(from: 0, to: bytes.count, by: 4) {
      let value = bytes[start..<start + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
      var divisor: UInt32 = 52_200_625  // 85⁴
      for _ in 0..<5 {
        text.append(alphabet[Int(value / divisor % 85)])
        divisor /= 85
      }
    }
    return String(decoding: text, as: UTF8.self)
  }

  /// The bytes of a text, or nil where it is none: another length or character, or a group above 2³² - 1.
  package static func decode(_ text: String) -> [UInt8]? {
    let characters = Array(text.utf8)
    guard characters.count.isMultiple(of: 5) else { return nil }
    var bytes: [UInt8] = []
    for start in stride(from: 0, to: characters.count, by: 5) {
      var value: UInt64 = 0
      for character in characters[start..<start + 5] {
        guard let digit = alphabet.firstIndex(of: character) else { return nil }
        value = value * 85 + UInt64(digit)
      }
      guard let group = UInt32(exactly: value) else { return nil }
      for shift in [24, 16, 8, 0] { bytes.append(UInt8(truncatingIfNeeded: group >> UInt32(shift))) }
    }
    return bytes
  }
}
