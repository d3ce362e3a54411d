import COpenSSL

/// A SHA-256 digest.
public struct SHA256Digest: Hashable, Sendable, CustomStringConvertible {
  /// Thirty-two bytes.
  public let bytes: [UInt8]

  /// The digest in lower-case hexadecimal.
  public var description: String {
    let digits = Array("0123456789abcdef".utf8)
    let text = bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
    return String(decoding: text, as: UTF8.self)
  }
}

/// Computes a SHA-256 digest piece by piece, with libcrypto.
public struct SHA256: ~Copyable {
  private let context: OpaquePointer

  /// Begins a digest.
  public init() {
    guard let context = EVP_MD_CTX_new() else { preconditionFailure("libcrypto has no memory for a digest") }
    Self.check(EVP_DigestInit_ex(context, EVP_sha256(), nil), "begin")
    self.context = context
  }

  deinit {
    EVP_MD_CTX_free(context)
  }

  private static func check(_ result: Int32, _ action: String) {
    // These calls fail only where libcrypto lacks SHA-256 or memory.
    precondition(result == 1, "libcrypto could not \(action) a SHA-256 digest")
  }

  /// Adds bytes.
  public mutating func update(_ bytes: UnsafeRawBufferPointer) {
    Self.check(EVP_DigestUpdate(context, bytes.baseAddress, bytes.count), "update")
  }

  /// Adds bytes.
  public mutating func update(_ bytes: [UInt8]) {
    bytes.withUnsafeBytes { update($0) }
  }

  /// The digest of all that was added.
  public consuming func finalize() -> SHA256Digest {
    let bytes = [UInt8](unsafeUninitializedCapacity: 32) { buffer, count in
      Self.check(EVP_DigestFinal_ex(context, buffer.baseAddress, nil), "finish")
      count = 32
    }
    return SHA256Digest(bytes: bytes)
  }

  /// The digest of a text's UTF-8 bytes.
  public static func digest(of text: String) -> SHA256Digest {
    digest(of: Array(text.utf8))
  }

  /// The digest of bytes.
  public static func digest(of bytes: [UInt8]) -> SHA256Digest {
    var hasher = SHA256()
    hasher.update(bytes)
    return hasher.finalize()
  }
}

extension FlatVector {
  /// SHA-256 over the elements as little-endian fp32.
  public func sha256() -> SHA256Digest {
    var hasher = SHA256()
    withBytes(of: 0..<count) { hasher.update($0) }
    return hasher.finalize()
  }
}
