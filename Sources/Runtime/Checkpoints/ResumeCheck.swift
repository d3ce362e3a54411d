import Datasets
import ModelFiles
import Networks
package import ParameterServer

/// What a checkpoint says of the job that it is of, as far as the settings of a job that goes on from it must agree.
package struct ResumeOrigin: Sendable {
  /// Steps that are closed in it.
  package var step: Int
  /// The network's name.
  package var network: String
  /// The data set's name.
  package var data: String
  /// What its manifest says beside.
  package var metadata: [String: String]
  /// What the coordinator knows of it; nil where only the manifest was read.
  package var mark: CheckpointMark?

  /// An origin as stated.
  package init(step: Int, network: String, data: String, metadata: [String: String], mark: CheckpointMark? = nil) {
    self.step = step
    self.network = network
    self.data = data
    self.metadata = metadata
    self.mark = mark
  }

  /// The origin that a good checkpoint's manifest tells of; nil where it is not good.
  init?(_ entry: CheckpointStore.Entry) {
    guard let network = entry.network, let data = entry.data else { return nil }
    self.init(step: entry.step, network: network, data: data, metadata: entry.metadata)
  }

  /// The key of the job's text in the manifest.
  static let jobName = "job"

  /// The job that stored it; nil where another version of the program did, whose settings this one does not know.
  var job: Job? { metadata[Self.jobName].flatMap { try? Job(yaml: $0, source: "the checkpoint's job") } }
}

/// Decides whether a job can go on from a checkpoint, and says what is another job's about it.
///
/// Asked before anything is written, and again by the coordinator that loads the checkpoint.
package struct ResumeCheck: Sendable {
  private let prepared: PreparedJob

  /// A check for a job.
  package init(_ prepared: PreparedJob) {
    self.prepared = prepared
  }

  /// Refuses a job that cannot go on from a run folder or a checkpoint, before anything is written.
  ///
  /// - Parameters:
  ///   - path: what it is to go on from; nil for a job that begins anew.
  ///   - folder: its run folder.
  package static func require(_ job: Job, from path: String?, in folder: String) throws(ConvoyError) {
    guard let path else { return }
    let prepared = try PreparedJob(job: job, text: job.yaml)
    try CheckpointKeeper.Context(prepared, folder: folder).requireUsable(path)
  }

  /// Why the job cannot go on from a checkpoint: the setting, what the checkpoint has and what to do; nil where it can.
  package func refusal(of origin: ResumeOrigin) throws(ConvoyError) -> ConvoyError? {
    let job = prepared.job
    func refusal(_ text: String) -> ConvoyError {
      ConvoyError(.configuration, "the checkpoint of step \(origin.step) \(text)")
    }
    if origin.network != prepared.network.name {
      return refusal("is of \(origin.network), the job of \(job.model): resume with --model \(origin.network)")
    }
    if origin.data != job.data {
      return refusal("was trained on \(origin.data), the job is on \(job.data): resume with --data \(origin.data)")
    }
    guard let mark = origin.mark else { return nil }
    guard let rules = try CoordinatorRole.plan(prepared).rules(samples: prepared.holdout.trainingCount) else {
      // The coordinator says so of any such job.
      return nil
    }
    if let problem = rules.problem(resuming: mark) {
      guard problem != .unsound else {
        return ConvoyError(
          .badData, "the checkpoint of step \(mark.step) cannot be gone on from: its steps are no job's")
      }
      return refusal(text(problem, rules))
    }
    return seedProblem(origin, mark, rules).map(refusal)
  }

  private func text(_ problem: ResumeProblem, _ rules: JobRules) -> String {
    let (job, holdout) = (prepared.job, prepared.holdout)
    switch problem {
    case .batch(let batch):
      return "counts steps of \(batch) samples, the job of \(job.batch): resume with --batch \(batch)"
    case .samples(let samples):
      let heldOut = holdout.count + holdout.trainingCount - samples
      return
        "was trained with \(heldOut) samples held out, the job holds out \(holdout.count): resume with --validation \(heldOut)"
    case .shards(let shards):
      return "holds parts of steps in \(shards) shards, the job has \(job.shards): resume with --shards \(shards)"
    case .pastEnd(let least):
      let perEpoch = rules.schedule.stepsPerEpoch
      let setting =
        job.maxSteps == rules.steps
        ? "--max-steps \(least)" : "--epochs \((least + perEpoch - 1) / perEpoch)"
      return "has steps up to \(least), and the job ends after \(rules.steps): resume with \(setting) or more"
    case .unsound: return ""
    }
  }

  /// The seed chooses the samples that are held out, and the order of each epoch.
  private func seedProblem(_ origin: ResumeOrigin, _ mark: CheckpointMark, _ rules: JobRules) -> String? {
    let job = prepared.job
    if prepared.holdout.count > 0, let seed = origin.metadata[ValidationScore.seedName], seed != "\(job.seed)" {
      return
        "was trained with samples held out by seed \(seed), the job holds out others: resume with --seed \(seed)"
    }
    guard let seed = origin.job?.seed, seed != job.seed else { return nil }
    let isWithin = !mark.step.isMultiple(of: rules.schedule.stepsPerEpoch) || !mark.covered.isEmpty
    guard isWithin else { return nil }
    return
      "is within an epoch, whose order follows from seed \(seed), the job's from \(job.seed): resume with --seed \(seed)"
  }

  // MARK: What is different

  /// Settings that say where and how a job runs, and none of what its numbers become.
  private static let neutral: Set<String> = [
    "data-dir", "servers", "workers", "transport", "replicas", "checkpoint-every", "checkpoint-minutes", "keep",
    "rebalance", "epochs", "max-steps",
  ]

  /// The settings that the job has otherwise than the one that stored a checkpoint, as `shards 1 (4)`: with them its
  /// bytes are not those of the undisturbed job.
  package func changes(since origin: ResumeOrigin) -> [String] {
    guard let before = origin.job else { return [] }
    return JobOption.all.compactMap { option in
      let (old, new) = (option.get(before), option.get(prepared.job))
      guard old != new, !Self.neutral.contains(option.name) else { return nil }
      return "\(option.name) \(new ?? "none") (\(old ?? "none"))"
    }
  }

  /// Whether the job has the mode that the one had that stored a checkpoint: nobody has stated another.
  package func keepsMode(since origin: ResumeOrigin) -> Bool { origin.job?.mode == prepared.job.mode }
}
