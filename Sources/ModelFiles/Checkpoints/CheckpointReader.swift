import Tensors

/// Reads the files of one checkpoint: sizes, names and counts are checked before memory is taken, and every byte is
/// digested on its way into it.
struct CheckpointReader {
  private static let pieceBytes = 256 << 10

  let folder: String
  let manifest: Manifest
  private let files: any FileSystem

  /// Opens a checkpoint whose manifest is good and whose files have the sizes that it states.
  init(folder: String, step: Int, _ files: any FileSystem) throws(ModelFileError) {
    self.folder = folder
    self.files = files
    manifest = try Manifest.read(in: folder, files)
    guard manifest.step == step else {
      throw damaged("it is of step \(manifest.step), its folder's name says \(step)")
    }
    guard manifest.parameters >= 0, manifest.buffers >= 0 else { throw damaged("a count is negative") }
    for name in [CheckpointWriter.modelName, CheckpointWriter.stateName] {
      let entry = try manifest.file(name, in: folder)
      let file = try ReadableFile("\(folder)/\(name)", files)
      guard file.size == entry.bytes else {
        throw file.error("it has \(file.size) bytes, the manifest states \(entry.bytes)")
      }
    }
  }

  private func damaged(_ problem: String) -> ModelFileError {
    ModelFileError(path: "\(folder)/\(Manifest.fileName)", problem: problem, kind: .damaged)
  }

  /// Bytes of the files that the manifest speaks of.
  var byteCount: Int { manifest.files.reduce(0) { $0 &+ $1.bytes } }

  // MARK: What it is of

  /// Refuses a checkpoint that is whole, but of something else.
  func require(_ expected: CheckpointExpectation) throws(ModelFileError) {
    for (what, own, wanted) in [
      ("network", manifest.network, expected.network), ("data set", manifest.data, expected.data),
    ] {
      guard let wanted, wanted != own else { continue }
      throw mismatch("it is of the \(what) \(Self.text(own)), expected was \(Self.text(wanted))")
    }
  }

  private func mismatch(_ problem: String) -> ModelFileError {
    ModelFileError(path: "\(folder)/\(Manifest.fileName)", problem: problem, kind: .mismatched)
  }

  private static func text(_ identity: Checkpoint.Identity) -> String {
    identity.digest.isEmpty ? identity.name : "\(identity.name) (\(identity.digest.prefix(12)))"
  }

  private func require(_ layout: ParameterLayout, is wanted: ParameterLayout) throws(ModelFileError) {
    guard layout != wanted else { return }
    for (index, entry) in wanted.entries.enumerated() {
      guard index < layout.entries.count else { throw mismatch("the tensor \(entry.name) is missing") }
      let other = layout.entries[index]
      guard other != entry else { continue }
      throw mismatch("it has \(other.name) of \(other.shape) where \(entry.name) of \(entry.shape) was expected")
    }
    throw mismatch("the tensor \(layout.entries[wanted.entries.count].name) is none of the network's")
  }

  // MARK: Reading

  /// Reads all bytes and compares their digests; keeps none.
  func verify() throws(ModelFileError) {
    for name in [CheckpointWriter.modelName, CheckpointWriter.stateName] {
      let entry = try manifest.file(name, in: folder)
      let file = try ReadableFile("\(folder)/\(name)", files)
      let prefix = try SafetensorsFile.readPrefix(file)
      let header = try SafetensorsFile(file, prefix: prefix)
      if name == CheckpointWriter.modelName { _ = try layouts(of: header) } else { try checkState(header) }
      try load(file, entry, prefix: prefix, into: [])
    }
  }

  /// Reads the checkpoint into memory.
  func read(_ expected: CheckpointExpectation) throws(ModelFileError) -> Checkpoint {
    try require(expected)
    let model = try ReadableFile("\(folder)/\(CheckpointWriter.modelName)", files)
    let modelPrefix = try SafetensorsFile.readPrefix(model)
    let layouts = try layouts(of: SafetensorsFile(model, prefix: modelPrefix))
    if let wanted = expected.layouts {
      try require(layouts.parameters, is: wanted.parameters)
      try require(layouts.buffers, is: wanted.buffers)
    }
    let state = try ReadableFile("\(folder)/\(CheckpointWriter.stateName)", files)
    let statePrefix = try SafetensorsFile.readPrefix(state)
    try checkState(SafetensorsFile(state, prefix: statePrefix))

    let parameters = FlatVector(count: manifest.parameters)
    let buffers = FlatVector(count: manifest.buffers)
    try load(
      model, manifest.file(CheckpointWriter.modelName, in: folder), prefix: modelPrefix,
      into: [Self.bytes(parameters), Self.bytes(buffers)])
    let slots = manifest.slots.map { Checkpoint.Slot(name: $0, vector: FlatVector(count: manifest.parameters)) }
    let counters = try loadState(state, prefix: statePrefix, slots)
    return Checkpoint(
      step: manifest.step, version: manifest.version, era: manifest.era, network: manifest.network,
      data: manifest.data, metadata: manifest.metadata, layout: layouts.parameters, bufferLayout: layouts.buffers,
      parameters: parameters, buffers: buffers, slots: slots, counters: counters)
  }

