/// A number that others are divided by again and again, without the processor's division, which takes as long as ten
/// other operations.
///
/// The quotient is the product with the reciprocal, rounded down: at most one too small (Granlund and Montgomery, "Division
/// by invariant integers using multiplication", 1994).
package struct Divisor: Hashable, Sendable {
  /// The number.
  package let value: UInt64
  /// 2⁶⁴ - 1 divided by the number.
  private let reciprocal: UInt64

  /// A divisor, which is not 0.
  package init(_ value: UInt64) {
    precondition(value > 0, "nothing is divided by 0")
    self.value = value
    reciprocal = .max / value
  }

  /// A number divided by this one, exactly. Costs two multiplications.
  @inline(__always)
  package func divide(_ number: UInt64) -> (quotient: UInt64, remainder: UInt64) {
    let quotient = number.multipliedFullWidth(by: reciprocal).high
    // Below 2⁶⁴ and twice the divisor: the remainder of a quotient that is one too small.
    let remainder = number &- quotient &* value
    return remainder < value ? (quotient, remainder) : (quotient &+ 1, remainder &- value)
  }
}
