import CKernels

/// The blocks over which squared norms are summed: 64 KiB each, beginning anew with every tensor.
///
/// A norm is the sum of its blocks' fp64 sums in index order. The blocks do not depend on chunks or servers, so whoever
/// computes which block, the norm has the same bits.
public struct NormBlocks: Hashable, Sendable {
  /// Elements of a block that is not its tensor's last.
  public static let elementsPerBlock = 16_384

  /// The elements of each block, in the order of the flat vector.
  public let ranges: [Range<Int>]
  /// For each tensor of the layout its blocks, as indices into `ranges`.
  public let blocksOfTensor: [Range<Int>]

  /// The blocks of a layout.
  public init(_ layout: ParameterLayout) {
    var ranges: [Range<Int>] = []
    var tensors: [Range<Int>] = []
    for entry in layout.entries {
      let first = ranges.count
      for start in stride(from: entry.range.lowerBound, to: entry.range.upperBound, by: Self.elementsPerBlock) {
        ranges.append(start..<min(start + Self.elementsPerBlock, entry.range.upperBound))
      }
      tensors.append(first..<ranges.count)
    }
    self.ranges = ranges
    blocksOfTensor = tensors
  }

  /// The sum of squares over each of some blocks of a flat vector, in fp64.
  ///
  /// - Parameter blocks: which ones, as indices into `ranges`; nil for all.
  /// - Precondition: the vector holds the blocks.
  public func partialSums(of vector: FlatVector, blocks: Range<Int>? = nil) -> [Double] {
    ranges[blocks ?? 0..<ranges.count].map { vector.squaredNorm(in: $0) }
  }

  /// The norm of each tensor of a flat vector: the root of its blocks' sums, added in index order.
  public func tensorNorms(of vector: FlatVector) -> [Double] {
    let sums = partialSums(of: vector)
    return blocksOfTensor.map { Self.norm(of: sums[$0]) }
  }

  /// The norm that follows from sums of squares, which are added in their order.
  public static func norm(of partialSums: some Sequence<Double>) -> Double {
    partialSums.reduce(0, +).squareRoot()
  }
}

extension FlatVector {
  /// The sum of a range's elements, in fp64 and in one fixed order on every instruction set.
  public func sum(in range: Range<Int>) -> Double {
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "\(range) of a vector of \(count)")
    return convoy_sum_f32(pointer + range.lowerBound, range.count)
  }

  /// The sum of the squares of a range's elements, in fp64 and in one fixed order on every instruction set.
  public func squaredNorm(in range: Range<Int>) -> Double {
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "\(range) of a vector of \(count)")
    return convoy_squared_norm_f32(pointer + range.lowerBound, range.count)
  }
}
