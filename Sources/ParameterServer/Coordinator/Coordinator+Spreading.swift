/// Chunks go back to servers that came late or came back: without it such a server keeps replicas for ever.
extension Coordinator {
  /// Moves roles to servers that have less than others, once every replica can serve.
  ///
  /// Two kinds of view do it, with time between them: primary and replica swap roles, which moves no state; or replicas
  /// go to a server that has next to nothing, for a later swap. A replica that moves is built anew: until then its chunk is
  /// on one server, as after a loss.
  mutating func respread(at now: Moment, _ effects: inout [CoordinatorEffect]) {
    guard plan.hasReplicas, isPlaced, recovery == nil, wantedMode == nil, !cuts.isMarking, cuts.open.isEmpty, let view,
      view.servers.count > 1, now.milliseconds(since: respreadAt ?? Moment(milliseconds: 0)) >= deadlines.respread
    else { return }
    let servers = view.servers.compactMap { line in
      roster[line.member].flatMap { $0.incarnation == line.incarnation && $0.isInStep ? $0 : nil }
    }
    guard servers.count == view.servers.count, let spread = Spreading(view), let better = spread.swapped ?? spread.moved
    else { return }
    respreadAt = now
    disturb(at: now)
    establish(
      View(
        number: nextNumber, era: view.era, origin: view.origin, isBeginning: false, rules: view.rules,
        servers: Self.lines(servers, placed: better.holders, replicas: better.keepers), workers: view.workers,
        since: view.since),
      .respread, at: now, &effects)
  }
}

/// Who serves the chunks and who keeps their replicas, and how that could be more even. Servers by their index in a view.
package struct Spreading: Equatable {
  /// Bytes of each chunk.
  package let bytes: [Int]
  /// Number of servers.
  package let servers: Int
  /// The server of each chunk.
  package private(set) var holders: [Int]
  /// The server that keeps each chunk's replica; -1 where none does.
  package private(set) var keepers: [Int]

  /// A spread as stated.
  package init(bytes: [Int], servers: Int, holders: [Int], keepers: [Int]) {
    self.bytes = bytes
    self.servers = servers
    self.holders = holders
    self.keepers = keepers
  }

  /// The spread of a view; nil where it does not hold together.
  package init?(_ view: View) {
    guard let holders = view.serverOfChunk, let keepers = view.replicaOfChunk else { return nil }
    self.init(
      bytes: (0..<view.rules.chunks.count).map(view.rules.chunks.bytes(of:)), servers: view.servers.count,
      holders: holders, keepers: keepers)
  }

  /// Bytes that each server serves.
  package var served: [Int] {
    var load = [Int](repeating: 0, count: servers)
    for chunk in holders.indices { load[holders[chunk]] += bytes[chunk] }
    return load
  }

  /// Bytes that each server serves and keeps replicas of.
  private var held: [Int] {
    var load = served
    for chunk in keepers.indices where keepers[chunk] >= 0 { load[keepers[chunk]] += bytes[chunk] }
    return load
  }

  /// The same with primaries and replicas swapped as far as that evens what is served; nil where it is not worth a view.
  package var swapped: Spreading? {
    let before = served
    guard Self.isUneven(before) else { return nil }
    var (next, load) = (self, before)
    while let chunk = next.best({ (load[next.holders[$0]], next.keepers[$0] < 0 ? .max : load[next.keepers[$0]]) }) {
      let (holder, keeper) = (next.holders[chunk], next.keepers[chunk])
      next.holders[chunk] = keeper
      next.keepers[chunk] = holder
      load[holder] -= bytes[chunk]
      load[keeper] += bytes[chunk]
    }
    return Self.isWorth(before, load) ? next : nil
  }

  /// The same with replicas moved to the server that holds least, where that is less than half of its share; nil where
  /// none is.
  package var moved: Spreading? {
    var load = held
    let share = load.reduce(0, +) / max(1, servers)
    guard let poorest = load.indices.min(by: { load[$0] < load[$1] }), load[poorest] < share / 2 else { return nil }
    // Of what the busiest serve first: it is for them that others are to serve.
    let served = served
    var next = self
    while let chunk = next.best(
      { chunk in
        let keeper = next.keepers[chunk]
        let isMovable = keeper >= 0 && keeper != poorest && next.holders[chunk] != poorest
        return (isMovable ? load[keeper] : .min, load[poorest])
      }, first: { served[next.holders[$0]] })
    {
      load[next.keepers[chunk]] -= bytes[chunk]
      load[poorest] += bytes[chunk]
      next.keepers[chunk] = poorest
    }
    return next == self ? nil : next
  }

  /// The chunk whose move makes two loads most alike: from the larger to the smaller by its bytes. Every such move makes
  /// the sum of the loads' squares smaller, so that moves come to an end.
  private func best(_ loads: (Int) -> (from: Int, to: Int), first: (Int) -> Int = { _ in 0 }) -> Int? {
    var best: (chunk: Int, gap: Int, rank: Int)?
    for chunk in holders.indices {
      let (from, to) = loads(chunk)
      guard from > to, from - to > bytes[chunk] else { continue }
      let candidate = (chunk: chunk, gap: from - to, rank: first(chunk))
      if best.map({ ($0.gap, $0.rank) < (candidate.gap, candidate.rank) }) ?? true { best = candidate }
    }
    return best?.chunk
  }

  /// Whether the largest load is a tenth above the mean.
  private static func isUneven(_ load: [Int]) -> Bool {
    (load.max() ?? 0) * load.count * 10 > load.reduce(0, +) * 11
  }

  /// Whether the largest load falls by a tenth, or the smallest at least doubles.
  private static func isWorth(_ before: [Int], _ after: [Int]) -> Bool {
    guard let (high, low) = before.max().map({ ($0, before.min() ?? 0) }), let newHigh = after.max(),
      let newLow = after.min()
    else { return false }
    return newHigh * 10 <= high * 9 || (newLow > 0 && newLow >= 2 * low)
  }
}
