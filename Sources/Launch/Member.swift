/// A server or a worker of a job, by its place in it.
struct Member: Hashable {
  /// `server` or `worker`.
  let role: String
  let number: Int

  init(role: String, number: Int) {
    self.role = role
    self.number = number
  }

  /// Reads a name such as `server.0`; nil for the coordinator's.
  init?(name: String) {
    let parts = name.split(separator: ".")
    guard parts.count == 2, let number = Int(parts[1]) else { return nil }
    self.init(role: String(parts[0]), number: number)
  }

  var name: String { "\(role).\(number)" }
}
