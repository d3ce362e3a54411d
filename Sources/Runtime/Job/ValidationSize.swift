/// How many training samples are held out to choose the best checkpoint by: a number, or a share of them.
public enum ValidationSize: Hashable, Sendable, CustomStringConvertible {
  /// So many samples.
  case count(Int)
  /// A share of the training set, above 0 and below 1.
  case share(Double)

  /// Nothing is held out.
  public static let none = ValidationSize.count(0)

  /// Reads `5000`, `0.1` or `0`; nil where the text is neither a number of samples nor a share below 1.
  public init?(_ text: String) {
    if let count = Int(text) {
      guard count >= 0 else { return nil }
      self = .count(count)
    } else {
      guard let share = Double(text), share >= 0, share < 1 else { return nil }
      self = share == 0 ? .none : .share(share)
    }
  }

  /// The text that reads back as the same.
  public var description: String {
    switch self {
    case .count(let count): "\(count)"
    case .share(let share): "\(share)"
    }
  }

  /// Number of samples of a training set of so many: a share is rounded, and is at least one sample.
  func count(of samples: Int) -> Int {
    switch self {
    case .count(let count): count
    case .share(let share): max(1, Int((share * Double(samples)).rounded()))
    }
  }
}
