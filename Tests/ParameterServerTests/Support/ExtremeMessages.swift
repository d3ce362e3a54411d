import ParameterServer

/// Messages in which one number after the other is at an end of what it can be, or beyond.
enum Extreme {
  static let numbers: [UInt64] = [
    0, 1, 1 << 31, 1 << 32, 1 << 53, Bounds.count, Bounds.count + 1, 1 << 58, 1 << 62, (1 << 63) - 1, 1 << 63, .max - 1,
    .max,
  ]

  static let losses: [Double] = [.nan, .infinity, -.infinity, .greatestFiniteMagnitude, -1e300]

  /// Reports of a member with one number changed.
  static func reports(_ number: UInt64) -> [Progress] {
    var reports = [
      Progress(steps: number, shards: 4), Progress(steps: 2, shards: number),
      Progress(steps: 2, shards: 4, busy: number),
      Progress(steps: 2, shards: 4, behind: number),
    ]
    let totals = [
      EpochTotals(epoch: UInt32(truncatingIfNeeded: number), samples: 8, lossSum: 1, correct: 2),
      EpochTotals(epoch: 0, samples: number, lossSum: 1, correct: 2),
      EpochTotals(epoch: 0, samples: 8, lossSum: 1, correct: number),
      EpochTotals(epoch: 1, samples: number, lossSum: Double(number), correct: number),
    ]
    for totals in totals { reports.append(Progress(steps: 2, shards: 4, epochs: [totals])) }
    for counts in [
      StalenessCounts(bins: [number], sum: 0, largest: 0), StalenessCounts(bins: [1], sum: number, largest: 3),
      StalenessCounts(bins: [1], sum: 3, largest: number),
      StalenessCounts(bins: [number, number], sum: number, largest: number),
    ] {
      reports.append(Progress(steps: 2, shards: 4, staleness: counts))
    }
    var refused = RefusedCounts(messages: RefusalCounts(numbers: RefusalReason.allCases.map { _ in number }))
    reports.append(Progress(steps: 2, shards: 4, refused: refused))
    refused = RefusedCounts()
    (refused.connections.unknownKey, refused.connections.unproven) = (number, number)
    reports.append(Progress(steps: 2, shards: 4, refused: refused))
    return reports
  }

  static let absurdLosses: [Progress] = losses.map {
    Progress(steps: 2, shards: 4, epochs: [EpochTotals(epoch: 0, samples: 8, lossSum: $0, correct: 2)])
  }

  private static func units(_ number: UInt64) -> [UnitSet] {
    let end = Int(clamping: number)
    return end == 0 ? [] : [UnitSet(ranges: [0..<end])!, UnitSet(ranges: [end - 1..<end])!]
  }

  static func positions(_ number: UInt64) -> [ChunkPosition] {
    let chunk = UInt32(truncatingIfNeeded: number)
    var positions = [
      ChunkPosition(chunk: chunk, version: 1, closed: 1), ChunkPosition(chunk: 0, version: number, closed: 1),
      ChunkPosition(chunk: 0, version: 1, closed: number),
      ChunkPosition(
        chunk: 0, version: 2, closed: 2, previous: ChunkPosition.Previous(version: number, closed: 1)),
      ChunkPosition(
        chunk: 0, version: 2, closed: 2, previous: ChunkPosition.Previous(version: 1, closed: number)),
      ChunkPosition(chunk: 0, version: 1, closed: 1, scale: number),
    ]
    for units in units(number) { positions.append(ChunkPosition(chunk: 0, version: 1, closed: 1, covered: units)) }
    return positions
  }

