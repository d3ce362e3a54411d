import Glibc
import ModelFiles
import Tensors
import Testing

@Suite struct SafetensorsTests {
  private let folder = TemporaryFolder()
  private var path: String { "\(folder.path)/model.safetensors" }

  private static let layout: ParameterLayout = {
    var layout = ParameterLayout()
    layout.append("conv1.weight", shape: [2, 1, 2, 2])
    layout.append("conv1.bias", shape: [2])
    return layout
  }()
  private static let values: [Float] = [-1, -0.75, -0.5, -0.25, 0, 0.25, 0.5, 0.75, 0.5, -2]

  @Test("What is written is read back, bit by bit")
  func roundTrip() throws {
    let special: [Float] = [.nan, -.infinity, -0.0, .leastNonzeroMagnitude, .greatestFiniteMagnitude, 1, 2, 3, 4, 5]
    let metadata = ["format": "pt", "odd \"key\"\\": "line\nbreak\u{1}, π and 😀", "": ""]
    try Safetensors.write(layout: Self.layout, values: FlatVector(special), metadata: metadata, to: path)
    let file = try Safetensors.read(path: path)
    #expect(file.metadata == metadata)
    #expect(file.tensors.map(\.name) == ["conv1.weight", "conv1.bias"])
    #expect(file.tensors.map(\.shape) == [[2, 1, 2, 2], [2]])
    let read = try file.flatVector(for: Self.layout).array
    #expect(read.map(\.bitPattern) == special.map(\.bitPattern))
    #expect(folder.names == ["model.safetensors"])
  }

  @Test("The bytes of a file, one by one")
  func golden() throws {
    var layout = ParameterLayout()
    layout.append("b", shape: [2])
    layout.append("s", shape: [])
    try Safetensors.write(layout: layout, values: FlatVector([1, -2, 0.5]), metadata: ["format": "pt"], to: path)
    let header = """
      {"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},\
      "s":{"dtype":"F32","shape":[],"data_offsets":[8,12]}}
      """
    let padded = Array(header.utf8) + [UInt8](repeating: 0x20, count: (8 - header.utf8.count % 8) % 8)
    let data: [UInt8] = [0, 0, 0x80, 0x3F, 0, 0, 0, 0xC0, 0, 0, 0, 0x3F]
    #expect(folder.read("model.safetensors") == [UInt8(padded.count), 0, 0, 0, 0, 0, 0, 0] + padded + data)
  }

  @Test("A network without parameters or metadata")
  func empty() throws {
    try Safetensors.write(layout: ParameterLayout(), values: FlatVector(count: 0), metadata: [:], to: path)
    let file = try Safetensors.read(path: path)
    #expect(file.tensors.isEmpty && file.metadata.isEmpty)
    #expect(folder.read("model.safetensors").count == 16)
  }

  /// Written by the Python package safetensors, version 0.8.0.
  ///
  ///     safetensors.numpy.save({"conv1.weight": np.arange(8, dtype=np.float32).reshape(2, 1, 2, 2) / 4 - 1,
  ///       "conv1.bias": np.array([0.5, -2], dtype=np.float32), "steps": np.array([7], dtype=np.int64)},
  ///       {"format": "pt", "note": "π ≈ 3"})
  private static let reference: [UInt8] = {
    let header = """
      {"__metadata__":{"format":"pt","note":"π ≈ 3"},"steps":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},\
      "conv1.bias":{"dtype":"F32","shape":[2],"data_offsets":[8,16]},\
      "conv1.weight":{"dtype":"F32","shape":[2,1,2,2],"data_offsets":[16,48]}}
      """
    let data: [UInt8] = [
      7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x3F, 0, 0, 0, 0xC0, 0, 0, 0x80, 0xBF, 0, 0, 0x40, 0xBF, 0, 0, 0, 0xBF, 0, 0,
      0x80, 0xBE, 0, 0, 0, 0, 0, 0, 0x80, 0x3E, 0, 0, 0, 0x3F, 0, 0, 0x40, 0x3F,
    ]
    return [0xF8, 0, 0, 0, 0, 0, 0, 0] + Array(header.utf8) + [UInt8](repeating: 0x20, count: 6) + data
  }()

  @Test("A file of the reference implementation, its tensors in another order")
  func reference() throws {
    #expect(Self.reference.count == 304)
    let file = try Safetensors.read(path: folder.write("reference", Self.reference))
    #expect(file.metadata == ["format": "pt", "note": "π ≈ 3"])
    #expect(file.tensors.map(\.name) == ["steps", "conv1.bias", "conv1.weight"])
    #expect(file.tensors.map(\.dtype) == ["I64", "F32", "F32"])
    #expect(file.tensors.map(\.range) == [0..<8, 8..<16, 16..<48])
    var layout = Self.layout
    let extra = #expect(throws: ModelFileError.self) { try file.flatVector(for: layout) }
    #expect(extra?.problem == "the tensor steps is none of the network's")
    layout.append("steps", shape: [1])
    let dtype = #expect(throws: ModelFileError.self) { try file.flatVector(for: layout) }
    #expect(dtype?.problem == "steps is I64 of 1, the network's is F32 of 1")
  }

