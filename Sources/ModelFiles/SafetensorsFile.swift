import FoundationEssentials
public import Tensors

/// A safetensors file that was opened and whose header holds together.
public struct SafetensorsFile: Sendable {
  /// A tensor of the file.
  public struct Tensor: Hashable, Sendable {
    /// Its name.
    public let name: String
    /// The format of its numbers, as in `F32`.
    public let dtype: String
    /// Its shape.
    public let shape: Shape
    /// Its bytes, counted from the first byte after the header.
    public let range: Range<Int>
  }

  /// The file.
  public let path: String
  /// What the file says of itself.
  public let metadata: [String: String]
  /// The tensors in the order of their bytes, which follow each other without holes.
  public let tensors: [Tensor]
  /// The index of the first byte after the header.
  let dataStart: Int

  /// Bytes of a number of each format.
  private static let sizes = [
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "I16": 2, "U16": 2, "F16": 2, "BF16": 2, "I32": 4,
    "U32": 4, "F32": 4, "F64": 8, "I64": 8, "U64": 8,
  ]

  init(path: String) throws(ModelFileError) {
    let file = try ReadableFile(path, RealFileSystem.shared)
    try self.init(file, prefix: Self.readPrefix(file))
  }

  /// A file of this prefix: the header's length and the header, as `readPrefix` gave them.
  init(_ file: borrowing ReadableFile, prefix: [UInt8]) throws(ModelFileError) {
    path = file.path
    dataStart = prefix.count
    let header = Array(prefix[8...])
    let fields = try Self.fields(of: header, path)
    metadata = try Self.metadata(fields, path)
    tensors = try Self.tensors(fields, dataBytes: file.size - dataStart, path)
  }

  /// The header's length and the header, once its length is known to be that of something which is there.
  static func readPrefix(_ file: borrowing ReadableFile) throws(ModelFileError) -> [UInt8] {
    guard file.size >= 8 else {
      throw file.error("\(file.size) bytes are no safetensors file: it begins with 8 of length")
    }
    let prefix = try file.read(8, at: 0)
    let length = prefix.enumerated().reduce(UInt64(0)) { $0 | UInt64($1.element) << (8 * $1.offset) }
    guard length <= UInt64(Safetensors.maximumHeaderBytes) else {
      throw file.error("a header of \(length) bytes: at most \(Safetensors.maximumHeaderBytes) are allowed")
    }
    guard length <= UInt64(file.size - 8) else {
      throw file.error(
        "the header should have \(length) bytes, but only \(file.size - 8) follow: the file is cut short")
    }
    let header = try file.read(Int(length), at: 8)
    guard header.first == UInt8(ascii: "{") else { throw file.error("the header does not begin with {") }
    return prefix + header
  }

  /// What the header says of one field.
  private enum Field: Decodable {
    case tensor(dtype: String, shape: [Int], offsets: [Int])
    case metadata([String: String])

    enum Key: String, CodingKey {
      case dtype, shape, offsets = "data_offsets"
    }

    init(from decoder: any Decoder) throws {
      if decoder.codingPath.last?.stringValue == "__metadata__" {
        self = .metadata(try [String: String](from: decoder))
        return
      }
      let values = try decoder.container(keyedBy: Key.self)
      self = .tensor(
        dtype: try values.decode(String.self, forKey: .dtype), shape: try values.decode([Int].self, forKey: .shape),
        offsets: try values.decode([Int].self, forKey: .offsets))
    }
  }

  private static func fields(of header: [UInt8], _ path: String) throws(ModelFileError) -> [String: Field] {
    let fields: [String: Field]
    do {
      fields = try JSONDecoder().decode([String: Field].self, from: Data(header))
    } catch let error as DecodingError {
      throw ModelFileError(path: path, problem: "the header cannot be read: \(Self.line(error))")
    } catch {
      throw ModelFileError(path: path, problem: "the header cannot be read")
    }
    // JSON readers keep one of two equal keys and say nothing.
    if let key = DuplicateKeys.first(in: header) {
      throw ModelFileError(path: path, problem: "the header has \(key) twice")
    }
    return fields
  }

