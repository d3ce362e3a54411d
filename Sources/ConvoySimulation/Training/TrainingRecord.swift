import ParameterServer
import Tensors
import Transport

/// What happened to the numbers of a simulated job: losses in the order in which servers applied them, how late
/// gradients came, and what every version's floats were.
final class TrainingRecord {
  private struct Applied {
    let step: Int
    var lossSum = 0.0
    var samples = 0
  }

  private struct Place: Hashable {
    let chunk: Int
    let version: UInt64
  }

  private let rules: JobRules
  /// By unit: what was last learnt from a step's shard.
  private var results: [Int: ShardResult] = [:]
  /// The updates of the first chunk, in order: what was undone by going back to a checkpoint is none of them.
  private var applied: [Applied] = []
  /// Checksums of what chunks became, where that does not depend on who is quick.
  private var contents: [Place: UInt32] = [:]
  /// Microseconds of virtual time of the first order and of the last update.
  private(set) var beganAt: UInt64?
  private(set) var endedAt: UInt64 = 0
  /// Updates by how many others lay between a gradient's parameters and its turn, all chunks together.
  private(set) var staleness: [Int] = []
  /// Told of each tenth of the steps.
  var progress: ((TrainingReport.Point) -> Void)?
  private var tenths = 0
  /// Whether what a version's floats are does not depend on who is quick.
  private let isDetermined: Bool

  private static let mostStaleness = 4095

  /// The record of a job that has not begun; `isSwitched` where its mode will change.
  init(_ rules: JobRules, isSwitched: Bool) {
    self.rules = rules
    isDetermined =
      !isSwitched && rules.segments.allSatisfy { SynchronousStepsChecker.isDetermined($0.consistency) }
  }

  /// A worker begins to compute.
  func begins(at now: UInt64) {
    if beganAt == nil { beganAt = now }
  }

  /// A shard was computed, perhaps again.
  func computed(_ result: ShardResult) { results[rules.unit(step: result.step, shard: result.shard)] = result }

  /// A primary has made an update of these shards.
  func applied(_ update: Update, step: Int, shards: UInt64, at now: UInt64) {
    endedAt = now
    if update.kind == .single {
      let late = Int(min(update.staleness, UInt64(Self.mostStaleness)))
      while staleness.count <= late { staleness.append(0) }
      staleness[late] += 1
    }
    guard update.chunk == 0, update.version > 0, update.version <= UInt64(applied.count) + 1 else { return }
    let index = Int(update.version) - 1
    applied.removeSubrange(index...)
    let shardCount = rules.schedule.tree.shards
    var entry = Applied(step: update.kind == .single ? index / shardCount + 1 : Int(update.closed))
    for shard in 0..<shardCount where shards >> UInt64(shard) & 1 == 1 {
      for step in rules.round(ofStep: step) {
        guard let result = results[rules.unit(step: step, shard: shard)] else { continue }
        entry.lossSum += result.lossSum
        entry.samples += result.samples
      }
    }
    applied.append(entry)
    tell(entry.step)
  }

  private func tell(_ step: Int) {
    let tenth = step * 10 / rules.steps
    guard tenth > tenths, let progress else { return }
    let first = tenths * rules.steps / 10
    tenths = tenth
    progress(point(step: step, applied.filter { $0.step > first && $0.step <= step }))
  }

  private func point(step: Int, _ entries: some Sequence<Applied>) -> TrainingReport.Point {
    let (loss, samples) = entries.reduce((0.0, 0)) { ($0.0 + $1.lossSum, $0.1 + $1.samples) }
    return TrainingReport.Point(step: step, loss: loss / Double(max(samples, 1)), samples: samples)
  }

  /// Mean loss of each step, as its samples were applied.
  var curve: [TrainingReport.Point] {
    var points: [TrainingReport.Point] = []
    var first = 0
    while first < applied.count {
      let step = applied[first].step
      let end = applied[first...].firstIndex { $0.step != step } ?? applied.count
      points.append(point(step: step, applied[first..<end]))
      first = end
    }
    return points
  }

  /// Notes the floats of a version; false where they were others before, whoever made them.
  func note(_ floats: Frame, chunk: Int, version: UInt64) -> Bool {
    guard isDetermined else { return true }
    var checksum = CRC32C()
    // In local mode the optimiser's state may come after them.
    floats.withBytes { checksum.update(UnsafeRawBufferPointer(rebasing: $0.prefix(rules.chunks.bytes(of: chunk)))) }
    let place = Place(chunk: chunk, version: version)
    guard let known = contents[place] else {
      contents[place] = checksum.value
      return true
    }
    return known == checksum.value
  }
}
