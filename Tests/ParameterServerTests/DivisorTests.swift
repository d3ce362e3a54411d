import ParameterServer
import Testing

@Suite struct DivisorTests {
  /// Numbers at the ends of the range, around powers of two, and around the divisor's multiples.
  private func numbers(around divisor: UInt64) -> [UInt64] {
    var numbers: [UInt64] = [0, 1, 2, .max - 1, .max]
    for bit in 1..<64 { numbers += [1 << bit - 1, 1 << bit, 1 << bit + 1] }
    for factor: UInt64 in [1, 2, 3, 1000, .max / divisor] {
      let (multiple, overflow) = divisor.multipliedReportingOverflow(by: factor)
      guard !overflow else { continue }
      numbers += [multiple &- 1, multiple, multiple &+ 1]
    }
    return numbers
  }

  @Test func itDividesAsTheProcessorDoes() {
    var divisors: [UInt64] = [1, 2, 3, 5, 7, 10, 41, 1000, 1250, .max - 1, .max]
    for bit in 1..<64 { divisors += [1 << bit - 1, 1 << bit, 1 << bit + 1].filter { $0 > 0 } }
    for value in divisors {
      let divisor = Divisor(value)
      for number in numbers(around: value) {
        let (quotient, remainder) = number.quotientAndRemainder(dividingBy: value)
        #expect(divisor.divide(number) == (quotient, remainder), "\(number) / \(value)")
      }
    }
  }
}
