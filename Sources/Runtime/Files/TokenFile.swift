import Foundation
import Glibc
package import ParameterServer

/// The files that carry a job's token from its coordinator to its members: mode 0600, read by their owner only.
package enum TokenFile {
  /// Writes a fresh token, or reads the one that the file already holds.
  package static func create(at path: String) throws(ConvoyError) -> JobToken {
    if FileManager.default.fileExists(atPath: path) { return try read(path) }
    var generator = SystemRandomNumberGenerator()
    let bytes = (0..<JobToken.byteCount).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    try write(bytes, to: path)
    return JobToken(bytes)!
  }

  /// Writes a fresh token in the place of one that an earlier process has left, in a folder that is the caller's.
  package static func replace(at path: String) throws(ConvoyError) -> JobToken {
    unlink(path)
    return try create(at: path)
  }

  private static func write(_ bytes: [UInt8], to path: String) throws(ConvoyError) {
    let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw failure("cannot write the job's token to", path) }
    defer { close(file) }
    let text = Array(hexadecimal(bytes).utf8) + [UInt8(ascii: "\n")]
    guard Glibc.write(file, text, text.count) == text.count, fsync(file) == 0 else {
      throw failure("cannot write the job's token to", path)
    }
  }

  /// Reads a token. A file that others may read is refused.
  package static func read(_ path: String) throws(ConvoyError) -> JobToken {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { throw failure("cannot read the job's token from", path) }
    defer { close(file) }
    var status = stat()
    guard fstat(file, &status) == 0 else { throw failure("cannot read the job's token from", path) }
    guard status.st_mode & S_IFMT != S_IFDIR else {
      throw ConvoyError(.configuration, "the token file \(path) is a folder")
    }
    guard status.st_mode & 0o077 == 0 else {
      throw ConvoyError(
        .refused, "the token file \(path) may be read by others: chmod 600 it, or make a new one")
    }
    // One byte more than a token has, so that a longer file is seen.
    var buffer = [UInt8](repeating: 0, count: 2 * JobToken.byteCount + 2)
    let count = max(0, Glibc.read(file, &buffer, buffer.count))
    let text = String(decoding: buffer[..<count], as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    guard let bytes = bytes(ofHexadecimal: text), let token = JobToken(bytes) else {
      throw ConvoyError(
        .configuration, "the token file \(path) does not hold \(2 * JobToken.byteCount) hexadecimal digits")
    }
    return token
  }

  private static func failure(_ what: String, _ path: String) -> ConvoyError {
    ConvoyError(.configuration, "\(what) \(path): \(String(cString: strerror(errno)))")
  }

  private static func hexadecimal(_ bytes: [UInt8]) -> String {
    bytes.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
  }

  private static func bytes(ofHexadecimal text: String) -> [UInt8]? {
    let digits = text.utf8.map { Character(UnicodeScalar($0)).hexDigitValue }
    guard digits.count.isMultiple(of: 2), !digits.contains(nil) else { return nil }
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0]! * 16 + digits[$0 + 1]!) }
  }

  // MARK: Finding the token of a coordinator on this machine

  /// Where the coordinator at an address leaves its token for members that the same person starts on this machine, as
  /// long as that place can be used.
  package static func shared(for address: String) -> String {
    "\(sharedFolders[0])/\(sharedName(for: address))"
  }

  /// The file that the coordinator at an address has left, in whichever place it could; nil where there is none.
  package static func findShared(for address: String) -> String? {
    sharedFolders.lazy.filter { isOwn($0) }.map { "\($0)/\(sharedName(for: address))" }
      .first { FileManager.default.fileExists(atPath: $0) }
  }

  private static func sharedName(for address: String) -> String {
    String(address.map { $0.isLetter || $0.isNumber || $0 == "." || $0 == "-" ? $0 : "_" }) + ".token"
  }

  /// Folders for shared tokens, the first choice first. The last one is the same in every shell of a person.
  private static var sharedFolders: [String] {
    var folders: [String] = []
    let environment = ProcessInfo.processInfo.environment
    if let runtime = environment["XDG_RUNTIME_DIR"], !runtime.isEmpty { folders.append("\(runtime)/convoy") }
    for place in [NSTemporaryDirectory(), "/tmp/"] where !folders.contains("\(place)convoy-\(getuid())") {
      folders.append("\(place)convoy-\(getuid())")
    }
    return folders
  }

  /// Whether a folder is this person's alone.
  private static func isOwn(_ folder: String) -> Bool {
    var status = stat()
    return lstat(folder, &status) == 0 && status.st_uid == getuid() && status.st_mode & S_IFMT == S_IFDIR
      && status.st_mode & 0o077 == 0
  }

  /// Leaves a token where members of the same person find it; the result is the file, to be removed at the end.
  ///
  /// - Parameter notice: told, where it is not the first choice, which place it is and why.
  package static func share(
    _ token: JobToken, for address: String, notice: (String) -> Void = { _ in }
  ) throws(ConvoyError) -> String {
    var reasons: [ConvoyError] = []
    for folder in sharedFolders {
      do throws(ConvoyError) {
        let path = try share(token, for: address, in: folder)
        if !reasons.isEmpty {
          notice("the job's token is in \(path): \(reasons.map(\.message).joined(separator: "; "))")
        }
        return path
      } catch {
        reasons.append(error)
      }
    }
    throw reasons[0]
  }

  private static func share(
    _ token: JobToken, for address: String, in folder: String
  ) throws(ConvoyError) -> String {
    if mkdir(folder, 0o700) != 0, errno != EEXIST { throw failure("cannot make", folder) }
    guard isOwn(folder) else {
      throw ConvoyError(.refused, "\(folder) is not a folder of yours alone: no token is left there")
    }
    let path = "\(folder)/\(sharedName(for: address))"
    // A coordinator that was killed leaves its file; the address is this one's now.
    unlink(path)
    try write(token.bytes, to: path)
    return path
  }
}
