import CKernels
import Networks
import Tensors

/// A network compiled for OpenBLAS: operations over one arena.
final class OpenBLASPlan<Scalar: EngineScalar> {
  let batch: Int
  let network: Network
  let operations: [any Operation<Scalar>]
  let input: Slot
  let inputGradient: Slot?
  let logits: Source
  let isForTraining: Bool
  /// The elements of the arena that each layer took.
  let footprints: [LayerFootprint]
  let outputs: [LayerOutput]
  private let labelChecks: [LabelCheck]
  private(set) var arena: AlignedBuffer<Scalar>

  convenience init(
    _ network: Network, batch: Int, threads: Int, purpose: PlanPurpose, needsInputGradient: Bool = false,
    keepsTensors: Bool = false
  ) {
    self.init(
      Self.compiler(
        network, batch: batch, threads: threads, purpose: purpose, needsInputGradient: needsInputGradient,
        keepsTensors: keepsTensors))
  }

  /// Takes the memory of what was compiled.
  private init(_ compiler: PlanCompiler<Scalar>) {
    network = compiler.network
    batch = compiler.batch
    operations = compiler.operations
    outputs = compiler.outputs
    input = compiler.input
    inputGradient = compiler.inputGradient
    logits = compiler.logits
    isForTraining = compiler.seed != nil
    footprints = compiler.footprints
    labelChecks = network.nodes.compactMap(LabelCheck.init)
    arena = AlignedBuffer(count: compiler.arena.elements)
  }

  /// A plan whose arena has no more than `limit` bytes, and for which the machine has room.
  static func make(
    _ network: Network, batch: Int, options: CompileOptions, limit: Int?
  ) throws(EngineError) -> OpenBLASPlan {
    let compiler = compiler(network, batch: batch, threads: options.threads, purpose: options.purpose)
    let bytes = compiler.arena.elements * MemoryLayout<Scalar>.stride
    if let limit, bytes > limit { throw .memory(samples: batch, needed: bytes, bound: limit, isMachine: false) }
    try MachineMemory().check(samples: batch, needs: bytes)
    return OpenBLASPlan(compiler)
  }

  private static func compiler(
    _ network: Network, batch: Int, threads: Int, purpose: PlanPurpose, needsInputGradient: Bool = false,
    keepsTensors: Bool = false
  ) -> PlanCompiler<Scalar> {
    OpenBLAS.prepare()
    let seed: UInt64? = if case .training(let seed) = purpose { seed } else { nil }
    return PlanCompiler<Scalar>(
      network, batch: batch, team: ThreadTeam(count: threads), seed: seed, needsInputGradient: needsInputGradient,
      keepsTensors: keepsTensors)
  }

  /// Bytes of the arena.
  var arenaBytes: Int { arena.count * MemoryLayout<Scalar>.stride }

  /// Computes a step on inputs in the order of the network's input shape, sample after sample.
  ///
  /// `timed` runs each operation's passes. With a gradient it is a training step, which writes `statistics`; without one
  /// an evaluation, which reads `buffers`, or where `isTraining` says so a training step's forward pass.
  func step(
    inputs: UnsafePointer<Scalar>, batch: Batch, parameters: UnsafePointer<Scalar>,
    gradient: UnsafeMutablePointer<Scalar>?, statistics: FlatVector? = nil, buffers: FlatVector? = nil,
    isTraining: Bool = false, onFinal: (Range<Int>) -> Void,
    timed: (_ operation: Int, _ isForward: Bool, _ body: () -> Void) -> Void = { $2() }
  ) throws(EngineError) -> StepResult {
    try check(batch)
    let mode = convoy_flush_denormals()
    defer { convoy_restore_denormals(mode) }
    var context = StepContext(
      samples: batch.count, arena: arena.pointer, parameters: parameters, gradient: gradient,
      labels: batch.labelPointer, targets: UnsafePointer(batch.targets.pointer), targetStride: batch.targetCount,
      sampleNumbers: batch.samplePointer, epoch: batch.epoch, isTraining: isTraining || gradient != nil,
      statistics: statistics?.pointer, buffers: buffers.map { UnsafePointer($0.pointer) })
    if batch.count > 0 {
      load(inputs, context)
      for (index, operation) in operations.enumerated() { timed(index, true) { operation.forward(&context) } }
      if let failure = context.failure { throw failure }
      guard context.loss.isFinite else { throw notFinite(inputs, context) }
    } else {
      gradient?.update(repeating: 0, count: network.parameterLayout.count)
      statistics?.pointer.update(repeating: 0, count: network.bufferLayout.count)
    }
    if gradient != nil {
      for (index, operation) in operations.enumerated().reversed() {
        if batch.count > 0 { timed(index, false) { operation.backward(&context) } }
        if !operation.parameterRange.isEmpty { onFinal(operation.parameterRange) }
      }
    }
    return StepResult(lossSum: context.loss, correct: context.correct, samples: batch.count)
  }

