import Foundation
import Glibc
import TestSupport
import Testing

/// `convoy benchmark engine --torch`: what it measures, and that nothing of it stays, whatever ends it.
@Suite struct ComparisonTests {
  private let folder = TemporaryFolder()

  /// A stand-in for a Python with PyTorch: says its version, and then does as told.
  private func python(_ body: String) throws -> String {
    let path = "\(folder.path)/python"
    try writeProgram(
      """
      #!/bin/sh
      case "$2" in *print\\(torch*) echo 9.8.7; exit ;; esac
      \(body)
      """, to: path)
    return path
  }

  /// A pipe with a name; whoever opens it for reading waits for a writer.
  private func pipe() throws -> String {
    let path = "\(folder.path)/pipe"
    try #require(mkfifo(path, 0o600) == 0)
    return path
  }

  /// The number that whoever comes writes to a pipe.
  private func number(from pipe: String) throws -> pid_t? {
    let bytes = try FileHandle(forReadingFrom: URL(filePath: pipe)).readToEnd() ?? Data()
    return pid_t(String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines))
  }

  private func arguments(_ python: String, seconds: String = "0.01") -> [String] {
    ["benchmark", "engine", "--model", "lenet", "--batch", "4", "--torch", python, "--seconds", seconds, "--json"]
  }

  // MARK: What is left

  static let endings: [(Int32, Int32)] = [(SIGINT, 130), (SIGTERM, 143), (SIGHUP, 129), (SIGKILL, 137)]

  @Test("Whatever ends the comparison, the Python that it runs ends, and what that has started", arguments: endings)
  func pythonEnds(signal: Int32, code: Int32) throws {
    let pipe = try pipe()
    // As a wrapper would: the one that measures is another's child.
    let python = try python("exec 3<&0; sh -c 'echo $$ >\(pipe); exec cat' <&3 & wait")
    let job = try Running(arguments(python))
    let watched = try #require(try number(from: pipe).flatMap { Watched($0) })
    job.send(signal)
    #expect(watched.ends(withinSeconds: 600))
    #expect(job.wait().exitCode == code)
  }

  @Test("The script for PyTorch leaves when the comparison is killed, be it in an import")
  func scriptEnds() throws {
    let probe = Process()
    probe.executableURL = URL(filePath: "/usr/bin/env")
    probe.arguments = ["python3", "-c", ""]
    probe.standardError = FileHandle.nullDevice
    try probe.run()
    probe.waitUntilExit()
    guard probe.terminationStatus == 0 else {
      print("not tested: there is no python3")
      return
    }
    let pipe = try pipe()
    let module = """
      import os, sys, threading
      __version__ = "9.8.7"
      if len(sys.argv) > 1:
          with open("\(pipe)", "w") as pipe:
              pipe.write(str(os.getpid()))
          threading.Event().wait()
      """
    try Data(module.utf8).write(to: URL(filePath: "\(folder.path)/torch.py"))
    let job = try Running(arguments("python3"), environment: ["PYTHONPATH": folder.path])
    let watched = try #require(try number(from: pipe).flatMap { Watched($0) })
    job.send(SIGKILL)
    #expect(watched.ends(withinSeconds: 600))
    #expect(job.wait().exitCode == 137)
  }

  @Test("The process that measures Convoy's own side ends too", arguments: endings)
  func ownSideEnds(signal: Int32, code: Int32) throws {
    let job = try Running(arguments(try python("exit 1"), seconds: "3600"))
    try #require(job.waitForLine(containing: "timing lenet in fp32"), "\(job.wait().errors)")
    var own: pid_t?
    while own == nil, job.isRunning { own = children(of: job.identifier).first }
    let watched = try #require(own.flatMap { Watched($0) })
    job.send(signal)
    #expect(watched.ends(withinSeconds: 600))
    #expect(job.wait().exitCode == code)
  }

  // MARK: What is measured

  /// What was measured on either side: `lenet in fp32`, `PyTorch's lenet, fp32`; and the line of the result.
  private func measured(_ further: [String]) throws -> (sides: [String], line: [String: Any], errors: String) {
    let python = try python(#"echo '{"images_per_second": 10, "peak_memory_bytes": 1048576, "version": "9.8.7"}'"#)
    let outcome = try Convoy.run(arguments(python) + further)
    try #require(outcome.exitCode == 0, "\(outcome.errors)")
    let line = try #require((try outcome.json()["comparisons"] as? [[String: Any]])?.first)
    let sides = outcome.errors.matches(of: /timing (.*)/).map { String($0.1) }
    return (sides, line, outcome.errors)
  }

  @Test("--precision fp32 measures fp32 alone, on both sides")
  func fp32Alone() throws {
    let (sides, line, _) = try measured(["--precision", "fp32"])
    #expect(sides == ["lenet in fp32", "PyTorch's lenet, fp32", "PyTorch's lenet, fp32-channels-last"])
    #expect(line["fp32_ratio"] is Double)
    #expect(line.keys.filter { $0.contains("bf16") } == ["bf16_target"])
  }

  @Test("--precision bf16 measures bf16 alone, on both sides, whatever the processor has")
  func bf16Alone() throws {
    let (sides, line, errors) = try measured(["--precision", "bf16", "--engine", "openblas"])
    #expect(sides == ["lenet in bf16", "PyTorch's lenet, bf16-channels-last"])
    #expect(line["bf16_ratio"] is Double && line["bf16_precision"] as? String == "fp32")
    #expect(line["fp32_ratio"] == nil && line["convoy_fp32"] == nil && line["torch_fp32"] == nil)
    #expect(!errors.contains("bf16 is left out"))
  }

  @Test("Without --precision both are measured, but bf16 not where it would be emulated")
  func both() throws {
    let (sides, line, errors) = try measured(["--engine", "openblas"])
    #expect(sides == ["lenet in fp32", "PyTorch's lenet, fp32", "PyTorch's lenet, fp32-channels-last"])
    #expect(errors.contains("bf16 is left out: this processor has no instructions for it"))
    #expect(line["torch_bf16"] == nil)
  }
}
