import Datasets

/// Files made byte by byte, without the code that reads them.
enum SmallFiles {
  static func bigEndian(_ value: UInt32) -> [UInt8] {
    [UInt8(value >> 24), UInt8(value >> 16 & 255), UInt8(value >> 8 & 255), UInt8(value & 255)]
  }

  /// An IDX file of unsigned bytes.
  static func idx(_ extents: [Int], _ bytes: [UInt8]) -> [UInt8] {
    bigEndian(0x0800 + UInt32(extents.count)) + extents.flatMap { bigEndian(UInt32($0)) } + bytes
  }

  /// A gzip file with one stored block (RFC 1951, 1952).
  static func gzip(_ bytes: [UInt8]) -> [UInt8] {
    func littleEndian(_ value: UInt32) -> [UInt8] { bigEndian(value).reversed() }
    let length = UInt32(bytes.count)
    let block = [1] + littleEndian(length | (~length << 16)) + bytes
    return [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3] + block + littleEndian(crc32(bytes)) + littleEndian(length)
  }

  private static func crc32(_ bytes: [UInt8]) -> UInt32 {
    var crc: UInt32 = 0xFFFF_FFFF
    for byte in bytes {
      crc ^= UInt32(byte)
      for _ in 0..<8 { crc = crc >> 1 ^ (crc & 1 == 1 ? 0xEDB8_8320 : 0) }
    }
    return ~crc
  }

  /// A data set of images whose pixels count up from the image's index, with labels 0, 1, 2 in turn.
  static func dataset(count: Int, height: Int = 2, width: Int = 2, mean: Float = 0.25, deviation: Float = 0.5) throws
    -> ImageDataset
  {
    let folder = TemporaryFolder()
    let size = height * width
    var pixels: [UInt8] = []
    for image in 0..<count {
      for pixel in 0..<size { pixels.append(UInt8(truncatingIfNeeded: image + 50 * pixel)) }
    }
    let images = folder.write("images", idx([count, height, width], pixels))
    let labels = folder.write("labels", idx([count], (0..<count).map { UInt8($0 % 3) }))
    return try ImageDataset(
      name: "small", split: .train, classNames: ["a", "b", "c"], mean: mean, deviation: deviation,
      images: IDXFile(path: images, dimensions: 3), labels: IDXFile(path: labels, dimensions: 1))
  }
}
