import Datasets
import Dispatch
import Foundation
import Glibc
import Networks
import Synchronization
import Tensors

/// Evaluates checkpoints on the samples that were held out, one after the other, on a thread of its own.
///
/// One thread computes, at low priority: workers on this machine go on, and a model's score does not depend on how many
/// cores the machine has.
final class Validator: Sendable {
  /// A checkpoint that is to be evaluated.
  struct Request: Sendable {
    let step: Int
    let era: UInt64
    let model: ModelVectors
  }

  /// What became of a request.
  enum Outcome: Sendable {
    case evaluated(Evaluation, milliseconds: UInt64)
    /// It is not; why.
    case failed(String)
  }

  private struct State {
    var waiting: [Request] = []
    var isClosed = false
  }

  /// Most checkpoints that wait, and of large models fewer: each is a whole model in memory, and stays on disk.
  private static let maximumWaiting = 16
  private static let maximumWaitingBytes = 256 << 20
  /// What is added to the thread's niceness.
  private static let niceness: Int32 = 5

  /// Most checkpoints that wait.
  let maximumWaiting: Int

  private let prepared: PreparedJob
  private let report: @Sendable (Request, Outcome) -> Void
  private let state = Mutex(State())
  private let changed = DispatchSemaphore(value: 0)
  private let ended = DispatchSemaphore(value: 0)
  private let cancellation = Cancellation()

  /// Starts the thread; `report` is called on it, or on the thread that asks.
  init(_ prepared: PreparedJob, report: @escaping @Sendable (Request, Outcome) -> Void) {
    self.prepared = prepared
    self.report = report
    let elements = prepared.network.parameterLayout.count + prepared.network.bufferLayout.count
    maximumWaiting = min(
      Self.maximumWaiting, max(2, Self.maximumWaitingBytes / max(1, elements * MemoryLayout<Float>.stride)))
    let thread = Thread { self.run() }
    thread.name = "validation"
    thread.stackSize = 8 << 20
    thread.start()
  }

  /// Has a checkpoint evaluated. Where checkpoints come faster than that can be done, the oldest that waits is given up.
  func evaluate(_ request: Request) {
    let givenUp: Request? = state.withLock { state in
      state.waiting.append(request)
      return state.waiting.count > maximumWaiting ? state.waiting.removeFirst() : nil
    }
    changed.signal()
    if let givenUp { report(givenUp, .failed("newer checkpoints came before it was evaluated")) }
  }

  /// Gives up what is evaluated and what waits, and ends the thread.
  func close() {
    state.withLock { $0.isClosed = true }
    cancellation.cancel()
    changed.signal()
    ended.wait()
    ended.signal()
  }

  private func run() {
    // Of this thread alone, as Linux has it.
    setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, Self.niceness)
    // Before training begins, as far as that goes: the data set is read once, and kept.
    let evaluator = Result { () throws(ConvoyError) in try makeEvaluator() }
    while let request = take() {
      let begin = MonotonicClock.seconds
      do throws(ConvoyError) {
        let evaluation = try evaluator.get().evaluate(request.model, cancellation: cancellation)
        let milliseconds = UInt64((MonotonicClock.seconds - begin) * 1000)
        report(request, .evaluated(evaluation, milliseconds: milliseconds))
      } catch {
        report(request, .failed(error.message))
      }
    }
    ended.signal()
  }

  private func makeEvaluator() throws(ConvoyError) -> Evaluator {
    try Evaluator(
      prepared.network, engine: try prepared.engine(), data: prepared.job.data,
      directory: prepared.job.dataDirectory, split: .train, holdout: prepared.holdout, threads: 1)
  }

  private func take() -> Request? {
    while true {
      let (request, isClosed): (Request?, Bool) = state.withLock { state in
        if state.isClosed { return (nil, true) }
        return (state.waiting.isEmpty ? nil : state.waiting.removeFirst(), false)
      }
      if isClosed { return nil }
      if let request { return request }
      changed.wait()
    }
  }
}
