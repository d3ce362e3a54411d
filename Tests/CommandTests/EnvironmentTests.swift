import Engines
import Foundation
import Synchronization
import Testing

/// What variables of the libraries that compute do to a model's worth: nothing, or a refusal.
@Suite(.timeLimit(.minutes(30))) struct EnvironmentTests {
  /// A model after some steps, and what it is worth with nothing set.
  private final class Trained: Sendable {
    let run: String
    let accuracy: Double
    let loss: Double

    init?() {
      run = NSTemporaryDirectory() + "convoy-test-" + UUID().uuidString
      guard (try? Convoy.run(train(into: run)))?.exitCode == 0, let found = try? evaluate(run, [:]).json(),
        let accuracy = found["test_accuracy"] as? Double, let loss = found["test_loss"] as? Double
      else { return nil }
      (self.accuracy, self.loss) = (accuracy, loss)
    }

    deinit { try? FileManager.default.removeItem(atPath: run) }
  }

  /// The tests that run share it; it goes with the last of them.
  private struct Shared: ~Copyable {
    weak var model: Trained?
  }

  private static let shared = Mutex(Shared())

  private static func trained() throws -> Trained {
    try shared.withLock { shared in
      let model = try #require(shared.model ?? Trained())
      shared.model = model
      return model
    }
  }

  private static func train(into run: String) -> [String] {
    ["train", "--max-steps", "40", "--workers", "1", "--transport", "inproc", "--run-dir", run, "--json"]
  }

  private static func evaluate(
    _ run: String, _ environment: [String: String], _ options: [String] = [], behind prefix: [String] = []
  ) throws -> Convoy.Outcome {
    try Convoy.run(
      ["evaluate", "--checkpoint", run, "--data", "fashion-mnist", "--json"] + options, environment: environment,
      behind: prefix)
  }

  @Test(
    "A model is worth the same",
    arguments: [
      ["OMP_THREAD_LIMIT": "1"], ["OMP_STACKSIZE": "100000g"], ["OMP_DYNAMIC": "true", "OMP_NUM_THREADS": "1"],
      [
        "OMP_MAX_ACTIVE_LEVELS": "0", "OMP_CANCELLATION": "true", "OMP_PROC_BIND": "true", "OMP_NESTED": "true",
        "OPENBLAS_NUM_THREADS": "7", "GOTO_NUM_THREADS": "3", "DNNL_VERBOSE": "2", "ONEDNN_VERBOSE": "2",
        "DNNL_DEFAULT_FPMATH_MODE": "ANY", "ONEDNN_DEFAULT_FPMATH_MODE": "ANY", "DNNL_CPU_ISA_HINTS": "PREFER_YMM",
        "DNNL_PRIMITIVE_CACHE_CAPACITY": "0", "OPENBLAS_VERBOSE": "2", "MALLOC_PERTURB_": "165",
        "MALLOC_ARENA_MAX": "1",
      ],
    ])
  func evaluated(_ environment: [String: String]) throws {
    let trained = try Self.trained()
    let outcome = try Self.evaluate(trained.run, environment)
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
    // One object, and nothing that a library prints.
    let found = try outcome.json()
    #expect(found["test_accuracy"] as? Double == trained.accuracy)
    // The last bits follow from the threads that are granted.
    #expect(abs((found["test_loss"] as? Double ?? 0) - trained.loss) < 1e-6)
  }

  @Test func oneProcessorOfSeveralIsEnough() throws {
    let trained = try Self.trained()
    let outcome = try Self.evaluate(trained.run, [:], behind: ["/usr/bin/taskset", "-c", "0"])
    #expect(outcome.exitCode == 0 || outcome.errors.contains("failed to set pid"), "\(outcome.errors)")
    guard outcome.exitCode == 0 else { return }
    #expect(try outcome.json()["test_accuracy"] as? Double == trained.accuracy)
  }

  @Test func whatAJobSaysOfItsModelIsRight() throws {
    let folder = TemporaryFolder()
    let trained = try Self.trained()
    let outcome = try Convoy.run(Self.train(into: "\(folder.path)/run"), environment: ["OMP_THREAD_LIMIT": "1"])
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
    #expect(try outcome.json()["test_accuracy"] as? Double == trained.accuracy)
  }

  @Test(
    "Threads that are not granted are refused before anything is made",
    arguments: [
      ("OMP_THREAD_LIMIT", "1", "2 threads are to compute, and 1 may: OMP_THREAD_LIMIT is 1: unset it"),
      ("OMP_STACKSIZE", "100000g", "as OMP_STACKSIZE says, cannot be started"),
    ])
  func threadsAreRefused(_ name: String, _ value: String, _ expected: String) throws {
    guard Engines.defaultName == "onednn" else { return }
    let folder = TemporaryFolder()
    for command in [Self.train(into: "\(folder.path)/run"), ["benchmark", "engine", "--model", "lenet"]] {
      let outcome = try Convoy.run(command + ["--threads", "2"], environment: [name: value])
      #expect(outcome.exitCode == 78 && outcome.output.isEmpty, "\(outcome.output)\(outcome.errors)")
      #expect(outcome.errors.contains(expected), "\(outcome.errors)")
    }
    #expect(!FileManager.default.fileExists(atPath: "\(folder.path)/run"))
  }

  /// Bulldozer's kernels have instructions that other processors never had.
  @Test func kernelsThatTheProcessorCannotRunAreRefused() throws {
    let trained = try Self.trained()
    let outcome = try Self.evaluate(trained.run, ["OPENBLAS_CORETYPE": "Bulldozer"], ["--engine", "openblas"])
    if outcome.exitCode == 0 {
      #expect(try outcome.json()["test_accuracy"] as? Double == trained.accuracy)
    } else {
      #expect(outcome.exitCode == 78, "\(outcome.errors)")
      #expect(outcome.errors.contains("OPENBLAS_CORETYPE=Bulldozer asks for"), "\(outcome.errors)")
    }
  }
}
