import Tensors

/// The bytes of a journal: a head of sixteen, then records one after the other; all numbers little-endian.
enum JournalFormat {
  static let currentVersion: UInt32 = 1
  static let headBytes = 16
  private static let headMagic = Array("CVYJRNL\n".utf8)

  /// What a journal begins with: eight bytes that name it, the format's version, and a CRC-32C of both.
  static func head(version: UInt32 = currentVersion) -> [UInt8] {
    var bytes = headMagic
    bytes.append(number: version)
    bytes.append(number: CRC32C.checksum(of: bytes))
    return bytes
  }

  /// Refuses what is no journal or one of a newer format.
  static func check(head bytes: [UInt8], _ path: String) throws(ModelFileError) {
    guard bytes.starts(with: headMagic) else {
      throw ModelFileError(path: path, problem: "it does not begin as a journal does", kind: .damaged)
    }
    let version: UInt32 = bytes.number(at: 8)
    guard bytes == head(version: version) else {
      throw ModelFileError(path: path, problem: "its first \(headBytes) bytes are damaged", kind: .damaged)
    }
    guard version == currentVersion else {
      throw ModelFileError(
        path: path, problem: "it is of format \(version), and this build reads \(currentVersion): take a newer build",
        kind: .newerFormat)
    }
  }

  /// What comes before a record's bytes.
  struct RecordHead {
    static let byteCount = 40
    /// "CRD1".
    static let magic: UInt32 = 0x3144_5243

    let isSnapshot: Bool
    let length: UInt64
    let sequence: UInt64
    /// How much of the file was known to last when the record was written: what is bad before that is damage, for it was
    /// good once; what is bad after it may be what a crash left.
    let lasting: UInt64
    let checksum: UInt32

    init(isSnapshot: Bool, sequence: UInt64, lasting: Int, bytes: [UInt8]) {
      self.isSnapshot = isSnapshot
      self.sequence = sequence
      self.lasting = UInt64(lasting)
      length = UInt64(bytes.count)
      checksum = CRC32C.checksum(of: bytes)
    }

    /// Forty bytes, the last four a CRC-32C of the others and of the record's place in the file: a record that lies in
    /// another's bytes is not taken for one.
    func encoded(at offset: Int) -> [UInt8] {
      var bytes: [UInt8] = []
      bytes.append(number: Self.magic)
      bytes.append(number: UInt32(isSnapshot ? 1 : 0))
      bytes.append(number: length)
      bytes.append(number: sequence)
      bytes.append(number: lasting)
      bytes.append(number: checksum)
      bytes.append(number: Self.checksum(bytes, offset))
      return bytes
    }

    /// The head that forty bytes from `start` on are, or nil.
    init?(_ bytes: [UInt8], from start: Int = 0, at offset: Int) {
      guard bytes.number(at: start) as UInt32 == Self.magic else { return nil }
      let covered = Array(bytes[start..<start + Self.byteCount - 4])
      let kind: UInt32 = covered.number(at: 4)
      let checksum: UInt32 = bytes.number(at: start + Self.byteCount - 4)
      guard kind <= 1, checksum == Self.checksum(covered, offset) else { return nil }
      isSnapshot = kind == 1
      length = covered.number(at: 8)
      sequence = covered.number(at: 16)
      lasting = covered.number(at: 24)
      self.checksum = covered.number(at: 32)
    }

    private static func checksum(_ bytes: [UInt8], _ offset: Int) -> UInt32 {
      var covered = bytes
      covered.append(number: UInt64(offset))
      return CRC32C.checksum(of: covered)
    }
  }
}

extension [UInt8] {
  fileprivate mutating func append(number: some FixedWidthInteger) {
    Swift.withUnsafeBytes(of: number.littleEndian) { append(contentsOf: $0) }
  }

  fileprivate func number<Number: FixedWidthInteger>(at index: Int) -> Number {
    withUnsafeBytes { Number(littleEndian: $0.loadUnaligned(fromByteOffset: index, as: Number.self)) }
  }
}
