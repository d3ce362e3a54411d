/// How fast a worker computes, lately.
package struct SpeedMeter: Sendable {
  private var shards: UInt64 = 0
  private var busy: UInt64 = 0
  /// Shards in a thousand seconds of computing; nil before enough was seen.
  package private(set) var rate: UInt64?

  /// Milliseconds of computing that are averaged over.
  package static let window: UInt64 = 500
  /// Larger than any worker's: what a member says can be reckoned with.
  package static let maximumRate: UInt64 = 1 << 40

  package mutating func update(shards: UInt64, busy: UInt64) {
    guard busy >= self.busy, busy - self.busy >= Self.window, shards > self.shards else { return }
    rate = min(shards - self.shards, Self.maximumRate) * 1_000_000 / (busy - self.busy)
    rate = min(rate ?? 0, Self.maximumRate)
    self.shards = shards
    self.busy = busy
  }

  /// Nothing is known yet.
  package init() {}
}
