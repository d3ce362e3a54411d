/// The sum of a node that was computed, until every server has it.
struct SumRecord: Sendable {
  let order: UInt64
  let step: Int
  let node: ShardNode
  /// The version of each chunk that it was computed from.
  let basis: [UInt64]
  /// Chunks whose part is final.
  private(set) var ready: [Bool]
  /// Chunks whose server has answered.
  private(set) var settled: [Bool]
  private var unsettled: Int
  /// Whether a server refused it for its age.
  var isStale = false

  init(order: UInt64, step: Int, node: ShardNode, basis: [UInt64]) {
    self.order = order
    self.step = step
    self.node = node
    self.basis = basis
    ready = [Bool](repeating: false, count: basis.count)
    settled = ready
    unsettled = basis.count
  }

  mutating func becomeReady(_ chunk: Int) { ready[chunk] = true }

  mutating func settle(_ chunk: Int) {
    guard !settled[chunk] else { return }
    settled[chunk] = true
    unsettled -= 1
  }

  /// Whether every server has answered.
  var isSettled: Bool { unsettled == 0 }

  /// Whether a chunk's part was pushed and has no answer.
  func isPending(_ chunk: Int) -> Bool { ready[chunk] && !settled[chunk] }
}
