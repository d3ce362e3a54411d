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
    let header = header(layout: layout, metadata: metadata)
    try AtomicFile.write(path: path) { write throws(ModelFileError) in
      var length = UInt64(header.count).littleEndian
      let prefix = withUnsafeBytes(of: &length) { [UInt8]($0) } + header
      try prefix.withUnsafeBufferPointer { bytes throws(ModelFileError) in try write(UnsafeRawBufferPointer(bytes)) }
      let bytes = UnsafeRawBufferPointer(start: values.pointer, count: values.count * MemoryLayout<Float>.stride)
      try write(bytes)
    }
  }

  /// The header: tensors in the order of their data, padded with spaces to a multiple of eight bytes.
  private static func header(layout: ParameterLayout, metadata: [String: String]) -> [UInt8] {
    var fields: [String] = []
    if !metadata.isEmpty {
      let pairs = metadata.sorted { $0.key < $1.key }.map { "\(quoted($0.key)):\(quoted($0.value))" }
      fields.append("\"__metadata__\":{\(pairs.joined(separator: ","))}")
    }
    for entry in layout.entries {
      let shape = entry.shape.extents.map(String.init).joined(separator: ",")
      let first = entry.offset * MemoryLayout<Float>.stride
      let end = entry.range.upperBound * MemoryLayout<Float>.stride
      fields.append("\(quoted(entry.name)):{\"dtype\":\"F32\",\"shape\":[\(shape)],\"data_offsets\":[\(first),\(end)]}")
    }
    var bytes = Array("{\(fields.joined(separator: ","))}".utf8)
    while bytes.count % 8 != 0 { bytes.append(0x20) }
    return bytes
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
