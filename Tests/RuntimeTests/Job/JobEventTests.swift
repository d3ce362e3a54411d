import Foundation
import Runtime
import Testing

/// The lines that a coordinator and its launcher speak, and what other programs read of a summary.
@Suite struct JobEventTests {
  static let summaryText =
    #"{"buffers_sha256":"e3b0","engine":"openblas","epochs":2,"images_per_second":5211.5,"mode":"sync","#
    + #""parameters":431080,"parameters_sha256":"9f86","precision":"fp32","run_dir":"runs/a b","seconds":25.5,"#
    + #""servers":1,"shards":2,"steps":938,"test_accuracy":0.8915,"test_loss":0.3,"train_loss":0.375,"workers":2}"#

  @Test(
    "Each event is the line that it is agreed to be, both ways",
    arguments: [
      (.listening(address: "tcp://127.0.0.1:40001"), #"{"address":"tcp://127.0.0.1:40001","event":"listening"}"#),
      (.waiting(missing: ["server.1", "worker.0"]), #"{"event":"waiting","missing":["server.1","worker.0"]}"#),
      (.started(seconds: 0.75), #"{"event":"started","seconds":0.75}"#),
      (.notice("worker.1 is gone"), #"{"event":"notice","message":"worker.1 is gone"}"#),
      (
        .failed(message: "a \"b\"\nc", exitCode: 65),
        #"{"event":"failed","exit_code":65,"message":"a \"b\"\nc"}"#
      ),
    ] as [(JobEvent, String)])
  func events(event: JobEvent, line: String) {
    #expect(JSONText.line(event) == line)
    #expect(JobEvent(line: line) == event)
  }

  @Test("Progress and the end are flat objects, and come back the same")
  func flat() throws {
    let progress =
      #"{"epoch":0,"event":"progress","images_per_second":5211.5,"loss":0.625,"step":120,"steps":938}"#
    let event = try #require(JobEvent(line: progress))
    #expect(JSONText.line(event) == progress)
    guard case .progress(let values) = event else { Issue.record("no progress: \(event)"); return }
    #expect(values.step == 120 && values.steps == 938 && values.epoch == 0 && values.loss == 0.625)
    #expect(values.imagesPerSecond == 5211.5)

    let finished = try #require(JobEvent(line: #"{"event":"finished","# + Self.summaryText.dropFirst()))
    guard case .finished(let summary) = finished else { Issue.record("no end: \(finished)"); return }
    #expect(summary.json == Self.summaryText)
    #expect(JobEvent(line: JSONText.line(finished)) == finished)
  }

  @Test("A summary's keys are those that other tools read")
  func summaryKeys() throws {
    let summary = try JSONDecoder().decode(JobSummary.self, from: Data(Self.summaryText.utf8))
    #expect(summary.testAccuracy == 0.8915 && summary.testLoss == 0.3 && summary.trainLoss == 0.375)
    #expect(summary.steps == 938 && summary.epochs == 2 && summary.seconds == 25.5 && summary.imagesPerSecond == 5211.5)
    #expect(summary.parameters == 431_080 && summary.parametersSHA256 == "9f86" && summary.buffersSHA256 == "e3b0")
    #expect(summary.mode == "sync" && summary.shards == 2 && summary.workers == 2 && summary.servers == 1)
    #expect(summary.engine == "openblas" && summary.precision == "fp32" && summary.runDirectory == "runs/a b")
  }

  @Test("A loss that is no number still makes a line, and comes back")
  func notFinite() throws {
    var values = ProgressEvent(
      line: #"{"epoch":0,"event":"progress","images_per_second":1,"loss":1,"step":1,"steps":2}"#)
    values?.loss = .infinity
    let progress = JobEvent.progress(try #require(values))
    #expect(JobEvent(line: JSONText.line(progress)) == progress)
  }

  @Test(
    "What is no event is none",
    arguments: [
      "", "hello", "{}", #"{"event":"party"}"#, #"{"event":"started"}"#, #"{"event":"started","seconds":"x"}"#, "[]",
    ])
  func noEvent(line: String) {
    #expect(JobEvent(line: line) == nil)
  }
}

extension ProgressEvent {
  fileprivate init?(line: String) {
    guard case .progress(let values) = JobEvent(line: line) else { return nil }
    self = values
  }
}
