import ParameterServer

/// What has happened to the chunks of a job, era by era: the facts that the checkers share.
struct JobLog {
  /// A version of a chunk.
  struct Entry {
    var value: ToyChunk
    var step: UInt32
    var closed: UInt32
    var shards: UInt64
    /// The gradient that it was made by.
    var gradient: UInt64
    var isSingle: Bool
    /// Whether a worker was sent it.
    var isPublished = false
  }

  /// What became of a chunk in one era.
  struct Line {
    /// The version that the era began with, and its value.
    var base = ToyChunk(bits: 0)
    var baseClosed: UInt64 = 0
    /// Shards by step that were applied before the era.
    var baseUnits: [UInt64]
    var entries: [Entry] = []
    /// Shards by step that are applied.
    var units: [UInt64]
    var published: UInt64 = 0
    /// The newest view in which a primary has done something: what one of an older view does is fenced.
    var view = ViewNumber.none

    var version: UInt64 { base.version + UInt64(entries.count) }
    var closed: UInt64 { entries.last.map { UInt64($0.closed) } ?? baseClosed }

    /// The place of a version among the entries; nil for the base and what is not there.
    func index(_ version: UInt64) -> Int? {
      version > base.version && version <= self.version ? Int(version - base.version) - 1 : nil
    }

    /// The value at a version; nil where it is not of this era.
    func value(_ version: UInt64) -> ToyChunk? {
      version == base.version ? base : index(version).map { entries[$0].value }
    }
  }

  /// How an update stands to what is known.
  enum Standing {
    /// The next version.
    case new
    /// The same again: a replica's, or a primary's after its replica's.
    case repeated
    /// Made by a server that has not heard yet that it was replaced: nobody will take it.
    case fenced
    /// The same contributions, and another value.
    case diverged
    /// Another content for a version that nobody has seen: the old one is void.
    case replaced
    /// Another content for a version that was published.
    case conflicting
    /// A version whose predecessor nobody has.
    case detached
  }

  private(set) var rules: JobRules?
  /// The chunks of the job; 0 before its first view.
  private(set) var chunkCount = 0
  /// By era.
  private(set) var eras: [UInt32: [Line]] = [:]
  private(set) var newestEra: UInt32 = 0
  /// The era of the lines at hand: a job has few, and nearly everything happens in the newest.
  private var lines: [Line] = []
  private(set) var steps = 0
  /// By step of `rules`: the shards that hold a sample.
  private var occupied: [UInt64] = []

  /// The lines of an era; nil where it has not begun.
  func lines(_ era: UInt32) -> [Line]? { era == newestEra ? lines : eras[era] }

  /// A line of an era.
  @inline(__always)
  func line(_ era: UInt32, _ chunk: Int) -> Line? {
    guard era == newestEra else { return eras[era]?[chunk] }
    return chunk < lines.count ? lines[chunk] : nil
  }

  /// A view was made: its rules hold, and where it begins an era, the chunks begin with what the origin says.
  mutating func begin(_ view: View, model: ToyModel, checkpoint: StoredCheckpoint?) {
    if rules != view.rules { occupied = (0..<view.rules.steps).map { Self.occupied($0, view.rules) } }
    rules = view.rules
    chunkCount = view.rules.chunks.count
    guard view.era > newestEra else { return }
    if newestEra > 0 { eras[newestEra] = lines }
    newestEra = view.era
    steps = view.rules.steps
    let empty = [UInt64](repeating: 0, count: steps + 1)
    lines = (0..<view.rules.chunks.count).map { chunk in
      var line = Line(baseUnits: empty, units: empty)
      line.base = ToyChunk(bits: model.initial(chunk))
      line.entries.reserveCapacity(steps)
      guard case .checkpoint = view.origin, let (position, state) = checkpoint?.states[chunk] else { return line }
      line.base = state
      line.baseClosed = position.closed
      for step in 0..<min(Int(position.closed), steps) { line.baseUnits[step] = Self.occupied(step, view.rules) }
      for unit in position.covered.ranges.joined() {
        let (step, shard) = view.rules.unit(unit)
        if step < steps { line.baseUnits[step] |= 1 << UInt64(shard) }
      }
      line.units = line.baseUnits
      line.published = state.version
      return line
    }
  }