  private static func bytes(_ vector: FlatVector) -> UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: vector.pointer, count: vector.count * MemoryLayout<Float>.stride)
  }

  /// The counters lie before the slots, one after the other: they are read as one array.
  private func loadState(
    _ file: borrowing ReadableFile, prefix: [UInt8], _ slots: [Checkpoint.Slot]
  ) throws(ModelFileError) -> [String: [UInt64]] {
    let entry = try manifest.file(CheckpointWriter.stateName, in: folder)
    let names = manifest.counters.sorted { $0.key < $1.key }
    let all = AlignedBuffer<UInt64>(count: names.reduce(0) { $0 + $1.value })
    let numbers = UnsafeMutableBufferPointer(start: all.pointer, count: all.count)
    try load(
      file, entry, prefix: prefix, into: [UnsafeMutableRawBufferPointer(numbers)] + slots.map { Self.bytes($0.vector) })
    var counters: [String: [UInt64]] = [:]
    var start = 0
    for (name, count) in names {
      counters[name] = Array(numbers[start..<start + count])
      start += count
    }
    return counters
  }

  /// Reads what follows the prefix into the targets, one after the other, and compares the whole file's digest.
  /// Without targets the bytes are dropped.
  private func load(
    _ file: borrowing ReadableFile, _ entry: Manifest.File, prefix: [UInt8],
    into targets: [UnsafeMutableRawBufferPointer]
  ) throws(ModelFileError) {
    var hasher = SHA256()
    hasher.update(prefix)
    var offset = prefix.count
    for target in targets {
      for start in stride(from: 0, to: target.count, by: Self.pieceBytes) {
        let piece = UnsafeMutableRawBufferPointer(
          rebasing: target[start..<min(start + Self.pieceBytes, target.count)])
        try file.read(into: piece, at: offset)
        hasher.update(UnsafeRawBufferPointer(piece))
        offset += piece.count
      }
    }
    while offset < entry.bytes {
      let bytes = try file.read(min(Self.pieceBytes, entry.bytes - offset), at: offset)
      hasher.update(bytes)
      offset += bytes.count
    }
    let digest = hasher.finalize().description
    guard digest == entry.sha256 else {
      throw file.error("its SHA-256 is \(digest.prefix(12))…, the manifest states \(entry.sha256.prefix(12))…")
    }
  }

  // MARK: What the headers must say

  /// The layouts that the model's header states: parameters first, then buffers, as many as the manifest says.
  private func layouts(
    of header: SafetensorsFile
  ) throws(ModelFileError) -> (parameters: ParameterLayout, buffers: ParameterLayout) {
    var parameters = ParameterLayout()
    var buffers = ParameterLayout()
    for tensor in header.tensors {
      guard tensor.dtype == "F32" else { throw Self.damaged(header, "\(tensor.name) is \(tensor.dtype), not F32") }
      // A tensor without elements at the boundary is a parameter: no network has one.
      if parameters.count < manifest.parameters {
        parameters.append(tensor.name, shape: tensor.shape)
      } else {
        buffers.append(tensor.name, shape: tensor.shape)
      }
    }
    guard parameters.count == manifest.parameters, buffers.count == manifest.buffers else {
      throw Self.damaged(
        header,
        "it has \(parameters.count) parameters and \(buffers.count) buffers, the manifest states \(manifest.parameters) and \(manifest.buffers)"
      )
    }
    return (parameters, buffers)
  }

  /// Refuses a state file whose tensors are not those that the manifest states, each at its place.
  private func checkState(_ header: SafetensorsFile) throws(ModelFileError) {
    let sizes = manifest.counters.sorted { $0.key < $1.key }.map { (name: $0.key, count: $0.value) }
    // The header was checked against the file: a count that is none of its shapes is refused before it is multiplied.
    let extents = Dictionary(
      header.tensors.map { ($0.name, $0.shape.extents) }, uniquingKeysWith: { first, _ in first })
    for (name, count) in sizes where extents["counters/\(name)"] != [count] {
      throw Self.damaged(header, "it has no counter \(name) of \(count) numbers, as the manifest states")
    }
    for name in manifest.slots where extents["slots/\(name)"] != [manifest.parameters] {
      throw Self.damaged(header, "it has no slot \(name) of \(manifest.parameters) numbers, as the manifest states")
    }
    let wanted = CheckpointWriter.stateTensors(counters: sizes, slots: manifest.slots, parameters: manifest.parameters)
    guard header.tensors.count == wanted.count else {
      throw Self.damaged(header, "it has \(header.tensors.count) tensors, the manifest states \(wanted.count)")
    }
    let places = Dictionary(header.tensors.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    var offset = 0
    for tensor in wanted {
      let place = offset..<offset + tensor.byteCount
      guard let found = places[tensor.name], found.dtype == tensor.dtype, found.range == place else {
        throw Self.damaged(header, "\(tensor.name) is not \(tensor.dtype) at the bytes \(place) of the data")
      }
      offset = place.upperBound
    }
  }

  private static func damaged(_ header: SafetensorsFile, _ problem: String) -> ModelFileError {
    ModelFileError(path: header.path, problem: problem, kind: .damaged)
  }
}
