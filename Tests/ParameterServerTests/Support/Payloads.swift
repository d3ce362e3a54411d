import ParameterServer

/// The payloads that a process holds for its machine, and what the machine did wrong with them.
struct Payloads {
  private var held: [GradientHandle: ToyPayload] = [:]
  private var next: UInt64 = 0
  private(set) var violations: [String] = []

  /// How many are held.
  var count: Int { held.count }

  /// Takes a payload that has arrived.
  mutating func keep(_ payload: ToyPayload) -> ReceivedPayload {
    let handle = GradientHandle(next)
    next += 1
    held[handle] = payload
    return ReceivedPayload(handle: handle, bytes: payload.bytes)
  }

  /// Reads a payload that must be there.
  mutating func read(_ handle: GradientHandle, _ purpose: String) -> ToyPayload? {
    if held[handle] == nil { violations.append("\(handle.rawValue) is read to \(purpose), and not held") }
    return held[handle]
  }

  /// Lets go of a payload that must be there.
  @discardableResult
  mutating func release(_ handle: GradientHandle, _ purpose: String) -> ToyPayload? {
    let payload = held.removeValue(forKey: handle)
    if payload == nil { violations.append("\(handle.rawValue) is let go of to \(purpose), and not held") }
    return payload
  }

  /// Holds a sum under a number that must be new.
  mutating func hold(_ payload: ToyPayload, as handle: GradientHandle) {
    if held.updateValue(payload, forKey: handle) != nil { violations.append("\(handle.rawValue) is given twice") }
  }
}
