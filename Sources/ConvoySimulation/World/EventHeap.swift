/// Something that will happen: a small value, so that the heap moves little.
struct Scheduled {
  enum Kind: UInt8 {
    /// A letter arrives; the argument is its place in the network's slab.
    case message
    /// A process has finished something of its own; the argument is the process's.
    case local
    /// A process's timer is due.
    case timer
    /// A fault begins, or ends; the argument is its number in the schedule.
    case faultBegins
    case faultEnds
    /// A process starts.
    case start
  }

  /// Microseconds since the world's beginning.
  var time: UInt64
  /// Decides between what happens at the same time: a random part above, the number of its making below.
  var order: UInt64
  var argument: UInt64
  var process: UInt16
  /// The life of the process that it belongs to: what a dead one had planned does not happen.
  var life: UInt16
  var kind: Kind

  @inline(__always)
  static func < (left: Scheduled, right: Scheduled) -> Bool {
    // As one number: which is the less cannot be foreseen, and a branch that is taken wrongly costs more.
    UInt128(left.time) << 64 | UInt128(left.order) < UInt128(right.time) << 64 | UInt128(right.order)
  }
}

/// What will happen, in its order; what happens at the same time comes in a random one.
struct EventQueue: ~Copyable {
  private var heap = EventHeap(capacity: 1024)
  private var made: UInt64 = 0
  private var ties: SeededStream

  init(seed: UInt64) {
    ties = SeededStream(seed: seed, purpose: "ties")
  }

  /// When the next thing happens; nil where nothing will.
  var nextTime: UInt64? { heap.nextTime }

  /// Takes out what happens next.
  mutating func pop() -> Scheduled? { heap.pop() }

  /// Adds something.
  mutating func schedule(
    _ kind: Scheduled.Kind, at time: UInt64, process: Int, life: UInt16 = 0, argument: UInt64 = 0
  ) {
    made += 1
    heap.push(
      Scheduled(
        time: time, order: ties.next() & 0xffff_0000_0000_0000 | made, argument: argument, process: UInt16(process),
        life: life, kind: kind))
  }

  /// Adds what was put off: it happens at a time, in the order in which it is added, before what is scheduled there.
  mutating func putBack(_ entry: Scheduled, at time: UInt64) {
    made += 1
    var entry = entry
    entry.time = time
    entry.order = made
    heap.push(entry)
  }
}

/// What will happen, the earliest first: a binary heap.
struct EventHeap: ~Copyable {
  private var entries: Table<Scheduled>

  init(capacity: Int) {
    entries = Table(capacity: capacity)
  }

  var count: Int { entries.count }

  /// When the next thing happens; nil where nothing will.
  var nextTime: UInt64? { entries.count > 0 ? entries[0].time : nil }

  mutating func push(_ entry: Scheduled) {
    entries.append(entry)
    entries.withElements { Self.climb($0, from: $0.count - 1, entry) }
  }

  /// Puts an entry into its place: at a hole, or above it.
  @inline(__always)
  private static func climb(_ entries: UnsafeMutableBufferPointer<Scheduled>, from hole: Int, _ entry: Scheduled) {
    var hole = hole
    while hole > 0 {
      let parent = (hole - 1) / 2
      guard entry < entries[parent] else { break }
      entries[hole] = entries[parent]
      hole = parent
    }
    entries[hole] = entry
  }

  mutating func pop() -> Scheduled? {
    guard let last = entries.popLast() else { return nil }
    guard entries.count > 0 else { return last }
    return entries.withElements { entries in
      let first = entries[0]
      // The hole goes down to the leaves, as the last entry belongs there nearly always; then that climbs to its place.
      var hole = 0
      var child = 1
      while child + 1 < entries.count {
        child += entries[child + 1] < entries[child] ? 1 : 0
        entries[hole] = entries[child]
        hole = child
        child = 2 * hole + 1
      }
      if child < entries.count {
        entries[hole] = entries[child]
        hole = child
      }
      Self.climb(entries, from: hole, last)
      return first
    }
  }
}
