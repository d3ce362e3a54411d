import ParameterServer
import Testing

/// Whatever comes, in whatever phase: no machine traps, and every payload is let go of once.
@Suite struct HostileTests {
  /// A process of the cluster that has gone mad sends to another, or a stranger speaks for it: both know the job's token.
  private func attack(_ cluster: inout Cluster, _ messages: inout HostileMessages) {
    let source = messages.generator.pick(cluster.actors)
    let target = messages.generator.pick(cluster.actors.filter { $0 != source })
    let member: Member =
      switch source {
      case .coordinator: .coordinator
      case .server(let index): cluster.servers[index].machine.member
      case .worker(let index): cluster.workers[index].machine.member
      }
    let envelope = messages.envelope(from: source, as: member)
    let payload = messages.payload(for: envelope.message)
    // What a stranger is answered reaches nobody: the job goes on, and the next message finds it deeper.
    let connection = messages.isPatient || messages.generator.chance(30) ? Actor.strangersConnection : nil
    cluster.hand(envelope, payload, from: source, to: target, through: connection)
  }

  @Test(arguments: [Consistency.sync, .async]) func nothingThatCanBeSaidTraps(consistency: Consistency) {
    var reached = Reached()
    for seed in 0..<2000 as Range<UInt64> {
      var settings = ClusterSettings.random(consistency, seed: seed)
      settings.weather.delays = 0
      var cluster = Cluster(settings)
      var messages = HostileMessages(generator: SeededGenerator(seed: seed &+ 99), isPatient: seed % 3 > 0)
      cluster.start()
      // Into some phase of the job, honestly.
      let calm = messages.generator.pick([0, 5, 20, 50, 100, 200, 400])
      cluster.run(deliveries: calm)
      for _ in 0..<60 {
        messages.view = cluster.coordinator.view
        attack(&cluster, &messages)
        cluster.run(deliveries: Int.random(in: 0...5, using: &messages.generator))
      }
      // What was begun goes on; it may end in any way.
      cluster.run(deliveries: 500)
      let handles = cluster.violations.filter { $0.contains("held") || $0.contains("given twice") }
      #expect(handles == [], "seed \(seed)")
      reached.note(cluster)
    }
    // Otherwise the messages would be too wild to get past the doors.
    #expect(reached.forgedUpdates > 20 && reached.survivals > 100 && reached.failures > 100)
    for reason in RefusalReason.allCases where ![.wrongProtocol, .nameTaken].contains(reason) {
      #expect(reached.refusals[reason, default: 0] > 0, "\(reason)")
    }
  }

  /// How far the messages got.
  private struct Reached {
    var forgedUpdates = 0
    var survivals = 0
    var failures = 0
    var refusals: [RefusalReason: UInt64] = [:]

    mutating func note(_ cluster: Cluster) {
      forgedUpdates += cluster.servers.flatMap(\.applied).count { $0.gradient.parts.contains(HostileMessages.forged) }
      if cluster.coordinator.stopped == nil { survivals += 1 }
      if case .failed? = cluster.coordinator.stopped { failures += 1 }
      let machines =
        [cluster.coordinator.machine.refusals] + cluster.servers.map(\.machine.refusals)
        + cluster.workers.map(\.machine.refusals)
      for reason in RefusalReason.allCases {
        refusals[reason, default: 0] += machines.reduce(0) { $0 + $1[reason] }
      }
    }
  }
}
