import Foundation
import Glibc
import TestSupport
import Testing

/// A job that ends before its first step: its exit code, whoever speaks first, and that nothing is left of it.
@Suite struct FailedStartTests {
  private let folder = TemporaryFolder()

  private static let packaged = "/usr/share/datasets/fashion-mnist"
  private static let names = ["train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"]

  /// A folder of the data set in which one file has a byte that is another, or has lost its second half.
  private func data(damaging damaged: String, cutShort: Bool = false) throws -> String {
    let data = "\(folder.path)/data"
    try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: true)
    for name in Self.names {
      let source = "\(Self.packaged)/\(name)-ubyte.gz"
      guard name == damaged else {
        try FileManager.default.createSymbolicLink(
          atPath: "\(data)/\(name)-ubyte.gz", withDestinationPath: source)
        continue
      }
      var bytes = try Data(contentsOf: URL(filePath: source))
      if cutShort {
        try bytes.prefix(bytes.count / 2).write(to: URL(filePath: "\(data)/\(name)-ubyte.gz"))
        continue
      }
      let gzip = Process()
      let pipe = Pipe()
      gzip.executableURL = URL(filePath: "/usr/bin/env")
      gzip.arguments = ["gzip", "-dc", source]
      gzip.standardOutput = pipe
      try gzip.run()
      bytes = try pipe.fileHandleForReading.readToEnd() ?? Data()
      gzip.waitUntilExit()
      // Another class of clothes, or another shade: nothing but the digest tells.
      bytes[bytes.count - 1] ^= 1
      try bytes.write(to: URL(filePath: "\(data)/\(name)-ubyte"))
    }
    return data
  }

  private var run: String { "\(folder.path)/runs/a/run" }

  private func train(_ data: String, _ further: [String] = []) -> [String] {
    ["train", "--max-steps", "2", "--data-dir", data, "--run-dir", run] + further
  }

  // MARK: The kind of a failure

  @Test(
    "Training data that is damaged ends a job with 65, whichever of its processes is heard first",
    arguments: ["ipc", "inproc"])
  func trainingData(transport: String) throws {
    let data = try data(damaging: "train-labels-idx1", cutShort: transport == "ipc")
    let arguments = train(data, ["--servers", "3", "--workers", "2", "--transport", transport])
    for _ in 0..<(transport == "ipc" ? 3 : 1) {
      let outcome = try Convoy.run(arguments)
      #expect(outcome.exitCode == 65, "\(outcome.errors)")
      #expect(outcome.errors.contains("train-labels-idx1-ubyte"), "\(outcome.errors)")
      #expect(outcome.errors.contains("the run is not kept"), "\(outcome.errors)")
      #expect(!FileManager.default.fileExists(atPath: "\(folder.path)/runs"))
    }
  }

  @Test("Of a job started by hand each process ends with the code of the one that failed")
  func byHand() throws {
    let data = try data(damaging: "train-labels-idx1")
    let job = "\(folder.path)/job.yaml"
    try Data("workers: 1\nmax-steps: 2\ndata-dir: \(data)\n".utf8).write(to: URL(filePath: job))
    let environment = ["XDG_RUNTIME_DIR": folder.path]
    let coordinator = try Running(
      ["coordinator", "--job", job, "--listen", "tcp://127.0.0.1:0", "--run-dir", run], environment: environment)
    #expect(coordinator.waitForLine(containing: "listens on tcp://"))
    let line = try #require(coordinator.line(containing: "listens on tcp://"))
    let address = String(try #require(line.firstMatch(of: /tcp:\/\/[0-9.:]+/)).0)
    let server = try Running(["server", "--coordinator", address], environment: environment)
    #expect(coordinator.waitForLine(containing: "server.0 has joined"))
    let worker = try Running(["worker", "--coordinator", address], environment: environment)
    for process in [worker, server, coordinator] {
      let outcome = process.wait()
      #expect(outcome.exitCode == 65 && outcome.errors.contains("train-labels-idx1-ubyte"), "\(outcome.errors)")
    }
    #expect(!FileManager.default.fileExists(atPath: run))
  }

  @Test(
    "Test data that is damaged is noticed before anything is started",
    arguments: ["t10k-labels-idx1", "t10k-images-idx3"])
  func testData(name: String) throws {
    let data = try data(damaging: name)
    for transport in ["ipc", "inproc"] {
      let outcome = try Convoy.run(train(data, ["--transport", transport]))
      #expect(outcome.exitCode == 65, "\(outcome.errors)")
      #expect(outcome.errors.split(separator: "\n").count == 1 && outcome.errors.contains("\(name)-ubyte: "))
      #expect(!FileManager.default.fileExists(atPath: "\(folder.path)/runs"))
    }
    let job = "\(folder.path)/job.yaml"
    try Data("workers: 1\ndata-dir: \(data)\n".utf8).write(to: URL(filePath: job))
    let coordinator = try Convoy.run([
      "coordinator", "--job", job, "--listen", "tcp://127.0.0.1:0", "--run-dir", run,
    ])
    #expect(coordinator.exitCode == 65 && !FileManager.default.fileExists(atPath: "\(folder.path)/runs"))
  }

  // MARK: What is left

  @Test("A folder that was there and empty is empty again, and one of the default name is gone")
  func folders() throws {
    let data = try data(damaging: "train-labels-idx1")
    try FileManager.default.createDirectory(atPath: run, withIntermediateDirectories: true)
    #expect(try Convoy.run(train(data)).exitCode == 65)
    #expect(try FileManager.default.contentsOfDirectory(atPath: run).isEmpty)
    let elsewhere = "\(folder.path)/elsewhere"
    try FileManager.default.createDirectory(atPath: elsewhere, withIntermediateDirectories: true)
    let outcome = try Convoy.run(
      ["train", "--max-steps", "2", "--data-dir", data], behind: ["/usr/bin/env", "-C", elsewhere])
    #expect(outcome.exitCode == 65 && outcome.errors.contains("run folder: runs/lenet-"), "\(outcome.errors)")
    #expect(try FileManager.default.contentsOfDirectory(atPath: elsewhere).isEmpty)
  }

  @Test("A job that is interrupted before its first step leaves nothing either", arguments: ["train", "coordinator"])
  func interrupted(command: String) throws {
    // Workers wait for the writer of a file of theirs.
    let data = try data(damaging: "train-images-idx3", cutShort: true)
    let file = "\(data)/train-images-idx3-ubyte.gz"
    try FileManager.default.removeItem(atPath: file)
    try #require(mkfifo(file, 0o600) == 0)
    let job: Running
    if command == "train" {
      job = try Running(train(data))
      #expect(job.waitForLine(containing: "run folder: "))
    } else {
      let settings = "\(folder.path)/job.yaml"
      try Data("workers: 1\n".utf8).write(to: URL(filePath: settings))
      job = try Running(["coordinator", "--job", settings, "--listen", "tcp://127.0.0.1:0", "--run-dir", run])
      #expect(job.waitForLine(containing: "listens on "))
    }
    job.send(SIGINT)
    let outcome = job.wait()
    #expect(outcome.exitCode == 130, "\(outcome.errors)")
    let left = FileManager.default.subpaths(atPath: "\(folder.path)/runs") ?? []
    #expect(!FileManager.default.fileExists(atPath: "\(folder.path)/runs"), "\(left): \(outcome.errors)")
  }
}
