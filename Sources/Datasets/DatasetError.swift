/// Why a data set cannot be used: one line that names the file, what was found and what was expected.
public enum DatasetError: Error, Hashable, Sendable, CustomStringConvertible {
  /// There is no data set of this name.
  case unknown(String)
  /// Files are not there; what to do about it.
  case missing(String, remedy: String)
  /// A file is not what it should be.
  case damaged(file: String, String)
  /// The data set does not fit the network.
  case unsuitable(String)

  /// One line for a person.
  public var description: String {
    switch self {
    case .unknown(let name): "there is no data set \(name); known are \(DatasetCatalogue.names.joined(separator: ", "))"
    case .missing(let what, let remedy): "\(what): \(remedy)"
    case .damaged(let file, let problem): "\(file): \(problem)"
    case .unsuitable(let problem): problem
    }
  }
}
