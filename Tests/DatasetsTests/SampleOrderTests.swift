import Datasets
import Testing

@Suite struct SampleOrderTests {
  private func epoch(_ count: Int, seed: UInt64 = 1, _ epoch: Int = 0) -> [Int] {
    let order = SampleOrder(count: count, seed: seed)
    return (0..<count).map { order.sample(at: $0, epoch: epoch) }
  }

  @Test("Each sample once", arguments: [1, 2, 3, 4, 5, 15, 16, 17, 63, 64, 65, 1000, 60000])
  func permutation(count: Int) {
    for number in 0..<3 { #expect(epoch(count, number).sorted() == Array(0..<count)) }
  }

  @Test("Another order for each epoch and each seed")
  func differs() {
    let orders = [epoch(1000), epoch(1000, 1), epoch(1000, 2), epoch(1000, seed: 2), epoch(1000, seed: 1 << 40)]
    #expect(Set(orders).count == orders.count)
    // Two random orders of 1,000 agree at one place on average; at more than 10 about once in 10⁸.
    for other in orders.dropFirst() { #expect(zip(orders[0], other).count { $0 == $1 } <= 10) }
    #expect(epoch(1000) == epoch(1000))
  }

  /// A Feistel network of few rounds keeps blocks together: samples of each sixteenth of the data must spread evenly.
  @Test("Positions and samples are independent: chi-square of a 16 × 16 table", arguments: [1, 2, 3])
  func chiSquare(seed: Int) {
    let count = 60_000
    var table = [Int](repeating: 0, count: 256)
    for (position, sample) in epoch(count, seed: UInt64(seed)).enumerated() {
      table[position * 16 / count * 16 + sample * 16 / count] += 1
    }
    let expected = Double(count) / 256
    let chiSquare = table.reduce(0.0) { $0 + (Double($1) - expected) * (Double($1) - expected) / expected }
    // 225 degrees of freedom: mean 225, deviation 21.2; within five deviations on both sides.
    #expect(chiSquare > 119 && chiSquare < 331)
  }

  @Test("Neighbours in the order are no neighbours in the data: rank correlation")
  func rankCorrelation() {
    let order = epoch(60_000)
    let middle = 29_999.5
    let variance = (60_000.0 * 60_000.0 - 1) / 12
    let lagged = zip(order, order.dropFirst()).reduce(0.0) { $0 + (Double($1.0) - middle) * (Double($1.1) - middle) }
    let straight = order.enumerated().reduce(0.0) { $0 + (Double($1.offset) - middle) * (Double($1.element) - middle) }
    // The deviation of both is 1/√60,000 = 0.0041.
    #expect(abs(lagged / 60_000 / variance) < 0.02)
    #expect(abs(straight / 60_000 / variance) < 0.02)
  }

  @Test("Every order of four samples comes about as often")
  func smallOrders() {
    var seen: [[Int]: Int] = [:]
    for seed in 0..<2400 { seen[epoch(4, seed: UInt64(seed)), default: 0] += 1 }
    #expect(seen.count == 24)
    #expect(seen.values.allSatisfy { $0 > 30 && $0 < 220 })
  }

  /// Computed apart from this package too: Philox, its key and the network written again in Python.
  @Test("Known orders: a job that resumes reads what it would have read")
  func knownAnswers() {
    #expect(Array(epoch(60_000)[..<8]) == [33798, 9487, 28334, 58768, 7518, 37820, 1170, 30774])
    #expect(Array(epoch(60_000, seed: 7, 3)[..<8]) == [48392, 53063, 19004, 27264, 54728, 45887, 37241, 38721])
    #expect(epoch(10) == [7, 3, 4, 2, 8, 6, 1, 0, 9, 5])
  }
}
