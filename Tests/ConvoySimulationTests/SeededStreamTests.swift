import ConvoySimulation
import Testing

struct SeededStreamTests {
  @Test func streamsOfOneSeedDifferByPurpose() {
    var network = SeededStream(seed: 1, purpose: "network")
    var again = SeededStream(seed: 1, purpose: "network")
    var disk = SeededStream(seed: 1, purpose: "disk")
    let first = (0..<4).map { _ in network.next() }
    #expect(first == (0..<4).map { _ in again.next() })
    #expect(first != (0..<4).map { _ in disk.next() })
  }
}
