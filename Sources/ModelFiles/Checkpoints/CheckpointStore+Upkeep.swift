extension CheckpointStore {
  /// How closely a checkpoint is looked at.
  package enum Depth: Hashable, Sendable {
    /// The manifest, and the files' sizes.
    case sizes
    /// Every byte.
    case contents
  }

  /// A folder that is, or was to become, a checkpoint.
  package struct Entry: Hashable, Sendable {
    /// What was found.
    package enum State: Hashable, Sendable {
      /// Nothing is wrong, as far as was looked.
      case good
      /// It has a manifest, but cannot be read; why.
      case damaged(ModelFileError)
      /// It has no manifest: it was being written, replaced or removed when that was interrupted. It does not count.
      case unfinished
    }

    /// The name of its folder.
    package let name: String
    /// Its step.
    package let step: Int
    /// What was found.
    package let state: State
    /// The network's and the data set's names; nil unless good.
    package let network: String?
    package let data: String?
    /// What its manifest says beside; nothing unless good.
    package let metadata: [String: String]
    /// Bytes of its model and state; 0 unless good.
    package let bytes: Int
  }

  /// All checkpoints, oldest first, looked at by manifest and sizes. One that was being replaced is left out when the one
  /// that replaces it is good.
  package func list() throws(ModelFileError) -> [Entry] { try entries(.sizes) }

  /// All checkpoints, oldest first, every byte of them read and compared with its digest.
  package func verify() throws(ModelFileError) -> [Entry] { try entries(.contents) }

  private func entries(_ depth: Depth) throws(ModelFileError) -> [Entry] {
    var entries: [Entry] = []
    var goodSteps: Set<Int> = []
    for name in try names().reversed() {
      if name.isReplaced, goodSteps.contains(name.step) { continue }
      let entry = try entry(name, depth)
      if entry.state == .good { goodSteps.insert(name.step) }
      entries.append(entry)
    }
    return entries.reversed()
  }

  /// Looks at one checkpoint.
  package func inspect(_ name: String, _ depth: Depth) throws(ModelFileError) -> Entry {
    guard let parsed = CheckpointName(name) else {
      throw ModelFileError(
        path: "\(folder)/\(name)", problem: "that is no checkpoint's name: they are as step-00000200", kind: .missing)
    }
    return try entry(parsed, depth)
  }

  private func entry(_ name: CheckpointName, _ depth: Depth) throws(ModelFileError) -> Entry {
    guard try hasManifest(name) else {
      return Entry(
        name: name.text, step: name.step, state: .unfinished, network: nil, data: nil, metadata: [:], bytes: 0)
    }
    do throws(ModelFileError) {
      let reader = try open(name.text)
      if depth == .contents { try reader.verify() }
      return Entry(
        name: name.text, step: name.step, state: .good, network: reader.manifest.network.name,
        data: reader.manifest.data.name, metadata: reader.manifest.metadata, bytes: reader.byteCount)
    } catch {
      return Entry(
        name: name.text, step: name.step, state: .damaged(error), network: nil, data: nil, metadata: [:], bytes: 0)
    }
  }

  /// Whether a checkpoint is complete.
  func isGood(_ name: CheckpointName, _ depth: Depth) -> Bool {
    guard let entry = try? entry(name, depth) else { return false }
    return entry.state == .good
  }

  /// Adds to what a checkpoint's manifest says beside, as what was found of it after it was written.
  ///
  /// The manifest is replaced by another: a crash leaves either, and the checkpoint good.
  ///
  /// - Parameter era: the era of the checkpoint that is meant; one of another era in its place is refused.
  package func annotate(_ name: String, era: UInt64, _ metadata: [String: String]) throws(ModelFileError) {
    var manifest = try open(name).manifest
    guard manifest.era == era else {
      throw ModelFileError(
        path: "\(folder)/\(name)/\(Manifest.fileName)",
        problem: "it is of era \(manifest.era), expected was one of era \(era)", kind: .mismatched)
    }
    manifest.metadata.merge(metadata) { $1 }
    try CheckpointWriter(folder: "\(folder)/\(name)", files: files, fault: fault).write(manifest)
  }

  /// Removes what interrupted writes, replacements and removals left, and puts back what was being replaced. The result
  /// is the names of the folders that changed.
  ///
  /// The one process that writes calls it when it starts. A damaged checkpoint is not touched.
  package func clean() throws(ModelFileError) -> [String] {
    var changed: [String] = []
    for name in try names() where name.isReplaced {
      try recover(CheckpointName(step: name.step))
      changed.append(name.text)
    }
    for name in try names() {
      if try hasManifest(name) { continue }
      try discard(name)
      changed.append(name.text)
    }
    // A process that was killed may have left names that are seen and do not last yet; older ones will be removed for them.
    for name in try names() { try syncFolder(path(name)) }
    if try !files.listIfThere(folder).isEmpty { try syncFolder(folder) }
    return changed
  }

  /// Removes all good checkpoints but the newest `count` and those of the steps in `best`; the result is their names.
  ///
  /// Good by manifest and sizes. What is damaged or unfinished is neither counted nor removed. A crash within leaves each
  /// checkpoint good or uncounted.
  @discardableResult
  package func prune(keepLast count: Int, best: Set<Int> = []) throws(ModelFileError) -> [String] {
    precondition(count >= 1, "keeping the last \(count) checkpoints")
    let good = try list().filter { $0.state == .good }
    var removed: [String] = []
    for entry in good.dropLast(count) where !best.contains(entry.step) {
      guard let name = CheckpointName(entry.name) else { continue }
      try discard(name)
      removed.append(entry.name)
    }
    return removed
  }

  /// Decides between a checkpoint and the one that it was to replace: the old one goes when the new one is good, and comes
  /// back when it is not.
  func recover(_ name: CheckpointName) throws(ModelFileError) {
    guard try names().contains(name.replaced) else { return }
    if isGood(name, .contents) { return try discard(name.replaced) }
    guard isGood(name.replaced, .contents) else { return }
    try discard(name)
    try files.rename(path(name.replaced), to: path(name))
    try syncFolder(folder)
  }

  /// Removes a checkpoint: the manifest first, so that at no moment it counts without being complete. Files that are not
  /// ours stay, and with them the folder.
  func discard(_ name: CheckpointName) throws(ModelFileError) {
    let folder = path(name)
    let present = try files.listIfThere(folder)
    if present.isEmpty, !(try names().contains(name)) { return }
    for file in CheckpointWriter.ownNames where present.contains(file) {
      try files.remove("\(folder)/\(file)")
      if file == Manifest.fileName { try syncFolder(folder) }
    }
    guard present.allSatisfy(CheckpointWriter.ownNames.contains) else { return }
    try files.removeFolder(folder)
    try syncFolder(self.folder)
  }
}
