import Glibc

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

  deinit {
    let folder = opendir(path)!
    while let entry = readdir(folder) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != "." && name != ".." { unlink("\(path)/\(name)") }
    }
    closedir(folder)
    rmdir(path)
  }
}
