import FoundationEssentials
import Tensors

/// `manifest.json`: what a checkpoint consists of. It is written last, so a checkpoint with a good one is complete.
///
/// Its last line is the SHA-256 of all bytes before that line: no bit of it can change unseen.
struct Manifest: Codable {
  static let fileName = "manifest.json"
  static let currentFormat = 1
  /// More than any manifest needs: what is longer is not read into memory.
  static let maximumBytes = 64 << 20

  /// One of the checkpoint's files.
  struct File: Codable {
    let name: String
    let bytes: Int
    let sha256: String
  }

  let formatVersion: Int
  let step: Int
  let version: UInt64
  let era: UInt64
  let network: Checkpoint.Identity
  let data: Checkpoint.Identity
  var metadata: [String: String]
  /// How many parameters and buffers there are.
  let parameters: Int
  let buffers: Int
  /// The vectors' names, in order.
  let slots: [String]
  /// How many numbers each counter has.
  let counters: [String: Int]
  /// The other files.
  let files: [File]

  enum CodingKeys: String, CodingKey {
    case formatVersion = "format_version"
    case step, version, era, network, data, metadata, parameters, buffers, slots, counters, files
  }

  init(_ checkpoint: Checkpoint, files: [File]) {
    formatVersion = Self.currentFormat
    step = checkpoint.step
    version = checkpoint.version
    era = checkpoint.era
    network = checkpoint.network
    data = checkpoint.data
    metadata = checkpoint.metadata
    parameters = checkpoint.parameters.count
    buffers = checkpoint.buffers.count
    slots = checkpoint.slots.map(\.name)
    counters = checkpoint.counters.mapValues(\.count)
    self.files = files
  }

  // MARK: Bytes

  private static let digestStart = Array(",\n  \"sha256\" : \"".utf8)
  private static let digestEnd = Array("\"\n}\n".utf8)
  private static let ending = Array("\n}".utf8)

  /// The bytes of the file: the same for the same content.
  func encoded() -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    guard let data = try? encoder.encode(self) else { preconditionFailure("a manifest has no JSON: \(self)") }
    var bytes = [UInt8](data)
    precondition(bytes.suffix(2).elementsEqual(Self.ending), "JSON that does not end with a line of }")
    bytes.removeLast(Self.ending.count)
    let digest = SHA256.digest(of: bytes).description
    return bytes + Self.digestStart + Array(digest.utf8) + Self.digestEnd
  }

  /// The manifest in a checkpoint's folder, checked against its own digest.
  static func read(in folder: String, _ files: any FileSystem) throws(ModelFileError) -> Manifest {
    let file = try ReadableFile("\(folder)/\(fileName)", files)
    guard file.size <= maximumBytes else {
      throw file.error("\(file.size) bytes are no manifest: at most \(maximumBytes) are allowed")
    }
    let bytes = try file.read(file.size, at: 0)
    // Before the digest: a newer format may keep it elsewhere.
    if let version = formatVersion(of: bytes), version > currentFormat {
      throw file.error(
        "it is of format \(version), and this build reads up to \(currentFormat): take a newer build of convoy",
        kind: .newerFormat)
    }
    let tail = digestStart.count + 64 + digestEnd.count
    guard bytes.count > tail else { throw file.error("\(bytes.count) bytes are no manifest: it is cut short") }
    let body = Array(bytes.dropLast(tail))
    let expected = digestStart + Array(SHA256.digest(of: body).description.utf8) + digestEnd
    guard bytes.suffix(tail).elementsEqual(expected) else {
      throw file.error("its last line does not state the SHA-256 of those before it: it is damaged")
    }
    guard let manifest = try? JSONDecoder().decode(Manifest.self, from: Data(body + ending)) else {
      throw file.error("a field is missing or is not what it should be")
    }
    return manifest
  }

  private struct Version: Decodable {
    let formatVersion: Int

    enum CodingKeys: String, CodingKey { case formatVersion = "format_version" }
  }

  private static func formatVersion(of bytes: [UInt8]) -> Int? {
    (try? JSONDecoder().decode(Version.self, from: Data(bytes)))?.formatVersion
  }

  /// The entry of a file, or an error that names the manifest.
  func file(_ name: String, in folder: String) throws(ModelFileError) -> File {
    guard let file = files.first(where: { $0.name == name }), file.bytes >= 0 else {
      throw ModelFileError(
        path: "\(folder)/\(Self.fileName)", problem: "it does not speak of \(name)", kind: .damaged)
    }
    return file
  }
}
