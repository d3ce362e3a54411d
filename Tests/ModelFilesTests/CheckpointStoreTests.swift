import Glibc
import ModelFiles
import Tensors
import Testing

@Suite struct CheckpointStoreTests {
  private let folder = TemporaryFolder()
  private var store: CheckpointStore { CheckpointStore(folder: "\(folder.path)/run/checkpoints") }

  private func path(_ step: Int, _ file: String) -> String { "run/checkpoints/step-0000000\(step)/\(file)" }

  /// Replaces a file by what a change makes of it.
  private func change(_ name: String, _ body: (inout [UInt8]) -> Void) {
    var bytes = folder.read(name)
    body(&bytes)
    _ = folder.write(name, bytes)
  }

  private func refusal(_ name: String, _ expected: CheckpointExpectation = CheckpointExpectation()) -> ModelFileError? {
    #expect(throws: ModelFileError.self) { _ = try store.read(name, expecting: expected) }
  }

  @Test("What is written is read back, bit by bit, and says what it is of")
  func roundTrip() throws {
    let checkpoint = SmallCheckpoint.make(step: 1)
    let written = try store.write(checkpoint)
    #expect(written.name == "step-00000001")
    #expect(written.parametersSHA256 == checkpoint.parameters.sha256().description)
    let expected = CheckpointExpectation(
      network: SmallCheckpoint.network, data: checkpoint.data, layouts: SmallCheckpoint.layouts)
    let read = try store.read(written.name, expecting: expected)
    #expect(CheckpointContent(read) == CheckpointContent(checkpoint))
    #expect(read.slot("a")?.array == checkpoint.slot("a")?.array && read.slot("b") == nil)
    let newest = try store.readNewest()
    #expect(newest?.newest.name == "step-00000001" && newest?.newest.step == 1)
    #expect(newest?.newest.passedOver.isEmpty == true)
    #expect(try store.list().map(\.state) == [.good] && store.list().map(\.network) == ["small"])
  }

  @Test("Its model is a file for PyTorch: names, shapes and metadata")
  func model() throws {
    _ = try store.write(SmallCheckpoint.make(step: 1))
    let file = try Safetensors.read(path: "\(folder.path)/\(path(1, "model.safetensors"))")
    #expect(file.tensors.map(\.name) == ["conv1.weight", "conv1.bias", "bn1.running_mean", "bn1.running_var"])
    #expect(file.metadata["format"] == "pt" && file.metadata["convoy.model"] == "small")
    #expect(file.metadata["convoy.data"] == "digits" && file.metadata["convoy.step"] == "1")
    let parameters = SmallCheckpoint.make(step: 1).parameters
    #expect(file.metadata["convoy.parameters_sha256"] == parameters.sha256().description)
  }

  @Test("The same content gives the same bytes, and leaves nothing beside them")
  func deterministic() throws {
    let names = ["manifest.json", "model.safetensors", "state.safetensors"]
    _ = try store.write(SmallCheckpoint.make(step: 1))
    let first = names.map { folder.read(path(1, $0)) }
    _ = try store.write(SmallCheckpoint.make(step: 1))
    #expect(names.map { folder.read(path(1, $0)) } == first)
    #expect(try RealFileSystem.shared.list("\(store.folder)/step-00000001") == names)
    #expect(try RealFileSystem.shared.list(store.folder) == ["step-00000001"])
  }