  @Test("Tensors are found by name, whatever their order in the file")
  func order() throws {
    var other = ParameterLayout()
    other.append("conv1.bias", shape: [2])
    other.append("conv1.weight", shape: [2, 1, 2, 2])
    try Safetensors.write(
      layout: other, values: FlatVector([0.5, -2] + Self.values[..<8]), metadata: [:], to: path)
    #expect(try Safetensors.read(path: path).flatVector(for: Self.layout).array == Self.values)
  }

  @Test("A network that the file is not for: what is missing, extra or of another shape")
  func mismatches() throws {
    try Safetensors.write(layout: Self.layout, values: FlatVector(Self.values), metadata: [:], to: path)
    let file = try Safetensors.read(path: path)
    func problem(_ tensors: [(String, Shape)]) -> String? {
      var layout = ParameterLayout()
      for (name, shape) in tensors { layout.append(name, shape: shape) }
      let error = #expect(throws: ModelFileError.self) { try file.flatVector(for: layout) }
      #expect(error?.path == path)
      return error?.problem
    }
    #expect(
      problem([("conv1.weight", [2, 1, 2, 2]), ("conv1.bias", [2]), ("fc1.weight", [3])])
        == "the tensor fc1.weight of 3 is missing")
    #expect(problem([("conv1.weight", [2, 1, 2, 2])]) == "the tensor conv1.bias is none of the network's")
    #expect(
      problem([("conv1.weight", [2, 2, 1, 2]), ("conv1.bias", [2])])
        == "conv1.weight is F32 of 2×1×2×2, the network's is F32 of 2×2×1×2")
  }

  /// What is said of a file of this header and so many bytes of data.
  private func refusal(_ header: String, data: Int = 8, length: UInt64? = nil) -> String? {
    let length = length ?? UInt64(header.utf8.count)
    let prefix = (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) }
    return refusal(prefix + Array(header.utf8) + [UInt8](repeating: 0, count: data))
  }

  private func refusal(_ bytes: [UInt8]) -> String? {
    let path = folder.write("damaged", bytes)
    let error = #expect(throws: ModelFileError.self) { try Safetensors.read(path: path) }
    guard let error, error.path == path, !error.description.contains("\n") else { return nil }
    return error.problem
  }

  private func tensor(_ shape: String, _ offsets: String, dtype: String = "F32") -> String {
    #"{"dtype":"\#(dtype)","shape":\#(shape),"data_offsets":\#(offsets)}"#
  }

  @Test("Headers of a wrong length")
  func lengths() {
    #expect(refusal([1, 2, 3]) == "3 bytes are no safetensors file: it begins with 8 of length")
    #expect(refusal("{}", length: .max)?.hasPrefix("a header of 18446744073709551615 bytes: at most 100000000") == true)
    #expect(refusal("{}", length: 100_000_001)?.contains("at most 100000000 are allowed") == true)
    #expect(
      refusal("{}", data: 0, length: 100_000_000)
        == "the header should have 100000000 bytes, but only 2 follow: the file is cut short")
    #expect(refusal("", data: 0) == "the header does not begin with {")
    #expect(refusal(" {}", data: 0) == "the header does not begin with {")
  }

  @Test("Tensors that overlap, leave a hole, or are not all of the data")
  func places() {
    let two = tensor("[2]", "[0,8]")
    #expect(
      refusal(#"{"a":\#(two),"b":\#(tensor("[1]", "[4,8]"))}"#)?.hasPrefix("b begins at byte 4, not at 8") == true)
    #expect(
      refusal(#"{"a":\#(tensor("[1]", "[4,8]"))}"#)
        == "a begins at byte 4, not at 0: the tensors overlap or leave a hole")
    #expect(refusal(#"{"a":\#(two)}"#, data: 9) == "the tensors need 8 bytes, but 9 follow the header")
    #expect(refusal("{}", data: 1) == "the tensors need 0 bytes, but 1 follow the header")
    #expect(refusal(#"{"a":\#(two)}"#, data: 7)?.hasPrefix("a: data_offsets [0, 8] do not lie within the 7") == true)
    for offsets in ["[8,0]", "[-4,4]", "[0]", "[0,4,8]", "[]"] {
      #expect(refusal(#"{"a":\#(tensor("[2]", offsets))}"#)?.hasPrefix("a: data_offsets [") == true)
    }
  }

  @Test("Shapes and number formats that the bytes are not of")
  func shapes() {
    #expect(
      refusal(#"{"a":\#(tensor("[3]", "[0,8]"))}"#) == "a: shape [3] of F32 needs 12 bytes, data_offsets give 8")
    #expect(refusal(#"{"a":\#(tensor("[2]", "[0,8]", dtype: "F31"))}"#) == "a: the number format F31 is not known")
    for shape in ["[4611686018427387904,4]", "[9223372036854775807]", "[4611686018427387904,4,0]", "[-2]", "[-1,-2]"] {
      #expect(refusal(#"{"a":\#(tensor(shape, "[0,8]"))}"#)?.hasPrefix("a: there is no tensor of shape [") == true)
    }
  }

  @Test(
    "A header that is no JSON of tensors",
    arguments: [
      "{", "{}x", "{\"a\":}", "{\"a\":1}", "{\"a\":{}}", "{\"a\":null}",
      #"{"a":{"dtype":1,"shape":[],"data_offsets":[0,4]}}"#,
      #"{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}"#, #"{"a":{"dtype":"F32","shape":[2]}}"#,
      #"{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4]}}"#, #"{"__metadata__":{"a":1}}"#,
      #"{"__metadata__":[]}"#, #"{"__metadata__":"x"}"#, #"{"__metadata__":{"a":{"b":"c"}}}"#,
      String(repeating: "{\"a\":", count: 2000), "{\"a\":" + String(repeating: "[", count: 20000),
    ])
  func json(header: String) {
    #expect(refusal(header)?.hasPrefix("the header cannot be read") == true)
  }

  @Test("A field that is missing or of another kind is named")
  func fields() {
    #expect(refusal(#"{"a":{"dtype":"F32","shape":[2]}}"#)?.contains("a has no data_offsets") == true)
    #expect(refusal(#"{"__metadata__":{"note":1}}"#)?.contains("__metadata__.note: ") == true)
    #expect(refusal(#"{"a":{"dtype":1,"shape":[],"data_offsets":[0,4]}}"#)?.contains("a.dtype: ") == true)
  }

  @Test("A key that comes twice is named, in whatever spelling and at whatever depth")
  func duplicates() {
    let two = tensor("[2]", "[0,8]")
    #expect(refusal(#"{"a":\#(two),"a":\#(two)}"#) == "the header has a twice")
    #expect(refusal(#"{"a":\#(two),"\u0061":\#(two)}"#) == "the header has a twice")
    #expect(
      refusal(#"{"a":{"dtype":"F32","shape":[1],"shape":[2],"data_offsets":[0,8]}}"#) == "the header has shape twice")
    #expect(refusal(#"{"__metadata__":{"k":"1","k":"2"},"a":\#(two)}"#) == "the header has k twice")
    #expect(refusal(#"{"__metadata__":{},"__metadata__":{},"a":\#(two)}"#) == "the header has __metadata__ twice")
  }

  @Test("The same word as a key of several objects, and as a value, is no duplicate")
  func noDuplicates() throws {
    let header =
      #"{"__metadata__":{"a":"a","dtype":"{\"a\":1,\"a\":1}"},"a":\#(tensor("[1]", "[0,4]")),"b":\#(tensor("[1]", "[4,8]"))}"#
    let bytes = [UInt8(header.utf8.count), 0, 0, 0, 0, 0, 0, 0] + Array(header.utf8) + [UInt8](repeating: 0, count: 8)
    #expect(try Safetensors.read(path: folder.write("file", bytes)).tensors.map(\.name) == ["a", "b"])
  }

  @Test("Every cut of a file is refused")
  func cuts() {
    for count in Self.reference.indices { #expect(refusal(Array(Self.reference[..<count])) != nil) }
    #expect(refusal(Self.reference + [0])?.hasPrefix("the tensors need 48 bytes, but 49 follow") == true)
  }

  @Test("Flipped bits and changed bytes never crash")
  func flips() throws {
    let random = CounterRandom(2)
    let headerEnd = 8 + 0xF8
    for trial in 0..<6000 {
      var bytes = Self.reference
      if trial < headerEnd * 8 {
        bytes[trial / 8] ^= 1 << (trial % 8)
      } else {
        for change in 0..<4 {
          let words = random.words(at: UInt64(trial * 4 + change))
          bytes[Int(words.x) % headerEnd] = UInt8(words.y & 255)
        }
      }
      let path = folder.write("damaged", bytes)
      guard let file = try? Safetensors.read(path: path) else { continue }
      #expect(file.tensors.reduce(0) { $0 + $1.range.count } == 48)
      _ = try? file.flatVector(for: Self.layout)
    }
  }

  @Test("What cannot be opened says why")
  func unreadable() {
    let missing = #expect(throws: ModelFileError.self) { try Safetensors.read(path: path) }
    #expect(missing?.description == "\(path): cannot be opened: No such file or directory")
    let directory = #expect(throws: ModelFileError.self) { try Safetensors.read(path: folder.path) }
    #expect(directory?.description == "\(folder.path): it is no plain file")
  }
}
