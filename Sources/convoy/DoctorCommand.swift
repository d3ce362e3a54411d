import ArgumentParser
import Datasets
import Engines
import Foundation
import Observability
import Runtime
import Transport
import WireFormat

/// `convoy doctor`: whether this machine can train.
struct DoctorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor", abstract: "Check whether this machine has what Convoy needs.")

  @Flag(help: "print one JSON object on standard output, and nothing else there") var json = false

  private struct Check: Encodable {
    let name: String
    let ok: Bool
    let found: String
  }

  private struct Report: Encodable {
    let ok: Bool
    let checks: [Check]
  }

  func run() throws {
    let checks =
      [Self.program, Self.processor, Self.libraries] + DatasetCatalogue.names.map(Self.data) + [
        Self.loopback, Self.interfaces, Self.temporaryFolder,
      ]
    let isHealthy = checks.allSatisfy(\.ok)
    if json {
      Terminal.result(JSONText.line(Report(ok: isHealthy, checks: checks)))
    } else {
      for check in checks { Terminal.result("\(check.ok ? "ok     " : "FAILED ") \(check.name): \(check.found)") }
    }
    if !isHealthy { throw ArgumentParser.ExitCode(Runtime.ExitCode.failed.rawValue) }
  }

  private static var program: Check {
    #if swift(>=6.3)
      let swift = "6.3 or newer"
    #else
      let swift = "before 6.3"
    #endif
    return Check(name: "convoy", ok: true, found: "\(Build.version), built with Swift \(swift)")
  }

  private static var processor: Check {
    let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    let model = text.split(separator: "\n").first { $0.hasPrefix("model name") }?
      .split(separator: ":").last.map { $0.trimmingCharacters(in: .whitespaces) }
    let cores = ProcessInfo.processInfo.activeProcessorCount
    let memory = ProcessInfo.processInfo.physicalMemory >> 30
    return Check(name: "processor", ok: true, found: "\(model ?? "unknown"), \(cores) cores, \(memory) GiB of memory")
  }

  private static var oneDNN: String {
    #if OneDNN
      "oneDNN \(OneDNNEngine.libraryVersion) (\(OneDNNEngine.instructionSet))"
    #else
      "built without oneDNN"
    #endif
  }

  private static var libraries: Check {
    Check(
      name: "libraries", ok: true,
      found: [
        "OpenBLAS \(OpenBLASEngine.libraryVersion) (\(OpenBLASEngine.libraryCore))",
        oneDNN, "libzmq \(ZeroMQTransport.libraryVersion)", "protobuf-c \(WireFormat.libraryVersion)",
      ].joined(separator: ", "))
  }

  private static func data(_ name: String) -> Check {
    do throws(DatasetError) {
      let train = try DatasetCatalogue.load(name, split: .train)
      let test = try DatasetCatalogue.load(name, split: .test)
      return Check(
        name: "data set \(name)", ok: true,
        found: "\(train.count) training and \(test.count) test images, checksums hold")
    } catch {
      return Check(name: "data set \(name)", ok: false, found: error.description)
    }
  }

  private static var loopback: Check {
    do throws(TransportError) {
      let security = try TransportSecurity(sharedSecret: [UInt8](repeating: 0, count: 32))
      let hub = try ZeroMQTransport(security: security).makeHub(
        HubLimits(maximumFrameBytes: 1024, maximumFrames: 2, maximumQueuedMessages: 16))
      defer { hub.close(lingerMilliseconds: 0) }
      let address = try hub.listen(on: .tcp(host: "127.0.0.1", port: 0))
      return Check(name: "loopback", ok: true, found: "a socket can listen, on \(address)")
    } catch {
      return Check(name: "loopback", ok: false, found: error.description)
    }
  }

  /// By which addresses other machines reach this one: what servers tell workers is one of them.
  private static var interfaces: Check {
    do throws(TransportError) {
      let reached = try Interfaces.all().filter { interface in
        interface.hosts.contains { !Address.tcp(host: $0, port: 1).isLoopback }
      }
      let found = reached.map { "\($0)" }.joined(separator: ", ")
      return Check(
        name: "interfaces", ok: true,
        found: found.isEmpty ? "none but loopback: jobs stay on this machine" : "other machines reach \(found)")
    } catch {
      return Check(name: "interfaces", ok: false, found: error.description)
    }
  }

  private static var temporaryFolder: Check {
    let folder = NSTemporaryDirectory()
    let file = "\(folder)convoy-doctor-\(getpid())"
    defer { unlink(file) }
    guard FileManager.default.createFile(atPath: file, contents: Data([0])) else {
      return Check(
        name: "temporary folder", ok: false, found: "\(folder) cannot be written to: set TMPDIR to one that can")
    }
    return Check(name: "temporary folder", ok: true, found: folder)
  }
}
