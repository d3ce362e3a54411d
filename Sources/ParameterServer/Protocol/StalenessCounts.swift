/// How late the gradients came that servers applied one by one: for each push the number of updates that its chunk had
/// seen since the gradient's parameters were read.
///
/// What members report is bounded where it comes in, and so are its sums.
public struct StalenessCounts: Hashable, Sendable {
  /// Pushes by staleness, up to the largest that occurred: the last of `maximumBins` counts all from there on.
  public private(set) var bins: [UInt64]
  /// The staleness of all pushes, added.
  public private(set) var sum: UInt64
  /// The largest staleness.
  public private(set) var largest: UInt64

  /// Most bins.
  public static let maximumBins = 65

  /// Counts as stated; bins beyond the most are left out.
  public init(bins: [UInt64] = [], sum: UInt64 = 0, largest: UInt64 = 0) {
    self.bins = Array(bins.prefix(Self.maximumBins))
    self.sum = sum
    self.largest = largest
  }

  /// Number of pushes.
  public var count: UInt64 { bins.reduce(0) { $0.adding($1) } }

  /// The mean staleness; 0 where nothing was pushed.
  public var mean: Double { count == 0 ? 0 : Double(sum) / Double(count) }

  /// Counts a push.
  mutating func add(_ staleness: UInt64) {
    let bin = Int(min(staleness, UInt64(Self.maximumBins - 1)))
    while bins.count <= bin { bins.append(0) }
    bins[bin] = bins[bin].adding(1)
    sum = sum.adding(staleness, atMost: Bounds.counter)
    largest = max(largest, staleness)
  }

  /// Adds what another server counted.
  mutating func add(_ other: StalenessCounts) {
    while bins.count < other.bins.count { bins.append(0) }
    for (bin, count) in other.bins.enumerated() { bins[bin] = bins[bin].adding(count) }
    sum = sum.adding(other.sum, atMost: Bounds.counter)
    largest = max(largest, other.largest)
    // Where the number of pushes has come to its bound, so has their staleness.
    let (most, overflow) = count.multipliedReportingOverflow(by: largest)
    if !overflow { sum = min(sum, most) }
  }
}
