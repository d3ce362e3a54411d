import ParameterServer

/// What may come from a peer that is broken, late or lies: it is refused, and nobody traps.
enum Hostile {
  private static let numbers: [UInt64] = [0, 1, 9, 1 << 63, .max]
  private static let chunks: [UInt32] = [0, 1, .max]
  private static let sets = [UnitSet(), UnitSet(ranges: [0..<Int.max])!, UnitSet(ranges: [3..<5, 31..<40])!]
  private static let reports = numbers.map {
    Progress(
      steps: $0, shards: $0, busy: $0,
      epochs: [EpochTotals(epoch: .max, samples: $0, lossSum: .nan, correct: $0), EpochTotals(epoch: 0, samples: $0)],
      staleness: StalenessCounts(bins: [$0, $0], sum: $0, largest: $0))
  }

  /// What may come to a process of a role: all of its own, and some of what is another's.
  static func messages(to role: Role) -> [Message] {
    let groups: [(Role, [Message])] = [(.server, toServers), (.worker, toWorkers), (.coordinator, toCoordinator)]
    var messages: [Message] = [.alive, .statusRequest, .status("?"), .stop(.completed)]
    for reason in RefusalReason.allCases { messages.append(.refused(Refusal(reason, "no"))) }
    for (owner, group) in groups {
      messages += group.enumerated().filter { owner == role || $0.offset % 16 == 0 }.map(\.element)
    }
    return messages
  }

  private static let positions: [ChunkPosition] = chunks.flatMap { chunk in
    numbers.flatMap { number in
      [
        ChunkPosition(chunk: chunk, version: number, closed: 1),
        ChunkPosition(chunk: chunk, version: 1, closed: number, covered: sets[2]),
        ChunkPosition(chunk: chunk, version: number, closed: number, covered: sets[1]),
      ]
    }
  }

  private static let updates: [Update] = chunks.flatMap { chunk in
    numbers.flatMap { number in
      [UpdateKind.summed, .single, .averaged].flatMap { kind in
        [nil, number].map { unit in
          Update(
            chunk: chunk, version: number == 0 ? 1 : number, closed: number, unit: unit, kind: kind, step: number,
            staleness: number, basis: number, worker: .max, samples: number, shards: .max)
        }
      }
    }
  }

  private static let nodes = [node(0, 0), node(2, 0), node(255, .max)]

  private static let toServers: [Message] = {
    var messages: [Message] = []
    for number in numbers {
      messages += [.marker(number), .cut(number), .scale(step: number, bits: number)]
      for chunk in chunks {
        messages.append(.pull(Pull(chunk: chunk, closed: number, isExact: true)))
        messages.append(.pull(Pull(chunk: chunk, closed: number, isExact: false)))
        messages.append(.replicated(chunk: chunk, version: number))
        messages.append(.norm(chunk: chunk, step: number))
        messages.append(.snapshotTaken(chunk: chunk, version: number))
        for node in nodes {
          messages.append(.push(Push(chunk: chunk, step: number, node: node, basis: number, awaits: number)))
        }
      }
    }
    for position in positions { messages += [.restore(position), .replica(position)] }
    for update in updates { messages.append(.replicate(update)) }
    return messages
  }()

  private static let toWorkers: [Message] = {
    var messages: [Message] = []
    for number in numbers {
      let contributions = [
        nil, Contribution(step: number, node: node(255, .max)),
        Contribution(step: 0, node: node(1, 0), isStale: true),
      ]
      for chunk in chunks {
        for answers in contributions {
          let parameters = Parameters(chunk: chunk, version: number, closed: number, answers: answers)
          messages += [.parameters(parameters), .position(parameters)]
        }
      }
      for units in sets { messages.append(.leases(Leases(grant: number, units: units))) }
    }
    for role in Role.allCases {
      for number in [UInt32.max, 0, 7] { messages.append(.welcome(Welcome(member: Member(role, number), job: ""))) }
    }
    return messages
  }()

  private static let toCoordinator: [Message] = {
    let nobody = Digests(build: [], network: [1], job: [], data: [])
    var messages: [Message] = [
      .ready(Job.workerReady), .ready(Job.serverReady),
      .ready(Ready(digests: nobody, samples: .max, engineFingerprint: "", address: "")),
    ]
    for role in Role.allCases {
      for name in ["", "worker.0", "server.1", "worker.4294967296", "💥"] {
        messages.append(.hello(Hello(role: role, name: name)))
      }
    }
    for report in reports {
      messages.append(.progress(report))
      messages.append(.leaving(Leaving(text: "", isOrderly: true, progress: report)))
    }
    for number in numbers {
      messages += [.viewAccepted(closed: number), .outranked(term: number)]
      for units in sets {
        messages.append(.leaseRequest(LeaseRequest(grant: number, held: units, wantsMore: true)))
      }
    }
    for chunk in chunks { messages.append(.stateLost(chunk: chunk)) }
    for position in positions { messages.append(.snapshot(position)) }
    for mode in [Consistency.sync, .ssp(.max), .async, .backup(-1), .local(0), .local(3)] {
      messages.append(.setMode(mode))
    }
    return messages
  }()

  /// Lengths of what comes along.
  static let lengths: [Int?] = [nil, 64]
}