  /// Why the loss is not finite: goes through the layers again, one by one, and looks at what each gives.
  private func notFinite(_ inputs: UnsafePointer<Scalar>, _ found: StepContext<Scalar>) -> EngineError {
    var context = found
    context.loss = 0
    guard areFinite(inputs, context.samples * input.count) else { return .notFinite(loss: found.loss, origin: .input) }
    load(inputs, context)
    var done = 0
    for output in outputs {
      for operation in operations[done..<output.operationCount] { operation.forward(&context) }
      done = output.operationCount
      if output.isLoss {
        guard context.loss.isFinite else { return .notFinite(loss: found.loss, origin: .loss(output.name)) }
      } else if !areFinite(context.pointer(output.slot), context.samples * output.slot.count) {
        return .notFinite(loss: found.loss, origin: .layer(output.name))
      }
    }
    preconditionFailure("a loss of \(found.loss) that is \(context.loss) when it is computed again")
  }

  private func areFinite(_ values: UnsafePointer<Scalar>, _ count: Int) -> Bool {
    UnsafeBufferPointer(start: values, count: count).allSatisfy(\.isFinite)
  }

  private func check(_ batch: Batch) throws(EngineError) {
    precondition(batch.count <= self.batch, "\(batch.count) samples for a plan of \(self.batch)")
    precondition(batch.sampleShape == network.inputShape, "samples of \(batch.sampleShape) for \(network.inputShape)")
    guard batch.targetCount == network.targetCount else {
      throw .targets(given: batch.targetCount, expected: network.targetCount)
    }
    for check in labelChecks { try check.check(batch) }
  }

  /// Brings the inputs to the arena; a spatial one becomes channel-major.
  func load(_ inputs: UnsafePointer<Scalar>, _ context: StepContext<Scalar>) {
    if let plane = input.plane, input.channels > 1 {
      Scalar.kernels.swapOuter(inputs, context.samples, input.channels, plane, context.pointer(input))
    } else {
      context.pointer(input).update(from: inputs, count: context.samples * input.count)
    }
  }
}

extension OpenBLASPlan: Plan where Scalar == Float {
  func step(
    _ batch: Batch, parameters: FlatVector, gradient: FlatVector, statistics: FlatVector?,
    onFinal: (Range<Int>) -> Void
  ) throws(EngineError) -> StepResult {
    precondition(parameters.count == network.parameterLayout.count, "\(parameters.count) parameters")
    precondition(isForTraining, "a step of a plan that was compiled for inference")
    precondition(gradient.count == network.parameterLayout.count, "a gradient of \(gradient.count)")
    if let statistics {
      precondition(statistics.count == network.bufferLayout.count, "statistics of \(statistics.count)")
    }
    return try step(
      inputs: UnsafePointer(batch.inputs.pointer), batch: batch, parameters: UnsafePointer(parameters.pointer),
      gradient: gradient.pointer, statistics: statistics, onFinal: onFinal)
  }

  func evaluate(
    _ batch: Batch, parameters: FlatVector, buffers: FlatVector?
  ) throws(EngineError) -> StepResult {
    precondition(parameters.count == network.parameterLayout.count, "\(parameters.count) parameters")
    if let buffers {
      precondition(buffers.count == network.bufferLayout.count, "buffers of \(buffers.count)")
    } else if network.bufferLayout.count > 0 {
      throw .unsupported(
        "network \(network.name) normalises with running statistics when it is evaluated, and none were given")
    }
    return try step(
      inputs: UnsafePointer(batch.inputs.pointer), batch: batch, parameters: UnsafePointer(parameters.pointer),
      gradient: nil, buffers: buffers, onFinal: { _ in })
  }
}
