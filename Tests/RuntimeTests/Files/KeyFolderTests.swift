import Foundation
import Glibc
import Runtime
import Testing
import Transport

/// Keys on disk: what is made, with which modes, and what is said of bad ones.
@Suite struct KeyFolderTests {
  /// A folder of a job's keys, cleared away with the test.
  private final class Made {
    let parent = NSTemporaryDirectory() + "convoy-keys-" + UUID().uuidString
    var path: String { parent + "/keys" }

    init() throws {
      _ = try KeyFolder.make(at: path, servers: 2, workers: 3)
    }

    deinit { try? FileManager.default.removeItem(atPath: parent) }

    func text(_ name: String) throws -> String { try String(contentsOfFile: "\(path)/\(name)", encoding: .utf8) }

    func write(_ text: String, _ name: String) throws {
      try Data(text.utf8).write(to: URL(filePath: "\(path)/\(name)"))
    }

    func mode(_ name: String) throws -> UInt32 {
      var status = stat()
      try #require(lstat("\(path)/\(name)", &status) == 0)
      return status.st_mode & 0o777
    }
  }

  private static let names = [
    "coordinator", "server.0", "server.1", "worker.0", "worker.1", "worker.2", "client",
  ]

  private func error(_ body: () throws -> Void) throws -> ConvoyError {
    try #require(throws: ConvoyError.self) { try body() }
  }

  @Test("Each process has a secret file of mode 0600 in a folder of mode 0700, and nothing is left beside it")
  func modes() throws {
    let made = try Made()
    #expect(try made.mode("") == 0o700)
    let files = try FileManager.default.contentsOfDirectory(atPath: made.path).sorted()
    #expect(files == (["allowed", "token"] + Self.names.map { "\($0).key" }).sorted())
    for file in files where file != "allowed" { #expect(try made.mode(file) == 0o600) }
    #expect(try made.mode("allowed") & 0o022 == 0)
    #expect(try FileManager.default.contentsOfDirectory(atPath: made.parent) == ["keys"])
  }

  @Test("Each process reads its own key; the list of all has no secret")
  func reading() throws {
    let made = try Made()
    let keys = try KeyFolder(path: made.path + "/")
    #expect(keys.allowed.names == Self.names)
    #expect(keys.heldNames == Self.names)
    #expect(keys.tokenFile == made.path + "/token")
    #expect(try keys.token() == KeyFolder(path: made.path).token())
    let list = try made.text("allowed")
    for name in Self.names {
      #expect(try keys.security(for: name).identity?.name == name)
      let secret = try #require(made.text("\(name).key").split(separator: " ").last).trimmingCharacters(in: .newlines)
      #expect(secret.utf8.count == 40 && !list.contains(secret))
    }
  }

  @Test("A host takes part with the files that it needs and no others; processes of two copies reach each other")
  func hosts() throws {
    let made = try Made()
    var hubs: [String: any Hub] = [:]
    for name in ["server.1", "worker.2"] {
      let copy = "\(made.parent)/\(name)"
      try FileManager.default.createDirectory(atPath: copy, withIntermediateDirectories: true)
      chmod(copy, 0o700)
      for file in KeyFolder.files(for: [name]) {
        try FileManager.default.copyItem(atPath: "\(made.path)/\(file)", toPath: "\(copy)/\(file)")
      }
      let keys = try KeyFolder(path: copy)
      #expect(keys.heldNames == [name])
      let limits = HubLimits(maximumFrameBytes: 100, maximumFrames: 2, maximumQueuedMessages: 10)
      hubs[name] = try ZeroMQTransport(security: keys.security(for: name)).makeHub(limits)
      let missing = try error { _ = try keys.security(for: "server.0") }
      #expect(missing.code == .configuration)
      #expect(
        missing.message
          == "\(copy)/server.0.key is not there: copy it from where the keys were made (secret keys in this folder: \(name))"
      )
    }
    let (server, worker) = (try #require(hubs["server.1"]), try #require(hubs["worker.2"]))
    let bound = try server.listen(on: .tcp(host: "127.0.0.1", port: 0))
    _ = try worker.send([Frame(copying: [1])], to: worker.connect(to: bound, expecting: "server.1"))
    var name: String?
    for _ in 0..<20_000 where name == nil {
      _ = try worker.receive(timeoutMilliseconds: 0)
      if case .message(let peer, _) = try server.receive(timeoutMilliseconds: 1) {
        name = server.identity(of: peer)?.name
      }
    }
    #expect(name == "worker.2")
    worker.close(lingerMilliseconds: 0)
    server.close(lingerMilliseconds: 0)
  }

  @Test("A process's own keys travel as bytes, and are read from them as from the folder")
  func handedOver() throws {
    let made = try Made()
    let keys = try KeyFolder(path: made.path)
    let secrets = try keys.launchSecrets(for: "worker.1")
    #expect(secrets.files.map(\.name) == ["allowed", "worker.1.key"])
    #expect(try secrets.token == keys.token())
    let security = try #require(try secrets.security(for: "worker.1"))
    #expect(security.identity?.name == "worker.1" && security.allowed == keys.allowed)
    #expect(try LaunchSecrets(token: keys.token()).security(for: "worker.1") == nil)
    let other = try error { _ = try secrets.security(for: "worker.0") }
    #expect(other.message == "standard input holds no file worker.0.key among the job's secrets")
    #expect(try error { _ = try keys.launchSecrets(for: "worker.3") }.message.contains("has no key of worker.3"))
  }

  @Test("A process is the one whose key its copy of the folder holds, where that is one of its role")
  func onlyName() throws {
    let made = try Made()
    let keys = try KeyFolder(path: made.path)
    for name in ["worker.0", "worker.2", "server.0", "server.1"] { unlink(keys.secretFile(of: name)) }
    #expect(try keys.onlyName(of: .worker) == "worker.1")
    #expect(
      try error { _ = try keys.onlyName(of: .server) }.message
        == "\(made.path) holds no secret key of a server: say with --name which one this process is")
  }

