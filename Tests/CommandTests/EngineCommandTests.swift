import Engines
import Foundation
import TestSupport
import Testing

/// `convoy benchmark engine` and `convoy models show --plan`.
@Suite struct EngineCommandTests {
  @Test(
    "What is asked for wrongly is refused in one line",
    arguments: [
      (["benchmark", "engine", "--model", "lenett"], 64, "there is no model lenett; did you mean lenet?"),
      (["benchmark", "engine", "--memory-limit", "much"], 64, "--memory-limit much: it takes a number and a unit"),
      (["benchmark", "engine", "--precision", "fp8"], 64, "--precision fp8: it takes fp32 or bf16"),
      (["benchmark", "engine", "--torch", "x", "--layers"], 64, "--torch compares whole steps"),
      (["benchmark", "engine", "--torch", "x", "--batch", "3"], 64, "without --model each network has its own"),
      (["benchmark", "engine", "--torch", "x", "--model", "lenet-5"], 64, "lenet-5 is not among the networks"),
      (
        ["benchmark", "engine", "--torch", "/nowhere/python"], 78,
        "/nowhere/python cannot be started: No such file or directory"
      ),
      (["benchmark", "engine", "--torch", "false"], 78, "--torch false: this Python has no PyTorch"),
      (["benchmark", "engine", "--memory-limit", "1KiB"], 78, "a batch of 64 takes at least"),
      (["benchmark", "engine", "--model", "vgg-16", "--batch", "65536"], 78, "this machine has"),
      (["models", "show", "lenet", "--batch", "3"], 64, "--batch is an option of --plan"),
      (["models", "show", "resnet-20", "--plan", "--memory-limit", "1MiB"], 78, "the memory limit is 1 MiB"),
    ])
  func refused(_ arguments: [String], _ exitCode: Int32, _ expected: String) throws {
    let outcome = try Convoy.run(arguments)
    #expect(outcome.exitCode == exitCode, "\(outcome.errors)")
    #expect(outcome.errors.contains(expected), "\(outcome.errors)")
    #expect(outcome.output.isEmpty)
    if exitCode != 64 { #expect(outcome.errors.split(separator: "\n").count == 1, "\(outcome.errors)") }
  }

  @Test(arguments: Engines.names) func plansAreShown(_ engine: String) throws {
    let arguments = ["models", "show", "lenet", "--plan", "--batch", "8", "--engine", engine]
    let plan = try Convoy.run(arguments + ["--json"]).json()
    let passes = try #require(plan["passes"] as? [[String: Any]])
    // 2,293,000 multiply-adds forward, as often backward for the weights, and for the inputs but the first layer's.
    #expect(plan["flop"] as? Int == 2 * 8 * (3 * 2_293_000 - 288_000))
    #expect(passes.allSatisfy { $0["layout"] is String && ($0["implementation"] as? String)?.isEmpty == false })
    let forward = try #require(passes.first { $0["purpose"] as? String == "conv2 forward" })
    #expect(forward["output_bytes"] as? Int == 8 * 50 * 8 * 8 * 4)
    #expect(forward["layout"] as? String == (engine == "onednn" ? "acdb" : "bacd"))
    let (arena, peak) = (plan["arena_bytes"] as? Int ?? 0, plan["peak_bytes"] as? Int ?? 0)
    #expect(arena >= peak && peak > 8 * 20 * 24 * 24 * 4)
    let table = try Convoy.run(arguments)
    #expect(table.output.contains("conv2 forward") && table.output.contains("arena "))
  }

  @Test func aMemoryLimitHasLayersComputedTwice() throws {
    guard Engines.defaultName == "onednn" else { return }
    let arguments = ["models", "show", "resnet-20", "--plan", "--batch", "32", "--json"]
    let full = try Convoy.run(arguments).json()
    let limit = try #require(full["arena_bytes"] as? Int) / 10 * 8
    let limited = try Convoy.run(arguments + ["--memory-limit", "\(limit)"]).json()
    #expect(try #require(limited["arena_bytes"] as? Int) <= limit)
    #expect(try #require(limited["recomputed_layers"] as? Int) > 0)
    #expect(full["recomputed_layers"] as? Int == 0)
  }

  @Test(arguments: Engines.names) func anEngineIsBenchmarked(_ engine: String) throws {
    let report = try Convoy.run([
      "benchmark", "engine", "--batch", "4", "--threads", "2", "--seconds", "0.01", "--layers", "--bare", "--engine",
      engine, "--json",
    ]).json()
    for key in ["images_per_second", "gflops_per_second", "peak_gflops_per_second", "share_of_peak"] {
      #expect((report[key] as? Double ?? 0) > 0, "\(key)")
    }
    #expect(try #require(report["peak_memory_bytes"] as? Int) > 1 << 20)
    #expect((report["bare_images_per_second"] != nil) == (engine == "onednn"))
    let layers = try #require(report["layers"] as? [[String: Any]])
    let layer = try #require(layers.first { $0["name"] as? String == "conv2" })
    #expect((layer["gflops_per_second"] as? Double ?? 0) > 0)
    let passes = try #require(layer["passes"] as? [[String: Any]])
    #expect(passes.contains { $0["purpose"] as? String == "conv2 forward" })
  }

  /// A program that answers as a Python with PyTorch would, channels-last being the faster.
  @Test func theComparisonIsATable() throws {
    let folder = TemporaryFolder()
    let python = "\(folder.path)/python"
    let script = """
      #!/bin/sh
      case "$2" in *print\\(torch*) echo 9.8.7; exit ;; esac
      rate=10; case "$6" in fp32-channels-last) rate=20 ;; bf16*) rate=40 ;; esac
      test "$3 $4 $5" = "lenet 4 2" || exit 1
      echo "{\\"images_per_second\\": $rate, \\"peak_memory_bytes\\": 209715200, \\"version\\": \\"9.8.7\\"}"
      """
    try writeProgram(script, to: python)
    let arguments = [
      "benchmark", "engine", "--torch", python, "--model", "lenet", "--batch", "4", "--threads", "2", "--seconds",
      "0.01",
    ]
    let report = try Convoy.run(arguments + ["--json"]).json()
    #expect(report["torch"] as? String == "9.8.7")
    let line = try #require((report["comparisons"] as? [[String: Any]])?.first)
    #expect(line["torch_fp32"] as? Double == 20)
    #expect(line["torch_fp32_layout"] as? String == "channels_last")
    // Where the processor has no bf16 it is left out.
    let hasBF16 = Engines.engine(named: Engines.defaultName)?.supports(.bf16) ?? false
    #expect(line["torch_bf16"] as? Double == (hasBF16 ? 40 : nil))
    let (own, ratio) = (line["convoy_fp32"] as? Double ?? 0, line["fp32_ratio"] as? Double ?? 0)
    #expect(own > 0 && abs(ratio - own / 20) <= 0.001 * ratio + 0.001)
    #expect(line["torch_fp32_memory_bytes"] as? Int == 200 << 20)
    let table = try Convoy.run(arguments)
    #expect(table.output.contains("PyTorch 9.8.7") && table.output.contains("/ 200"))
    #expect(table.output.split(separator: "\n").contains { $0.hasPrefix("lenet ") && $0.contains("20.0") })
  }
}
