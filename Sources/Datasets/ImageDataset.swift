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

  /// A data set of an IDX file of images and one of labels, which must belong together.
  ///
  /// - Throws: `DatasetError.damaged` where the counts differ or a label is none of the classes.
  package init(
    name: String, split: Split, classNames: [String], mean: Float, deviation: Float, images: IDXFile, labels: IDXFile
  ) throws(DatasetError) {
    guard images.extents.count == 3, labels.extents.count == 1 else {
      throw .damaged(
        file: images.path, "images have 3 dimensions and labels 1, not \(images.extents) and \(labels.extents)")
    }
    guard images.extents[0] == labels.extents[0] else {
      throw .damaged(
        file: labels.path,
        "it holds \(labels.extents[0]) labels, expected \(images.extents[0]): the images of \(images.path)")
    }
    if let index = labels.bytes.firstIndex(where: { $0 >= classNames.count }) {
      throw .damaged(
        file: labels.path,
        "label \(index) is \(labels.bytes[index]), expected 0 to \(classNames.count - 1): one of \(classNames.count) classes"
      )
    }
    self.name = name
    self.split = split
    sampleShape = [1, images.extents[1], images.extents[2]]
    self.classNames = classNames
    self.mean = mean
    self.deviation = deviation
    count = images.extents[0]
    pixels = images.bytes
    self.labels = labels.bytes
    digest = SHA256.digest(of: images.digest.bytes + labels.digest.bytes)
  }

  /// The label of an image.
  ///
  /// - Precondition: the image is one of the `count`.
  public func label(of sample: Int) -> Int32 {
    precondition(sample >= 0 && sample < count, "image \(sample) of \(count)")
    return Int32(labels[sample])
  }

  /// Reads an image's bytes, in the order of `sampleShape`.
  public func withPixels<Result>(of sample: Int, _ body: (Span<UInt8>) throws -> Result) rethrows -> Result {
    precondition(sample >= 0 && sample < count, "image \(sample) of \(count)")
    let size = sampleShape.count
    return try pixels.withUnsafeBufferPointer {
      try body(UnsafeBufferPointer(rebasing: $0[sample * size..<(sample + 1) * size]).span)
    }
  }
}
