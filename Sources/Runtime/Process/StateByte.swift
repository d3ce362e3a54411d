import Glibc

/// One byte in a file that says what a process is doing, for whoever kills processes on purpose and wants to know when:
/// `CONVOY_STATE_DIR/NAME`. It outlives the process, whatever ends that.
package final class StateByte {
  /// What a process does.
  package enum State: UInt8, Sendable {
    /// Nothing of the below.
    case idle = 0
    /// It updates a chunk.
    case applying = 1
    /// It waits for its replica's word, or is a replica that makes an update.
    case replicating = 2
    /// It is part of a checkpoint that is not stored yet.
    case checkpointing = 3
  }

  private let address: UnsafeMutablePointer<UInt8>

  /// The byte of a process; nil where nobody wants it, or its file cannot be made.
  package init?(name: String, folder: String?) {
    guard let folder, !folder.isEmpty, !name.isEmpty, !name.contains("/") else { return nil }
    let file = open("\(folder)/\(name)", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard file >= 0 else { return nil }
    defer { close(file) }
    guard ftruncate(file, 1) == 0, let mapped = mmap(nil, 1, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0),
      mapped != MAP_FAILED
    else { return nil }
    address = mapped.assumingMemoryBound(to: UInt8.self)
    set(.idle)
  }

  /// The byte of a process as its environment has it.
  package convenience init?(name: String) {
    self.init(name: name, folder: getenv(EnvironmentNames.stateFolder).map { String(cString: $0) })
  }

  deinit {
    munmap(address, 1)
  }

  /// Says what is done now.
  package func set(_ state: State) {
    address.pointee = state.rawValue
  }
}
