package import Tensors

/// A file of the IDX format: a magic number, big-endian extents, then unsigned bytes.
package struct IDXFile: Sendable {
  /// The file.
  package let path: String
  /// The extents, outermost first: the count, then an item's.
  package let extents: [Int]
  /// The bytes.
  package let bytes: [UInt8]
  /// SHA-256 over the whole uncompressed file.
  package let digest: SHA256Digest

  /// Most bytes that a file may hold: what is stated is not believed beyond it.
  package static let maximumBytes = 1 << 34
  /// Bytes that are taken and hashed at a time, so that what a header states is only taken as the file fills it.
  private static let pieceBytes = 1 << 20

  /// Reads a file of unsigned bytes in so many dimensions, gzip or plain.
  package init(path: String, dimensions: Int) throws(DatasetError) {
    self.path = path
    let reader = try GzipReader(path: path)
    var hasher = SHA256()
    let header = try Self.header(reader, bytes: 4 + 4 * dimensions)
    hasher.update(header)
    extents = try Self.extents(header, dimensions: dimensions, path)
    let expected = try Self.byteCount(extents, path)
    bytes = try Self.body(reader, count: expected, hashedBy: &hasher)
    var surplus: UInt8 = 0
    let more = try withUnsafeMutableBytes(of: &surplus) { buffer throws(DatasetError) in try reader.read(into: buffer) }
    guard more == 0 else {
      throw .damaged(file: path, "bytes follow the \(expected) that its header states")
    }
    digest = hasher.finalize()
  }

  private static func header(_ reader: borrowing GzipReader, bytes: Int) throws(DatasetError) -> [UInt8] {
    var header = [UInt8](repeating: 0, count: bytes)
    let count = try header.withUnsafeMutableBufferPointer { buffer throws(DatasetError) in
      try reader.read(into: UnsafeMutableRawBufferPointer(buffer))
    }
    guard count == bytes else {
      throw .damaged(file: reader.path, "it ends after \(count) bytes, in its header of \(bytes)")
    }
    return header
  }

  private static func extents(_ header: [UInt8], dimensions: Int, _ path: String) throws(DatasetError) -> [Int] {
    func number(_ index: Int) -> UInt32 { header[4 * index..<4 * index + 4].reduce(0) { $0 << 8 | UInt32($1) } }
    let expected = UInt32(0x0800 + dimensions)
    guard number(0) == expected else {
      throw .damaged(
        file: path,
        "its magic number is \(hexadecimal(number(0))), expected \(hexadecimal(expected)) (unsigned bytes, \(dimensions) dimensions)"
      )
    }
    return (1...dimensions).map { Int(number($0)) }
  }

  private static func hexadecimal(_ value: UInt32) -> String {
    let digits = String(value, radix: 16)
    return "0x" + String(repeating: "0", count: 8 - digits.count) + digits
  }

  private static func byteCount(_ extents: [Int], _ path: String) throws(DatasetError) -> Int {
    var count = 1
    for extent in extents {
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      guard !overflow, product <= maximumBytes, extent > 0 else {
        throw .damaged(
          file: path,
          "its header states \(extents.map(String.init).joined(separator: "×")) bytes, expected 1 to \(maximumBytes)")
      }
      count = product
    }
    return count
  }

  private static func body(
    _ reader: borrowing GzipReader, count: Int, hashedBy hasher: inout SHA256
  ) throws(DatasetError) -> [UInt8] {
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: min(pieceBytes, count))
    while bytes.count < count {
      let wanted = min(piece.count, count - bytes.count)
      let read = try piece.withUnsafeMutableBufferPointer { buffer throws(DatasetError) in
        try reader.read(into: UnsafeMutableRawBufferPointer(UnsafeMutableBufferPointer(rebasing: buffer[..<wanted])))
      }
      guard read == wanted else {
        throw .damaged(
          file: reader.path, "it ends after \(bytes.count + read) bytes of data, its header states \(count)")
      }
      // Believe the header once the file has shown that it is not tiny.
      if bytes.isEmpty, count <= 1 << 30 { bytes.reserveCapacity(count) }
      piece.withUnsafeBytes { hasher.update(UnsafeRawBufferPointer(rebasing: $0[..<read])) }
      bytes.append(contentsOf: piece[..<read])
    }
    return bytes
  }
}
