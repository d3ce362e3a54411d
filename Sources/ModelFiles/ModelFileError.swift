/// Why a model's file cannot be written or read: one line that names the file.
public struct ModelFileError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The file.
  public let path: String
  /// What is wrong, and what was expected.
  public let problem: String

  /// An error of a file.
  public init(path: String, problem: String) {
    self.path = path
    self.problem = problem
  }

  /// One line for a person.
  public var description: String { "\(path): \(problem)" }
}
