/// The extents of a tensor, outermost first, as in `[20, 24, 24]` for 20 channels of 24 by 24.
public struct Shape: Hashable, Sendable, ExpressibleByArrayLiteral, CustomStringConvertible {
  /// The extents, outermost first. An empty list is a scalar.
  public let extents: [Int]

  /// A shape of the given extents.
  ///
  /// - Precondition: no extent is negative and the product fits an `Int`.
  public init(_ extents: [Int]) {
    var count = 1
    for extent in extents {
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      precondition(extent >= 0 && !overflow, "no tensor has the shape \(extents)")
      count = product
    }
    self.extents = extents
    self.count = count
  }

  /// The value that the literal spells.
  public init(arrayLiteral elements: Int...) {
    self.init(elements)
  }

  /// Number of elements: the product of the extents.
  public let count: Int

  /// Number of dimensions.
  public var rank: Int { extents.count }

  /// The extent of one dimension.
  public subscript(dimension: Int) -> Int { extents[dimension] }

  /// The extents with a multiplication sign between them: `20×24×24`.
  public var description: String {
    extents.isEmpty ? "scalar" : extents.map(String.init).joined(separator: "×")
  }
}
