import ParameterServer

/// The payloads that a process holds for its machine, and what the machine did wrong with them.
///
/// What was received has a place in a list that is used again; what the machine makes itself it numbers in order, and
/// those live shortly, so that they lie in a ring.
struct PayloadTable: ~Copyable {
  private struct Place {
    var payload: ToyPayload?
    /// How often it was used: part of its handle, so that a handle that was let go of is not taken for the next.
    var uses: UInt32 = 0
    /// The next place that is free, where this one is.
    var next = -1
  }

  private var received = Table<Place>(capacity: 16)
  /// The first place that is free; -1 where none is.
  private var free = -1
  private var sums = Table<(handle: UInt64, payload: ToyPayload)?>(repeating: nil, count: 64)
  /// How many are held.
  private(set) var count = 0
  /// Handles that the machine used and did not hold, or gave twice.
  private(set) var misuses = 0

  private static let placeBits: UInt64 = 24

  /// Takes a payload that has arrived.
  mutating func keep(_ payload: ToyPayload) -> ReceivedPayload {
    count += 1
    var (place, uses) = (free, UInt32(0))
    if place < 0 {
      place = received.count
      received.append(Place(payload: payload))
    } else {
      uses = received[place].uses
      free = received[place].next
      received[place].payload = payload
    }
    let handle = UInt64(uses) << Self.placeBits | UInt64(place)
    return ReceivedPayload(handle: GradientHandle(handle), bytes: Int(payload.bytes))
  }

  private func place(_ handle: GradientHandle) -> Int? {
    let place = Int(handle.rawValue & (1 << Self.placeBits - 1))
    guard place < received.count, received[place].uses == UInt32(handle.rawValue >> Self.placeBits) else { return nil }
    return place
  }

  private func ring(_ handle: GradientHandle) -> Int { Int(truncatingIfNeeded: handle.rawValue) & (sums.count - 1) }

  /// Reads a payload that must be there.
  mutating func read(_ handle: GradientHandle) -> ToyPayload? {
    if handle.rawValue >= GradientHandle.firstSum {
      if let entry = sums[ring(handle)], entry.handle == handle.rawValue { return entry.payload }
    } else if let place = place(handle), let payload = received[place].payload {
      return payload
    }
    misuses += 1
    return nil
  }

  /// Takes out a payload that must be there.
  mutating func release(_ handle: GradientHandle) -> ToyPayload? {
    let payload = read(handle)
    if payload != nil { forget(handle) }
    return payload
  }

  /// Lets go of a payload that must be there.
  mutating func drop(_ handle: GradientHandle) {
    let isThere =
      if handle.rawValue >= GradientHandle.firstSum {
        sums[ring(handle)]?.handle == handle.rawValue
      } else {
        place(handle).map { received[$0].payload != nil } ?? false
      }
    if isThere { forget(handle) } else { misuses += 1 }
  }

  private mutating func forget(_ handle: GradientHandle) {
    count -= 1
    if handle.rawValue >= GradientHandle.firstSum {
      sums[ring(handle)] = nil
    } else {
      let place = Int(handle.rawValue & (1 << Self.placeBits - 1))
      received[place] = Place(payload: nil, uses: received[place].uses &+ 1, next: free)
      free = place
    }
  }

  /// Holds what the machine made under a number that must be new.
  mutating func hold(_ payload: ToyPayload, as handle: GradientHandle) {
    while let other = sums[Int(truncatingIfNeeded: handle.rawValue) & (sums.count - 1)] {
      guard other.handle != handle.rawValue else {
        misuses += 1
        return
      }
      grow()
    }
    count += 1
    sums[Int(truncatingIfNeeded: handle.rawValue) & (sums.count - 1)] = (handle.rawValue, payload)
  }

  private mutating func grow() {
    var larger = Table<(handle: UInt64, payload: ToyPayload)?>(repeating: nil, count: sums.count * 2)
    for index in sums.indices {
      if let entry = sums[index] { larger[Int(truncatingIfNeeded: entry.handle) & (larger.count - 1)] = entry }
    }
    sums = larger
  }
}
