/// Samples on their way from a reader to an engine: inputs, labels, targets, and which samples they are.
///
/// A batch is made once for a capacity and filled again and again; it has one owner at a time.
public final class Batch {
  /// Most samples that it holds.
  public let capacity: Int
  /// The shape of one sample's input, as in `[1, 28, 28]`.
  public let sampleShape: Shape
  /// Inputs, sample after sample, each in the order of `sampleShape`: `capacity × sampleShape.count` elements.
  public let inputs: FlatVector
  /// Number of targets of a sample, for losses that read more than a label.
  public let targetCount: Int
  /// Targets, sample after sample, as the network's losses read them: `capacity × targetCount` elements.
  public let targets: FlatVector
  /// Number of samples that it holds now.
  public private(set) var count = 0
  /// The epoch that the samples are read in, from 0. Random choices for a sample are keyed by it.
  public private(set) var epoch = 0

  private var labelStorage: AlignedBuffer<Int32>
  private var sampleStorage: AlignedBuffer<Int>

  /// A batch for up to `capacity` samples, holding none.
  public init(capacity: Int, sampleShape: Shape, targetCount: Int = 0) {
    self.capacity = capacity
    self.sampleShape = sampleShape
    inputs = FlatVector(count: capacity * sampleShape.count)
    self.targetCount = targetCount
    targets = FlatVector(count: capacity * targetCount)
    labelStorage = AlignedBuffer(count: capacity)
    sampleStorage = AlignedBuffer(count: capacity)
  }

  /// Empties the batch for samples of another epoch.
  public func removeAll(epoch: Int) {
    count = 0
    self.epoch = epoch
  }

  /// Adds a sample; `fill` writes its input.
  ///
  /// - Precondition: the batch is not full.
  public func append(sample: Int, label: Int32, fill: (inout MutableSpan<Float>) throws -> Void) rethrows {
    precondition(targetCount == 0, "a sample without its \(targetCount) targets")
    try append(sample: sample, label: label, fill: fill, fillTargets: { _ in })
  }

  /// Adds a sample with targets; `fill` writes its input, `fillTargets` its targets.
  ///
  /// - Precondition: the batch is not full.
  public func append(
    sample: Int, label: Int32, fill: (inout MutableSpan<Float>) throws -> Void,
    fillTargets: (inout MutableSpan<Float>) throws -> Void
  ) rethrows {
    precondition(count < capacity, "a batch of \(capacity) samples is full")
    let input = UnsafeMutableBufferPointer(
      start: inputs.pointer + count * sampleShape.count, count: sampleShape.count)
    var span = input.mutableSpan
    try fill(&span)
    let targets = UnsafeMutableBufferPointer(start: targets.pointer + count * targetCount, count: targetCount)
    var targetSpan = targets.mutableSpan
    try fillTargets(&targetSpan)
    labelStorage.pointer[count] = label
    sampleStorage.pointer[count] = sample
    count += 1
  }

  /// The labels' address, `count` of them.
  package var labelPointer: UnsafePointer<Int32> { UnsafePointer(labelStorage.pointer) }

  /// The samples' indices in their data set, `count` of them.
  package var samplePointer: UnsafePointer<Int> { UnsafePointer(sampleStorage.pointer) }

  /// The label of a sample of the batch.
  public func label(at index: Int) -> Int32 {
    precondition(index >= 0 && index < count, "sample \(index) of a batch of \(count)")
    return labelPointer[index]
  }

  /// The index in its data set of a sample of the batch.
  public func sample(at index: Int) -> Int {
    precondition(index >= 0 && index < count, "sample \(index) of a batch of \(count)")
    return samplePointer[index]
  }
}

// A batch is handed over whole: the reader that filled it lets go before the engine takes it.
extension Batch: @unchecked Sendable {}
