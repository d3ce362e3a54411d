import CMessages
import CProtobufC
import ParameterServer

extension WireFormat {
  static func empty(_ arena: inout ProtobufC.Arena) -> UnsafeMutablePointer<Convoy__Wire__Empty> {
    arena.make(convoy__wire__empty__init)
  }

  static func encode(
    number: UInt64, _ arena: inout ProtobufC.Arena
  ) -> UnsafeMutablePointer<Convoy__Wire__Number> {
    let body = arena.make(convoy__wire__number__init)
    body.pointee.number = number
    return body
  }

  static func chunkVersion(
    _ chunk: UInt32, _ version: UInt64, _ arena: inout ProtobufC.Arena
  ) -> UnsafeMutablePointer<Convoy__Wire__ChunkVersion> {
    let body = arena.make(convoy__wire__chunk_version__init)
    body.pointee.chunk = chunk
    body.pointee.version = version
    return body
  }

  static func encode(
    _ units: UnitSet, _ arena: inout ProtobufC.Arena
  ) -> UnsafeMutablePointer<Convoy__Wire__Units> {
    let body = arena.make(convoy__wire__units__init)
    let bounds = units.ranges.flatMap { [UInt64($0.lowerBound), UInt64($0.upperBound)] }
    body.pointee.n_bounds = bounds.count
    body.pointee.bounds = numbers(bounds, &arena)
    return body
  }

  static func encode(
    _ position: ChunkPosition, _ arena: inout ProtobufC.Arena
  ) -> UnsafeMutablePointer<Convoy__Wire__ChunkPosition> {
    let body = arena.make(convoy__wire__chunk_position__init)
    body.pointee.chunk = position.chunk
    body.pointee.version = position.version
    body.pointee.closed = position.closed
    body.pointee.covered = encode(position.covered, &arena)
    if let previous = position.previous {
      body.pointee.has_previous = 1
      body.pointee.previous_version = previous.version
      body.pointee.previous_closed = previous.closed
    }
    body.pointee.has_scale = position.scale == nil ? 0 : 1
    body.pointee.scale = position.scale ?? 0
    return body
  }

  static func encode(_ leases: Leases, _ arena: inout ProtobufC.Arena) -> UnsafeMutablePointer<Convoy__Wire__Leases> {
    let body = arena.make(convoy__wire__leases__init)
    body.pointee.grant = leases.grant
    body.pointee.units = encode(leases.units, &arena)
    return body
  }

  static func encode(_ push: Push, _ arena: inout ProtobufC.Arena) -> UnsafeMutablePointer<Convoy__Wire__Push> {
    let body = arena.make(convoy__wire__push__init)
    body.pointee.chunk = push.chunk
    body.pointee.step = push.step
    body.pointee.level = UInt32(push.node.level)
    body.pointee.index = push.node.index
    body.pointee.basis = push.basis
    body.pointee.awaits = push.awaits
    return body
  }

  static func encode(
    _ parameters: Parameters, _ arena: inout ProtobufC.Arena
  ) -> UnsafeMutablePointer<Convoy__Wire__Parameters> {
    let body = arena.make(convoy__wire__parameters__init)
    body.pointee.chunk = parameters.chunk
    body.pointee.version = parameters.version
    body.pointee.closed = parameters.closed
    body.pointee.asked = parameters.asked
    if let contribution = parameters.answers {
      body.pointee.is_answer = 1
      body.pointee.step = contribution.step
      body.pointee.level = UInt32(contribution.node.level)
      body.pointee.index = contribution.node.index
      body.pointee.is_stale = contribution.isStale ? 1 : 0
    }
    return body
  }

  static func encode(_ update: Update, _ arena: inout ProtobufC.Arena) -> UnsafeMutablePointer<Convoy__Wire__Update> {
    let body = arena.make(convoy__wire__update__init)
    body.pointee.chunk = update.chunk
    body.pointee.version = update.version
    body.pointee.closed = update.closed
    body.pointee.is_unit = update.unit == nil ? 0 : 1
    body.pointee.unit = update.unit ?? 0
    body.pointee.kind = UInt32(update.kind.rawValue)
    body.pointee.step = update.step
    body.pointee.staleness = update.staleness
    body.pointee.basis = update.basis
    body.pointee.is_of_worker = update.worker == nil ? 0 : 1
    body.pointee.worker = update.worker ?? 0
    body.pointee.samples = update.samples
    body.pointee.shards = update.shards
    body.pointee.has_scale = update.scale == nil ? 0 : 1
    body.pointee.scale = update.scale ?? 0
    return body
  }

