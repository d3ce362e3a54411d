import Foundation
import Testing

@Suite struct CommandLineTests {
  @Test(
    "What is not known is refused with exit code 64 and the nearest name",
    arguments: [
      (["trian"], "did you mean train?"),
      (["export"], "there is no command export"),
      (["train", "--modle", "lenet"], "Did you mean '--mode'?"),
      (["train", "--replicas", "2"], "--replicas: 2 is no whole number from 0 to 1"),
      (["train", "--model", "lenett"], "--model: there is no model lenett; did you mean lenet?"),
      (
        ["train", "--data", "fashion-minst"], "--data: there is no data set fashion-minst; did you mean fashion-mnist?"
      ),
      (["train", "--engine", "openblass"], "did you mean openblas?"),
      (["train", "--mode", "asinc"], "did you mean async?"),
      (["train", "--precision", "bf17"], "--precision: there is no precision bf17; did you mean bf16?"),
      (["train", "--shards", "6"], "--shards: 6 is no power of two; the nearest are 4 and 8"),
      (["train", "--workers", "0"], "--workers: 0 is no whole number from 1 to 1024"),
      (["train", "--learning-rate", "fast"], "--learning-rate: fast is no number"),
      (["train", "--clip-norm", "0"], "--clip-norm: 0 is no number from 1e-30 to 1e+30"),
      (["train", "--schedule", "cosin"], "cosin is no schedule"),
      (["models", "show", "lenet_5"], "did you mean lenet-5?"),
      (["worker"], "Missing expected argument '--coordinator"),
      (["evaluate", "--checkpoint", "x", "--data", "mnist"], "there is no data set mnist"),
    ])
  func usage(_ arguments: [String], _ expected: String) throws {
    let outcome = try Convoy.run(arguments)
    #expect(outcome.exitCode == 64)
    #expect(outcome.errors.contains(expected), "\(outcome.errors)")
    #expect(outcome.output.isEmpty)
  }

  @Test(
    "A job file's errors name file and line",
    arguments: [
      ("model: lenet\nwrokers: 3\n", ":2: there is no setting wrokers; did you mean workers?"),
      ("model: lenet\nworkers: many\n", ":2: workers: many is no whole number"),
      ("clip-norm: -1\n", ":1: clip-norm: -1 is no number from 1e-30 to 1e+30"),
      ("workers: 2\nworkers: 3\n", "is set twice"),
      ("workers: [2]\n", ":1: workers takes one value"),
      ("- lenet\n", "a job file holds settings"),
      ("model: \"lenet\n", ":"),
    ])
  func jobFile(_ text: String, _ expected: String) throws {
    let folder = TemporaryFolder()
    let file = "\(folder.path)/job.yaml"
    try Data(text.utf8).write(to: URL(fileURLWithPath: file))
    let outcome = try Convoy.run(["train", "--job", file, "--run-dir", "\(folder.path)/run"])
    #expect(outcome.exitCode == 78)
    #expect(outcome.errors.contains(file) && outcome.errors.contains(expected), "\(outcome.errors)")
    #expect(outcome.errors.split(separator: "\n").count == 1)
  }

  @Test("Flags come before the environment, it before the file, and that before the defaults")
  func precedence() throws {
    let folder = TemporaryFolder()
    let file = "\(folder.path)/job.yaml"
    try Data("batch: 32\nseed: 3\nlearning-rate: 0.01\nmax-steps: 2\n".utf8).write(to: URL(fileURLWithPath: file))
    let run = "\(folder.path)/run"
    let outcome = try Convoy.run(
      ["train", "--job", file, "--seed", "5", "--workers", "1", "--transport", "inproc", "--run-dir", run, "--json"],
      environment: ["CONVOY_SEED": "4", "CONVOY_LEARNING_RATE": "0.02"])
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
    let job = try folder.read("run/job.yaml").split(separator: "\n")
    #expect(job.contains("seed: 5"))
    #expect(job.contains("learning-rate: 0.02"))
    #expect(job.contains("batch: 32"))
    #expect(job.contains("momentum: 0.9"))
  }

