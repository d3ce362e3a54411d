/// A mistake that is made on purpose, so that a test can show that it is found: what is around the machines breaks its
/// contract as a careless Runtime, disk or network would.
package enum PlantedBug: String, Hashable, Sendable, CaseIterable {
  /// A server adds a part to itself in place of its sibling.
  case doubledPart
  /// A server counts an update that it has not made.
  case lostUpdate
  /// A replica counts an update that it has not made.
  case forgetfulReplica
  /// A snapshot has the parameters of one version and the optimiser's state of the next.
  case tornSnapshot
  /// A server never lets go of a payload.
  case leakedPayloads
  /// A worker takes the slack of `ssp` for a larger one.
  case looseSlack
  /// A replica acknowledges updates before it has them, and loses some.
  case earlyAcknowledgement
  /// A state travels without its optimiser's part.
  case lostOptimizer
  /// A server that is asked for the version before sends the current one.
  case wrongVersion
  /// A worker computes with parameters that it should have replaced.
  case staleParameters
  /// A worker puts parameters in place as they arrive, whatever its machine says.
  case hastyInstall
  /// A worker lets go of a sum when it has sent it.
  case forgottenSums
  /// A worker sends the part of another chunk.
  case swappedChunks
  /// A replica sends workers what it keeps, as if it served it.
  case talkativeReplica
  /// A coordinator says that a checkpoint is stored before it is.
  case earlyStored
  /// A coordinator forgets its journal when it starts again.
  case forgottenJournal
  /// The end of a journal was not synced, and is gone after a crash.
  case unsyncedJournal
  /// A journal that is written anew leaves out how late pushes came.
  case forgetfulJournal
  /// A crash leaves half a checkpoint that is taken for a whole one.
  case tornCheckpoint
  /// A coordinator takes its oldest checkpoint for the newest.
  case oldestCheckpoint
  /// A unit that one worker holds is leased to another.
  case leasedTwice
  /// A process that starts again has the incarnation of its life before.
  case sameIncarnation
  /// Timers get lost.
  case lostTimers
  /// What members say of servers that they do not hear gets lost.
  case lostWaits
  /// A server adds the parts of a norm in another order.
  case misorderedNorm
  /// Something depends on what is not in the seed.
  case unseeded
}