  static func encode(_ ready: Ready, _ arena: inout ProtobufC.Arena) -> UnsafeMutablePointer<Convoy__Wire__Ready> {
    let body = arena.make(convoy__wire__ready__init)
    body.pointee.build_digest = arena.bytes(ready.digests.build)
    body.pointee.network_digest = arena.bytes(ready.digests.network)
    body.pointee.job_digest = arena.bytes(ready.digests.job)
    body.pointee.data_digest = arena.bytes(ready.digests.data)
    body.pointee.samples = ready.samples
    body.pointee.engine_fingerprint = arena.string(ready.engineFingerprint)
    body.pointee.address = arena.string(ready.address)
    return body
  }

  static func encode(
    _ progress: Progress, _ arena: inout ProtobufC.Arena
  ) -> UnsafeMutablePointer<Convoy__Wire__Progress> {
    let body = arena.make(convoy__wire__progress__init)
    body.pointee.steps = progress.steps
    body.pointee.shards = progress.shards
    body.pointee.busy = progress.busy
    body.pointee.behind = progress.behind
    let refused = progress.refused.messages.numbers
    if progress.refused.messages.total > 0 {
      body.pointee.n_refused = refused.count
      body.pointee.refused = numbers(refused, &arena)
    }
    let connections = progress.refused.connections
    if connections.total > 0 {
      body.pointee.n_refused_connections = 4
      body.pointee.refused_connections = numbers(
        [
          connections.unknownKey, connections.otherMechanism, connections.wrongListenerKey, connections.unproven,
        ], &arena)
    }
    body.pointee.n_epochs = progress.epochs.count
    body.pointee.epochs = encode(progress.epochs, &arena)
    if progress.staleness.count > 0 { body.pointee.staleness = encode(progress.staleness, &arena) }
    if !progress.waits.isEmpty {
      body.pointee.n_waits = progress.waits.count
      body.pointee.waits = encode(progress.waits, &arena)
    }
    return body
  }

  static func encode(
    _ waits: [Wait], _ arena: inout ProtobufC.Arena
  ) -> UnsafeMutablePointer<UnsafeMutablePointer<Convoy__Wire__Wait>?> {
    let messages = arena.array(of: UnsafeMutablePointer<Convoy__Wire__Wait>?.self, count: waits.count)
    for (index, wait) in waits.enumerated() {
      let message = arena.make(convoy__wire__wait__init)
      message.pointee.server = wait.server.number
      message.pointee.milliseconds = wait.milliseconds
      switch wait.request {
      case .pull(let chunk, let step):
        (message.pointee.request, message.pointee.chunk, message.pointee.step) = (1, chunk, step)
      case .push(let chunk, let step):
        (message.pointee.request, message.pointee.chunk, message.pointee.step) = (2, chunk, step)
      case .marker(let number): (message.pointee.request, message.pointee.step) = (3, number)
      case .exchange: message.pointee.request = 4
      }
      messages[index] = message
    }
    return messages
  }

  static func encode(
    _ staleness: StalenessCounts, _ arena: inout ProtobufC.Arena
  ) -> UnsafeMutablePointer<Convoy__Wire__Staleness> {
    let body = arena.make(convoy__wire__staleness__init)
    body.pointee.n_bins = staleness.bins.count
    body.pointee.bins = numbers(staleness.bins, &arena)
    body.pointee.sum = staleness.sum
    body.pointee.largest = staleness.largest
    return body
  }

  static func encode(
    _ totals: [EpochTotals], _ arena: inout ProtobufC.Arena
  ) -> UnsafeMutablePointer<UnsafeMutablePointer<Convoy__Wire__EpochTotals>?> {
    let epochs = arena.array(of: UnsafeMutablePointer<Convoy__Wire__EpochTotals>?.self, count: totals.count)
    for (index, totals) in totals.enumerated() {
      let epoch = arena.make(convoy__wire__epoch_totals__init)
      epoch.pointee.epoch = totals.epoch
      epoch.pointee.samples = totals.samples
      epoch.pointee.loss_sum = totals.lossSum
      epoch.pointee.correct = totals.correct
      epochs[index] = epoch
    }
    return epochs
  }

  /// A mode's kind and argument as numbers.
  static func code(of consistency: Consistency) -> (kind: UInt32, argument: UInt32) {
    switch consistency {
    case .sync: (1, 0)
    case .async: (2, 0)
    case .ssp(let slack): (3, UInt32(slack))
    case .backup(let spared): (4, UInt32(spared))
    case .local(let steps): (5, UInt32(steps))
    }
  }

  static func numbers<Number: FixedWidthInteger>(
    _ values: [Number], _ arena: inout ProtobufC.Arena
  ) -> UnsafeMutablePointer<Number> {
    let array = arena.array(of: Number.self, count: values.count)
    for (index, value) in values.enumerated() { array[index] = value }
    return array
  }
}