  private static func line(_ error: DecodingError) -> String {
    switch error {
    case .keyNotFound(let key, let context):
      "\(context.codingPath.map(\.stringValue).joined(separator: ".")) has no \(key.stringValue)"
    case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
      "\(context.codingPath.map(\.stringValue).joined(separator: ".")): \(context.debugDescription)"
    @unknown default: "it is no JSON of tensors"
    }
  }

  private static func metadata(_ fields: [String: Field], _ path: String) throws(ModelFileError) -> [String: String] {
    guard let field = fields["__metadata__"] else { return [:] }
    guard case .metadata(let metadata) = field else {
      throw ModelFileError(path: path, problem: "__metadata__ does not map strings to strings")
    }
    return metadata
  }

  private static func tensors(
    _ fields: [String: Field], dataBytes: Int, _ path: String
  ) throws(ModelFileError) -> [Tensor] {
    var tensors: [Tensor] = []
    for (name, field) in fields {
      guard case .tensor(let dtype, let shape, let offsets) = field else { continue }
      tensors.append(try tensor(name, dtype, shape, offsets, dataBytes: dataBytes, path))
    }
    tensors.sort {
      ($0.range.lowerBound, $0.range.upperBound, $0.name) < ($1.range.lowerBound, $1.range.upperBound, $1.name)
    }
    var end = 0
    for tensor in tensors {
      guard tensor.range.lowerBound == end else {
        throw ModelFileError(
          path: path,
          problem:
            "\(tensor.name) begins at byte \(tensor.range.lowerBound), not at \(end): the tensors overlap or leave a hole"
        )
      }
      end = tensor.range.upperBound
    }
    guard end == dataBytes else {
      throw ModelFileError(path: path, problem: "the tensors need \(end) bytes, but \(dataBytes) follow the header")
    }
    return tensors
  }

  private static func tensor(
    _ name: String, _ dtype: String, _ shape: [Int], _ offsets: [Int], dataBytes: Int, _ path: String
  ) throws(ModelFileError) -> Tensor {
    func error(_ problem: String) -> ModelFileError { ModelFileError(path: path, problem: "\(name): \(problem)") }
    guard let size = sizes[dtype] else { throw error("the number format \(dtype) is not known") }
    guard offsets.count == 2, offsets[0] >= 0, offsets[0] <= offsets[1], offsets[1] <= dataBytes else {
      throw error(
        "data_offsets \(offsets) do not lie within the \(dataBytes) bytes of data: the file is cut short or damaged")
    }
    var bytes = size
    for extent in shape {
      let (product, overflow) = bytes.multipliedReportingOverflow(by: extent)
      guard extent >= 0, !overflow else { throw error("there is no tensor of shape \(shape)") }
      bytes = product
    }
    guard bytes == offsets[1] - offsets[0] else {
      throw error("shape \(shape) of \(dtype) needs \(bytes) bytes, data_offsets give \(offsets[1] - offsets[0])")
    }
    return Tensor(name: name, dtype: dtype, shape: Shape(shape), range: offsets[0]..<offsets[1])
  }

  /// The tensors as one flat vector: names, shapes and number format must be the layout's.
  public func flatVector(for layout: ParameterLayout) throws(ModelFileError) -> FlatVector {
    let byName = Dictionary(tensors.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    for entry in layout.entries where byName[entry.name] == nil {
      throw ModelFileError(path: path, problem: "the tensor \(entry.name) of \(entry.shape) is missing")
    }
    for tensor in tensors where layout[tensor.name] == nil {
      throw ModelFileError(path: path, problem: "the tensor \(tensor.name) is none of the network's")
    }
    let file = try ReadableFile(path, RealFileSystem.shared)
    let vector = FlatVector(count: layout.count)
    for entry in layout.entries {
      guard let tensor = byName[entry.name] else { continue }
      guard tensor.shape == entry.shape, tensor.dtype == "F32" else {
        throw ModelFileError(
          path: path,
          problem: "\(entry.name) is \(tensor.dtype) of \(tensor.shape), the network's is F32 of \(entry.shape)")
      }
      let target = UnsafeMutableRawBufferPointer(
        start: vector.pointer + entry.offset, count: entry.shape.count * MemoryLayout<Float>.stride)
      try file.read(into: target, at: dataStart + tensor.range.lowerBound)
    }
    return vector
  }
}
