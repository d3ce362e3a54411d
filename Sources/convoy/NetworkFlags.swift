import ArgumentParser
import Runtime

/// How a process of a job is reached from other machines, and by whom.
struct NetworkFlags: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "folder of the job's keys, as convoy keys makes it: only their holders take part", valueName: "folder"))
  var keys: String?
  @Flag(help: "take part over any address with the job's token as the only key: who learns it may pose as any member")
  var insecure = false
  @Option(
    help: ArgumentHelp(
      "network interface to listen on, by name or address (default: the one that leads to the others)",
      valueName: "interface"))
  var interface: String?

  func validate() throws {
    if insecure, keys != nil { throw ValidationError("--keys and --insecure exclude each other") }
  }

  var options: NetworkOptions { NetworkOptions(keys: keys, isInsecure: insecure, interface: interface) }
}

/// How whoever asks a job is let in.
struct ClientFlags: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "folder of the job's keys, with client.key (default: the run folder's, where the job has one)",
      valueName: "folder"))
  var keys: String?
  @Flag(help: "ask over any address with the job's token as the only key") var insecure = false

  var options: NetworkOptions { NetworkOptions(keys: keys, isInsecure: insecure) }
}