  @Test("A bit that turns over in any byte of any file is found, and the newest good checkpoint is named")
  func flips() throws {
    _ = try store.write(SmallCheckpoint.make(step: 1))
    _ = try store.write(SmallCheckpoint.make(step: 2))
    for name in ["manifest.json", "model.safetensors", "state.safetensors"] {
      let bytes = folder.read(path(2, name))
      for bit in bytes.indices.map({ $0 * 8 + $0 % 8 }) {
        change(path(2, name)) { $0[bit / 8] ^= 1 << UInt8(bit % 8) }
        let error = #expect(throws: ModelFileError.self) { try store.inspectAll("step-00000002") }
        #expect(error?.path.contains("step-00000002/\(name)") == true, "bit \(bit) of \(name): \(error as Any)")
        if bit % 72 == 0 {
          #expect(refusal("step-00000002")?.problem.hasSuffix("; the newest good checkpoint is step-00000001") == true)
          let newest = try store.newest()
          #expect(newest?.name == "step-00000001")
          #expect(newest?.passedOver.map(\.name) == ["step-00000002"])
          #expect(try store.verify().map { $0.state == .good } == [true, false])
        }
        _ = folder.write(path(2, name), bytes)
      }
    }
    #expect(try store.newest()?.name == "step-00000002")
  }

  @Test("Every cut of any file is refused before it is read")
  func cuts() throws {
    _ = try store.write(SmallCheckpoint.make(step: 2))
    for name in ["manifest.json", "model.safetensors", "state.safetensors"] {
      let bytes = folder.read(path(2, name))
      for count in bytes.indices {
        _ = folder.write(path(2, name), Array(bytes[..<count]))
        let entry = try store.inspect("step-00000002", .sizes)
        guard case .damaged(let error) = entry.state else {
          Issue.record("\(count) bytes of \(name) pass for good")
          continue
        }
        #expect(!error.description.contains("\n"))
      }
      _ = folder.write(path(2, name), bytes)
    }
    _ = folder.write(path(2, "model.safetensors"), folder.read(path(2, "model.safetensors")) + [0])
    #expect(refusal("step-00000002")?.problem.contains("bytes, the manifest states") == true)
  }

