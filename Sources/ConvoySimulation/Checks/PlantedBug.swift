/// A mistake that is made on purpose, so that a test can show that it is found.
package enum PlantedBug: String, Hashable, Sendable, CaseIterable {
  /// A coordinator forgets its journal when it starts again.
  case forgottenJournal
}
