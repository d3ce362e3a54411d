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
    left.time < right.time || (left.time == right.time && left.order < right.order)
  }
}

/// What will happen, the earliest first: a binary heap.
struct EventHeap {
  private var entries: [Scheduled] = []

  init(capacity: Int) {
    entries.reserveCapacity(capacity)
  }

  var count: Int { entries.count }

  /// When the next thing happens; nil where nothing will.
  var nextTime: UInt64? { entries.first?.time }

  mutating func push(_ entry: Scheduled) {
    entries.append(entry)
    var hole = entries.count - 1
    entries.withUnsafeMutableBufferPointer { entries in
      while hole > 0 {
        let parent = (hole - 1) / 2
        guard entry < entries[parent] else { break }
        entries[hole] = entries[parent]
        hole = parent
      }
      entries[hole] = entry
    }
  }

  mutating func pop() -> Scheduled? {
    guard let last = entries.popLast() else { return nil }
    let count = entries.count
    guard count > 0 else { return last }
    return entries.withUnsafeMutableBufferPointer { entries in
      let first = entries[0]
      var hole = 0
      while true {
        var child = 2 * hole + 1
        guard child < count else { break }
        if child + 1 < count, entries[child + 1] < entries[child] { child += 1 }
        guard entries[child] < last else { break }
        entries[hole] = entries[child]
        hole = child
      }
      entries[hole] = last
      return first
    }
  }
}
