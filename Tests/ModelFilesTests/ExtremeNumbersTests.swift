import Foundation
import ModelFiles
import Tensors
import Testing

/// Manifests and headers whose digests are good and whose numbers are none that anybody wrote: an error or the same
/// content, and never a trap.
@Suite struct ExtremeNumbersTests {
  private static let extremes = [
    "0", "1", "-1", "2147483648", "4294967296", "9007199254740992", "288230376151711744", "4611686018427387904",
    "9223372036854775807", "9223372036854775808", "-9223372036854775808", "18446744073709551615", "1e300", "1e-300",
    "null",
    "\"x\"", "[]",
  ]

  private let folder = TemporaryFolder()

  /// The places of all numbers of a text of JSON.
  private func numbers(_ text: String) -> [Range<String.Index>] {
    var places: [Range<String.Index>] = []
    var start: String.Index?
    var (isText, isEscaped) = (false, false)
    for index in text.indices {
      let character = text[index]
      if character == "\"", !isEscaped { isText.toggle() }
      isEscaped = character == "\\" && !isEscaped
      let isNumber = !isText && (character.isNumber || character == "-")
      if isNumber, start == nil { start = index }
      if !isNumber, let first = start {
        places.append(first..<index)
        start = nil
      }
    }
    return places
  }

  @Test("Each number of a manifest in turn")
  func manifests() throws {
    let store = CheckpointStore(folder: "\(folder.path)/checkpoints")
    let written = try store.write(SmallCheckpoint.make(step: 7))
    let path = "checkpoints/\(written.name)/manifest.json"
    let original = String(decoding: folder.read(path), as: UTF8.self)
    let body = try #require(original.range(of: ",\n  \"sha256\" :", options: .backwards)).lowerBound
    let text = String(original[..<body])
    let places = numbers(text)
    #expect(places.count >= 10)
    for place in places {
      for extreme in Self.extremes {
        let changed = text.replacingCharacters(in: place, with: extreme)
        let digest = SHA256.digest(of: Array(changed.utf8)).description
        _ = folder.write(path, Array("\(changed),\n  \"sha256\" : \"\(digest)\"\n}\n".utf8))
        // What is only told, as how often a job began, may be anything; the rest is compared with what is there.
        let read = Result { try store.read(written.name) }
        if case .failure(let error) = read { #expect(error is ModelFileError, "\(changed)") }
        _ = try? store.newest()
        _ = try? store.list()
        _ = try? store.verify()
      }
    }
    _ = folder.write(path, Array(original.utf8))
    #expect(throws: Never.self) { try store.read(written.name) }
  }

  @Test("Each number of a header in turn, and several at once")
  func headers() throws {
    let layout = SmallCheckpoint.layouts.parameters
    let path = "\(folder.path)/model.safetensors"
    try Safetensors.write(
      layout: layout, values: FlatVector((0..<10).map(Float.init)), metadata: [:], to: path)
    let original = folder.read("model.safetensors")
    let length = Int(original[..<8].enumerated().reduce(UInt64(0)) { $0 | UInt64($1.element) << (8 * $1.offset) })
    let (header, data) = (String(decoding: original[8..<8 + length], as: UTF8.self), Array(original[(8 + length)...]))
    let places = numbers(header)
    #expect(places.count >= 9)
    func read(_ header: String, stating length: UInt64? = nil) {
      let bytes = Array(header.utf8)
      let stated = withUnsafeBytes(of: (length ?? UInt64(bytes.count)).littleEndian) { Array($0) }
      _ = folder.write("model.safetensors", stated + bytes + data)
      let result = Result { try Safetensors.read(path: path).flatVector(for: layout) }
      if case .failure(let error) = result { #expect(error is ModelFileError, "\(header)") }
    }
    for place in places {
      for extreme in Self.extremes { read(header.replacingCharacters(in: place, with: extreme)) }
    }
    for shape in [
      "0,4611686018427387904,4", "4611686018427387904,4,0", "9223372036854775807,9223372036854775807", "-1,-10",
    ] {
      read(header.replacing("\"shape\":[2]", with: "\"shape\":[\(shape)]"))
    }
    for length in [0, 1, UInt64(data.count), 1 << 31, 1 << 32, 1 << 62, 1 << 63, .max] { read(header, stating: length) }
  }
}
