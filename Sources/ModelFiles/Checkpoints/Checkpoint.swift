package import Tensors

/// One consistent cut of a job: all that it takes to go on from a step as if nothing had happened.
///
/// Its vectors are the caller's, not copies: they stay unchanged until the checkpoint is written.
package struct Checkpoint {
  /// What is known by a name and told apart by a digest.
  package struct Identity: Hashable, Codable, Sendable {
    /// The name, as in `lenet`.
    package var name: String
    /// The digest in lower-case hexadecimal.
    package var digest: String

    /// A name and a digest.
    package init(name: String, digest: String) {
      self.name = name
      self.digest = digest
    }
  }

  /// A vector beside the parameters, as long as they are: momentum, or what a codec has not sent yet.
  package struct Slot {
    /// Its name, as in `momentum` or `velocity/worker.1`. No two slots share one.
    package var name: String
    /// One number for each parameter.
    package var vector: FlatVector

    /// A named vector.
    package init(name: String, vector: FlatVector) {
      self.name = name
      self.vector = vector
    }
  }

  /// Steps that are applied.
  package var step: Int
  /// The parameters' version: how many updates were applied to them.
  package var version: UInt64
  /// How many times the job has gone back to a checkpoint.
  package var era: UInt64
  /// The network.
  package var network: Identity
  /// The data set.
  package var data: Identity
  /// What else is to be known: the job's text, the engine's fingerprint, the mode, shards, seed and totals.
  package var metadata: [String: String]
  /// The names of the parameters' tensors.
  package var layout: ParameterLayout
  /// The names of the buffers' tensors.
  package var bufferLayout: ParameterLayout
  /// The parameters.
  package var parameters: FlatVector
  /// The buffers: running statistics.
  package var buffers: FlatVector
  /// The optimiser's state and other vectors, in an order that is kept.
  package var slots: [Slot]
  /// Whole numbers by name: apply counts, covered units, the data's position, random state.
  package var counters: [String: [UInt64]]

  /// A cut.
  package init(
    step: Int, version: UInt64, era: UInt64 = 0, network: Identity, data: Identity, metadata: [String: String] = [:],
    layout: ParameterLayout, bufferLayout: ParameterLayout = ParameterLayout(), parameters: FlatVector,
    buffers: FlatVector = FlatVector(count: 0), slots: [Slot] = [], counters: [String: [UInt64]] = [:]
  ) {
    self.step = step
    self.version = version
    self.era = era
    self.network = network
    self.data = data
    self.metadata = metadata
    self.layout = layout
    self.bufferLayout = bufferLayout
    self.parameters = parameters
    self.buffers = buffers
    self.slots = slots
    self.counters = counters
  }

  /// The vector of this name, or nil.
  package func slot(_ name: String) -> FlatVector? { slots.first { $0.name == name }?.vector }

  /// States what a caller has wrong; none of it can come from a file.
  func check() {
    precondition(step >= 0, "a checkpoint of step \(step)")
    precondition(parameters.count == layout.count, "\(parameters.count) parameters, a layout of \(layout.count)")
    precondition(buffers.count == bufferLayout.count, "\(buffers.count) buffers, a layout of \(bufferLayout.count)")
    precondition(Set(slots.map(\.name)).count == slots.count, "slots of one name: \(slots.map(\.name))")
    for slot in slots {
      precondition(
        slot.vector.count == parameters.count, "\(slot.name): \(slot.vector.count) for \(parameters.count) parameters")
    }
  }
}

/// What a checkpoint must be of to be of use; nil takes any.
package struct CheckpointExpectation {
  /// The network.
  package var network: Checkpoint.Identity?
  /// The data set.
  package var data: Checkpoint.Identity?
  /// The tensors of the parameters and of the buffers.
  package var layouts: (parameters: ParameterLayout, buffers: ParameterLayout)?

  /// Takes any checkpoint unless told otherwise.
  package init(
    network: Checkpoint.Identity? = nil, data: Checkpoint.Identity? = nil,
    layouts: (parameters: ParameterLayout, buffers: ParameterLayout)? = nil
  ) {
    self.network = network
    self.data = data
    self.layouts = layouts
  }
}

/// Mistakes that a store makes on purpose, so that the simulator's own tests can prove that they would be found.
///
/// For those tests only: a store that makes one loses checkpoints when the machine crashes.
package enum CheckpointFault: String, CaseIterable, Sendable {
  /// No folder is synced: names do not last.
  case noFolderSync
  /// The manifest comes before the files that it speaks of.
  case manifestFirst
  /// No file is synced: a name may last without the bytes.
  case noFileSync
  /// Files are written under their own names at once.
  case noRename
}

/// The name of a checkpoint's folder: `step-00000200`, or `step-00000200.replaced` while a newer attempt is written.
struct CheckpointName: Hashable {
  static let suffix = ".replaced"

  let step: Int
  let isReplaced: Bool

  init(step: Int, isReplaced: Bool = false) {
    self.step = step
    self.isReplaced = isReplaced
  }

  /// The name that a text is, or nil.
  init?(_ text: String) {
    let isReplaced = text.hasSuffix(Self.suffix)
    let plain = isReplaced ? String(text.dropLast(Self.suffix.count)) : text
    guard plain.hasPrefix("step-"), let step = Int(plain.dropFirst(5)), step >= 0 else { return nil }
    self.init(step: step, isReplaced: isReplaced)
    guard self.text == text else { return nil }
  }

  var text: String {
    let digits = String(step)
    let zeros = String(repeating: "0", count: max(0, 8 - digits.count))
    return "step-\(zeros)\(digits)\(isReplaced ? Self.suffix : "")"
  }
}
