#if OneDNN
  extension OneDNN {
    /// Runs the body once for each part, on the threads that the library itself computes on.
    ///
    /// A second team would compete with the library's, whose threads go on looking for work for a while. Its OpenMP is
    /// found at run time; where that is another than GNU's the parts run one after the other.
    fileprivate static func runParts(_ job: PartsJob) {
      guard job.parts > 1, let team = OpenMP.team else {
        for part in 0..<job.parts { job.command.runPart(part, job) }
        return
      }
      withUnsafePointer(to: job) { address in
        team.parallel(
          { data in
            guard let data, let team = OpenMP.team else { return }
            let job = data.assumingMemoryBound(to: PartsJob.self).pointee
            // The team may have fewer threads than were asked for.
            for part in stride(from: Int(team.number()), to: job.parts, by: Int(team.count())) {
              job.command.runPart(part, job)
            }
          }, UnsafeMutableRawPointer(mutating: address), UInt32(job.parts), 0)
      }
    }
  }

  /// One phase of a command, as its threads see it.
  private struct PartsJob {
    let command: ParallelCommand
    let state: UnsafePointer<StepState>
    let phase: Int
    let parts: Int
  }

  /// A loop of ours on all threads, in phases: a phase begins when all parts of the one before are done.
  final class ParallelCommand: Command {
    /// What a part of a phase does; parts write to places of their own.
    typealias Phase = (StepState, Int) -> Void

    let purpose: String
    let implementation: String
    var isPrimitive: Bool { implementation != KernelCommand.ownImplementation }
    let result: GraphCompiler.Tensor?
    let workspaceBytes: Int
    private let parts: Int
    private let phases: [Phase]

    init(
      _ purpose: String, by implementation: String, parts: Int, result: GraphCompiler.Tensor?, workspaceBytes: Int,
      _ phases: [Phase]
    ) {
      self.purpose = purpose
      self.implementation = implementation
      self.parts = parts
      self.result = result
      self.workspaceBytes = workspaceBytes
      self.phases = phases
    }

    func bind(scratchpad: UnsafeMutableRawPointer) {}

    func run(_ state: inout StepState) throws(EngineError) {
      for phase in phases.indices {
        withUnsafePointer(to: state) {
          OneDNN.runParts(PartsJob(command: self, state: $0, phase: phase, parts: parts))
        }
      }
    }

    fileprivate func runPart(_ part: Int, _ job: borrowing PartsJob) {
      phases[job.phase](job.state.pointee, part)
    }
  }
#endif
