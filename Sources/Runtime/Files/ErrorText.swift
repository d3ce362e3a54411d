import Foundation

/// Errors of other people's code in words for a person: those of this program's own types have their words already.
package enum ErrorText {
  /// One line that says what was wrong, and with which file where that is known.
  package static func line(_ error: any Error) -> String {
    if let error = error as? ConvoyError { return error.message }
    if let error = error as? POSIXError { return String(cString: strerror(error.code.rawValue)) }
    if let error = error as? DecodingError {
      return "what was read is not in the form that was expected: \(line(error))"
    }
    if let error = error as? CocoaError { return line(error) }
    // Of the type itself: a bridged error would describe itself too, by its domain and code.
    if type(of: error) is any CustomStringConvertible.Type { return oneLine("\(error)") }
    return "it failed for a reason that the program has no words for (\(type(of: error))): please report it"
  }

  private static func line(_ error: CocoaError) -> String {
    let path = (error.filePath ?? error.url?.path(percentEncoded: false)).map { "\($0): " } ?? ""
    let cause = error.underlying.flatMap { cause in
      let cause = cause as NSError
      return cause.domain == NSPOSIXErrorDomain ? String(cString: strerror(Int32(cause.code))) : nil
    }
    return path + (cause ?? oneLine(error.localizedDescription))
  }

  private static func line(_ error: DecodingError) -> String {
    switch error {
    case .keyNotFound(let key, _): return "there is no field \(key.stringValue)"
    case .typeMismatch(_, let context), .valueNotFound(_, let context):
      let path = context.codingPath.map { $0.intValue.map { "\($0)" } ?? $0.stringValue }
      return "the field \(path.joined(separator: ".")) is not what it should be"
    case .dataCorrupted: return "it is no JSON, or a value in it is not one that there may be"
    @unknown default: return "it cannot be decoded"
    }
  }

  private static func oneLine(_ text: String) -> String {
    text.split(whereSeparator: \.isNewline).joined(separator: " ")
  }

  /// Why a file cannot be read, after an attempt that told nothing.
  package static func reading(_ path: String) -> String {
    var status = stat()
    guard stat(path, &status) == 0 else { return String(cString: strerror(errno)) }
    if status.st_mode & S_IFMT == S_IFDIR { return "it is a folder" }
    return access(path, R_OK) == 0 ? "it cannot be read" : String(cString: strerror(errno))
  }
}
