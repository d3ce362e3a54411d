import Foundation
import Glibc
package import ParameterServer
package import Transport

/// The folder of a job's keys: all that a host needs beside the program and the job's data.
///
/// `allowed` has everybody's public key and no secret; `NAME.key` the secret key of one process, mode 0600; `token` the
/// job's token, mode 0600. A host gets `allowed`, `token` and the keys of the processes that run there, and no others.
/// A process that is started again uses the key of its predecessor of the same name.
package struct KeyFolder: Sendable {
  /// Its path, as it was given.
  package let path: String
  /// Everybody's public key.
  package let allowed: AllowList

  private static let allowedName = "allowed"
  private static let tokenName = "token"
  private static let allowedHeader = "convoy allowed 1"
  private static let secretHeader = "convoy secret 1"

  /// Opens a folder and reads the list of public keys. Refuses one that others may change.
  package init(path: String) throws(ConvoyError) {
    self.path = Self.trimmed(path)
    try Self.requireOwn(self.path)
    allowed = try Self.readAllowed("\(self.path)/\(Self.allowedName)")
  }

  private init(path: String, allowed: AllowList) {
    self.path = path
    self.allowed = allowed
  }

  /// The file of the job's token.
  package var tokenFile: String { "\(path)/\(Self.tokenName)" }

  /// The secret key's file of a name.
  package func secretFile(of name: String) -> String { "\(path)/\(name).key" }

  /// The names whose secret keys are in this copy of the folder, ordered by role and number.
  package var heldNames: [String] {
    allowed.names.filter { FileManager.default.fileExists(atPath: secretFile(of: $0)) }
  }

  /// The names of the files, within the folder, that a host needs where the processes of these names run.
  package static func files(for names: [String]) -> [String] {
    [allowedName, tokenName] + names.map { "\($0).key" }
  }

  // MARK: Making

  /// Makes the keys of a job and its token: for a coordinator, servers and workers by number, and a client. The folder
  /// has mode 0700 and is there whole or not at all; one that holds anything is refused.
  package static func make(at path: String, servers: Int, workers: Int) throws(ConvoyError) -> KeyFolder {
    let path = trimmed(path)
    if let name = try? FileManager.default.contentsOfDirectory(atPath: path).sorted().first {
      throw ConvoyError(
        .configuration,
        "the key folder \(path) is not empty (it has \(name)): keys are never overwritten; name another folder")
    }
    let names = ["coordinator"] + (0..<servers).map { "server.\($0)" } + (0..<workers).map { "worker.\($0)" }
    var keys: [(identity: PeerIdentity, pair: CurveKeyPair)] = []
    for identity in (names + ["client"]).compactMap({ PeerIdentity(name: $0) }) {
      do throws(TransportError) {
        keys.append((identity, try CurveKeyPair.generate()))
      } catch {
        throw ConvoyError(.failed, error.description)
      }
    }
    guard let allowed = AllowList(keys.map { ($0.identity, $0.pair.publicKey) }) else {
      throw ConvoyError(.failed, "two keys of a job came out the same: the system's source of randomness is broken")
    }
    let temporary = "\(path).\(UInt64.random(in: .min ... .max)).tmp"
    try makeFolder(temporary, for: path)
    do throws(ConvoyError) {
      for (identity, pair) in keys {
        let text = "\(secretHeader)\n\(identity.name) \(pair.secretText)\n"
        try write(text, to: "\(temporary)/\(identity.name).key", mode: 0o600)
      }
      let lines = allowed.names.map { "\($0) \(allowed.key(of: $0)!)\n" }
      try write("\(allowedHeader)\n\(lines.joined())", to: "\(temporary)/\(allowedName)", mode: 0o644)
      _ = try TokenFile.create(at: "\(temporary)/\(tokenName)")
      try sync(temporary)
      // An empty folder gives way; what came meanwhile does not.
      guard rename(temporary, path) == 0 else { throw failure("the key folder \(path) cannot be put in place") }
    } catch {
      try? FileManager.default.removeItem(atPath: temporary)
      throw error
    }
    try sync(URL(filePath: path).deletingLastPathComponent().path(percentEncoded: false))
    return KeyFolder(path: path, allowed: allowed)
  }

  private static func makeFolder(_ temporary: String, for path: String) throws(ConvoyError) {
    let parent = URL(filePath: path).deletingLastPathComponent()
    try? FileManager.default.createDirectory(at: parent, withIntermediateDirectories: true)
    guard mkdir(temporary, 0o700) == 0 else { throw failure("the key folder \(path) cannot be made") }
  }

  private static func write(_ text: String, to path: String, mode: mode_t) throws(ConvoyError) {
    let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
    guard file >= 0 else { throw failure("\(path) cannot be written") }
    defer { close(file) }
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
      guard count > 0 else { throw failure("\(path) cannot be written") }
      rest = rest.dropFirst(count)
    }
    guard fsync(file) == 0 else { throw failure("\(path) cannot be made to last") }
  }

  private static func sync(_ folder: String) throws(ConvoyError) {
    let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failure("\(folder) cannot be opened to be synced") }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw failure("\(folder) cannot be synced") }
  }

  // MARK: Reading

  /// What the process of a name needs to take part. Refuses a secret key that others may read, and one that is not the
  /// name's on the list.
  package func security(for name: String) throws(ConvoyError) -> TransportSecurity {
    guard allowed.key(of: name) != nil else {
      throw ConvoyError(
        .configuration,
        "\(path)/\(Self.allowedName) has no key of \(name), only of \(allowed.summary): make keys for more with convoy keys"
      )
    }
    let file = secretFile(of: name)
    guard FileManager.default.fileExists(atPath: file) else {
      let held = heldNames.isEmpty ? "none" : heldNames.joined(separator: ", ")
      throw ConvoyError(
        .configuration,
        "\(file) is not there: copy it from where the keys were made (secret keys in this folder: \(held))")
    }
    let lines = try Self.lines(of: file, what: "secret key", forbidden: 0o077, advice: "read by others: chmod 600 it")
    let words = lines.count == 2 ? lines[1].split(separator: " ").map(String.init) : []
    guard lines.first == Self.secretHeader, words.count == 2, words[0] == name,
      let pair = CurveKeyPair(secretText: words[1])
    else {
      throw ConvoyError(.configuration, "\(file) does not hold the secret key of \(name): copy it anew")
    }
    guard let security = TransportSecurity(name: name, keys: pair, allowed: allowed) else {
      throw ConvoyError(
        .configuration,
        "\(file) and \(path)/\(Self.allowedName) are of different jobs: copy both from where the keys were made")
    }
    return security
  }

  /// The job's token. Refuses a file that others may read.
  package func token() throws(ConvoyError) -> JobToken {
    try TokenFile.read(tokenFile)
  }

  private static func readAllowed(_ file: String) throws(ConvoyError) -> AllowList {
    let lines = try lines(of: file, what: "list of keys", forbidden: 0o022, advice: "changed by others: chmod 644 it")
    guard lines.first == allowedHeader else {
      throw ConvoyError(.configuration, "\(file):1: a list of keys begins with \(allowedHeader)")
    }
    var entries: [(identity: PeerIdentity, key: CurvePublicKey)] = []
    var seen: Set<String> = []
    for (index, line) in lines.enumerated().dropFirst() {
      let words = line.split(separator: " ").map(String.init)
      guard words.count == 2, let identity = PeerIdentity(name: words[0]), let key = CurvePublicKey(text: words[1])
      else {
        throw ConvoyError(
          .configuration,
          "\(file):\(index + 1): expected a name, as in worker.0, and its key of \(CurvePublicKey.textLength) characters"
        )
      }
      // No name is a key's text, so one set does for both.
      guard seen.insert(words[0]).inserted, seen.insert(words[1]).inserted else {
        throw ConvoyError(.configuration, "\(file):\(index + 1): the name or the key is on the list already")
      }
      entries.append((identity, key))
    }
    guard !entries.isEmpty, let allowed = AllowList(entries) else {
      throw ConvoyError(.configuration, "\(file) has no keys: copy it anew")
    }
    return allowed
  }

  /// The lines of a file that nobody but its owner may have touched, as far as its mode tells.
  private static func lines(
    of path: String, what: String, forbidden: mode_t, advice: String
  ) throws(ConvoyError) -> [String] {
    // Not to wait for a pipe's writer.
    let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard file >= 0 else { throw failure("the \(what) \(path) cannot be read") }
    defer { close(file) }
    var status = stat()
    guard fstat(file, &status) == 0 else { throw failure("the \(what) \(path) cannot be read") }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw ConvoyError(.configuration, "the \(what) \(path) is no file")
    }
    guard status.st_mode & forbidden == 0 else {
      throw ConvoyError(.refused, "the \(what) \(path) may be \(advice)")
    }
    guard status.st_size <= 1 << 20 else {
      throw ConvoyError(.configuration, "the \(what) \(path) is too long for one")
    }
    var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
    let count = max(0, Glibc.read(file, &bytes, bytes.count))
    return String(decoding: bytes[..<count], as: UTF8.self).split(separator: "\n").map(String.init)
  }

  /// Refuses a folder in which others may put files in place of ours.
  private static func requireOwn(_ path: String) throws(ConvoyError) {
    var status = stat()
    guard stat(path, &status) == 0 else { throw failure("the key folder \(path) cannot be read") }
    guard status.st_mode & S_IFMT == S_IFDIR else {
      throw ConvoyError(.configuration, "\(path) is no folder of keys: make one with convoy keys \(path)")
    }
    guard status.st_mode & 0o022 == 0 else {
      throw ConvoyError(.refused, "the key folder \(path) may be changed by others: chmod 700 it")
    }
  }

  private static func failure(_ what: String) -> ConvoyError {
    ConvoyError(.configuration, "\(what): \(String(cString: strerror(errno)))")
  }

  private static func trimmed(_ path: String) -> String {
    var path = path
    while path.count > 1, path.hasSuffix("/") { path.removeLast() }
    return path
  }
}
