import Tensors

/// Writes the files of one checkpoint into its folder, piece by piece from the caller's memory.
struct CheckpointWriter {
  static let modelName = "model.safetensors"
  static let stateName = "state.safetensors"
  /// Names of the files that a checkpoint, or a half-written one, consists of; the manifest first.
  static let ownNames = [Manifest.fileName, modelName, stateName].flatMap { [$0, temporary($0)] }
  /// Bytes of a piece: it is still in the cache when it is written after it was digested.
  private static let pieceBytes = 256 << 10

  let folder: String
  let files: any FileSystem
  let fault: CheckpointFault?

  static func temporary(_ name: String) -> String { ".\(name).tmp" }

  /// The digests of the parameters and of the buffers.
  struct Digests {
    let parameters: String
    let buffers: String
  }

  /// Writes all files, the manifest last.
  func write(_ checkpoint: Checkpoint) throws(ModelFileError) -> Digests {
    let digests = Digests(
      parameters: checkpoint.parameters.sha256().description, buffers: checkpoint.buffers.sha256().description)
    let model = modelFile(checkpoint, digests)
    let state = stateFile(checkpoint)
    if fault == .manifestFirst {
      try write(Manifest(checkpoint, files: [model.described(), state.described()]))
      _ = try write(model)
      _ = try write(state)
    } else {
      let written = [try write(model), try write(state)]
      try write(Manifest(checkpoint, files: written))
    }
    return digests
  }

  /// A file's name, what its data is preceded by, and its data.
  private struct Content {
    let name: String
    let header: [UInt8]
    let counters: [[UInt64]]
    let vectors: [FlatVector]

    /// Hands over all bytes in order, in pieces.
    func pieces(_ body: (UnsafeRawBufferPointer) throws(ModelFileError) -> Void) throws(ModelFileError) {
      try header.withUnsafeBufferPointer { bytes throws(ModelFileError) in
        try cut(UnsafeRawBufferPointer(bytes), body)
      }
      for counter in counters {
        try counter.withUnsafeBufferPointer { numbers throws(ModelFileError) in
          try cut(UnsafeRawBufferPointer(numbers), body)
        }
      }
      for vector in vectors {
        let count = vector.count * MemoryLayout<Float>.stride
        try cut(UnsafeRawBufferPointer(start: vector.pointer, count: count), body)
      }
    }

    private func cut(
      _ bytes: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) throws(ModelFileError) -> Void
    ) throws(ModelFileError) {
      var start = 0
      while start < bytes.count {
        let end = min(start + CheckpointWriter.pieceBytes, bytes.count)
        try body(UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
        start = end
      }
    }

    /// The file's entry in the manifest, without writing it.
    func described() throws(ModelFileError) -> Manifest.File {
      var hasher = SHA256()
      var count = 0
      try pieces { piece throws(ModelFileError) in
        hasher.update(piece)
        count += piece.count
      }
      return Manifest.File(name: name, bytes: count, sha256: hasher.finalize().description)
    }
  }

  /// The parameters and buffers under PyTorch's names, with what `convoy evaluate` asks a model's file for.
  private func modelFile(_ checkpoint: Checkpoint, _ digests: Digests) -> Content {
    var metadata = [
      "format": "pt", "convoy.model": checkpoint.network.name, "convoy.data": checkpoint.data.name,
      "convoy.step": String(checkpoint.step), "convoy.parameters_sha256": digests.parameters,
    ]
    if checkpoint.buffers.count > 0 { metadata["convoy.buffers_sha256"] = digests.buffers }
    let entries = checkpoint.layout.entries + checkpoint.bufferLayout.entries
    return Content(
      name: Self.modelName,
      header: Safetensors.header(tensors: entries.map(Safetensors.HeaderTensor.init), metadata: metadata),
      counters: [], vectors: [checkpoint.parameters, checkpoint.buffers])
  }

  /// The counters by name, which keeps eight-byte numbers aligned, then the slots in their order.
  private func stateFile(_ checkpoint: Checkpoint) -> Content {
    let counters = checkpoint.counters.sorted { $0.key < $1.key }
    let tensors = Self.stateTensors(
      counters: counters.map { ($0.key, $0.value.count) }, slots: checkpoint.slots.map(\.name),
      parameters: checkpoint.parameters.count)
    return Content(
      name: Self.stateName, header: Safetensors.header(tensors: tensors, metadata: [:]),
      counters: counters.map(\.value), vectors: checkpoint.slots.map(\.vector))
  }

  /// The tensors of the state's file, in order.
  static func stateTensors(
    counters: [(name: String, count: Int)], slots: [String], parameters: Int
  ) -> [Safetensors.HeaderTensor] {
    counters.map {
      Safetensors.HeaderTensor(
        name: "counters/\($0.name)", dtype: "U64", extents: [$0.count], byteCount: $0.count * MemoryLayout<UInt64>.size)
    }
      + slots.map {
        Safetensors.HeaderTensor(
          name: "slots/\($0)", dtype: "F32", extents: [parameters], byteCount: parameters * MemoryLayout<Float>.size)
      }
  }

  private func write(_ content: Content) throws(ModelFileError) -> Manifest.File {
    var hasher = SHA256()
    var count = 0
    try write(content.name) { write throws(ModelFileError) in
      try content.pieces { piece throws(ModelFileError) in
        hasher.update(piece)
        count += piece.count
        try write(piece)
      }
    }
    return Manifest.File(name: content.name, bytes: count, sha256: hasher.finalize().description)
  }

  /// Writes the manifest, in the place of one that is there.
  func write(_ manifest: Manifest) throws(ModelFileError) {
    let bytes = manifest.encoded()
    try write(Manifest.fileName) { write throws(ModelFileError) in
      try bytes.withUnsafeBufferPointer { bytes throws(ModelFileError) in try write(UnsafeRawBufferPointer(bytes)) }
    }
  }

  private func write(
    _ name: String, _ body: ((UnsafeRawBufferPointer) throws(ModelFileError) -> Void) throws(ModelFileError) -> Void
  ) throws(ModelFileError) {
    let omission: AtomicFile.Omission =
      switch fault {
      case .noFileSync: .fileSync
      case .noRename: .rename
      case .noFolderSync: .folderSync
      case .manifestFirst, nil: []
      }
    let file = try AtomicFile.write(
      path: "\(folder)/\(name)", temporary: Self.temporary(name), files: files, omitting: omission, body)
    try files.close(file)
  }
}
