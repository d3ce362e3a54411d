import ConvoySimulation
import ModelFiles
import Tensors
import Testing

/// Checkpoints on a disk at its worst: a crash at every call leaves a complete old or new one.
@Suite struct DiskCheckpointTests {
  static let seeds: Range<UInt64> = 0..<5

  /// Something done to a folder that already has checkpoints.
  struct Scenario: Sendable, CustomStringConvertible {
    let description: String
    /// What is there before, as (step, value).
    let before: [(Int, Float)]
    /// What may be found as the newest, and what must be once it is done.
    let after: (Int, Float)
    let action: @Sendable (CheckpointStore) throws -> Void
  }

  static let scenarios = [
    Scenario(description: "a first one", before: [], after: (200, 2)) { _ = try $0.write(checkpoint(200, 2)) },
    Scenario(description: "one after another", before: [(100, 1)], after: (200, 2)) {
      _ = try $0.write(checkpoint(200, 2))
    },
    Scenario(description: "one in place of another", before: [(200, 1)], after: (200, 2)) {
      _ = try $0.write(checkpoint(200, 2))
    },
    Scenario(description: "pruning", before: [(100, 1), (200, 1), (300, 1)], after: (300, 1)) {
      try $0.prune(keepLast: 1)
    },
    Scenario(description: "writing and pruning", before: [(100, 1), (200, 1)], after: (300, 2)) {
      _ = try $0.write(checkpoint(300, 2))
      try $0.prune(keepLast: 1)
    },
    Scenario(description: "adding to a manifest", before: [(100, 1), (200, 1)], after: (200, 1)) {
      try $0.annotate("step-00000200", era: 0, ["validation_accuracy": "0.5"])
    },
  ]

  static func checkpoint(_ step: Int, _ value: Float) -> Checkpoint {
    var layout = ParameterLayout()
    layout.append("conv1.weight", shape: [20, 1, 5, 5])
    let numbers = (0..<layout.count).map { Float($0) + value + Float(step) }
    return Checkpoint(
      step: step, version: UInt64(step), network: Checkpoint.Identity(name: "small", digest: "1"),
      data: Checkpoint.Identity(name: "digits", digest: "2"), layout: layout, parameters: FlatVector(numbers),
      slots: [Checkpoint.Slot(name: "momentum", vector: FlatVector(numbers.map { $0 * value }))],
      counters: ["applies": [UInt64](repeating: UInt64(step), count: 100)])
  }

  static func store(_ disk: SimulatedDisk) -> CheckpointStore {
    CheckpointStore(folder: "/run/checkpoints", files: disk)
  }

  private static func prepared(_ scenario: Scenario, seed: UInt64) throws -> SimulatedDisk {
    let disk = SimulatedDisk(seed: seed)
    try disk.makeFolders("/run/checkpoints")
    for (step, value) in scenario.before { _ = try store(disk).write(checkpoint(step, value)) }
    return disk
  }

  private static func same(_ read: Checkpoint?, _ wanted: (Int, Float)?) -> Bool {
    guard let read, let wanted else { return read == nil && wanted == nil }
    let expected = checkpoint(wanted.0, wanted.1)
    return read.step == expected.step && read.parameters.array == expected.parameters.array
      && read.slot("momentum")?.array == expected.slot("momentum")?.array && read.counters == expected.counters
  }

  /// What is wrong with what a disk holds after a crash; nil for nothing.
  private static func problem(_ disk: SimulatedDisk, _ scenario: Scenario, isDone: Bool) throws -> String? {
    for entry in try store(disk).verify() {
      if case .damaged(let error) = entry.state { return "damaged: \(error)" }
    }
    let found = try store(disk).readNewest()
    if same(found?.checkpoint, scenario.after) { return nil }
    if isDone { return "the new one is lost: found \(found?.newest.name ?? "none")" }
    if same(found?.checkpoint, scenario.before.last) { return nil }
    return "neither the old nor the new one: found \(found?.newest.name ?? "none")"
  }

