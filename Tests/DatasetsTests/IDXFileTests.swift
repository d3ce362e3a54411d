import Datasets
import Tensors
import Testing

@Suite struct IDXFileTests {
  private let folder = TemporaryFolder()
  private static let good = SmallFiles.idx([2, 2, 3], Array(10..<22))

  /// What is said of a file that is refused, without its path, which must be named.
  private func refusal(_ bytes: [UInt8], dimensions: Int = 3) -> String? {
    let path = folder.write("file", bytes)
    let error = #expect(throws: DatasetError.self) { try IDXFile(path: path, dimensions: dimensions) }
    guard let text = error?.description, text.hasPrefix("\(path): "), !text.contains("\n") else { return nil }
    return String(text.dropFirst(path.count + 2))
  }

  @Test("Plain and gzip give the same bytes and the digest of the uncompressed file")
  func reads() throws {
    for bytes in [Self.good, SmallFiles.gzip(Self.good)] {
      let file = try IDXFile(path: folder.write("file", bytes), dimensions: 3)
      #expect(file.extents == [2, 2, 3])
      #expect(file.bytes == Array(10..<22))
      #expect(file.digest == SHA256.digest(of: Self.good))
    }
  }

  @Test("Labels are read as they are")
  func labels() throws {
    let file = try IDXFile(path: folder.write("file", SmallFiles.idx([3], [7, 0, 255])), dimensions: 1)
    #expect(file.bytes == [7, 0, 255])
  }

  @Test("A wrong magic number is shown beside the expected one")
  func magic() {
    #expect(
      refusal(SmallFiles.idx([3], Array(0..<30)))
        == "its magic number is 0x00000801, expected 0x00000803 (unsigned bytes, 3 dimensions)")
    #expect(refusal([UInt8](repeating: 0, count: 40))?.contains("is 0x00000000, expected 0x00000803") == true)
  }

  @Test("Every cut of the plain file is refused and says where it ends")
  func cuts() {
    for count in Self.good.indices {
      let expected =
        count < 16
        ? "it ends after \(count) bytes, in its header of 16"
        : "it ends after \(count - 16) bytes of data, its header states 12"
      #expect(refusal(Array(Self.good[..<count])) == expected)
    }
  }

  @Test("Every cut of the gzip file is refused")
  func gzipCuts() {
    let bytes = SmallFiles.gzip(Self.good)
    for count in bytes.indices { #expect(refusal(Array(bytes[..<count])) != nil) }
    #expect(refusal(Array(bytes[..<30])) == "the gzip stream is cut short")
    #expect(refusal(Array(bytes.dropLast())) == "the gzip stream is cut short")
  }

  @Test("A flipped bit in a gzip file's data is found by its checksum")
  func gzipDamage() {
    var bytes = SmallFiles.gzip(Self.good)
    bytes[bytes.count - 12] ^= 4
    #expect(refusal(bytes)?.hasPrefix("the gzip stream is damaged: ") == true)
  }

  @Test("Flipped bits never do worse than a refusal")
  func flips() {
    let bytes = SmallFiles.gzip(Self.good)
    for bit in 0..<bytes.count * 8 {
      var flipped = bytes
      flipped[bit / 8] ^= 1 << (bit % 8)
      let path = folder.write("file", flipped)
      // Bits of the gzip header that say nothing of the data (time, system) may be anything.
      if let file = try? IDXFile(path: path, dimensions: 3) { #expect(file.bytes == Array(10..<22)) }
    }
  }

  @Test("Bytes after the data are refused")
  func trailing() {
    #expect(refusal(Self.good + [0]) == "bytes follow the 12 that its header states")
    #expect(refusal(SmallFiles.gzip(Self.good + [0])) == "bytes follow the 12 that its header states")
  }

  @Test("Extents that no file has are refused before memory is taken")
  func extents() {
    let huge = Int(UInt32.max)
    #expect(refusal(SmallFiles.idx([huge, huge, huge], []))?.hasPrefix("its header states 4294967295×") == true)
    #expect(refusal(SmallFiles.idx([huge, 28, 28], []))?.hasPrefix("its header states 4294967295×28×28") == true)
    #expect(refusal(SmallFiles.idx([0, 28, 28], []))?.hasPrefix("its header states 0×28×28 bytes") == true)
    // A size within the limit is not believed either: the file ends at once.
    #expect(
      refusal(SmallFiles.idx([1 << 22, 28, 28], [1]))
        == "it ends after 1 bytes of data, its header states 3288334336")
  }

  @Test("What cannot be opened or read says why")
  func unreadable() {
    let missing = #expect(throws: DatasetError.self) { try IDXFile(path: "\(folder.path)/none", dimensions: 1) }
    #expect(missing?.description == "\(folder.path)/none: cannot be opened: No such file or directory")
    let directory = #expect(throws: DatasetError.self) { try IDXFile(path: folder.path, dimensions: 1) }
    #expect(directory?.description == "\(folder.path): cannot be read: Is a directory")
  }
}
