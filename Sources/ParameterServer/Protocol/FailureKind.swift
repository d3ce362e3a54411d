/// What kind of failure ends a job: it travels with the words, so that whoever speaks first of it says the same.
public enum FailureKind: UInt8, Hashable, Sendable, CaseIterable {
  /// None of the others.
  case failed = 0
  /// Something was asked for that there is not.
  case usage = 1
  /// Data or a file is not what it should be.
  case badData = 2
  /// Something is not there now; the same may go through later.
  case tryAgain = 3
  /// It was refused.
  case refused = 4
  /// The settings do not fit together, or with a machine.
  case configuration = 5
}
