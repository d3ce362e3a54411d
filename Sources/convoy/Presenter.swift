import Foundation
import Observability
import Runtime
import Synchronization

/// Shows a job to the person who waits for it: how far it is, what happened, how it ended and what to do next.
final class Presenter: Sendable {
  private let line: Mutex<ProgressLine>
  private let isEndTold = Mutex(false)
  private let job: Job
  private let runDirectory: String

  init(style: ProgressLine.Style, job: Job, runDirectory: String) {
    line = Mutex(ProgressLine(style: style))
    self.job = job
    self.runDirectory = runDirectory
  }

  /// Says what begins.
  func begin() {
    let servers = job.servers == 1 ? "1 server" : "\(job.servers) servers"
    let workers = job.workers == 1 ? "1 worker" : "\(job.workers) workers"
    note("training \(job.model) on \(job.data): \(servers), \(workers), \(job.mode), seed \(job.seed)")
    note("run folder: \(runDirectory)")
    if let problem = job.precisionProblem { note("warning: \(problem)") }
  }

  /// Shows an event.
  func show(_ event: JobEvent) {
    switch event {
    case .listening: break
    case .waiting(let missing): note("waiting for \(missing.joined(separator: ", "))")
    case .started(let seconds): note("the first step begins after \(ProgressLine.decimals(seconds, 2)) s")
    case .progress(let progress):
      let state = ProgressLine.State(
        step: progress.step, steps: progress.steps, epoch: progress.epoch, loss: progress.loss,
        imagesPerSecond: progress.imagesPerSecond)
      line.withLock { line in Terminal.write(line.update(state, at: MonotonicClock.seconds), .passing) }
      guard progress.step >= progress.steps else { return }
      // The last step's progress may be told more than once.
      let isTold = isEndTold.withLock { isTold in
        defer { isTold = true }
        return isTold
      }
      if !isTold { note("the last step is applied: storing and evaluating the model") }
    case .notice(let text): note(text)
    case .finished, .failed: break
    }
  }

  /// A line of its own.
  func note(_ text: String) {
    line.withLock { line in Terminal.write(line.end() + text + "\n") }
  }

  /// Ends a redrawn line.
  func endLine() {
    line.withLock { line in Terminal.write(line.end()) }
  }

  /// Says how it ended, and what to do next.
  func finish(_ summary: JobSummary, json: Bool) {
    endLine()
    if json { return Terminal.result(summary.json) }
    let model = "\(summary.runDirectory)/\(RunFolder.modelName)"
    Terminal.result(
      """
      test accuracy  \(ProgressLine.decimals(summary.testAccuracy, 4))   (loss \(ProgressLine.decimals(summary.testLoss, 4)))
      trained        \(summary.steps) steps, \(summary.epochs) epochs, \(ProgressLine.decimals(summary.imagesPerSecond, 0)) images/s, \(ProgressLine.duration(summary.seconds)) in all
      model          \(model)   (safetensors with PyTorch's names; sha256 of the parameters \(summary.parametersSHA256.prefix(12))…)

      next
        convoy evaluate --checkpoint \(summary.runDirectory) --data \(job.data)
        convoy models show \(job.model)
        convoy train --mode async --workers 4
      """)
  }
}
