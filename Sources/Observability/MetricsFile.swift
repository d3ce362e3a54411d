import FoundationEssentials
import Glibc

/// A file of JSON objects, one a line, that is only ever added to.
public final class MetricsFile {
  /// The file.
  public let path: String
  private let descriptor: Int32

  /// Why a line cannot be added.
  public struct Failure: Error, CustomStringConvertible {
    /// One line for a person.
    public let description: String
  }

  /// Opens a file to add to, making it where it is not there.
  public init(path: String) throws(Failure) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw Failure(description: "\(path): \(String(cString: strerror(errno)))") }
    self.path = path
    self.descriptor = descriptor
  }

  deinit {
    close(descriptor)
  }

  /// Adds a value as one line, in one write: a reader never sees half of it.
  public func append(_ value: some Encodable) throws(Failure) {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    guard var line = try? encoder.encode(value) else { throw Failure(description: "\(path): a value without JSON") }
    line.append(0x0A)
    let written = line.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
    guard written == line.count else { throw Failure(description: "\(path): \(String(cString: strerror(errno)))") }
  }
}
