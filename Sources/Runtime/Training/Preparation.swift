package import Datasets
package import Engines
import Glibc
package import Networks
package import ParameterServer
package import Tensors

/// A job's settings turned into what the roles work with.
package struct PreparedJob: Sendable {
  /// The settings.
  package let job: Job
  /// The network.
  package let network: Network
  /// The samples that are held out of training; none of a job without validation.
  package let holdout: Holdout
  /// The digests that members compare; the data set's is a worker's to add.
  package var digests: Digests

  /// Reads a job as its coordinator sent it.
  package init(text: String) throws(ConvoyError) {
    try self.init(job: Job(yaml: text, source: "the coordinator's job"), text: text)
  }

  /// Prepares a job; `text` is what members are given.
  package init(job: Job, text: String) throws(ConvoyError) {
    self.job = job
    network = try Self.network(named: job.model, for: job.data)
    holdout = try Self.holdout(of: job)
    digests = Digests(
      build: try Build.digest().bytes, network: SHA256.digest(of: network.canonicalDescription).bytes,
      job: SHA256.digest(of: text).bytes, data: [])
  }

  /// The catalogue's network of a name, as it is for a data set's images and classes.
  package static func network(named name: String, for data: String) throws(ConvoyError) -> Network {
    let form = try form(of: data)
    let network: Network?
    do throws(NetworkError) {
      network = try Catalogue.network(named: name, input: form.sampleShape, classes: form.classes)
    } catch {
      throw ConvoyError(
        .configuration, "\(name) cannot take \(data)'s images of \(form.sampleShape): \(error.description)")
    }
    guard let network else { throw ConvoyError(.configuration, "there is no model \(name)") }
    return network
  }

  private static func form(of data: String) throws(ConvoyError) -> DatasetForm {
    do throws(DatasetError) { return try DatasetCatalogue.form(of: data) } catch {
      throw ConvoyError(.configuration, error.description)
    }
  }

  /// The samples that a job holds out of training: as many as it says, chosen by its seed.
  private static func holdout(of job: Job) throws(ConvoyError) -> Holdout {
    let samples = try form(of: job.data).trainingSamples
    let count = job.validation.count(of: samples)
    guard count < samples else {
      throw ConvoyError(
        .configuration,
        "validation: \(count) samples are to be held out, and \(job.data) has \(samples) to train on: hold out fewer")
    }
    return Holdout(samples: samples, count: count, seed: job.seed)
  }

  /// Looks whether the network takes the data set, whether its files are there, and whether it leaves samples to train
  /// on, before anything is started.
  package static func requireData(of job: Job) throws(ConvoyError) {
    _ = try network(named: job.model, for: job.data)
    _ = try holdout(of: job)
    do throws(DatasetError) {
      try DatasetCatalogue.locate(job.data, directory: job.dataDirectory)
    } catch {
      throw ConvoyError(.badData, error.description)
    }
  }

  /// The same, and reads the test set: a file of it that is damaged would be noticed only once all is trained. The training
  /// set's are read by the workers, before the first step.
  package static func requireGoodData(of job: Job) throws(ConvoyError) {
    try requireData(of: job)
    do throws(DatasetError) {
      _ = try DatasetCatalogue.load(job.data, split: .test, directory: job.dataDirectory)
    } catch {
      throw ConvoyError(.badData, error.description)
    }
  }

  /// Looks whether the environment grants the threads that workers of this machine are to compute on, before anything is
  /// started.
  package static func requireThreads(of job: Job) throws(ConvoyError) {
    // One thread computes without anybody's leave.
    guard job.threads > 1, let engine = Engines.engine(named: job.engine) else { return }
    do throws(EngineError) { try engine.requireThreads(job.threads) } catch { throw ConvoyError(error) }
  }

  /// What servers need to know of the optimiser and the schedule.
  package func updateSettings() throws(ConvoyError) -> UpdateSettings {
    do throws(ScheduleError) {
      return UpdateSettings(
        optimizer: job.optimizerKind.optimizer(of: job), statistics: RunningStatistics(network),
        schedule: try LearningRateSchedule(parsing: job.schedule), learningRate: job.learningRate,
        warmupSteps: job.warmupSteps, scaling: UpdateSettings.StalenessScaling(rawValue: job.stalenessScaling) ?? .none,
        delayCompensation: Float(job.delayCompensation), clipping: job.clipNorm.map(NormClipping.init(bound:)))
    } catch {
      throw ConvoyError(.configuration, "schedule: \(error.description)")
    }
  }

  /// The engine that the job names.
  package func engine() throws(ConvoyError) -> any Engine {
    guard let engine = Engines.engine(named: job.engine) else {
      throw ConvoyError(
        .configuration, "there is no engine \(job.engine): there are \(Engines.names.joined(separator: ", "))")
    }
    return engine
  }

  /// The number format that this machine computes the job's steps in.
  package var precision: Precision { job.precisionHere }

  /// Refuses rules of other vectors than the network's, or of a job that clips where this one does not.
  func requireFit(_ rules: JobRules) throws(ConvoyError) {
    let chunks = rules.chunks
    let (parameters, buffers) = (network.parameterLayout.count, network.bufferLayout.count)
    guard chunks.elements == parameters, chunks.bufferElements == buffers else {
      throw ConvoyError(
        .failed,
        "the view has \(chunks.elements) parameters and \(chunks.bufferElements) buffers, the network \(parameters) and \(buffers)"
      )
    }
    guard rules.clipsNorm == (job.clipNorm != nil) else {
      throw ConvoyError(
        .failed, "the view's gradients are \(rules.clipsNorm ? "" : "not ")clipped, and the job says otherwise")
    }
  }

  /// The tree over the job's shards.
  package func shardTree() throws(ConvoyError) -> ShardTree {
    guard let tree = ShardTree(shards: job.shards) else {
      throw ConvoyError(.configuration, "shards: \(job.shards) is not a power of two up to \(ShardTree.maximumShards)")
    }
    return tree
  }
}

/// The program that runs.
package enum Build {
  /// The version that `--version` prints.
  package static let version = "0.1.0"

  private static let cached = Result { () throws(ConvoyError) in try computeDigest() }

  /// The SHA-256 of this very program: members of a job must run the same.
  package static func digest() throws(ConvoyError) -> SHA256Digest {
    switch cached {
    case .success(let digest): return digest
    case .failure(let error): throw error
    }
  }

  private static func computeDigest() throws(ConvoyError) -> SHA256Digest {
    let file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC)
    guard file >= 0 else {
      throw ConvoyError(.failed, "cannot read /proc/self/exe: \(String(cString: strerror(errno)))")
    }
    defer { close(file) }
    let size = Int(lseek(file, 0, SEEK_END))
    guard size > 0, let address = mmap(nil, size, PROT_READ, MAP_PRIVATE, file, 0), address != MAP_FAILED else {
      throw ConvoyError(.failed, "cannot map /proc/self/exe: \(String(cString: strerror(errno)))")
    }
    defer { munmap(address, size) }
    var hasher = SHA256()
    hasher.update(UnsafeRawBufferPointer(start: address, count: size))
    return hasher.finalize()
  }
}
