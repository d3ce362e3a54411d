import Foundation
import Glibc
import Testing

/// A network whose first values alone take longer than a member may be silent.
@Suite(.timeLimit(.minutes(30))) struct LargeNetworkTests {
  let folder = TemporaryFolder()

  /// Processes that keep every core busy, until they go.
  private final class Load {
    private let processes: [Process]

    init() throws {
      processes = try (0..<ProcessInfo.processInfo.activeProcessorCount).map { _ in
        let process = Process()
        process.executableURL = URL(filePath: "/bin/sh")
        process.arguments = ["-c", "while :; do :; done"]
        try process.run()
        return process
      }
    }

    deinit {
      for process in processes {
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
      }
    }
  }

  @Test func resNet50TrainsBesideOthersThatComputeToo() throws {
    let load = try Load()
    defer { withExtendedLifetime(load) {} }
    let job = try Running([
      "train", "--model", "resnet-50", "--max-steps", "2", "--batch", "4", "--workers", "1", "--transport", "ipc",
      "--run-dir", "\(folder.path)/run",
    ])
    let isTrained = job.waitForLine(containing: "the last step is applied")
    // Its model's evaluation on the test set is no part of this.
    job.send(SIGTERM)
    let errors = job.wait().errors
    #expect(isTrained, "\(errors)")
    #expect(!errors.contains("server.0 is gone") && !errors.contains("the job goes"), "\(errors)")
  }
}
