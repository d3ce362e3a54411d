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

  /// Opens a folder and reads the list of public keys. Refuses one that others may change.
  package init(path: String) throws(ConvoyError) {
    self.path = Self.trimmed(path)
    try Self.requireOwn(self.path)
    let file = "\(self.path)/\(KeyText.allowedName)"
    let lines = try Self.lines(
      of: file, what: "list of keys", forbidden: 0o022, advice: "changed by others: chmod 644 it")
    allowed = try KeyText.allowed(lines, file: file)
  }

  private init(path: String, allowed: AllowList) {
    self.path = path
    self.allowed = allowed
  }

  /// The file of the job's token.
  package var tokenFile: String { "\(path)/\(KeyText.tokenName)" }

  /// The secret key's file of a name.
  package func secretFile(of name: String) -> String { "\(path)/\(KeyText.secretName(of: name))" }

  /// Whose keys these are, in one line for a person.
  package var summary: String { allowed.summary }

  /// The names whose secret keys are in this copy of the folder, ordered by role and number.
  package var heldNames: [String] {
    allowed.names.filter { FileManager.default.fileExists(atPath: secretFile(of: $0)) }
  }

  /// The names of the files, within the folder, that a host needs where the processes of these names run.
  package static func files(for names: [String]) -> [String] {
    [KeyText.allowedName, KeyText.tokenName] + names.map { KeyText.secretName(of: $0) }
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
        let file = "\(temporary)/\(KeyText.secretName(of: identity.name))"
        try write(KeyText.text(of: pair, name: identity.name), to: file, mode: 0o600)
      }
      try write(KeyText.text(of: allowed), to: "\(temporary)/\(KeyText.allowedName)", mode: 0o644)
      _ = try TokenFile.create(at: "\(temporary)/\(KeyText.tokenName)")
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
    let allowedFile = "\(path)/\(KeyText.allowedName)"
    try KeyText.requireName(name, in: allowed, file: allowedFile)
    let file = secretFile(of: name)
    guard FileManager.default.fileExists(atPath: file) else {
      let held = heldNames.isEmpty ? "none" : heldNames.joined(separator: ", ")
      throw ConvoyError(
        .configuration,
        "\(file) is not there: copy it from where the keys were made (secret keys in this folder: \(held))")
    }
    let lines = try Self.lines(of: file, what: "secret key", forbidden: 0o077, advice: "read by others: chmod 600 it")
    return try KeyText.security(of: name, lines, file: file, allowed: allowed, allowedFile: allowedFile)
  }

  /// The name of a role's process whose secret key alone is in this copy of the folder. Throws where it must be stated.
  package func onlyName(of role: PeerRole) throws(ConvoyError) -> String {
    let held = heldNames.filter { PeerIdentity(name: $0)?.role == role }
    guard let name = held.first, held.count == 1 else {
      let found =
        held.isEmpty ? "no secret key of a \(role.rawValue)" : "the secret keys of \(held.joined(separator: ", "))"
      throw ConvoyError(.configuration, "\(path) holds \(found): say with --name which one this process is")
    }
    return name
  }

  /// What a launcher hands over to the process of a name on another host: the token, the list and the name's own key.
  package func launchSecrets(for name: String) throws(ConvoyError) -> LaunchSecrets {
    // What is handed over is what is known to be good.
    _ = try security(for: name)
    var secrets = LaunchSecrets(token: try token())
    for file in [KeyText.allowedName, KeyText.secretName(of: name)] {
      guard let data = FileManager.default.contents(atPath: "\(path)/\(file)") else {
        throw Self.failure("\(path)/\(file) cannot be read")
      }
      secrets.files.append(LaunchSecrets.File(name: file, bytes: Array(data)))
    }
    return secrets
  }

  /// The job's token. Refuses a file that others may read.
  package func token() throws(ConvoyError) -> JobToken {
    try TokenFile.read(tokenFile)
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
