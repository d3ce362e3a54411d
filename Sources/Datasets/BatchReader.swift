public import Tensors

/// Positions of an epoch's order.
public struct SampleBlock: Hashable, Sendable {
  /// The epoch, from 0.
  public let epoch: Int
  /// The positions.
  public let positions: Range<Int>

  /// A block of positions.
  public init(epoch: Int, positions: Range<Int>) {
    self.epoch = epoch
    self.positions = positions
  }
}

/// Turns samples into an engine's input: normalised by mean and deviation, on a border of background where the
/// network's input is larger than the image.
public struct BatchReader: Sendable {
  private let dataset: ImageDataset
  private let part: DatasetPart
  private let order: SampleOrder?
  private let sampleShape: Shape
  private let border: Int
  /// The normalised value of each byte.
  private let values: [Float]

  /// A reader for inputs of a shape.
  ///
  /// - Parameters:
  ///   - part: the samples that it reads.
  ///   - order: the order of an epoch over the part; nil for the part's own.
  public init(
    dataset: ImageDataset, part: DatasetPart = .all, order: SampleOrder?, sampleShape: Shape
  ) throws(DatasetError) {
    let image = dataset.sampleShape
    let border = sampleShape.rank == 3 ? (sampleShape[1] - image[1]) / 2 : -1
    guard sampleShape.rank == 3, image[0] == sampleShape[0], border >= 0, image[1] + 2 * border == sampleShape[1],
      image[2] + 2 * border == sampleShape[2]
    else {
      throw .unsuitable("the network takes inputs of \(sampleShape), \(dataset.name) has images of \(image)")
    }
    self.dataset = dataset
    self.part = part
    self.order = order
    self.sampleShape = sampleShape
    self.border = border
    values = (0...255).map { (Float($0) / 255 - dataset.mean) / dataset.deviation }
  }

  /// Fills a batch with the samples at a block's positions.
  ///
  /// - Precondition: they fit the batch.
  public func read(_ block: SampleBlock, into batch: Batch) {
    precondition(batch.sampleShape == sampleShape, "a batch of \(batch.sampleShape) inputs for \(sampleShape)")
    batch.removeAll(epoch: block.epoch)
    for position in block.positions {
      let sample = part.sample(order?.sample(at: position, epoch: block.epoch) ?? position)
      dataset.withPixels(of: sample) { pixels in
        batch.append(sample: sample, label: dataset.label(of: sample)) { input in fill(&input, from: pixels) }
      }
    }
  }

  private func fill(_ input: inout MutableSpan<Float>, from pixels: Span<UInt8>) {
    values.withUnsafeBufferPointer { values in
      if border == 0 {
        for index in pixels.indices { input[index] = values[Int(pixels[index])] }
        return
      }
      let (width, inputWidth) = (sampleShape[2] - 2 * border, sampleShape[2])
      let (height, inputHeight) = (sampleShape[1] - 2 * border, sampleShape[1])
      for index in input.indices { input[index] = values[0] }
      for channel in 0..<sampleShape[0] {
        for row in 0..<height {
          let from = (channel * height + row) * width
          let to = (channel * inputHeight + row + border) * inputWidth + border
          for column in 0..<width { input[to + column] = values[Int(pixels[from + column])] }
        }
      }
    }
  }
}
