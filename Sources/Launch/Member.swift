/// A server or a worker of a job, by its place in it.
package struct Member: Hashable {
  /// `server` or `worker`.
  package let role: String
  package let number: Int

  package init(role: String, number: Int) {
    self.role = role
    self.number = number
  }

  /// Reads a name such as `server.0`; nil for the coordinator's.
  package init?(name: String) {
    let parts = name.split(separator: ".")
    guard parts.count == 2, let number = Int(parts[1]) else { return nil }
    self.init(role: String(parts[0]), number: number)
  }

  package var name: String { "\(role).\(number)" }
}