  @Test("A checkpoint of another network, data set or layout is refused, and an older one is not taken for it")
  func mismatches() throws {
    _ = try store.write(SmallCheckpoint.make(step: 1))
    _ = try store.write(SmallCheckpoint.make(step: 2))
    let other = Checkpoint.Identity(name: "lenet", digest: "0011")
    let network = refusal("step-00000001", CheckpointExpectation(network: other))
    #expect(network?.kind == .mismatched)
    #expect(
      network?.problem
        == "it is of the network small (ab12), expected was lenet (0011); the newest good checkpoint is step-00000002")
    #expect(
      refusal("step-00000002", CheckpointExpectation(data: other))?.problem.contains("the data set digits") == true)
    var layout = ParameterLayout()
    layout.append("conv1.weight", shape: [2, 1, 2, 2])
    layout.append("conv1.bias", shape: [1, 2])
    let expected = CheckpointExpectation(layouts: (layout, SmallCheckpoint.layouts.buffers))
    #expect(
      refusal("step-00000002", expected)?.problem
        .contains("it has conv1.bias of 2 where conv1.bias of 1×2 was expected") == true)
    #expect(throws: ModelFileError.self) { _ = try store.readNewest(expecting: expected) }
  }

  @Test("A newer format is refused as such, and passed over")
  func newerFormat() throws {
    _ = try store.write(SmallCheckpoint.make(step: 1))
    _ = try store.write(SmallCheckpoint.make(step: 2))
    let text = String(decoding: folder.read(path(2, "manifest.json")), as: UTF8.self)
    let newer = text.split(separator: "\n", omittingEmptySubsequences: false)
      .map { $0.contains("format_version") ? "  \"format_version\" : 9," : String($0) }.joined(separator: "\n")
    _ = folder.write(path(2, "manifest.json"), Array(newer.utf8))
    let error = refusal("step-00000002")
    #expect(error?.kind == .newerFormat)
    #expect(error?.problem.hasPrefix("it is of format 9, and this build reads up to 1") == true)
    #expect(try store.readNewest()?.newest.passedOver.map(\.reason.kind) == [.newerFormat])
  }

  @Test("A folder without a manifest does not count, is cleaned away, and what is not ours stays")
  func unfinished() throws {
    _ = try store.write(SmallCheckpoint.make(step: 1))
    for step in [2, 3] {
      _ = try store.write(SmallCheckpoint.make(step: step))
      remove("\(folder.path)/\(path(step, "manifest.json"))")
    }
    _ = folder.write(path(3, "notes.txt"), [1])
    #expect(try store.list().map(\.state) == [.good, .unfinished, .unfinished])
    #expect(try store.newest()?.name == "step-00000001")
    #expect(refusal("step-00000002")?.kind == .missing)
    #expect(try store.clean() == ["step-00000002", "step-00000003"])
    #expect(try RealFileSystem.shared.list(store.folder) == ["step-00000001", "step-00000003"])
    #expect(try RealFileSystem.shared.list("\(store.folder)/step-00000003") == ["notes.txt"])
  }

  @Test("Pruning keeps the last and the best, and neither counts nor touches damaged ones")
  func prune() throws {
    for step in 1...7 { _ = try store.write(SmallCheckpoint.make(step: step)) }
    change(path(7, "manifest.json")) { $0[40] ^= 1 }
    #expect(try store.prune(keepLast: 2, best: [2]) == ["step-00000001", "step-00000003", "step-00000004"])
    #expect(try store.list().map(\.step) == [2, 5, 6, 7])
    #expect(try store.verify().map { $0.state == .good } == [true, true, true, false])
  }

  @Test("What is added to a manifest is read back with what it said before, and the checkpoint stays good")
  func annotate() throws {
    _ = try store.write(SmallCheckpoint.make(step: 1))
    let files = ["model.safetensors", "state.safetensors"].map { folder.read(path(1, $0)) }
    try store.annotate("step-00000001", era: 3, ["accuracy": "0.5", "π": "3"])
    try store.annotate("step-00000001", era: 3, ["accuracy": "0.75"])
    let entry = try #require(store.verify().first)
    #expect(entry.state == .good && entry.metadata == ["accuracy": "0.75", "π": "3", "job": "mode: sync\n"])
    let read = try store.read("step-00000001")
    #expect(read.metadata == entry.metadata)
    #expect(["model.safetensors", "state.safetensors"].map { folder.read(path(1, $0)) } == files)
    // Written again after the job went back: what was found of the one before is none of its.
    let error = #expect(throws: ModelFileError.self) { try store.annotate("step-00000001", era: 2, ["accuracy": "1"]) }
    #expect(error?.problem == "it is of era 3, expected was one of era 2")
    #expect(throws: ModelFileError.self) { try store.annotate("step-00000002", era: 3, [:]) }
    #expect(try store.list().map(\.metadata) == [entry.metadata])
  }

  @Test("A damaged checkpoint is replaced by a good one of its step")
  func replaced() throws {
    _ = try store.write(SmallCheckpoint.make(step: 2))
    change(path(2, "state.safetensors")) { $0[200] ^= 1 }
    _ = try store.write(SmallCheckpoint.make(step: 2, value: 5))
    let read = try store.read("step-00000002")
    #expect(CheckpointContent(read) == CheckpointContent(SmallCheckpoint.make(step: 2, value: 5)))
    #expect(try RealFileSystem.shared.list(store.folder) == ["step-00000002"])
  }

  @Test("Nothing there, and names that are none")
  func nothing() throws {
    #expect(try store.newest() == nil && store.readNewest() == nil && store.list().isEmpty && store.clean().isEmpty)
    for name in ["step-1", "step--0000001", "step-000000012", "../step-00000001", "", "step-00000001.old"] {
      #expect(refusal(name)?.problem.contains("no checkpoint's name") == true)
    }
    #expect(refusal("step-00000001")?.problem.hasSuffix("there is no other good checkpoint") == true)
  }
}

extension CheckpointStore {
  /// Throws why a checkpoint is not good.
  func inspectAll(_ name: String) throws {
    if case .damaged(let error) = try inspect(name, .contents).state { throw error }
  }
}
