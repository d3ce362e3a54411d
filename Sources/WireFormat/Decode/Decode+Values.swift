import CMessages
import CProtobufC
import ParameterServer

extension WireFormat {
  /// Most ranges of a set of units: a set that grows from the bottom has far fewer.
  static let maximumRanges = 1 << 16

  static func units(
    _ pointer: UnsafeMutablePointer<Convoy__Wire__Units>?, _ name: String
  ) throws(WireError) -> UnitSet {
    // protobuf leaves out nothing that we write; what another implementation leaves out is an empty set.
    guard let body = pointer?.pointee, body.n_bounds > 0, let bounds = body.bounds else { return UnitSet() }
    guard body.n_bounds.isMultiple(of: 2), body.n_bounds <= 2 * maximumRanges else {
      throw .field(name, "\(body.n_bounds) bounds of ranges, at most \(2 * maximumRanges), in pairs, are taken")
    }
    var ranges: [Range<Int>] = []
    ranges.reserveCapacity(body.n_bounds / 2)
    for pair in stride(from: 0, to: body.n_bounds, by: 2) {
      let (lower, upper) = (try Fields.int(bounds[pair], name), try Fields.int(bounds[pair + 1], name))
      guard lower < upper else { throw .field(name, "a range from \(lower) to \(upper)") }
      ranges.append(lower..<upper)
    }
    guard let units = UnitSet(ranges: ranges) else { throw .field(name, "its ranges are not in order") }
    return units
  }

  static func position(
    _ pointer: UnsafeMutablePointer<Convoy__Wire__ChunkPosition>?, _ name: String
  ) throws(WireError) -> ChunkPosition {
    let body = try Fields.message(pointer, name)
    var previous: ChunkPosition.Previous?
    if body.has_previous != 0 {
      previous = ChunkPosition.Previous(
        version: try Fields.count(body.previous_version, "\(name).previous_version"),
        closed: try Fields.count(body.previous_closed, "\(name).previous_closed"))
    }
    return ChunkPosition(
      chunk: body.chunk, version: try Fields.count(body.version, "\(name).version"),
      closed: try Fields.count(body.closed, "\(name).closed"), covered: try units(body.covered, "\(name).covered"),
      previous: previous, scale: body.has_scale == 0 ? nil : try Fields.scale(body.scale, "\(name).scale"))
  }

  static func chunkVersion(
    _ pointer: UnsafeMutablePointer<Convoy__Wire__ChunkVersion>?, _ name: String
  ) throws(WireError) -> (chunk: UInt32, version: UInt64) {
    let body = try Fields.message(pointer, name)
    return (body.chunk, try Fields.count(body.version, "\(name).version"))
  }

  static func leases(
    _ pointer: UnsafeMutablePointer<Convoy__Wire__Leases>?, _ name: String
  ) throws(WireError) -> Leases {
    let body = try Fields.message(pointer, name)
    let units = try units(body.units, "\(name).units")
    guard units.count <= Leases.maximumUnits else {
      throw .field("\(name).units", "\(units.count) units, at most \(Leases.maximumUnits) are granted at once")
    }
    return Leases(grant: try Fields.counter(body.grant, "\(name).grant"), units: units)
  }

  static func decode(_ body: Convoy__Wire__Progress, _ name: String) throws(WireError) -> Progress {
    var progress = Progress(
      steps: try Fields.count(body.steps, "\(name).steps"), shards: try Fields.count(body.shards, "\(name).shards"),
      busy: try Fields.count(body.busy, "\(name).busy"),
      epochs: try epochs(body.epochs, body.n_epochs, "\(name).epochs", maximum: Progress.maximumEpochs),
      behind: try Fields.count(body.behind, "\(name).behind"),
      staleness: try staleness(body.staleness, "\(name).staleness"))
    progress.refused.messages = RefusalCounts(
      numbers: try Fields.counts(body.refused, body.n_refused, "\(name).refused", maximum: RefusalReason.allCases.count)
    )
    let connections = try Fields.counts(
      body.refused_connections, body.n_refused_connections, "\(name).refused_connections", maximum: 4)
    if connections.count == 4 {
      progress.refused.connections.unknownKey = connections[0]
      progress.refused.connections.otherMechanism = connections[1]
      progress.refused.connections.wrongListenerKey = connections[2]
      progress.refused.connections.unproven = connections[3]
    }
    progress.waits = try waits(body, "\(name).waits")
    return progress
  }

