import ParameterServer
import Testing

extension Cluster {
  /// Runs a whole job and holds it against what must be true of every job that is completed.
  mutating func expectCompletion(_ note: String) {
    start()
    guard run() else {
      Issue.record("\(note): does not end; \(settings)")
      return
    }
    for actor in actors {
      let reason = stopReason(of: actor)
      if reason != .completed {
        Issue.record("\(note): \(actor) ended with \(String(describing: reason)); \(settings)")
      }
    }
    #expect(violations == [], "\(note): \(settings)")
    #expect(heldPayloads == 0, "\(note): payloads leak; \(settings)")
    expectContributionsOnce(note)
    expectShardCounts(note)
    switch settings.consistency {
    case .sync: expectSequentialResult(note)
    case .async: expectFoldOfLog(note)
    }
    expectTotals(note)
  }

  /// Runs until everyone has left.
  mutating func expectEnd(_ note: String) {
    let hasEnded = run()
    #expect(hasEnded, "\(note): does not end; \(settings)")
  }

  private var collected: [UInt64] {
    coordinator.collected.sorted { $0.key < $1.key }.map(\.value)
  }

  private var chunkCount: Int { coordinator.view?.rules.chunks.count ?? 0 }

  /// Every shard with a sample is applied exactly once to every chunk, and nothing else.
  private func expectContributionsOnce(_ note: String) {
    var expected: [[Int]] = []
    for (step, samples) in settings.sampleCounts.enumerated() {
      for shard in 0..<settings.shards
      where shard * samples / settings.shards < (shard + 1) * samples / settings.shards {
        expected.append([step, shard])
      }
    }
    for chunk in 0..<chunkCount {
      let parts = servers.flatMap(\.applied).filter { $0.order.chunk == chunk }.flatMap(\.gradient.parts)
      let applied = parts.map { [$0.step, $0.shard] }.sorted { $0.lexicographicallyPrecedes($1) }
      #expect(applied == expected, "\(note): chunk \(chunk); \(settings)")
    }
  }

  /// Every order states how many shards of its step hold a sample.
  private func expectShardCounts(_ note: String) {
    for applied in servers.flatMap(\.applied) {
      let samples = settings.sampleCounts[applied.gradient.parts[0].step]
      let occupied = (0..<settings.shards).count {
        $0 * samples / settings.shards < ($0 + 1) * samples / settings.shards
      }
      #expect(applied.order.shards == occupied, "\(note): \(settings)")
    }
  }

  private func expectSequentialResult(_ note: String) {
    let expected = ToyModel.sequential(
      samples: settings.samples, batch: settings.batch, shards: settings.shards, steps: settings.steps,
      chunks: chunkCount)
    #expect(collected == expected, "\(note): \(settings)")
    for applied in servers.flatMap(\.applied) {
      #expect(applied.order.step == Int(applied.order.version) - 1 && applied.order.staleness == 0, "\(note)")
      #expect(applied.gradient.parts.allSatisfy { $0.basis + 1 == applied.order.version }, "\(note)")
      #expect(applied.order.worker == nil, "\(note)")
    }
  }

  private func expectFoldOfLog(_ note: String) {
    let folded = (0..<chunkCount).map { chunk in
      let log = servers.flatMap(\.applied).filter { $0.order.chunk == chunk }
      return log.reduce(ToyModel.initial(chunk)) {
        ToyModel.updated($0, by: $1.gradient.value, step: $1.order.step, samples: $1.order.samples)
      }
    }
    #expect(collected == folded, "\(note): \(settings)")
    for applied in servers.flatMap(\.applied) {
      let part = applied.gradient.parts[0]
      #expect(applied.gradient.parts.count == 1, "\(note)")
      #expect(applied.order.staleness == applied.order.version - 1 - part.basis, "\(note): \(settings)")
      #expect(applied.order.samples == settings.sampleCounts[part.step], "\(note)")
      #expect(
        applied.order.step == min((Int(applied.order.version) - 1) / settings.shards, settings.steps - 1), "\(note)")
      #expect(applied.order.worker == part.worker, "\(note)")
    }
  }

  /// What the coordinator reports at the end adds up.
  private func expectTotals(_ note: String) {
    let samples = UInt64(settings.sampleCounts.reduce(0, +))
    // Where messages overtake each other, a worker's last word can come before an earlier one.
    if settings.weather.order == .shuffled {
      #expect(coordinator.trained.map { $0.samples <= samples } == true, "\(note): \(settings)")
    } else {
      #expect(coordinator.trained?.samples == samples, "\(note): \(settings)")
    }
    let shards = servers.flatMap(\.applied).filter { $0.order.chunk == 0 }.reduce(0) { $0 + $1.gradient.parts.count }
    #expect(coordinator.trained?.shards == UInt64(shards), "\(note): \(settings)")
  }
}
