import FoundationEssentials
public import Tensors

/// Tensors in a safetensors file: a header of JSON, then the bytes, row-major and little-endian.
///
/// With PyTorch's names and layouts `load_state_dict` takes such a file as it is.
public enum Safetensors {
  /// Most bytes of a header: the format's own limit.
  static let maximumHeaderBytes = 100_000_000

  /// Writes a network's parameters, safely: see `AtomicFile`.
  public static func write(
    layout: ParameterLayout, values: FlatVector, metadata: [String: String], to path: String
  ) throws(ModelFileError) {
    precondition(values.count == layout.count, "\(values.count) values for \(layout.count) parameters")
    let header = header(tensors: layout.entries.map(HeaderTensor.init), metadata: metadata)
    try AtomicFile.write(path: path) { write throws(ModelFileError) in
      try header.withUnsafeBufferPointer { bytes throws(ModelFileError) in try write(UnsafeRawBufferPointer(bytes)) }
      let bytes = UnsafeRawBufferPointer(start: values.pointer, count: values.count * MemoryLayout<Float>.stride)
      try write(bytes)
    }
  }

  /// A tensor as the header states it.
  struct HeaderTensor {
    let name: String
    let dtype: String
    let extents: [Int]
    let byteCount: Int

    init(name: String, dtype: String, extents: [Int], byteCount: Int) {
      self.name = name
      self.dtype = dtype
      self.extents = extents
      self.byteCount = byteCount
    }

    init(_ entry: ParameterLayout.Entry) {
      self.init(
        name: entry.name, dtype: "F32", extents: entry.shape.extents,
        byteCount: entry.shape.count * MemoryLayout<Float>.stride)
    }
  }

  /// What comes before the data: the header's length, and the header with the tensors in the order of their data, padded
  /// with spaces to a multiple of eight bytes.
  static func header(tensors: [HeaderTensor], metadata: [String: String]) -> [UInt8] {
    var fields: [String] = []
    if !metadata.isEmpty {
      let pairs = metadata.sorted { $0.key < $1.key }.map { "\(quoted($0.key)):\(quoted($0.value))" }
      fields.append("\"__metadata__\":{\(pairs.joined(separator: ","))}")
    }
    var first = 0
    for tensor in tensors {
      let shape = tensor.extents.map(String.init).joined(separator: ",")
      let end = first + tensor.byteCount
      let offsets = "\"data_offsets\":[\(first),\(end)]"
      fields.append("\(quoted(tensor.name)):{\"dtype\":\"\(tensor.dtype)\",\"shape\":[\(shape)],\(offsets)}")
      first = end
    }
    var bytes = Array("{\(fields.joined(separator: ","))}".utf8)
    while bytes.count % 8 != 0 { bytes.append(0x20) }
    return withUnsafeBytes(of: UInt64(bytes.count).littleEndian) { [UInt8]($0) } + bytes
  }

  /// A JSON string.
  private static func quoted(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": quoted += "\\\""
      case "\\": quoted += "\\\\"
      case _ where scalar.value < 0x20:
        let digits = String(scalar.value, radix: 16)
        quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }

  /// Reads a file's header and checks it whole; the tensors' bytes are read when they are asked for.
  public static func read(path: String) throws(ModelFileError) -> SafetensorsFile {
    try SafetensorsFile(path: path)
  }
}
