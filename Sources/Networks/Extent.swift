/// Numbers along the dimensions of a plane: one for all of them, or one for each.
///
/// `3` is 3 in every dimension of a layer in one, two or three dimensions; `Extent(3, 5)` is height and width of a layer
/// in two, `Extent(2, 3, 5)` depth, height and width of one in three.
public struct Extent: Hashable, Sendable, ExpressibleByIntegerLiteral, CustomStringConvertible {
  /// Along the third dimension from the right: planes of a volume.
  public let depth: Int
  /// Along the rows' direction.
  public let height: Int
  /// Along a row.
  public let width: Int
  /// How many dimensions it was spelled for; nil where one number stands for all.
  public let dimensions: Int?

  /// An extent in two dimensions.
  public init(_ height: Int, _ width: Int) {
    (depth, self.height, self.width, dimensions) = (1, height, width, 2)
  }

  /// An extent in three dimensions.
  public init(_ depth: Int, _ height: Int, _ width: Int) {
    (self.depth, self.height, self.width, dimensions) = (depth, height, width, 3)
  }

  /// The same number in every dimension.
  public init(all value: Int) {
    (depth, height, width, dimensions) = (value, value, value, nil)
  }

  /// The same number in every dimension.
  public init(integerLiteral value: Int) {
    self.init(all: value)
  }

  /// The numbers for so many dimensions, outermost first; nil where it was spelled for another number of them.
  public func numbers(dimensions count: Int) -> [Int]? {
    guard dimensions == nil || dimensions == count else { return nil }
    return Array([depth, height, width].suffix(count))
  }

  /// `5×5`; of one number for all dimensions that number.
  public var description: String {
    switch dimensions {
    case 3: "\(depth)×\(height)×\(width)"
    case 2: "\(height)×\(width)"
    default: "\(width)"
    }
  }

  /// Its numbers in so many dimensions, as in `5×5`.
  func description(dimensions count: Int) -> String {
    numbers(dimensions: count)?.map(String.init).joined(separator: "×") ?? description
  }
}
