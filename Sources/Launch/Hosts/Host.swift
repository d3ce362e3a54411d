/// A machine that runs servers and workers, as a line of a hosts file states it.
package struct Host: Hashable, Sendable {
  /// A name, an address, or either behind a user and `@`: what `ssh` takes.
  package var destination: String
  /// Servers that it runs; nil for its share of those that no host states.
  package var servers: Int?
  /// Workers that it runs; nil likewise.
  package var workers: Int?
  /// Threads of each of its workers; nil for the job's.
  package var threads: Int?
  /// The port of its ssh daemon; nil for ssh's own choice.
  package var port: Int?
  /// Its `convoy`: a path, or a name that its PATH knows.
  package var program = "convoy"
  /// The folder that its processes run in; nil for the home folder.
  package var directory: String?
  /// The interface, by name or address, that its processes listen on; nil for the one that leads to the coordinator.
  package var interface: String?

  /// A host of defaults.
  package init(destination: String) {
    self.destination = destination
  }

  /// Arguments of its processes beside those that every member has.
  package func arguments(forRole role: String) -> [String] {
    var arguments: [String] = []
    if role == "worker", let threads { arguments += ["--threads", "\(threads)"] }
    if let interface { arguments += ["--interface", interface] }
    return arguments + ["--secrets-stdin"]
  }
}
