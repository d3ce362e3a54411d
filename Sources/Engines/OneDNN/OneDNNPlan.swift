#if OneDNN
  import CKernels
  import Networks
  import Tensors

  /// A network compiled for oneDNN.
  ///
  /// The library's primitives are made for one number of samples, so there is a graph for each number that was asked
  /// for: that of a full batch at once, others when they come first. The arena serves all.
  final class OneDNNPlan: Plan {
    let batch: Int
    private let network: Network
    private let threads: Int
    private let seed: UInt64?
    private var graphs: [Int: CompiledGraph] = [:]
    private var arena: AlignedBuffer<UInt8>

    init(_ network: Network, batch: Int, threads: Int, purpose: PlanPurpose) throws(EngineError) {
      self.network = network
      self.batch = batch
      self.threads = threads
      seed = if case .training(let seed) = purpose { seed } else { nil }
      arena = AlignedBuffer(count: 0)
      // The library's threads take their mode for denormals from the one that starts them.
      let mode = convoy_flush_denormals()
      defer { convoy_restore_denormals(mode) }
      _ = try graph(samples: batch)
    }

    /// The graph for a number of samples, made when it is asked for first.
    private func graph(samples: Int) throws(EngineError) -> CompiledGraph {
      if let known = graphs[samples] { return known }
      OneDNN.setThreads(threads)
      let graph = try GraphCompiler(network, samples: samples, seed: seed).compile()
      if graph.arenaBytes > arena.count {
        arena = AlignedBuffer(count: graph.arenaBytes)
        for other in graphs.values { try other.bind(arena.pointer) }
      }
      try graph.bind(arena.pointer)
      graphs[samples] = graph
      return graph
    }

    func step(
      _ batch: Batch, parameters: FlatVector, gradient: FlatVector, onFinal: (Range<Int>) -> Void
    ) throws(EngineError) -> StepResult {
      precondition(seed != nil, "a step of a plan that was compiled for inference")
      precondition(gradient.count == network.parameterLayout.count, "a gradient of \(gradient.count)")
      guard batch.count > 0 else { return emptyStep(gradient, onFinal: onFinal) }
      return try run(batch, parameters, gradient, onFinal: onFinal)
    }

    func evaluate(_ batch: Batch, parameters: FlatVector) throws(EngineError) -> StepResult {
      guard batch.count > 0 else { return StepResult(lossSum: 0, correct: 0, samples: 0) }
      return try run(batch, parameters, nil, onFinal: { _ in })
    }

    private func emptyStep(_ gradient: FlatVector, onFinal: (Range<Int>) -> Void) -> StepResult {
      gradient.pointer.update(repeating: 0, count: gradient.count)
      if let graph = graphs[batch] { for range in graph.finalRanges { onFinal(range) } }
      return StepResult(lossSum: 0, correct: 0, samples: 0)
    }

    private func run(
      _ batch: Batch, _ parameters: FlatVector, _ gradient: FlatVector?, onFinal: (Range<Int>) -> Void
    ) throws(EngineError) -> StepResult {
      let graph = try prepare(batch, parameters)
      let mode = convoy_flush_denormals()
      defer { convoy_restore_denormals(mode) }
      var state = state(batch, parameters, gradient)
      try graph.runForward(&state)
      guard state.loss.isFinite else { throw .notFinite(loss: state.loss) }
      if gradient != nil { try graph.runBackward(&state, onFinal: onFinal) }
      return StepResult(lossSum: state.loss, correct: state.correct, samples: batch.count)
    }

    /// Checks what a step is given; returns the graph for its number of samples.
    private func prepare(_ batch: Batch, _ parameters: FlatVector) throws(EngineError) -> CompiledGraph {
      precondition(parameters.count == network.parameterLayout.count, "\(parameters.count) parameters")
      precondition(batch.count <= self.batch, "\(batch.count) samples for a plan of \(self.batch)")
      precondition(batch.sampleShape == network.inputShape, "samples of \(batch.sampleShape) for \(network.inputShape)")
      for index in 0..<batch.count {
        let label = batch.labelPointer[index]
        guard label >= 0, label < Int32(network.classes) else { throw .label(label, classes: network.classes) }
      }
      let mode = convoy_flush_denormals()
      defer { convoy_restore_denormals(mode) }
      let graph = try graph(samples: batch.count)
      OneDNN.setThreads(threads)
      return graph
    }

    private func state(_ batch: Batch, _ parameters: FlatVector, _ gradient: FlatVector?) -> StepState {
      StepState(
        inputs: batch.inputs.pointer, parameters: parameters.pointer, gradient: gradient?.pointer,
        labels: batch.labelPointer, sampleNumbers: batch.samplePointer, epoch: batch.epoch,
        isTraining: gradient != nil)
    }
  }

  extension OneDNNPlan: ProfiledPlan {
    func profiledStep(
      _ batch: Batch, parameters: FlatVector, gradient: FlatVector
    ) throws(EngineError) -> [PlanPart] {
      let graph = try prepare(batch, parameters)
      let mode = convoy_flush_denormals()
      defer { convoy_restore_denormals(mode) }
      var state = state(batch, parameters, gradient)
      return try graph.runProfiled(&state)
    }
  }
#endif
