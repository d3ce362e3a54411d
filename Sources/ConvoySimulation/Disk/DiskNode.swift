/// A file or folder of a simulated disk: what processes see, and what a crash of the machine would leave.
final class DiskNode {
  /// Bytes that a disk writes whole or not at all.
  static let sectorBytes = 512

  /// A change of a folder's names that does not last yet.
  enum Change {
    case set(String, DiskNode)
    case removed(String)
    case renamed(from: String, to: String, DiskNode)
  }

  let isFolder: Bool

  // A file's.
  private(set) var content: [UInt8] = []
  private var lastingContent: [UInt8] = []
  /// Sectors that were written since a sync took them over, and whether the size changed.
  private var dirtySectors: Set<Int> = []
  private var isSizeDirty = false

  // A folder's.
  private(set) var entries: [String: DiskNode] = [:]
  private var lastingEntries: [String: DiskNode] = [:]
  private var changes: [Change] = []

  init(isFolder: Bool) {
    self.isFolder = isFolder
  }

  /// Bytes of the file, or of all files below the folder.
  var byteCount: Int {
    isFolder ? entries.values.reduce(0) { $0 + $1.byteCount } : content.count
  }

  // MARK: What processes do

  func append(_ bytes: UnsafeRawBufferPointer) {
    guard !bytes.isEmpty else { return }
    let start = content.count
    content.append(contentsOf: bytes)
    for sector in start / Self.sectorBytes...(content.count - 1) / Self.sectorBytes { dirtySectors.insert(sector) }
    isSizeDirty = true
  }

  func truncate(to size: Int) {
    content.removeLast(max(0, content.count - size))
    isSizeDirty = true
  }

  func apply(_ change: Change) {
    Self.apply(change, to: &entries)
    changes.append(change)
  }

  private static func apply(_ change: Change, to entries: inout [String: DiskNode]) {
    switch change {
    case .set(let name, let node): entries[name] = node
    case .removed(let name): entries[name] = nil
    case .renamed(let from, let to, let node):
      entries[from] = nil
      entries[to] = node
    }
  }

  /// Turns one bit over, in memory and on the platter.
  func flip(bit: Int, ofByte index: Int) {
    content[index] ^= 1 << UInt8(bit)
    if index < lastingContent.count { lastingContent[index] = content[index] }
  }

  // MARK: What lasts

  func sync() {
    if isFolder {
      lastingEntries = entries
      changes = []
    } else {
      takeOver(dirtySectors, size: isSizeDirty ? content.count : lastingContent.count)
      dirtySectors = []
      isSizeDirty = false
    }
  }

  /// A sync that fails: some of what was written lasts, and the system forgets which of it did not. What processes see
  /// may be gone as well.
  func failSync(_ random: inout SeededStream) {
    if isFolder {
      lastingEntries = survivingEntries(&random)
      changes = []
      return
    }
    lastingContent = survivingContent(&random)
    dirtySectors = []
    isSizeDirty = false
    if Bool.random(using: &random) { content = lastingContent }
  }

  /// Writes sectors through to the platter.
  private func takeOver(_ sectors: Set<Int>, size: Int) {
    lastingContent = Self.merged(lastingContent, content, sectors, size: size)
  }

  /// The old bytes with some sectors of the new, at a size; what was never written is zero.
  private static func merged(_ old: [UInt8], _ new: [UInt8], _ sectors: Set<Int>, size: Int) -> [UInt8] {
    var bytes = Array(old.prefix(size))
    bytes.append(contentsOf: repeatElement(0, count: size - bytes.count))
    for sector in sectors {
      let start = sector * sectorBytes
      let end = min(start + sectorBytes, size, new.count)
      if start < end { bytes.replaceSubrange(start..<end, with: new[start..<end]) }
    }
    return bytes
  }

  // MARK: A crash

  /// What a crash leaves of this: a new node.
  func surviving(_ random: inout SeededStream) -> DiskNode {
    let node = DiskNode(isFolder: isFolder)
    if isFolder {
      // In the order of the names: a dictionary's would be another each time.
      for (name, entry) in survivingEntries(&random).sorted(by: { $0.key < $1.key }) {
        node.entries[name] = entry.surviving(&random)
      }
      node.lastingEntries = node.entries
    } else {
      node.content = survivingContent(&random)
      node.lastingContent = node.content
    }
    return node
  }

  /// Nothing, everything, a beginning, or any choice of the changes that were not synced.
  private func survivingEntries(_ random: inout SeededStream) -> [String: DiskNode] {
    var entries = lastingEntries
    let way = Int.random(in: 0..<4, using: &random)
    let prefix = Int.random(in: 0...changes.count, using: &random)
    for (index, change) in changes.enumerated() {
      let coin = Bool.random(using: &random)
      if way == 1 || way == 2 && index < prefix || way == 3 && coin { Self.apply(change, to: &entries) }
    }
    return entries
  }

  /// Nothing, everything, a beginning to the byte, or any choice of sectors at any size between.
  private func survivingContent(_ random: inout SeededStream) -> [UInt8] {
    let newSize = isSizeDirty ? content.count : lastingContent.count
    let sizes = min(lastingContent.count, newSize)...max(lastingContent.count, newSize)
    switch Int.random(in: 0..<4, using: &random) {
    case 0: return lastingContent
    case 1: return Self.merged(lastingContent, content, dirtySectors, size: newSize)
    case 2:
      return Self.merged(lastingContent, content, dirtySectors, size: Int.random(in: sizes, using: &random))
    default:
      let kept = dirtySectors.sorted().filter { _ in Bool.random(using: &random) }
      let size = Bool.random(using: &random) ? newSize : Int.random(in: sizes, using: &random)
      return Self.merged(lastingContent, content, Set(kept), size: size)
    }
  }
}
