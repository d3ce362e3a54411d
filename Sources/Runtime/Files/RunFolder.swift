import Foundation
package import ModelFiles
import Observability

/// The folder of one run: `job.yaml`, `checkpoints/`, `metrics.jsonl`, `logs/`, `summary.json`, `model.safetensors`.
package final class RunFolder {
  /// A model that was stored.
  package struct StoredModel: Sendable {
    /// The file.
    package let path: String
    /// SHA-256 over the flat fp32 vector of parameters, little-endian, in lower-case hexadecimal.
    package let parametersSHA256: String
    /// SHA-256 over the flat vector of buffers, likewise; over nothing where the network has none.
    package let buffersSHA256: String
  }

  /// Its path, as it was given.
  package let path: String
  private let metrics: MetricsFile

  /// Opens a run's folder, making it where it is not there.
  package init(path: String) throws(ConvoyError) {
    self.path = path
    try Self.makeFolder(path)
    do throws(MetricsFile.Failure) { metrics = try MetricsFile(path: "\(path)/metrics.jsonl") } catch {
      throw ConvoyError(.configuration, error.description)
    }
  }

  /// Makes a folder of a run, with those above it, where it is not there.
  package static func makeFolder(_ path: String) throws(ConvoyError) {
    do throws(ModelFileError) { try RealFileSystem.shared.makeFolders(path) } catch {
      throw ConvoyError(.configuration, error.description)
    }
  }

  /// Refuses a folder that holds anything: a run is never mixed into another's files.
  package static func requireEmpty(_ path: String) throws(ConvoyError) {
    guard let names = try? FileManager.default.contentsOfDirectory(atPath: path), let name = names.sorted().first
    else { return }
    throw ConvoyError(
      .configuration, "the run folder \(path) is not empty (it has \(name)): name another with --run-dir")
  }

  /// Refuses a folder that holds anything, unless it is the run that is resumed.
  package static func requireFree(_ path: String, resuming resume: String?) throws(ConvoyError) {
    if let resume {
      try requireThere(resume)
      if let run = run(of: resume),
        URL(fileURLWithPath: run).standardizedFileURL.path
          == URL(fileURLWithPath: path).standardizedFileURL.path
      {
        return
      }
    }
    try requireEmpty(path)
  }

  private static func requireThere(_ resume: String) throws(ConvoyError) {
    guard FileManager.default.fileExists(atPath: resume) else {
      throw ConvoyError(.badData, "--resume: there is no run folder or checkpoint at \(resume)")
    }
  }

  /// The path itself where it is a run folder, nil where it is a checkpoint or nothing.
  package static func run(of path: String) -> String? {
    FileManager.default.fileExists(atPath: "\(path)/job.yaml") ? path : nil
  }

  /// The job file of the run that a run folder or a checkpoint is of.
  package static func jobFile(resuming path: String) throws(ConvoyError) -> String {
    try requireThere(path)
    for folder in [path, "\(path)/../.."] where run(of: folder) != nil { return "\(folder)/job.yaml" }
    throw ConvoyError(
      .badData, "--resume: \(path) is neither a run folder nor a checkpoint in one: name its job file with --job")
  }

  /// Makes what a run's processes expect: the resolved job, and the folder of their logs.
  ///
  /// The result is the job's file: `job.yaml`, or another where the folder has a run of other settings that is resumed.
  package func prepare(_ job: Job) throws(ConvoyError) -> String {
    try Self.makeFolder("\(path)/logs")
    guard try holds(job) else {
      let file = "\(path)/resume.yaml"
      try write(Data(job.yaml.utf8), to: file)
      return file
    }
    try write(job)
    return "\(path)/job.yaml"
  }

  /// Writes the resolved job, unless it is there.
  package func write(_ job: Job) throws(ConvoyError) {
    let file = "\(path)/job.yaml"
    guard !FileManager.default.fileExists(atPath: file) else { return }
    try write(Data(job.yaml.utf8), to: file)
  }

  /// Writes the summary of a run that is over.
  package func write(_ summary: JobSummary) throws(ConvoyError) {
    try write(Data((summary.json + "\n").utf8), to: "\(path)/summary.json")
  }

  private func write(_ data: Data, to file: String) throws(ConvoyError) {
    do throws(ModelFileError) {
      try AtomicFile.write(path: file, [UInt8](data))
    } catch {
      throw ConvoyError(.failed, error.description)
    }
  }

  /// Adds a line to the metrics; one that cannot be written is left out.
  ///
  /// - Returns: why it could not be written; nil where it was.
  func append(metrics record: some Encodable) -> String? {
    do throws(MetricsFile.Failure) {
      try metrics.append(record)
      return nil
    } catch {
      return error.description
    }
  }

  /// Whether the folder's job is this one; it is where the folder has none yet.
  package func holds(_ job: Job) throws(ConvoyError) -> Bool {
    guard let data = FileManager.default.contents(atPath: "\(path)/job.yaml") else { return true }
    // What another version of the program wrote is another job.
    guard let known = try? Job(yaml: String(decoding: data, as: UTF8.self), source: "\(path)/job.yaml") else {
      return false
    }
    return known == job
  }

  /// Writes another job in the place of the folder's.
  package func replace(_ job: Job) throws(ConvoyError) {
    try write(Data(job.yaml.utf8), to: "\(path)/job.yaml")
  }

  private var launchFile: String { "\(path)/launch" }

  /// Whether the folder's processes were started by this launcher, by the mark that it left.
  ///
  /// Where the launcher is another, the processes of the one before are gone: they end with it.
  package func isMarked(by launch: String) -> Bool {
    FileManager.default.contents(atPath: launchFile).map { String(decoding: $0, as: UTF8.self) } == launch
  }

  /// Leaves a launcher's mark.
  package func mark(_ launch: String) throws(ConvoyError) {
    if !isMarked(by: launch) { try write(Data(launch.utf8), to: launchFile) }
  }

  /// The folder of the keys that a launcher made for the run, for as long as the job lasts.
  package static let keysName = "keys"
  /// The name of the file that says where the run's coordinator listens, for as long as it does.
  package static let addressName = "address"

  /// Says where the run's coordinator listens; nil when it does no more. What cannot be written costs `convoy status`.
  package func note(address: String?) {
    let file = "\(path)/\(Self.addressName)"
    if let address {
      try? write(Data((address + "\n").utf8), to: file)
      Leftovers.add(file)
    } else {
      unlink(file)
      Leftovers.forget(file)
    }
  }

  /// Whether a path leads to this folder.
  package func isSame(as other: String) -> Bool { Self.isSame(path, as: other) }

  /// Whether two paths lead to one folder.
  package static func isSame(_ path: String, as other: String) -> Bool {
    URL(fileURLWithPath: path).standardizedFileURL.resolvingSymlinksInPath()
      == URL(fileURLWithPath: other).standardizedFileURL.resolvingSymlinksInPath()
  }

  /// The model's file in a run folder and in a checkpoint.
  package static let modelName = "model.safetensors"

  /// The model file that a path names: the file itself, a checkpoint's, or a run's: the final one, or where the run did not
  /// end that of its newest good checkpoint.
  package static func modelFile(at path: String) throws(ConvoyError) -> String {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
      throw ConvoyError(.badData, "there is no run, checkpoint or model at \(path)")
    }
    guard isFolder.boolValue else { return path }
    let file = "\(path)/\(modelName)"
    if FileManager.default.fileExists(atPath: file) {
      try requireGood(path)
      return file
    }
    let store = CheckpointStore(folder: "\(path)/\(CheckpointStore.folderName)")
    let newest: CheckpointStore.Newest?
    do throws(ModelFileError) {
      newest = try store.newest()
    } catch {
      throw ConvoyError(.badData, error.description)
    }
    guard let newest else {
      throw ConvoyError(
        .badData,
        "\(path) holds no \(modelName) and no good checkpoint: the run there did not come so far, or it is no run")
    }
    return "\(store.folder)/\(newest.name)/\(modelName)"
  }

  /// Refuses a folder that is a checkpoint and is damaged.
  private static func requireGood(_ path: String) throws(ConvoyError) {
    guard FileManager.default.fileExists(atPath: "\(path)/\(CheckpointStore.manifestName)") else { return }
    let url = URL(fileURLWithPath: path).standardizedFileURL
    let store = CheckpointStore(folder: url.deletingLastPathComponent().path)
    // A copy under another name is taken as a model, not as a checkpoint.
    guard let entry = try? store.inspect(url.lastPathComponent, .contents), case .damaged(let error) = entry.state
    else { return }
    let newest = try? store.newest()
    throw ConvoyError(
      .badData,
      "\(error); \(newest.map { "the newest good checkpoint is \($0.name)" } ?? "there is no other good checkpoint")")
  }

  /// The checkpoints that a path names: a run folder, or its folder of checkpoints.
  package static func checkpoints(at path: String) throws(ConvoyError) -> CheckpointStore {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue else {
      throw ConvoyError(.badData, "there is no run and no folder of checkpoints at \(path)")
    }
    let below = "\(path)/\(CheckpointStore.folderName)"
    return CheckpointStore(folder: FileManager.default.fileExists(atPath: below) ? below : path)
  }
}
