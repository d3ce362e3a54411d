import Foundation
import Observability
import ParameterServer

/// The lines of a run's `metrics.jsonl`: README says what each field means. A disk that is full costs lines, not the job; the
/// run's end tells of it.
package final class RunMetrics {
  private let folder: RunFolder
  private let launchedAt: Double
  /// Why the first line that is not there could not be written; nil where all are.
  package private(set) var problem: String?

  /// Metrics of a run.
  package init(folder: RunFolder, launchedAt: Double) {
    self.folder = folder
    self.launchedAt = launchedAt
  }

  /// One line. All have `event` and `seconds`.
  struct Event: Encodable {
    var event: String
    var seconds = 0.0
    var step: Int?
    var view: UInt64?
    var era: UInt32?
    var servers: Int?
    var workers: Int?
    var reason: String?
    var milliseconds: UInt64?
    var accuracy: Double?
    var loss: Double?
    var samples: Int?
    var staleness: StalenessSummary?
    var member: String?
    var epoch: Int?
    var imagesPerSecond: Double?

    enum CodingKeys: String, CodingKey {
      case event, seconds, step, view, era, servers, workers, reason, milliseconds, accuracy, loss, samples, staleness
      case member, epoch
      case imagesPerSecond = "images_per_second"
    }

    /// How far the job is.
    static func progress(_ progress: ProgressEvent) -> Event {
      Event(
        event: "progress", step: progress.step, loss: progress.loss, epoch: progress.epoch,
        imagesPerSecond: progress.imagesPerSecond)
    }

    /// Members work in a view, so long after its reason was seen.
    static func view(_ view: View, reason: String, milliseconds: UInt64?) -> Event {
      Event(
        event: "view", view: view.number.rawValue, era: view.era, servers: view.servers.count,
        workers: view.workers.count, reason: reason, milliseconds: milliseconds)
    }

    /// A process was given a place in the job.
    static func joined(_ member: Member) -> Event { Event(event: "joined", member: member.description) }

    /// A worker has computed its first shard, so long after it joined.
    static func computes(_ member: Member, milliseconds: UInt64) -> Event {
      Event(event: "computes", milliseconds: milliseconds, member: member.description)
    }

    /// A checkpoint is complete on disk; writing it took so long.
    static func checkpoint(step: Int, milliseconds: UInt64) -> Event {
      Event(event: "checkpoint", step: step, milliseconds: milliseconds)
    }

    /// A checkpoint was evaluated on the samples that are held out, which took so long.
    static func validation(step: Int, _ evaluation: Evaluation, milliseconds: UInt64) -> Event {
      Event(
        event: "validation", step: step, milliseconds: milliseconds, accuracy: evaluation.accuracy,
        loss: evaluation.loss, samples: evaluation.samples)
    }

    /// How late what was pushed has come so far.
    static func staleness(step: Int, _ staleness: StalenessSummary) -> Event {
      Event(event: "staleness", step: step, staleness: staleness)
    }

    /// A checkpoint could not be stored.
    static func checkpointFailed(step: Int) -> Event { Event(event: "checkpoint_failed", step: step) }
  }

  func add(_ event: Event) {
    var event = event
    event.seconds = seconds
    if let problem = folder.append(metrics: event), self.problem == nil { self.problem = problem }
  }

  /// Adds a line of progress.
  package func add(_ event: ProgressEvent) {
    add(.progress(event))
  }

  private var seconds: Double { (MonotonicClock.seconds - launchedAt).rounded(toPlaces: 3) }
}