  @Test("Keys are never overwritten; an empty folder is used; what cannot be made leaves nothing")
  func overwriting() throws {
    let made = try Made()
    let before = try made.text("worker.0.key")
    let refused = try error { _ = try KeyFolder.make(at: made.path, servers: 2, workers: 3) }
    #expect(refused.code == .configuration)
    #expect(
      refused.message
        == "the key folder \(made.path) is not empty (it has allowed): keys are never overwritten; name another folder")
    #expect(try made.text("worker.0.key") == before)
    try FileManager.default.createDirectory(atPath: "\(made.parent)/empty", withIntermediateDirectories: true)
    #expect(try KeyFolder.make(at: "\(made.parent)/empty", servers: 1, workers: 1).heldNames.count == 4)
    try Data().write(to: URL(filePath: "\(made.parent)/file"))
    let onFile = try error { _ = try KeyFolder.make(at: "\(made.parent)/file", servers: 1, workers: 1) }
    #expect(onFile.message == "the key folder \(made.parent)/file cannot be put in place: Not a directory")
    let below = try error { _ = try KeyFolder.make(at: "\(made.parent)/file/keys", servers: 1, workers: 1) }
    #expect(below.message == "the key folder \(made.parent)/file/keys cannot be made: Not a directory")
    #expect(try FileManager.default.contentsOfDirectory(atPath: made.parent).sorted() == ["empty", "file", "keys"])
  }

  @Test("What others may read or change is refused, with what to do")
  func modesRefused() throws {
    let made = try Made()
    let keys = try KeyFolder(path: made.path)
    chmod("\(made.path)/worker.0.key", 0o640)
    let readable = try error { _ = try keys.security(for: "worker.0") }
    #expect(readable.code == .refused)
    #expect(readable.message == "the secret key \(made.path)/worker.0.key may be read by others: chmod 600 it")
    chmod("\(made.path)/token", 0o644)
    #expect(try error { _ = try keys.token() }.code == .refused)
    chmod("\(made.path)/allowed", 0o664)
    let changeable = try error { _ = try KeyFolder(path: made.path) }
    #expect(changeable.code == .refused)
    #expect(changeable.message == "the list of keys \(made.path)/allowed may be changed by others: chmod 644 it")
    chmod("\(made.path)/allowed", 0o644)
    chmod(made.path, 0o777)
    let open = try error { _ = try KeyFolder(path: made.path) }
    #expect(open.code == .refused)
    #expect(open.message == "the key folder \(made.path) may be changed by others: chmod 700 it")
  }

  @Test(
    "A bad list says which line is wrong",
    arguments: [
      ("", ":1: a list of keys begins with convoy allowed 1"),
      ("convoy allowed 1\n", " has no keys: copy it anew"),
      ("convoy allowed 1\nworker.0 abc\n", ":2: expected a name, as in worker.0, and its key of 40 characters"),
      ("convoy allowed 1\nLINE\nLINE", ":3: the name or the key is on the list already"),
      ("convoy allowed 1\nLINE\nboss KEY", ":3: expected a name, as in worker.0, and its key of 40 characters"),
    ])
  func badList(_ text: String, _ expected: String) throws {
    let made = try Made()
    let line = try made.text("allowed").split(separator: "\n")[1]
    let key = line.split(separator: " ")[1]
    let list = text.replacingOccurrences(of: "KEY", with: key).replacingOccurrences(of: "LINE", with: line)
    try made.write(list, "allowed")
    let error = try error { _ = try KeyFolder(path: made.path) }
    #expect(error.code == .configuration)
    #expect(error.message == "\(made.path)/allowed\(expected)")
  }

  @Test("A secret key that is damaged, another's or another job's is refused by file")
  func badSecret() throws {
    let made = try Made()
    let other = try Made()
    let keys = try KeyFolder(path: made.path)
    let file = "\(made.path)/worker.0.key"
    for text in ["", "convoy secret 1\n", try made.text("worker.1.key"), "convoy secret 1\nworker.0 xyz\n"] {
      try made.write(text, "worker.0.key")
      chmod(file, 0o600)
      let error = try error { _ = try keys.security(for: "worker.0") }
      #expect(error.message == "\(file) does not hold the secret key of worker.0: copy it anew")
    }
    try made.write(try other.text("worker.0.key"), "worker.0.key")
    chmod(file, 0o600)
    #expect(
      try error { _ = try keys.security(for: "worker.0") }.message
        == "\(file) and \(made.path)/allowed are of different jobs: copy both from where the keys were made")
    let unknown = try error { _ = try keys.security(for: "worker.3") }
    #expect(
      unknown.message
        == "\(made.path)/allowed has no key of worker.3, only of coordinator, server.0 to server.1, worker.0 to worker.2, client: make keys for more with convoy keys"
    )
    let none = try error { _ = try KeyFolder(path: "\(made.parent)/none") }
    #expect(none.message == "the key folder \(made.parent)/none cannot be read: No such file or directory")
  }
}