  static func toCoordinator(_ number: UInt64) -> [Message] {
    var messages: [Message] = reports(number).map { .progress($0) }
    messages += [.viewAccepted(closed: number), .stateLost(chunk: UInt32(truncatingIfNeeded: number))]
    messages += [.leaseRequest(LeaseRequest(grant: number, held: UnitSet(), wantsMore: true))]
    for units in units(number) {
      messages.append(.leaseRequest(LeaseRequest(grant: 0, held: units, wantsMore: false)))
    }
    messages += positions(number).map { .snapshot($0) }
    messages.append(
      .ready(Ready(digests: Job.digests, samples: number, engineFingerprint: "toy", address: "")))
    return messages
  }

  static func toServer(_ number: UInt64) -> [Message] {
    let chunk = UInt32(truncatingIfNeeded: number)
    var messages: [Message] = [
      .pull(Pull(chunk: chunk, closed: 0, isExact: true)), .pull(Pull(chunk: 0, closed: number, isExact: true)),
      .pull(Pull(chunk: 0, closed: number, isExact: false)), .cut(number), .marker(number),
      .snapshotTaken(chunk: chunk, version: 1), .snapshotTaken(chunk: 0, version: number),
      .replicated(chunk: chunk, version: 1), .replicated(chunk: 0, version: number), .norm(chunk: chunk, step: 1),
      .norm(chunk: 0, step: number), .scale(step: number, bits: 1), .scale(step: 1, bits: number),
      .stateLost(chunk: chunk),
    ]
    let all = node(2, 0)
    messages += [
      .push(Push(chunk: chunk, step: 1, node: all, basis: 1, awaits: 2)),
      .push(Push(chunk: 0, step: number, node: all, basis: 1, awaits: 2)),
      .push(Push(chunk: 0, step: 1, node: node(UInt8(truncatingIfNeeded: number), 0), basis: 1, awaits: 2)),
      .push(Push(chunk: 0, step: 1, node: node(0, chunk), basis: 1, awaits: 2)),
      .push(Push(chunk: 0, step: 1, node: all, basis: number, awaits: 2)),
      .push(Push(chunk: 0, step: 1, node: all, basis: 1, awaits: number)),
    ]
    messages += positions(number).flatMap { [.restore($0), .replica($0)] }
    func update(
      chunk: UInt32 = 0, version: UInt64 = 2, closed: UInt64 = 2, unit: UInt64? = nil, step: UInt64 = 1,
      staleness: UInt64 = 0, basis: UInt64 = 1, worker: UInt32? = nil, samples: UInt64 = 8, shards: UInt32 = 4
    ) -> Message {
      .replicate(
        Update(
          chunk: chunk, version: version, closed: closed, unit: unit, kind: unit == nil ? .summed : .single, step: step,
          staleness: staleness, basis: basis, worker: worker, samples: samples, shards: shards))
    }
    messages += [
      update(chunk: chunk), update(version: number), update(closed: number), update(unit: number), update(step: number),
      update(staleness: number), update(basis: number), update(unit: 4, worker: chunk), update(samples: number),
      update(shards: chunk),
    ]
    return messages
  }

  static func toWorker(_ number: UInt64) -> [Message] {
    let chunk = UInt32(truncatingIfNeeded: number)
    let answer = Contribution(step: 0, node: node(1, 0))
    var messages: [Message] = [.cut(number), .leases(Leases(grant: number, units: UnitSet()))]
    for parameters in [
      Parameters(chunk: chunk, version: 1, closed: 1), Parameters(chunk: 0, version: number, closed: 1),
      Parameters(chunk: 0, version: 1, closed: number), Parameters(chunk: 0, version: 1, closed: 1, asked: number),
      Parameters(chunk: 0, version: 1, closed: 1, answers: Contribution(step: number, node: answer.node)),
      Parameters(
        chunk: 0, version: 1, closed: 1,
        answers: Contribution(step: 0, node: node(UInt8(truncatingIfNeeded: number), chunk))),
    ] {
      messages += [.parameters(parameters), .position(parameters)]
    }
    for units in units(number) { messages.append(.leases(Leases(grant: 2, units: units))) }
    messages.append(.welcome(Welcome(member: worker(chunk), job: "")))
    return messages
  }
}
