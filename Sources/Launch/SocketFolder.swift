import Foundation
import Glibc
import Runtime
import Transport

/// A new folder of mode 0700 for the sockets of a job's processes, where such sockets can be.
///
/// A socket's path is short, the folder above must be one that nobody else can rename things in, and some file systems
/// hold no sockets: what the environment names is tried first, then where temporary files usually are.
package struct SocketFolder {
  /// Its path.
  package let path: String
  /// Why each place that comes before it was passed over, a sentence each.
  package let passedOver: [String]

  /// Where there is no such folder: why not, for each place.
  package struct Failure: Error {
    /// One for each place.
    package let reasons: [String]
  }

  /// The longest name of a socket in it: a server's, its life's number in hexadecimal.
  private static let longestName = String(repeating: "f", count: 16)

  /// Makes a folder in the first of the places that can hold one.
  package static func make(in places: [String] = usualPlaces) throws(Failure) -> SocketFolder {
    var passedOver: [String] = []
    for place in places {
      do throws(Reason) {
        return SocketFolder(path: try make(below: place), passedOver: passedOver)
      } catch {
        passedOver.append("\(place) cannot hold sockets: \(error.text)")
      }
    }
    throw Failure(reasons: passedOver)
  }

  /// Where to look, in this order.
  package static var usualPlaces: [String] {
    let environment = ProcessInfo.processInfo.environment
    var places: [String] = []
    for place in [environment["TMPDIR"], "/tmp", environment["XDG_RUNTIME_DIR"], "/var/tmp", "/dev/shm"] {
      guard let place, !place.isEmpty else { continue }
      let path = URL(fileURLWithPath: place, isDirectory: true).standardizedFileURL.path
      if !places.contains(path) { places.append(path) }
    }
    return places
  }

  private struct Reason: Error {
    let text: String

    init(_ text: String) { self.text = text }

    /// What the system said last.
    static var ofSystem: Reason { Reason(String(cString: strerror(errno))) }
  }

  private static func make(below place: String) throws(Reason) -> String {
    var status = stat()
    guard stat(place, &status) == 0 else { throw .ofSystem }
    guard status.st_mode & S_IFMT == S_IFDIR else { throw Reason("it is no folder") }
    // Whoever may rename what is in it could put sockets of their own in the place of the job's.
    guard status.st_uid == getuid() || status.st_uid == 0 else { throw Reason("it is another person's") }
    guard status.st_mode & 0o022 == 0 || status.st_mode & S_ISVTX != 0 else {
      throw Reason("others may rename what is in it")
    }
    var template = Array("\(place == "/" ? "" : place)/convoy-XXXXXX".utf8CString)
    let longest = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self) + "/\(longestName)"
    do throws(TransportError) { _ = try Address(parsing: "ipc://\(longest)") } catch {
      // It names an address that nobody knows of: the reason is what counts.
      let problem =
        longest.utf8.count > Address.maximumPathBytes ? "its path is too long for them" : "its path has spaces"
      throw Reason(problem)
    }
    guard mkdtemp(&template) != nil else { throw .ofSystem }
    let folder = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    do throws(Reason) { try tryOut("\(folder)/\(longestName)") } catch {
      rmdir(folder)
      throw error
    }
    return folder
  }

  /// Binds a socket at a path for a moment: not every file system has any.
  private static func tryOut(_ path: String) throws(Reason) {
    let trial = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard trial >= 0 else { throw .ofSystem }
    defer { close(trial) }
    var name = sockaddr_un()
    name.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &name.sun_path) { $0.copyBytes(from: path.utf8) }
    let bound = withUnsafePointer(to: &name) { name in
      name.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(trial, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard bound == 0 else { throw .ofSystem }
    unlink(path)
  }
}
