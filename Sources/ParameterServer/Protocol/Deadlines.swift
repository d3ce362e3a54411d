/// How long a member waits, in milliseconds.
public struct Deadlines: Hashable, Sendable {
  /// Between two signs of life.
  public var heartbeat: UInt64 = 250
  /// Silence after which a member is removed.
  public var silence: UInt64 = 1500
  /// Silence of the coordinator after which a member gives up: it must have been restarted by then.
  public var coordinatorSilence: UInt64 = 60_000
  /// Until the coordinator must have answered a process that wants to join.
  public var joining: UInt64 = 30_000
  /// Until a coordinator that has told everyone to stop leaves without their goodbye.
  public var goodbye: UInt64 = 2000
  /// Between two reports of who is missing.
  public var missingReport: UInt64 = 5000
  /// Until a push, pull or replica that has no answer is sent again.
  public var retry: UInt64 = 500
  /// How long a job that lost a server's chunks waits for a replacement before it goes back with the servers left.
  public var replacement: UInt64 = 5000
  /// How long the last checkpoint, the job's result, is tried to be stored where the disk refuses it.
  public var storing: UInt64 = 600_000
  /// Longest pause between two such tries; the first is a heartbeat, each later one twice the one before.
  public var storingPause: UInt64 = 15_000
  /// Between two looks at the workers' speeds.
  public var rebalance: UInt64 = 2000
  /// Between two moves of chunks to servers that serve less than others.
  public var respread: UInt64 = 2000
  /// Until a server that something is asked of and that was not heard is asked whether it hears; between two such
  /// questions, and between two answers to one who speaks.
  public var linkProbe: UInt64 = 2000
  /// Until a member that hears nothing of a server, while both speak to the coordinator, is told of.
  public var stallReport: UInt64 = 10_000
  /// Until the coordinator goes on without one of the two. Whatever arrives from the server begins it anew, so that
  /// neither a long computation nor a slow network comes near it.
  public var stallAction: UInt64 = 30_000
  /// How long a member that was removed for that stands by after its first removal, before it is tried again; twice as
  /// long after the second.
  public var suspension: UInt64 = 60_000

  /// The defaults: a death that nobody reports is seen within two seconds.
  public init() {}
}
