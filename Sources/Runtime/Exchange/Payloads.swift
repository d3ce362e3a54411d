package import ParameterServer
package import Transport

/// The payloads that came with messages, until a machine has decided about them.
package struct Payloads {
  private var frames: [GradientHandle: Frame] = [:]
  private var next: UInt64 = 0

  /// No payload yet.
  package init() {}

  /// Number of payloads that are held.
  package var count: Int { frames.count }

  /// Keeps a payload and returns what a machine is told of it.
  package mutating func keep(_ frame: Frame) -> ReceivedPayload {
    let handle = GradientHandle(next)
    next += 1
    frames[handle] = frame
    return ReceivedPayload(handle: handle, bytes: frame.count)
  }

  /// Takes a payload out.
  package mutating func take(_ handle: GradientHandle) -> Frame? {
    frames.removeValue(forKey: handle)
  }
}
