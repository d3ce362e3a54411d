package import ModelFiles

/// A disk in memory that does what disks may do at their worst, repeatably from a seed.
///
/// What was written and not synced is lost, torn at sectors or kept, at a crash; so are names that were not synced with
/// their folder, each for itself. It can be full, its syncs can fail, after which nothing is known of what was written
/// since the one before, and bits can turn over. Calls that change something are counted, and the machine can crash at any
/// of them. One thread uses it.
package final class SimulatedDisk: FileSystem {
  /// A kind of call that changes something.
  package enum Operation: String, CaseIterable, Hashable, Sendable {
    case create, write, truncate, sync, rename, makeFolder, syncFolder, remove, removeFolder
  }

  /// How many calls that change something were made.
  package private(set) var operationCount = 0
  /// How many of each kind.
  package private(set) var counts: [Operation: Int] = [:]
  /// The call at which the machine crashes, counted from 1; nil for none. A sync that it crashes in has not returned, and
  /// any part of what it was to do may be done.
  package var crashesAtOperation: Int?
  /// The kind of call that the machine crashed in.
  package private(set) var crashedIn: Operation?
  /// Calls, counted from 1, that fail where they are syncs of a file or folder.
  package var failingSyncs: Set<Int> = []
  /// Bytes that all files together may have.
  package var capacity: Int?

  private let root: DiskNode
  private var random: SeededStream
  private var isDown = false
  private var openFiles: [Int: DiskNode] = [:]
  private var locks: [Int: String] = [:]
  private var nextNumber = 3
  private let process: Int

  /// An empty disk.
  package convenience init(seed: UInt64) {
    self.init(root: DiskNode(isFolder: true), random: SeededStream(seed: seed, purpose: "disk"), process: 1)
  }

  private init(root: DiskNode, random: SeededStream, process: Int) {
    self.root = root
    self.random = random
    self.process = process
  }

  // MARK: Faults

  /// Ends the machine and starts it again: the result is the disk that a new process finds. This one answers no more.
  package func crash() -> SimulatedDisk {
    isDown = true
    let disk = SimulatedDisk(root: root.surviving(&random), random: random, process: process + 1)
    disk.capacity = capacity
    return disk
  }

  /// Ends the process and not the machine: the result is the disk as the next process finds it, with what is not synced
  /// still there. This one answers no more.
  package func endProcess() -> SimulatedDisk {
    isDown = true
    let disk = SimulatedDisk(root: root, random: random, process: process + 1)
    disk.capacity = capacity
    return disk
  }

  /// Turns a bit of a file over.
  package func flip(bit: Int, ofByte index: Int, in path: String) throws(ModelFileError) {
    try file(at: path).flip(bit: bit, ofByte: index)
  }

  /// A file's bytes as a process sees them.
  package func bytes(of path: String) throws(ModelFileError) -> [UInt8] { try file(at: path).content }

  /// Counts a call. Where the machine crashes in it, what the call does is done, and `requireUp` at its end throws.
  private func begin(_ operation: Operation, _ path: String) throws(ModelFileError) {
    try requireUp(path)
    operationCount += 1
    counts[operation, default: 0] += 1
    guard operationCount == crashesAtOperation else { return }
    crashedIn = operation
    isDown = true
  }

  private func requireUp(_ path: String) throws(ModelFileError) {
    if isDown { throw ModelFileError(path: path, problem: "the simulated machine is down") }
  }

  // MARK: Places

  private func node(at path: String) throws(ModelFileError) -> DiskNode {
    var node = root
    for name in path.split(separator: "/") {
      guard let next = node.entries[String(name)] else {
        throw ModelFileError(path: path, problem: "there is nothing of that name", kind: .missing)
      }
      node = next
    }
    return node
  }

  private func file(at path: String) throws(ModelFileError) -> DiskNode {
    let node = try node(at: path)
    guard !node.isFolder else { throw ModelFileError(path: path, problem: "it is no plain file") }
    return node
  }

  private func folder(at path: String) throws(ModelFileError) -> DiskNode {
    let node = try node(at: path)
    guard node.isFolder else { throw ModelFileError(path: path, problem: "it is no folder") }
    return node
  }

  private func node(of file: OpenFile) throws(ModelFileError) -> DiskNode {
    try requireUp(file.path)
    guard let node = openFiles[file.number] else { preconditionFailure("\(file.path) is used after it was closed") }
    return node
  }

  private func opened(_ node: DiskNode, _ path: String) -> OpenFile {
    nextNumber += 1
    openFiles[nextNumber] = node
    return OpenFile(path: path, number: nextNumber)
  }
}

// MARK: Calls on files

extension SimulatedDisk {
  /// Creates a file.
  package func create(_ path: String, mode: UInt32) throws(ModelFileError) -> OpenFile {
    try begin(.create, path)
    let node = try add(DiskNode(isFolder: false), at: path)
    try requireUp(path)
    return opened(node, path)
  }

