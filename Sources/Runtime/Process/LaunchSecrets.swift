import Foundation
import Glibc
package import ParameterServer

/// What a process on another host must know and nobody else may: the first bytes of its standard input.
///
/// The block: eight bytes `CONVOYS1`; the length of the rest, as four bytes; the token's sixteen bytes; the number of
/// files, one byte; for each file the length of its name, one byte, the name, the length of its contents, four bytes, and
/// the contents. Numbers are little-endian. What follows the block is the launcher's lifeline.
package struct LaunchSecrets: Hashable, Sendable {
  /// A file of keys: its name in the job's key folder, and what it holds.
  package struct File: Hashable, Sendable {
    /// Letters, digits, `.`, `-` and `_`, beginning with a letter or digit; at most 64.
    package var name: String
    /// Its contents.
    package var bytes: [UInt8]

    /// A file as stated.
    package init(name: String, bytes: [UInt8]) {
      self.name = name
      self.bytes = bytes
    }
  }

  /// The job's token.
  package var token: JobToken
  /// The files of keys; none in a job without.
  package var files: [File]

  /// Most files of a block.
  package static let maximumFiles = 16
  /// Most bytes of one file.
  package static let maximumFileBytes = 1 << 20
  private static let maximumNameBytes = 64
  private static let magic = Array("CONVOYS1".utf8)
  private static let maximumBytes = JobToken.byteCount + 1 + maximumFiles * (5 + maximumNameBytes + maximumFileBytes)

  /// Secrets as stated.
  package init(token: JobToken, files: [File] = []) {
    self.token = token
    self.files = files
  }

  // MARK: Writing

  /// The block's bytes. Throws where a file has no proper name, is too large, or is there twice.
  package func block() throws(ConvoyError) -> [UInt8] {
    guard files.count <= Self.maximumFiles, Set(files.map(\.name)).count == files.count else {
      throw ConvoyError(
        .configuration, "\(files.count) key files cannot be handed on: \(Self.maximumFiles) of different names can")
    }
    var body = token.bytes + [UInt8(files.count)]
    for file in files {
      guard Self.isName(Array(file.name.utf8)), file.bytes.count <= Self.maximumFileBytes else {
        throw ConvoyError(
          .configuration,
          "the key file \(file.name) cannot be handed on: its name or its \(file.bytes.count) bytes are out of bounds")
      }
      body += [UInt8(file.name.utf8.count)] + Array(file.name.utf8) + Self.bytes(of: file.bytes.count) + file.bytes
    }
    return Self.magic + Self.bytes(of: body.count) + body
  }

  // MARK: Reading

  /// Reads a block from a descriptor, and not one byte more.
  ///
  /// Each stated length is held against its bound before memory is taken. Throws where the block is cut short (exit code
  /// 75: the launcher has gone) or is none (exit code 65).
  package init(readingFrom descriptor: Int32) throws(ConvoyError) {
    let head = try Self.read(Self.magic.count + 4, from: descriptor)
    guard head.starts(with: Self.magic) else { throw Self.malformed("it does not begin with CONVOYS1") }
    let length = Self.number(head.suffix(4))
    guard length > JobToken.byteCount, length <= Self.maximumBytes else {
      throw Self.malformed("its length, \(length), is out of bounds")
    }
    var rest = try Self.read(length, from: descriptor)[...]
    guard let token = JobToken(Array(rest.prefix(JobToken.byteCount))) else { throw Self.malformed("it has no token") }
    rest = rest.dropFirst(JobToken.byteCount)
    let count = Int(rest.removeFirst())
    guard count <= Self.maximumFiles else { throw Self.malformed("it states \(count) files") }
    var files: [File] = []
    for _ in 0..<count { files.append(try Self.file(&rest)) }
    guard rest.isEmpty else { throw Self.malformed("\(rest.count) bytes follow its last file") }
    guard Set(files.map(\.name)).count == count else { throw Self.malformed("it holds a file twice") }
    self.init(token: token, files: files)
  }

  private static func file(_ rest: inout ArraySlice<UInt8>) throws(ConvoyError) -> File {
    func take(_ count: Int) throws(ConvoyError) -> ArraySlice<UInt8> {
      guard count <= rest.count else { throw malformed("a file in it is longer than the block") }
      defer { rest = rest.dropFirst(count) }
      return rest.prefix(count)
    }
    let name = Array(try take(number(take(1))))
    guard isName(name) else { throw malformed("a file in it has no proper name") }
    let length = number(try take(4))
    guard length <= maximumFileBytes else { throw malformed("a file in it states \(length) bytes") }
    return File(name: String(decoding: name, as: UTF8.self), bytes: Array(try take(length)))
  }

  private static func read(_ count: Int, from descriptor: Int32) throws(ConvoyError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var done = 0
    while done < count {
      let result = bytes.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress! + done, count - done) }
      if result < 0, errno == EINTR { continue }
      guard result > 0 else {
        throw ConvoyError(.tryAgain, "the secrets on standard input ended early: whoever started this process has gone")
      }
      done += result
    }
    return bytes
  }

  // MARK: Small parts

  /// A name that is no path, whatever it is put behind.
  private static func isName(_ bytes: [UInt8]) -> Bool {
    func isWord(_ byte: UInt8) -> Bool {
      (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
    }
    guard let first = bytes.first, isWord(first), bytes.count <= maximumNameBytes else { return false }
    return bytes.allSatisfy { isWord($0) || ".-_".utf8.contains($0) }
  }

  private static func bytes(of number: Int) -> [UInt8] {
    (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
  }

  private static func number(_ bytes: ArraySlice<UInt8>) -> Int {
    bytes.reversed().reduce(0) { $0 << 8 | Int($1) }
  }

  private static func malformed(_ problem: String) -> ConvoyError {
    ConvoyError(.badData, "standard input holds no block of secrets: \(problem); --secrets-stdin is for launchers")
  }
}