  private static func waits(_ body: Convoy__Wire__Progress, _ name: String) throws(WireError) -> [Wait] {
    var waits: [Wait] = []
    for wait in try Fields.messages(body.waits, body.n_waits, name, maximum: Progress.maximumWaits) {
      let step = try Fields.count(wait.step, "\(name).step")
      let request: Wait.Request
      switch wait.request {
      case 1: request = .pull(chunk: wait.chunk, step: step)
      case 2: request = .push(chunk: wait.chunk, step: step)
      case 3: request = .marker(step)
      case 4: request = .exchange
      default: throw .field("\(name).request", "there is no request \(wait.request)")
      }
      waits.append(
        Wait(
          server: Member(.server, wait.server),
          milliseconds: try Fields.count(wait.milliseconds, "\(name).milliseconds"),
          request: request))
    }
    return waits
  }

  /// Counts of staleness; what is left out is none.
  static func staleness(
    _ pointer: UnsafeMutablePointer<Convoy__Wire__Staleness>?, _ name: String
  ) throws(WireError) -> StalenessCounts {
    guard let body = pointer?.pointee else { return StalenessCounts() }
    guard body.n_bins <= StalenessCounts.maximumBins else {
      throw .field("\(name).bins", "\(body.n_bins) of them, at most \(StalenessCounts.maximumBins) are taken")
    }
    var bins: [UInt64] = []
    if let numbers = body.bins {
      for index in 0..<body.n_bins { bins.append(try Fields.count(numbers[index], "\(name).bins")) }
    }
    let counts = StalenessCounts(
      bins: bins, sum: try Fields.counter(body.sum, "\(name).sum"),
      largest: try Fields.count(body.largest, "\(name).largest"))
    if let problem = counts.problem { throw .field(name, problem) }
    return counts
  }

  static func epochs(
    _ pointer: UnsafeMutablePointer<UnsafeMutablePointer<Convoy__Wire__EpochTotals>?>?, _ count: Int, _ name: String,
    maximum: Int
  ) throws(WireError) -> [EpochTotals] {
    var totals: [EpochTotals] = []
    for epoch in try Fields.messages(pointer, count, name, maximum: maximum) {
      let next = EpochTotals(
        epoch: epoch.epoch, samples: try Fields.count(epoch.samples, "\(name).samples"), lossSum: epoch.loss_sum,
        correct: try Fields.count(epoch.correct, "\(name).correct"))
      if let problem = next.problem { throw .field(name, problem) }
      totals.append(next)
    }
    return totals
  }

  /// An update: what is divided by is never zero.
  static func update(
    _ pointer: UnsafeMutablePointer<Convoy__Wire__Update>?, _ name: String
  ) throws(WireError) -> Update {
    let body = try Fields.message(pointer, name)
    let worker = body.is_of_worker == 0 ? nil : try Fields.member(body.worker, "\(name).worker")
    guard let kind = UInt8(exactly: body.kind).flatMap(UpdateKind.init(rawValue:)) else {
      throw .field("\(name).kind", "there is no kind \(body.kind)")
    }
    guard body.samples > 0, (1...UInt32(ShardTree.maximumShards)).contains(body.shards) else {
      throw .field("\(name).shards", "\(body.samples) samples in \(body.shards) shards")
    }
    return Update(
      chunk: body.chunk, version: try Fields.count(body.version, "\(name).version"),
      closed: try Fields.count(body.closed, "\(name).closed"),
      unit: body.is_unit == 0 ? nil : try Fields.count(body.unit, "\(name).unit"), kind: kind,
      step: try Fields.count(body.step, "\(name).step"),
      staleness: try Fields.count(body.staleness, "\(name).staleness"),
      basis: try Fields.count(body.basis, "\(name).basis"), worker: worker,
      samples: try Fields.count(body.samples, "\(name).samples"), shards: body.shards,
      scale: body.has_scale == 0 ? nil : try Fields.scale(body.scale, "\(name).scale"))
  }

  static func consistency(_ kind: UInt64, _ argument: UInt64, _ name: String) throws(WireError) -> Consistency {
    let argument = try Fields.int(argument, "\(name).argument", maximum: Consistency.maximumArgument)
    guard kind <= 2 || argument > 0 else { throw .field("\(name).argument", "0 where a number is needed") }
    switch kind {
    case 1: return .sync
    case 2: return .async
    case 3: return .ssp(argument)
    case 4: return .backup(argument)
    case 5: return .local(argument)
    default: throw .field("\(name).kind", "there is no mode \(kind)")
    }
  }
}