  // What is asked for with every letter is looked up where it is: a line that is copied costs more.

  /// Whether the newest era has a chunk.
  @inline(__always)
  func has(_ era: UInt32, _ chunk: Int) -> Bool { era == newestEra && chunk < lines.count }

  /// The steps that are closed of a chunk of the newest era.
  func closed(_ chunk: Int) -> UInt64 { lines[chunk].closed }

  /// The shards of a step that are in a chunk of the newest era.
  func units(_ chunk: Int, step: Int) -> UInt64 { lines[chunk].units[step] }

  /// The newest view in which a primary of a chunk of the newest era has done something.
  func view(_ chunk: Int) -> ViewNumber { lines[chunk].view }

  /// The newest version of a chunk of the newest era that was sent to a worker.
  func published(_ chunk: Int) -> UInt64 { lines[chunk].published }

  /// A chunk of the newest era at a version.
  func value(_ chunk: Int, _ version: UInt64) -> ToyChunk? { lines[chunk].value(version) }

  /// The shards of a step that hold a sample, as bits, by the rules of the newest view.
  func occupied(_ step: Int) -> UInt64 { occupied[step] }

  /// The shards of a step that hold a sample, as bits.
  static func occupied(_ step: Int, _ rules: JobRules) -> UInt64 {
    (0..<rules.schedule.tree.shards).reduce(0) {
      rules.samples(ofRound: step, under: ShardNode(level: 0, index: UInt32($1))) > 0 ? $0 | 1 << UInt64($1) : $0
    }
  }

  /// Notes an update; the shards that it applies a second time are given back.
  mutating func record(_ fact: AppliedFact) -> (standing: Standing, again: UInt64) {
    guard fact.era == newestEra, fact.chunk < lines.count else { return (.repeated, 0) }
    return lines[fact.chunk].record(fact)
  }

  /// Notes that a version was sent to a worker.
  mutating func publish(_ fact: ServedFact) {
    guard fact.era == newestEra, fact.chunk < lines.count, fact.view >= lines[fact.chunk].view else { return }
    lines[fact.chunk].view = fact.view
    lines[fact.chunk].published = max(lines[fact.chunk].published, fact.version)
    if let index = lines[fact.chunk].index(fact.version) { lines[fact.chunk].entries[index].isPublished = true }
  }
}

extension JobLog.Line {
  fileprivate mutating func record(_ fact: AppliedFact) -> (standing: JobLog.Standing, again: UInt64) {
    let update = fact.update
    let step = Int(fact.payload.step)
    guard update.version > base.version else { return (.repeated, 0) }
    guard fact.view >= view else { return (.fenced, 0) }
    if fact.isPrimary { view = fact.view }
    guard update.version <= version + 1 else { return (.detached, 0) }
    var standing = JobLog.Standing.new
    if let index = index(update.version) {
      let known = entries[index]
      if known.value == fact.new, known.shards == fact.payload.shards, known.step == fact.payload.step {
        return (.repeated, 0)
      }
      // A shard that has gone to another worker is computed twice, and a new primary may take the other one: that is no
      // other result of the same.
      let isOther = fact.isPrimary && known.gradient != fact.payload.bits
      if known.shards == fact.payload.shards, known.step == fact.payload.step, !isOther {
        if fact.isPrimary { entries[index].value = fact.new }
        return (.diverged, 0)
      }
      standing = entries[index...].contains(where: \.isPublished) ? .conflicting : .replaced
      for entry in entries[index...] where Int(entry.step) < units.count { units[Int(entry.step)] &= ~entry.shards }
      entries.removeSubrange(index...)
    }
    let again = step < units.count ? units[step] & fact.payload.shards : 0
    if step < units.count { units[step] |= fact.payload.shards }
    entries.append(
      JobLog.Entry(
        value: fact.new, step: fact.payload.step, closed: UInt32(truncatingIfNeeded: update.closed),
        shards: fact.payload.shards, gradient: fact.payload.bits, isSingle: update.kind == .single))
    return (standing, again)
  }
}
