import ParameterServer
import Runtime
import Testing

@Suite struct ThroughputMeterTests {
  private func progress(samples: UInt64, lossSum: Double) -> JobProgress {
    JobProgress(
      steps: 1, totalSteps: 2, samples: samples,
      epochs: [EpochTotals(epoch: 0, samples: samples, lossSum: lossSum)], shards: 1)
  }

  @Test("A stretch has its own loss and rate, and the whole its own")
  func stretches() {
    var meter = ThroughputMeter()
    meter.begin(at: 10)
    let first = progress(samples: 100, lossSum: 200)
    let early = meter.update(first, at: 12, since: nil)
    #expect(early.loss == 2 && early.imagesPerSecond == 50)
    let late = meter.update(progress(samples: 400, lossSum: 500), at: 13, since: first)
    #expect(late.loss == 1 && late.imagesPerSecond == 300)
  }

  @Test("The reports that lay waiting at the end are no rate; nothing new changes nothing")
  func end() {
    var meter = ThroughputMeter()
    meter.begin(at: 0)
    let first = progress(samples: 100, lossSum: 200)
    _ = meter.update(first, at: 1, since: nil)
    meter.end(at: 2)
    #expect(meter.total(samples: 400) == 200)
    let burst = meter.update(progress(samples: 400, lossSum: 350), at: 2.25, since: first)
    #expect(burst.loss == 0.5 && burst.imagesPerSecond == 200)
    let silence = meter.update(progress(samples: 400, lossSum: 350), at: 9, since: progress(samples: 400, lossSum: 350))
    #expect(silence.loss == 0.5 && silence.imagesPerSecond == 200)
  }
}
