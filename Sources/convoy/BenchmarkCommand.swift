import ArgumentParser
import Benchmarks
import Foundation
import Runtime

/// `convoy benchmark`: measurements that anyone can repeat.
struct BenchmarkCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "benchmark", abstract: "Measure parts of Convoy on this machine.",
    subcommands: [BenchmarkEngineCommand.self, BenchmarkKernelsCommand.self])
}

/// `convoy benchmark kernels`.
struct BenchmarkKernelsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "kernels",
    abstract: "Measure optimizers, 16-bit forms, norms and checksums beside the machine's copy speed.",
    discussion: "One thread. Bytes read and written are counted; the copy is memcpy, in the same rounds.")

  @Option(help: ArgumentHelp("numbers in each vector", valueName: "n")) var elements = 16_777_216
  @Option(help: ArgumentHelp("rounds that are measured; the median counts", valueName: "n")) var rounds = 9
  @Flag(help: "print one JSON object on standard output, and nothing else there") var json = false

  private struct Report: Encodable {
    let elements: Int
    let rounds: Int
    let kernels: [KernelMeasurement]
  }

  func validate() throws {
    guard (1...1 << 30).contains(elements) else {
      throw ValidationError("--elements: \(elements) is no whole number from 1 to \(1 << 30)")
    }
    guard (1...10_000).contains(rounds) else {
      throw ValidationError("--rounds: \(rounds) is no whole number from 1 to 10000")
    }
  }

  func run() throws {
    let kernels = KernelBenchmark(elements: elements, rounds: rounds).run()
    if json {
      return Terminal.result(JSONText.line(Report(elements: elements, rounds: rounds, kernels: kernels)))
    }
    for kernel in kernels {
      let speed = String(format: "%8.2f GB/s", kernel.gigabytesPerSecond)
      let share = String(format: "%6.0f %% of copy", 100 * kernel.shareOfCopy)
      Terminal.result("\(kernel.name.padding(toLength: 16, withPad: " ", startingAt: 0))\(speed)\(share)")
    }
  }
}
