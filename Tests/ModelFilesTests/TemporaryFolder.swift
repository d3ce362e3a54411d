import Glibc
import ModelFiles

/// A folder that is removed with what lies in it.
final class TemporaryFolder {
  let path: String

  init() {
    var template = Array("/tmp/convoy-tests-XXXXXX".utf8CString)
    path = String(cString: mkdtemp(&template)!)
  }

  /// Writes a file and returns its path.
  func write(_ name: String, _ bytes: [UInt8]) -> String {
    let path = "\(path)/\(name)"
    let file = fopen(path, "wb")!
    fwrite(bytes, 1, bytes.count, file)
    fclose(file)
    return path
  }

  /// The names of what lies in it, sorted.
  var names: [String] {
    let folder = opendir(path)!
    defer { closedir(folder) }
    var names: [String] = []
    while let entry = readdir(folder) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  /// A file's bytes.
  func read(_ name: String) -> [UInt8] {
    let file = fopen("\(path)/\(name)", "rb")!
    defer { fclose(file) }
    var bytes: [UInt8] = []
    while case let byte = fgetc(file), byte != EOF { bytes.append(UInt8(byte)) }
    return bytes
  }

  deinit { Self.removeTree(path) }

  private static func removeTree(_ path: String) {
    // A folder, or what `remove` takes away by itself.
    for name in (try? RealFileSystem.shared.list(path)) ?? [] { removeTree("\(path)/\(name)") }
    remove(path)
  }
}
