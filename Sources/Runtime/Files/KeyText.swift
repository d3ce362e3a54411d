package import Transport

/// The texts of a job's keys: what the files of a key folder hold, wherever they are read from.
enum KeyText {
  static let allowedName = "allowed"
  static let tokenName = "token"
  static let allowedHeader = "convoy allowed 1"
  static let secretHeader = "convoy secret 1"

  /// The name of the file of a process's secret key.
  static func secretName(of name: String) -> String { "\(name).key" }

  // MARK: Writing

  /// The list of everybody's public keys.
  static func text(of allowed: AllowList) -> String {
    let lines = allowed.names.map { "\($0) \(allowed.key(of: $0)!)\n" }
    return "\(allowedHeader)\n\(lines.joined())"
  }

  /// A secret key.
  static func text(of pair: CurveKeyPair, name: String) -> String {
    "\(secretHeader)\n\(name) \(pair.secretText)\n"
  }

  // MARK: Reading

  /// Reads a list of public keys; `file` is its name for errors.
  static func allowed(_ lines: [String], file: String) throws(ConvoyError) -> AllowList {
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

  /// Refuses a name that the list has no key of.
  static func requireName(_ name: String, in allowed: AllowList, file: String) throws(ConvoyError) {
    guard allowed.key(of: name) == nil else { return }
    throw ConvoyError(
      .configuration, "\(file) has no key of \(name), only of \(allowed.summary): make keys for more with convoy keys")
  }

  /// Reads a name's secret key and holds it against the list; the files' names are for errors.
  static func security(
    of name: String, _ lines: [String], file: String, allowed: AllowList, allowedFile: String
  ) throws(ConvoyError) -> TransportSecurity {
    let words = lines.count == 2 ? lines[1].split(separator: " ").map(String.init) : []
    guard lines.first == secretHeader, words.count == 2, words[0] == name,
      let pair = CurveKeyPair(secretText: words[1])
    else {
      throw ConvoyError(.configuration, "\(file) does not hold the secret key of \(name): copy it anew")
    }
    guard let security = TransportSecurity(name: name, keys: pair, allowed: allowed) else {
      throw ConvoyError(
        .configuration, "\(file) and \(allowedFile) are of different jobs: copy both from where the keys were made")
    }
    return security
  }
}

extension LaunchSecrets {
  /// The keys that a launcher has handed over for the process of a name; nil where it handed over none.
  package func security(for name: String) throws(ConvoyError) -> TransportSecurity? {
    if files.isEmpty { return nil }
    let (allowedFile, file) = (KeyText.allowedName, KeyText.secretName(of: name))
    let allowed = try KeyText.allowed(try lines(of: allowedFile), file: allowedFile)
    try KeyText.requireName(name, in: allowed, file: allowedFile)
    return try KeyText.security(
      of: name, try lines(of: file), file: file, allowed: allowed, allowedFile: allowedFile)
  }

  private func lines(of name: String) throws(ConvoyError) -> [String] {
    guard let file = files.first(where: { $0.name == name }) else {
      throw ConvoyError(.badData, "standard input holds no file \(name) among the job's secrets")
    }
    return String(decoding: file.bytes, as: UTF8.self).split(separator: "\n").map(String.init)
  }
}
