import ParameterServer

/// Things that a run may come to, beside faults: counted, so that none goes untested unseen.
public enum Event: String, Hashable, Sendable, Codable, CaseIterable, CodingKeyRepresentable {
  /// A message was lost, or dropped by a full queue or a router without the peer.
  case messageLost
  case messageDroppedFull
  case messageUnreachable
  /// A message came twice, or was overtaken.
  case messageDoubled
  case messageOvertaken
  /// Messages were lost with their connection.
  case lostWithConnection
  /// A process was started again.
  case restart
  /// A view was made because a member joined, was removed, for speed, for another mode, from a checkpoint; or so that
  /// servers serve alike.
  case viewJoined
  case viewRemoved
  case viewRebalanced
  case viewSwitched
  case viewRestored
  case viewRespread
  /// A process found itself fenced.
  case fenced
  /// A message was refused: of another job, an old view, a dead life.
  case refusedJob
  case refusedView
  case refusedIncarnation
  case refusedOther
  /// A checkpoint was stored, or not.
  case checkpointStored
  case checkpointFailed
  /// The disk refused the last checkpoint: it is tried again.
  case lastCheckpointRefused
  /// A state was sent to a replica or from a checkpoint.
  case replicaBuilt
  case stateRestored
  /// A server that was the primary asked the new one for its state: it holds an update that the new one may not have.
  case stateAsked
  /// An update was repeated by a replica.
  case replicaApplied
  /// A gradient was refused for its age.
  case stalePush
  /// A coordinator's journal was read by its successor.
  case journalRead
  /// The parts of a norm were added; a scale was told by a server that had updated by it in an earlier view.
  case normAdded
  case scaleTold
  /// A journal was replaced by what a successor needs of it.
  case journalCondensed
  /// Somebody was told of who does not reach a server; the job ended because nobody was left who does.
  case stalled
  case cutOff
  /// A message of long ago was said again by a stranger.
  case replayed
}

/// How often what happened.
public struct Coverage: Hashable, Sendable, Codable {
  /// Faults that struck, by kind.
  public private(set) var faults: [FaultKind: Int] = [:]
  /// Runs in which something rare was on.
  public private(set) var branches: [RareBranch: Int] = [:]
  /// Other events.
  public private(set) var events: [Event: Int] = [:]

  /// Refusals, by reason.
  public private(set) var refusals: [String: Int] = [:]
  /// What machines passed over, by reason.
  public private(set) var drops: [String: Int] = [:]

  /// Nothing has happened.
  public init() {}

  mutating func count(_ fault: FaultKind) { faults[fault, default: 0] += 1 }
  mutating func count(_ branch: RareBranch) { branches[branch, default: 0] += 1 }
  mutating func count(_ event: Event, _ times: Int = 1) {
    if times > 0 { events[event, default: 0] += times }
  }

  mutating func count(_ reason: RefusalReason) { refusals[reason.name, default: 0] += 1 }
  mutating func add(_ counts: DropCounts) {
    for reason in DropReason.allCases where counts[reason] > 0 { drops[reason.name, default: 0] += Int(counts[reason]) }
  }

  mutating func add(_ other: Coverage) {
    faults.merge(other.faults, uniquingKeysWith: +)
    branches.merge(other.branches, uniquingKeysWith: +)
    events.merge(other.events, uniquingKeysWith: +)
    refusals.merge(other.refusals, uniquingKeysWith: +)
    drops.merge(other.drops, uniquingKeysWith: +)
  }
}