  @Test("A run folder that holds something is refused, and left as it is")
  func runFolder() throws {
    let folder = TemporaryFolder()
    try Data("mine".utf8).write(to: URL(fileURLWithPath: "\(folder.path)/notes.txt"))
    let outcome = try Convoy.run(["train", "--run-dir", folder.path])
    #expect(outcome.exitCode == 78)
    #expect(outcome.errors.contains("\(folder.path) is not empty (it has notes.txt)"))
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["notes.txt"])
  }

  @Test("A missing data set says which files and which package")
  func missingData() throws {
    let folder = TemporaryFolder()
    let outcome = try Convoy.run(
      ["train", "--data-dir", "\(folder.path)/none", "--run-dir", "\(folder.path)/run", "--max-steps", "1"])
    #expect(outcome.exitCode == 65)
    #expect(outcome.errors.contains("no train-labels-idx1-ubyte or train-labels-idx1-ubyte.gz in \(folder.path)/none"))
    #expect(outcome.errors.contains("apt install dataset-fashion-mnist"))
  }

  @Test("models and models show give the published counts as one JSON object")
  func models() throws {
    let list = try Convoy.run(["models", "--json"]).json()
    let models = try #require(list["models"] as? [[String: Any]])
    #expect(
      models.compactMap { $0["name"] as? String }
        == ["lenet", "lenet-5", "resnet-20", "alexnet", "vgg-16", "resnet-50"])
    let shown = try Convoy.run(["models", "show", "lenet", "--json"]).json()
    #expect(shown["parameters"] as? Int == 431_080)
    #expect(shown["forward_macs"] as? Int == 2_293_000)
    #expect(shown["input_shape"] as? [Int] == [1, 28, 28])
    let layers = try #require(shown["layers"] as? [[String: Any]])
    #expect(layers.first?["output_shape"] as? [Int] == [20, 24, 24])
    #expect(layers.first?["parameters"] as? Int == 520)
    let five = try Convoy.run(["models", "show", "lenet-5", "--json"]).json()
    #expect(five["parameters"] as? Int == 61_706)
    #expect(five["forward_macs"] as? Int == 416_520)
  }

  @Test("doctor finds this machine fit and says so in JSON")
  func doctor() throws {
    let outcome = try Convoy.run(["doctor", "--json"])
    #expect(outcome.exitCode == 0)
    #expect(try outcome.json()["ok"] as? Bool == true)
  }

  @Test("benchmark kernels measures every kernel beside a copy, on vectors of any length")
  func benchmarkKernels() throws {
    let outcome = try Convoy.run(["benchmark", "kernels", "--elements", "1001", "--rounds", "2", "--json"])
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
    let kernels = try #require(try outcome.json()["kernels"] as? [[String: Any]])
    #expect(kernels.first?["share_of_copy"] as? Double == 1)
    let names = kernels.compactMap { $0["name"] as? String }
    #expect(Set(names).isSuperset(of: ["copy", "adam", "fp32 to bf16", "squared norm", "crc-32c"]))
    #expect(kernels.allSatisfy { $0["gigabytes_per_second"] as? Double ?? 0 > 0 })
    let wrong = try Convoy.run(["benchmark", "kernels", "--elements", "0"])
    #expect(wrong.exitCode == 64)
    #expect(wrong.errors.contains("--elements: 0 is no whole number from 1 to"))
  }

  @Test("A result that cannot be written is a failure with one line, and no crash")
  func unwritable() throws {
    let shell = Process()
    let errors = Pipe()
    shell.executableURL = URL(filePath: "/bin/sh")
    shell.arguments = ["-c", "exec \"$0\" models --json >/dev/full", Convoy.executable.path]
    shell.standardError = errors
    try shell.run()
    let said = String(decoding: try errors.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
    shell.waitUntilExit()
    #expect(shell.terminationReason == .exit)
    #expect(shell.terminationStatus == 1)
    #expect(said == "convoy: the result cannot be written to standard output: No space left on device\n")
  }

  @Test("Help and version go to standard output")
  func help() throws {
    let help = try Convoy.run(["train", "--help"])
    #expect(help.exitCode == 0)
    #expect(help.output.contains("--learning-rate <x>"))
    #expect(try Convoy.run(["--version"]).output.hasPrefix("0."))
  }
}
