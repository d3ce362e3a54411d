import CKernels
import Engines
import Synchronization

/// What the processor computes at most in fp32: fused multiply-adds in registers, on several threads at once.
public struct PeakMeasurement: Sendable {
  /// Floating-point operations a second of all threads, 2 for each element of a fused multiply-add.
  public let operationsPerSecond: Double

  /// Measures for about as long as said.
  public static func run(threads: Int, for duration: Duration = .milliseconds(200)) -> PeakMeasurement {
    let work = Work(duration: duration)
    ThreadTeam(count: threads).run(work, tasks: threads)
    return PeakMeasurement(operationsPerSecond: work.rates.withLock { $0.reduce(0, +) })
  }

  private final class Work: ParallelWork {
    let duration: Duration
    let rates = Mutex<[Double]>([])

    init(duration: Duration) { self.duration = duration }

    func perform(task: Int, thread: Int) {
      let clock = ContinuousClock()
      var sink: Float = 0.5
      // The clock speed settles before it counts.
      _ = convoy_peak_f32(1 << 20, &sink)
      let begin = clock.now
      var operations = 0
      while clock.now - begin < duration { operations += convoy_peak_f32(1 << 16, &sink) }
      let rate = Double(operations) / (clock.now - begin).seconds
      // Two tasks of one thread, should the other have been late, are no two threads: each counts what it had.
      rates.withLock { $0.append(sink.isNaN ? 0 : rate) }
    }
  }
}