  private func add(_ node: DiskNode, at path: String) throws(ModelFileError) -> DiskNode {
    let parent = try folder(at: Path.folder(of: path))
    let name = Path.name(of: path)
    guard parent.entries[name] == nil else {
      throw ModelFileError(path: path, problem: "there is one of that name", kind: .exists)
    }
    parent.apply(.set(name, node))
    return node
  }

  /// Opens a file.
  package func open(_ path: String, for access: FileAccess) throws(ModelFileError) -> OpenFile {
    try requireUp(path)
    return opened(try file(at: path), path)
  }

  /// The file's bytes.
  package func size(of file: OpenFile) throws(ModelFileError) -> Int { try node(of: file).content.count }

  /// Fills a buffer.
  package func read(
    _ file: OpenFile, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(ModelFileError) {
    let content = try node(of: file).content
    guard offset + buffer.count <= content.count else { throw .cutShort(file.path, at: content.count) }
    content.withUnsafeBytes {
      buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[offset..<offset + buffer.count]))
    }
  }

  /// Writes at the end; what a full disk has room for is written.
  package func write(_ bytes: UnsafeRawBufferPointer, to file: OpenFile) throws(ModelFileError) {
    let node = try node(of: file)
    try begin(.write, file.path)
    let room = capacity.map { max(0, $0 - root.byteCount) } ?? bytes.count
    node.append(UnsafeRawBufferPointer(rebasing: bytes.prefix(room)))
    try requireUp(file.path)
    if room < bytes.count { throw .diskFull(file.path, "cannot be written", "simulated") }
  }

  /// Cuts the file.
  package func truncate(_ file: OpenFile, to size: Int) throws(ModelFileError) {
    let node = try node(of: file)
    try begin(.truncate, file.path)
    node.truncate(to: size)
    try requireUp(file.path)
  }

  /// Makes what was written last.
  package func sync(_ file: OpenFile) throws(ModelFileError) {
    try sync(node(of: file), .sync, file.path)
  }

  private func sync(_ node: DiskNode, _ operation: Operation, _ path: String) throws(ModelFileError) {
    try begin(operation, path)
    try requireUp(path)
    guard failingSyncs.contains(operationCount) else { return node.sync() }
    node.failSync(&random)
    throw ModelFileError(path: path, problem: "cannot be made to last: simulated")
  }

  /// Closes the file.
  package func close(_ file: OpenFile) throws(ModelFileError) {
    openFiles[file.number] = nil
    locks[file.number] = nil
    try requireUp(file.path)
  }

  /// Removes a file.
  package func remove(_ path: String) throws(ModelFileError) {
    try begin(.remove, path)
    _ = try file(at: path)
    try folder(at: Path.folder(of: path)).apply(.removed(Path.name(of: path)))
    try requireUp(path)
  }

  /// Takes a file as a lock; where it lies is not kept.
  package func lock(_ path: String) throws(ModelFileError) -> OpenFile {
    try requireUp(path)
    guard !locks.values.contains(path) else { throw .inUse(path, by: process) }
    _ = try folder(at: Path.folder(of: path))
    let file = opened(DiskNode(isFolder: false), path)
    locks[file.number] = path
    return file
  }
}

// MARK: Calls on folders

extension SimulatedDisk {
  /// Gives a file or folder another name in its folder.
  package func rename(_ path: String, to target: String) throws(ModelFileError) {
    precondition(Path.folder(of: path) == Path.folder(of: target), "\(path) to \(target): from folder to folder")
    try begin(.rename, target)
    let node = try node(at: path)
    let name = Path.name(of: target)
    let parent = try folder(at: Path.folder(of: path))
    if let old = parent.entries[name], old.isFolder != node.isFolder || old.isFolder && !old.entries.isEmpty {
      throw ModelFileError(path: target, problem: "cannot be put in place: there is a folder of that name")
    }
    parent.apply(.renamed(from: Path.name(of: path), to: name, node))
    try requireUp(target)
  }

  /// Makes a folder.
  package func makeFolder(_ path: String) throws(ModelFileError) {
    try begin(.makeFolder, path)
    _ = try add(DiskNode(isFolder: true), at: path)
    try requireUp(path)
  }

  /// Makes the folder's names last.
  package func syncFolder(_ path: String) throws(ModelFileError) {
    try requireUp(path)
    try sync(folder(at: path), .syncFolder, path)
  }

  /// The names in a folder, sorted.
  package func list(_ path: String) throws(ModelFileError) -> [String] {
    try requireUp(path)
    return try folder(at: path).entries.keys.sorted()
  }

  /// Removes an empty folder.
  package func removeFolder(_ path: String) throws(ModelFileError) {
    try begin(.removeFolder, path)
    guard try folder(at: path).entries.isEmpty else {
      throw ModelFileError(path: path, problem: "the folder is not empty")
    }
    try folder(at: Path.folder(of: path)).apply(.removed(Path.name(of: path)))
    try requireUp(path)
  }
}
