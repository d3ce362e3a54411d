import Tensors

/// The distribution that a tensor's first values are drawn from.
///
/// Every element follows from (seed, tensor, index) alone, so any machine can make any part of it.
public enum Initializer: Hashable, Sendable {
  /// Which distribution of a given variance.
  public enum Distribution: Hashable, Sendable {
    /// Uniform on an interval around 0.
    case uniform
    /// Normal with mean 0.
    case normal
  }

  /// Variance 2 / (fan in + fan out) (Glorot and Bengio, 2010).
  case xavier(Distribution)
  /// Variance 2 / fan in (He et al., 2015).
  case he(Distribution)
  /// One value.
  case constant(Float)
  /// Normal with mean 0.
  case gaussian(deviation: Double)
  /// Uniform on [−bound, bound).
  case uniform(bound: Double)

  /// Writes a part of a tensor's first values.
  ///
  /// - Parameters:
  ///   - first: the index in the tensor of the first element to write.
  ///   - shape: `[out, in / groups, kernel …]` or `[out, in]`: fans are counted from it as PyTorch does.
  ///   - random: the tensor's own stream.
  func fill(_ values: inout MutableSpan<Float>, from first: Int, shape: Shape, random: CounterRandom) {
    let receptive = shape.extents.dropFirst(2).reduce(1, *)
    let fanOut = Double(shape.extents.first ?? 1) * Double(receptive)
    let fanIn = Double(shape.rank > 1 ? shape[1] : 1) * Double(receptive)
    switch self {
    case .constant(let value):
      for index in values.indices { values[index] = value }
    case .xavier(.uniform): Self.fillUniform(&values, first, bound: (6 / (fanIn + fanOut)).squareRoot(), random)
    case .he(.uniform): Self.fillUniform(&values, first, bound: (6 / fanIn).squareRoot(), random)
    case .uniform(let bound): Self.fillUniform(&values, first, bound: bound, random)
    case .xavier(.normal): Self.fillNormal(&values, first, deviation: (2 / (fanIn + fanOut)).squareRoot(), random)
    case .he(.normal): Self.fillNormal(&values, first, deviation: (2 / fanIn).squareRoot(), random)
    case .gaussian(let deviation): Self.fillNormal(&values, first, deviation: deviation, random)
    }
  }

  private static func fillUniform(
    _ values: inout MutableSpan<Float>, _ first: Int, bound: Double, _ random: CounterRandom
  ) {
    // Four numbers of 32 random bits from each counter: more than an fp32 holds.
    var words = random.words(at: UInt64(first / 4))
    for index in values.indices {
      let element = first + index
      if element % 4 == 0 { words = random.words(at: UInt64(element / 4)) }
      values[index] = Float((Double(words[element % 4]) * 0x1p-31 - 1) * bound)
    }
  }

  private static func fillNormal(
    _ values: inout MutableSpan<Float>, _ first: Int, deviation: Double, _ random: CounterRandom
  ) {
    for index in values.indices { values[index] = Float(random.normal(at: UInt64(first + index)) * deviation) }
  }
}
