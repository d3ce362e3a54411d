/// Why an event is passed over, and rightly so: nothing follows from it. What is wrong is refused instead.
public enum DropReason: UInt8, Hashable, Sendable, CaseIterable {
  /// Who is told has stopped.
  case ended = 1
  /// It was said or done before: it is sent again as long as the answer has not come.
  case repeated = 2
  /// It is of a view, an era, a cut or a life that is over.
  case outdated = 3
  /// It comes before there is a use for it, and is said again.
  case untimely = 4
  /// It is a refusal, which is never answered: what was refused is sent again, or a view says otherwise.
  case refusal = 5
  /// It wants nothing, or what there is none of.
  case needless = 6

  /// What logs call it.
  public var name: String {
    switch self {
    case .ended: "after the end"
    case .repeated: "repeated"
    case .outdated: "outdated"
    case .untimely: "untimely"
    case .refusal: "refusals"
    case .needless: "needless"
    }
  }
}

/// How many events were passed over, by reason.
public struct DropCounts: Hashable, Sendable {
  private var counts = [UInt64](repeating: 0, count: DropReason.allCases.count)

  /// None yet.
  public init() {}

  /// Counts one more.
  mutating func count(_ reason: DropReason) { counts[Int(reason.rawValue) - 1] &+= 1 }

  /// The number of one kind.
  public subscript(reason: DropReason) -> UInt64 { counts[Int(reason.rawValue) - 1] }

  /// One line for a person; nil where there are none.
  public var summary: String? {
    let parts = DropReason.allCases.filter { self[$0] > 0 }.map { "\(self[$0]) \($0.name)" }
    return parts.isEmpty ? nil : parts.joined(separator: ", ")
  }
}
