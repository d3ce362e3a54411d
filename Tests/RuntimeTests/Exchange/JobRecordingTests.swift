import Foundation
import Logging
import Runtime
import Testing

/// A real job's machines do the same again when their events are played once more: nothing but events and time decides.
@Suite struct JobRecordingTests {
  @Test func aRecordedJobPlayedAgainHasTheSameEffects() throws {
    let folder = NSTemporaryDirectory() + "convoy-recording-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let flags = [
      "servers": "2", "workers": "3", "replicas": "1", "shards": "4", "max-steps": "12", "checkpoint-every": "5",
      "transport": "inproc", "engine": "openblas",
    ]
    let recording = JobRecording()
    JobRecording.current = recording
    defer { JobRecording.current = nil }
    let job = try Job.resolve(flags: flags, environment: [:], file: nil)
    let quiet: @Sendable (String) -> Logger = { Logger(label: $0) { _ in SwiftLogNoOpLogHandler() } }
    let summary = try runInProcess(job: job, runDirectory: folder, logger: quiet, report: { _ in })
    #expect(summary.steps == 12)
    // Jobs of other tests may run meanwhile, and end sooner.
    #expect(recording.machines.count { $0.count > 10 } >= 6, "a coordinator, two servers and three workers")
    for machine in recording.machines { #expect(machine.differences() == []) }
  }
}
