import Foundation
import Glibc
import Launch
import Testing

/// Where a job's sockets are, whatever the environment names.
@Suite struct SocketFolderTests {
  /// A folder below /tmp, whose own path is short.
  private let base: String

  init() throws {
    var template = Array("/tmp/csf-XXXXXX".utf8CString)
    try #require(mkdtemp(&template) != nil)
    base = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  /// A place below it, made with this mode.
  private func place(_ name: String, mode: mode_t = 0o700) throws -> String {
    let path = "\(base)/\(name)"
    try #require(mkdir(path, 0o700) == 0 && chmod(path, mode) == 0)
    return path
  }

  private func remove() { try? FileManager.default.removeItem(atPath: base) }

  @Test("A place that cannot hold sockets is passed over, with the reason")
  func passedOver() throws {
    defer { remove() }
    let good = try place("good")
    let file = "\(base)/file"
    try Data().write(to: URL(filePath: file))
    let cases: [(String, String)] = [
      (try place(String(repeating: "n", count: 110 - base.utf8.count)), "its path is too long for them"),
      (try place(String(repeating: "n", count: 79 - base.utf8.count)), "its path is too long for them"),
      (try place("with a space"), "its path has spaces"),
      (try place("for everyone", mode: 0o777), "others may rename what is in it"),
      ("\(base)/none", "No such file or directory"),
      (file, "it is no folder"),
      ("/proc", "No such file or directory"),
    ]
    for (place, reason) in cases {
      let folder = try SocketFolder.make(in: [place, good])
      #expect(folder.path.hasPrefix("\(good)/convoy-"))
      #expect(folder.passedOver == ["\(place) cannot hold sockets: \(reason)"])
      #expect(try FileManager.default.attributesOfItem(atPath: folder.path)[.posixPermissions] as? Int == 0o700)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
    }
    let all = cases.map(\.0)
    let failure = #expect(throws: SocketFolder.Failure.self) { try SocketFolder.make(in: all) }
    #expect(failure?.reasons.count == all.count)
  }

  @Test("Places are good by a link, with odd names, and to the last byte of a socket's path")
  func good() throws {
    defer { remove() }
    // The longest socket's path: the place, /convoy-XXXXXX and / with sixteen digits.
    let longest = try place(String(repeating: "n", count: 107 - 14 - 17 - base.utf8.count - 1))
    let sticky = try place("sticky", mode: 0o1777)
    let link = "\(base)/link"
    #expect(symlink(sticky, link) == 0)
    for place in [longest, sticky, link, try place("ü:;%")] {
      let folder = try SocketFolder.make(in: [place])
      #expect(folder.path.hasPrefix("\(place)/convoy-") && folder.passedOver.isEmpty)
    }
  }
}
