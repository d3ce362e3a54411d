import Testing
import Transport

@Suite struct RouteTableTests {
  /// Gives out numbers, as a hub does.
  private struct Numbers {
    var next: UInt64 = 1

    mutating func peer(_ routing: UInt8, in table: inout RouteTable) -> Peer {
      table.peer(for: [0, routing]) {
        defer { next += 1 }
        return Peer(rawValue: next)
      }
    }
  }

  @Test("A routing id keeps its number until it is forgotten")
  func numbers() {
    var table = RouteTable(maximumPeers: 4)
    var numbers = Numbers()
    let first = numbers.peer(1, in: &table)
    let second = numbers.peer(2, in: &table)
    #expect(first != second)
    #expect(numbers.peer(1, in: &table) == first)
    #expect(table.routing(of: second) == [0, 2])
    table.forget(first)
    #expect(table.routing(of: first) == nil)
    #expect(numbers.peer(1, in: &table) != first)
    #expect(table.count == 2)
  }

  @Test("Strangers without end push out each other, not those who speak")
  func bounded() {
    var table = RouteTable(maximumPeers: 8)
    var numbers = Numbers()
    let workers = (0..<4).map { numbers.peer($0, in: &table) }
    for stranger in 0..<200 {
      for worker in 0..<4 { #expect(numbers.peer(UInt8(worker), in: &table) == workers[worker]) }
      let peer = numbers.peer(UInt8(50 + stranger % 200), in: &table)
      if stranger.isMultiple(of: 3) { table.forget(peer) }
      #expect(table.count <= 8)
    }
    for (worker, peer) in workers.enumerated() { #expect(table.routing(of: peer) == [0, UInt8(worker)]) }
  }
}
