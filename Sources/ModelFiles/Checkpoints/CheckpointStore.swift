/// The checkpoints of one run: folders `step-00000200` of `model.safetensors`, `state.safetensors` and `manifest.json`.
///
/// A crash of the process or of the machine at any moment leaves each checkpoint complete or uncounted: every file goes to
/// a temporary one, is synced, renamed, and its folder is synced; the manifest is the last. A folder without a manifest is
/// no checkpoint. What a disk has damaged is told by sizes and SHA-256. The same content gives the same bytes.
///
/// One process at a time writes. Others may read meanwhile, and see a checkpoint whole or not at all.
package struct CheckpointStore {
  /// The name of the folder of checkpoints in a run's folder.
  package static let folderName = "checkpoints"
  /// The name of the model's file in a checkpoint.
  package static let modelName = CheckpointWriter.modelName
  /// The name of the file that makes a folder a checkpoint.
  package static let manifestName = Manifest.fileName

  /// The folder that the checkpoints' folders lie in.
  package let folder: String
  let files: any FileSystem

  /// A mistake made on purpose; only the simulator's own tests set it.
  package var fault: CheckpointFault?

  /// The checkpoints in a folder, which need not be there yet.
  package init(folder: String, files: any FileSystem = RealFileSystem.shared) {
    self.folder = folder
    self.files = files
  }

  // MARK: Writing

  /// A checkpoint that was written and lasts.
  package struct Written: Hashable, Sendable {
    /// The name of its folder.
    package let name: String
    /// SHA-256 over the flat fp32 vector of parameters, in lower-case hexadecimal.
    package let parametersSHA256: String
    /// SHA-256 over the flat vector of buffers, likewise.
    package let buffersSHA256: String
  }

  /// Writes a checkpoint, in place of one of the same step, which stays good until the new one lasts.
  ///
  /// When it throws, nothing is counted that was not before. The cost is two digests of the parameters, one of the rest,
  /// and some ten syncs; no second copy of a vector is made.
  package func write(_ checkpoint: Checkpoint) throws(ModelFileError) -> Written {
    checkpoint.check()
    let name = CheckpointName(step: checkpoint.step)
    try files.makeFolders(folder)
    try recover(name)
    if try hasManifest(name) {
      try files.rename(path(name), to: path(name.replaced))
      try syncFolder(folder)
    } else {
      try discard(name)
    }
    let digests: CheckpointWriter.Digests
    do throws(ModelFileError) {
      try makeFolder(name)
      digests = try CheckpointWriter(folder: path(name), files: files, fault: fault).write(checkpoint)
    } catch {
      // What cannot be undone now, as on a broken disk, is not counted and is undone at the next start.
      try? discard(name)
      try? recover(name)
      throw error
    }
    // The new one lasts: an old one that cannot be removed is not counted any more, and goes at the next start.
    try? discard(name.replaced)
    return Written(name: name.text, parametersSHA256: digests.parameters, buffersSHA256: digests.buffers)
  }

  private func makeFolder(_ name: CheckpointName) throws(ModelFileError) {
    do throws(ModelFileError) {
      try files.makeFolder(path(name))
    } catch  where error.kind == .exists {
      // It holds files that are not ours, which stay.
    }
    try syncFolder(folder)
  }

  // MARK: Reading

  /// Reads a checkpoint by its name, after every size, name and count is checked; every byte is compared with its digest.
  ///
  /// A refusal names the file, what was expected, and the newest good checkpoint.
  package func read(
    _ name: String, expecting expected: CheckpointExpectation = CheckpointExpectation()
  ) throws(ModelFileError) -> Checkpoint {
    do throws(ModelFileError) {
      return try open(name).read(expected)
    } catch {
      throw error.adding(newestHint(besides: name))
    }
  }

  /// A checkpoint that was passed over, and why.
  package struct PassedOver: Hashable, Sendable {
    /// The name of its folder.
    package let name: String
    /// Why it was not taken.
    package let reason: ModelFileError
  }

  /// The newest good checkpoint, and the newer ones that are not.
  package struct Newest: Hashable, Sendable {
    /// The name of its folder.
    package let name: String
    /// Its step.
    package let step: Int
    /// Newer ones that were passed over, newest first.
    package let passedOver: [PassedOver]
  }

  /// Finds the newest checkpoint whose every byte is good; nil where there is none. The cost is reading it.
  package func newest() throws(ModelFileError) -> Newest? {
    var passedOver: [PassedOver] = []
    for name in try countedNames().reversed() {
      do throws(ModelFileError) {
        try open(name.text).verify()
        return Newest(name: name.text, step: name.step, passedOver: passedOver)
      } catch {
        passedOver.append(PassedOver(name: name.text, reason: error))
      }
    }
    return nil
  }

  /// Reads the newest good checkpoint in one pass; nil where there is none.
  ///
  /// One that is good but not what is expected ends the search with its error: an older one would not be it either.
  package func readNewest(
    expecting expected: CheckpointExpectation = CheckpointExpectation()
  ) throws(ModelFileError) -> (checkpoint: Checkpoint, newest: Newest)? {
    var passedOver: [PassedOver] = []
    for name in try countedNames().reversed() {
      do throws(ModelFileError) {
        let checkpoint = try open(name.text).read(expected)
        return (checkpoint, Newest(name: name.text, step: name.step, passedOver: passedOver))
      } catch {
        if error.kind == .mismatched { throw error }
        passedOver.append(PassedOver(name: name.text, reason: error))
      }
    }
    return nil
  }

  /// Opens a checkpoint by its name.
  func open(_ name: String) throws(ModelFileError) -> CheckpointReader {
    guard let parsed = CheckpointName(name) else {
      throw ModelFileError(
        path: "\(folder)/\(name)", problem: "that is no checkpoint's name: they are as step-00000200", kind: .missing)
    }
    return try CheckpointReader(folder: "\(folder)/\(name)", step: parsed.step, files)
  }

  private func newestHint(besides name: String) -> String {
    guard let newest = try? newest(), newest.name != name else { return "there is no other good checkpoint" }
    return "the newest good checkpoint is \(newest.name)"
  }

  // MARK: Names

  func path(_ name: CheckpointName) -> String { "\(folder)/\(name.text)" }

  /// The checkpoints' names, oldest first; of one step the replaced one, which the other is to be preferred to, first.
  func names() throws(ModelFileError) -> [CheckpointName] {
    try files.listIfThere(folder).compactMap(CheckpointName.init).sorted {
      ($0.step, $0.isReplaced ? 0 : 1) < ($1.step, $1.isReplaced ? 0 : 1)
    }
  }

  /// The names of folders with a manifest.
  private func countedNames() throws(ModelFileError) -> [CheckpointName] {
    var counted: [CheckpointName] = []
    for name in try names() where try hasManifest(name) { counted.append(name) }
    return counted
  }

  func hasManifest(_ name: CheckpointName) throws(ModelFileError) -> Bool {
    try files.listIfThere(path(name)).contains(Manifest.fileName)
  }

  /// Syncs a folder, unless a planted fault leaves it out.
  func syncFolder(_ path: String) throws(ModelFileError) {
    if fault != .noFolderSync { try files.syncFolder(path) }
  }
}

extension CheckpointName {
  /// The name that this one has while another of its step is written.
  var replaced: CheckpointName { CheckpointName(step: step, isReplaced: true) }
}

extension ModelFileError {
  /// The same error with one more thing to say.
  fileprivate func adding(_ text: String) -> Self {
    Self(path: path, problem: "\(problem); \(text)", kind: kind)
  }
}
