import ParameterServer

/// The payloads that a process holds for its machine, and what the machine did wrong with them.
///
/// What was received has a place in a list that is used again; what the machine makes itself it numbers in order, and
/// those live shortly, so that they lie in a ring.
struct PayloadTable {
  private var received: [ToyPayload?] = []
  /// How often a place was used: part of its handle, so that a handle that was let go of is not taken for the next.
  private var uses: [UInt32] = []
  private var free: [Int] = []
  private var sums: [(handle: UInt64, payload: ToyPayload)?] = Array(repeating: nil, count: 64)
  /// How many are held.
  private(set) var count = 0
  /// Handles that the machine used and did not hold, or gave twice.
  private(set) var misuses = 0

  private static let placeBits: UInt64 = 24

  /// Takes a payload that has arrived.
  mutating func keep(_ payload: ToyPayload) -> ReceivedPayload {
    count += 1
    let place: Int
    if let used = free.popLast() {
      place = used
      received[place] = payload
    } else {
      place = received.count
      received.append(payload)
      uses.append(0)
    }
    let handle = UInt64(uses[place]) << Self.placeBits | UInt64(place)
    return ReceivedPayload(handle: GradientHandle(handle), bytes: Int(payload.bytes))
  }

  private func place(_ handle: GradientHandle) -> Int? {
    let place = Int(handle.rawValue & (1 << Self.placeBits - 1))
    guard received.indices.contains(place), uses[place] == UInt32(handle.rawValue >> Self.placeBits) else { return nil }
    return place
  }

  /// Reads a payload that must be there.
  mutating func read(_ handle: GradientHandle) -> ToyPayload? {
    let payload: ToyPayload?
    if handle.rawValue >= GradientHandle.firstSum {
      let entry = sums[Int(truncatingIfNeeded: handle.rawValue) & (sums.count - 1)]
      payload = entry?.handle == handle.rawValue ? entry?.payload : nil
    } else {
      payload = place(handle).flatMap { received[$0] }
    }
    if payload == nil { misuses += 1 }
    return payload
  }

  /// Lets go of a payload that must be there.
  @discardableResult
  mutating func release(_ handle: GradientHandle) -> ToyPayload? {
    guard let payload = read(handle) else { return nil }
    count -= 1
    if handle.rawValue >= GradientHandle.firstSum {
      sums[Int(truncatingIfNeeded: handle.rawValue) & (sums.count - 1)] = nil
    } else if let place = place(handle) {
      received[place] = nil
      uses[place] &+= 1
      free.append(place)
    }
    return payload
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
    var larger = [(handle: UInt64, payload: ToyPayload)?](repeating: nil, count: sums.count * 2)
    for entry in sums {
      if let entry { larger[Int(truncatingIfNeeded: entry.handle) & (larger.count - 1)] = entry }
    }
    sums = larger
  }
}
