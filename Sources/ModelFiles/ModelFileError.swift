/// Why a model's file cannot be written or read: one line that names the file.
public struct ModelFileError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What kind of failure it is, for a caller that does not do the same for each.
  public enum Kind: Hashable, Sendable {
    /// None of the others: the system's call failed.
    case system
    /// There is nothing of that name.
    case missing
    /// There is something of that name already.
    case exists
    /// The disk or the quota is used up.
    case diskFull
    /// Another process has it.
    case inUse
    /// The bytes are not those that were written.
    case damaged
    /// The file is whole, but of another network or data set than was asked for.
    case mismatched
    /// A newer Convoy wrote it.
    case newerFormat
  }

  /// The file.
  public let path: String
  /// What is wrong, and what was expected.
  public let problem: String
  /// What kind of failure it is.
  public let kind: Kind

  /// An error of a file.
  public init(path: String, problem: String, kind: Kind = .system) {
    self.path = path
    self.problem = problem
    self.kind = kind
  }

  /// One line for a person.
  public var description: String { "\(path): \(problem)" }
}
