/// The sum of a node that was computed, until every server has it.
struct SumRecord: Sendable {
  /// How far a chunk's part is.
  fileprivate enum Stage {
    case computing
    /// It is final: its server is sent it, and has not answered.
    case pending
    /// Its server has answered.
    case settled
  }

  /// What the rules say of the pushes of a step.
  struct Terms: Sendable {
    /// Steps that must be closed before a push is answered.
    let awaits: Int
    /// Whether pushes of the step are summed.
    let isSummed: Bool

    init(step: Int, _ rules: JobRules) {
      let consistency = rules.consistency(ofStep: step)
      isSummed = consistency.isSummed
      if isSummed {
        awaits = rules.round(ofStep: step).upperBound
      } else {
        awaits = consistency.isLeased ? 0 : max(0, step + 1 - consistency.slack)
      }
    }
  }

  /// A chunk's part.
  struct Part: Sendable {
    /// The version of the chunk that it was computed from.
    let basis: UInt64
    fileprivate var stage = Stage.computing

    init(basis: UInt64) { self.basis = basis }
  }

  let order: UInt64
  let step: Int
  let node: ShardNode
  /// What its pushes say and wait for. In an era the rules of a step that was begun stay as they are.
  let terms: Terms
  /// By chunk.
  private(set) var parts: [Part]
  private var unsettled: Int
  /// Whether a server refused it for its age.
  var isStale = false

  init(order: UInt64, step: Int, node: ShardNode, terms: Terms, parts: [Part]) {
    self.order = order
    self.step = step
    self.node = node
    self.terms = terms
    self.parts = parts
    unsettled = parts.count
  }

  /// A chunk's part is final.
  mutating func becomeReady(_ chunk: Int) {
    parts[chunk].stage = .pending
  }

  /// The server of a chunk has answered.
  mutating func settle(_ chunk: Int) {
    guard parts[chunk].stage == .pending else { return }
    parts[chunk].stage = .settled
    unsettled -= 1
  }

  /// Whether every server has answered.
  var isSettled: Bool { unsettled == 0 }

  /// Whether a chunk's part is final.
  func isReady(_ chunk: Int) -> Bool { parts[chunk].stage != .computing }

  /// Whether a chunk's part was pushed and has no answer.
  func isPending(_ chunk: Int) -> Bool { parts[chunk].stage == .pending }
}
