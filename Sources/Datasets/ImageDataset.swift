public import Tensors

/// Which part of a data set.
public enum Split: String, Hashable, Sendable {
  /// What is trained on.
  case train
  /// What is only evaluated on.
  case test
}

/// Labelled images of one size, kept as bytes.
public struct ImageDataset: Sendable {
  /// The data set's name, as in `fashion-mnist`.
  public let name: String
  /// Which part of it.
  public let split: Split
  /// The shape of an image: channels, height, width.
  public let sampleShape: Shape
  /// The names of the classes; a label is an index into it.
  public let classNames: [String]
  /// Number of images.
  public let count: Int
  /// Mean of the training set's pixels, as shares of white.
  public let mean: Float
  /// Standard deviation of the training set's pixels, as shares of white.
  public let deviation: Float
  /// SHA-256 over the files' digests: members of a job compare it.
  public let digest: SHA256Digest

  private let pixels: [UInt8]
  private let labels: [UInt8]

  init(
    name: String, split: Split, sampleShape: Shape, classNames: [String], mean: Float, deviation: Float,
    images: IDXFile, labels: IDXFile
  ) {
    self.name = name
    self.split = split
    self.sampleShape = sampleShape
    self.classNames = classNames
    self.mean = mean
    self.deviation = deviation
    count = images.extents[0]
    pixels = images.bytes
    self.labels = labels.bytes
    digest = SHA256.digest(of: images.digest.bytes + labels.digest.bytes)
  }

  /// The label of an image.
  public func label(of sample: Int) -> Int32 { Int32(labels[sample]) }

  /// Reads an image's bytes, in the order of `sampleShape`.
  public func withPixels<Result>(of sample: Int, _ body: (Span<UInt8>) throws -> Result) rethrows -> Result {
    precondition(sample >= 0 && sample < count, "image \(sample) of \(count)")
    let size = sampleShape.count
    return try pixels.withUnsafeBufferPointer {
      try body(UnsafeBufferPointer(rebasing: $0[sample * size..<(sample + 1) * size]).span)
    }
  }
}