  /// Crashes at every call of a scenario, then at one of cleaning up; what was wrong, and which kinds of calls it crashed in.
  private static func sweep(
    _ scenario: Scenario, seed: UInt64, fault: CheckpointFault? = nil
  ) throws -> (problems: [String], crashes: [SimulatedDisk.Operation: Int]) {
    var problems: [String] = []
    var crashes: [SimulatedDisk.Operation: Int] = [:]
    var number = 0
    var isDone = false
    while !isDone {
      number += 1
      let disk = try prepared(scenario, seed: seed &* 1000 &+ UInt64(number))
      disk.crashesAtOperation = disk.operationCount + number
      var faulty = store(disk)
      faulty.fault = fault
      try? scenario.action(faulty)
      isDone = disk.crashedIn == nil
      if let crashedIn = disk.crashedIn { crashes[crashedIn, default: 0] += 1 }

      let second = disk.crash()
      if let problem = try problem(second, scenario, isDone: isDone) {
        problems.append("\(scenario), seed \(seed), call \(number): \(problem)")
        continue
      }
      var generator = SeededStream(seed: seed, purpose: "cleaning \(number)")
      second.crashesAtOperation = Int.random(in: 1...8, using: &generator)
      _ = try? store(second).clean()
      let third = second.crash()
      _ = try store(third).clean()
      if let problem = try problem(third, scenario, isDone: isDone) { problems.append("cleaned: \(problem)") }
      if try store(third).list().contains(where: { $0.state != .good }) { problems.append("cleaned, and not clean") }
    }
    return (problems, crashes)
  }

  @Test("A crash at every call leaves a complete old or new one, and nothing that looks damaged", arguments: scenarios)
  func crashes(scenario: Scenario) throws {
    var crashes: [SimulatedDisk.Operation: Int] = [:]
    for seed in Self.seeds {
      let result = try Self.sweep(scenario, seed: seed)
      #expect(result.problems.isEmpty)
      crashes.merge(result.crashes, uniquingKeysWith: +)
    }
    let kinds: [SimulatedDisk.Operation] =
      scenario.description == "pruning"
      ? [.remove, .removeFolder, .syncFolder] : [.create, .write, .sync, .rename, .syncFolder]
    for kind in kinds { #expect(crashes[kind, default: 0] > 0, "never crashed in \(kind)") }
  }

  @Test("Each planted fault is found", arguments: CheckpointFault.allCases)
  func faults(fault: CheckpointFault) throws {
    var problems: [String] = []
    for seed in 0..<20 as Range<UInt64> where problems.isEmpty {
      problems = try Self.sweep(Self.scenarios[1], seed: seed, fault: fault).problems
    }
    #expect(!problems.isEmpty)
  }

  @Test("A half-written attempt of the same step is replaced, whatever the first crash left")
  func halfWritten() throws {
    for number in 1...40 {
      let disk = try Self.prepared(Self.scenarios[1], seed: UInt64(number))
      disk.crashesAtOperation = disk.operationCount + number
      _ = try? Self.store(disk).write(Self.checkpoint(200, 9))
      let next = disk.crash()
      _ = try Self.store(next).write(Self.checkpoint(200, 2))
      let last = next.crash()
      #expect(try Self.problem(last, Self.scenarios[1], isDone: true) == nil)
      #expect(try last.list("/run/checkpoints") == ["step-00000100", "step-00000200"])
    }
  }

  @Test("A disk that fills up at any byte ends no more than the one checkpoint, and nothing of it is left")
  func full() throws {
    var failures = 0
    for scenario in Self.scenarios[1...2] {
      var room = 0
      while true {
        let disk = try Self.prepared(scenario, seed: 1)
        let used = try Self.usedBytes(disk)
        disk.capacity = used + room
        let names = try disk.list("/run/checkpoints")
        do {
          try scenario.action(Self.store(disk))
          break
        } catch let error as ModelFileError {
          #expect(error.kind == .diskFull && error.problem.contains("make room"))
          failures += 1
        }
        #expect(try disk.list("/run/checkpoints") == names)
        #expect(try Self.usedBytes(disk) == used)
        #expect(try Self.problem(disk.crash(), scenario, isDone: false) == nil)
        room += 211
      }
    }
    #expect(failures > 20)
  }

  private static func usedBytes(_ disk: SimulatedDisk) throws -> Int {
    try disk.list("/run/checkpoints").reduce(0) { sum, folder in
      try disk.list("/run/checkpoints/\(folder)").reduce(sum) {
        try $0 + disk.bytes(of: "/run/checkpoints/\(folder)/\($1)").count
      }
    }
  }

  @Test("A sync that fails is told, and the old one stays, whether the process or the machine ends after it")
  func failingSyncs() throws {
    var failures = 0
    for scenario in Self.scenarios[1...2] {
      for number in 1...60 {
        for endsMachine in [false, true] {
          let disk = try Self.prepared(scenario, seed: UInt64(number))
          disk.failingSyncs = [disk.operationCount + number]
          let isDone = (try? scenario.action(Self.store(disk))) != nil
          failures += isDone ? 0 : 1
          let next = endsMachine ? disk.crash() : disk.endProcess()
          #expect(try Self.problem(next, scenario, isDone: isDone) == nil)
        }
      }
    }
    #expect(failures > 20)
  }
}
