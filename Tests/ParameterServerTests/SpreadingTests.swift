import ParameterServer
import Testing

/// How chunks are spread again over the servers.
@Suite struct SpreadingTests {
  @Test func halfGoesToAServerThatKeepsAllReplicas() throws {
    let spread = Spreading(
      bytes: [10, 10, 10, 10], servers: 2, holders: [0, 0, 0, 0], keepers: [1, 1, 1, 1])
    let swapped = try #require(spread.swapped)
    #expect(swapped.served == [20, 20])
    for chunk in 0..<4 { #expect(Set([swapped.holders[chunk], swapped.keepers[chunk]]) == [0, 1]) }
    #expect(swapped.swapped == nil && swapped.moved == nil, "it is even")
  }

  @Test func whatIsEvenEnoughStays() {
    let even = Spreading(bytes: [10, 10, 9], servers: 3, holders: [0, 1, 2], keepers: [1, 2, 0])
    #expect(even.swapped == nil && even.moved == nil)
    // No swap makes it better: one chunk is larger than all others.
    let lumpy = Spreading(bytes: [100, 1, 1], servers: 2, holders: [0, 1, 1], keepers: [1, 0, 0])
    #expect(lumpy.swapped == nil)
    let without = Spreading(bytes: [10, 10], servers: 2, holders: [0, 0], keepers: [-1, -1])
    #expect(without.swapped == nil)
  }

  @Test func aServerWithoutAnythingGetsReplicasAndThenChunks() throws {
    // Server 0 was lost: 1 serves its chunks too, and the replicas were built on who was left.
    let bytes = [Int](repeating: 10, count: 12)
    let spread = Spreading(
      bytes: bytes, servers: 3, holders: [1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2],
      keepers: [2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1])
    #expect(spread.swapped.map(\.served) == [0, 60, 60], "swapping comes first")
    var next = try #require(spread.swapped)
    #expect(next.swapped == nil)
    next = try #require(next.moved)
    #expect(next.keepers.count { $0 == 0 } == 8 && next.served == [0, 60, 60])
    #expect(zip(next.holders, next.keepers).allSatisfy { $0 != $1 })
    next = try #require(next.swapped)
    #expect(next.served == [40, 40, 40] && next.swapped == nil && next.moved == nil)
  }

  @Test(arguments: 0..<200 as Range<UInt64>) func movesComeToAnEndAndMakeLoadsMoreAlike(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let servers = Int.random(in: 2...6, using: &random)
    let bytes = (0..<Int.random(in: 1...30, using: &random)).map { _ in Int.random(in: 1...100, using: &random) }
    let holders = bytes.map { _ in Int.random(in: 0..<servers, using: &random) }
    let keepers = holders.map { ($0 + Int.random(in: 1..<servers, using: &random)) % servers }
    var spread = Spreading(bytes: bytes, servers: servers, holders: holders, keepers: keepers)
    var views = 0
    while let next = spread.swapped ?? spread.moved, views < 20 {
      #expect(next.served.max()! <= spread.served.max()!)
      #expect(zip(next.holders, next.keepers).allSatisfy { $0 != $1 && $1 >= 0 })
      spread = next
      views += 1
    }
    #expect(views < 20)
  }
}
