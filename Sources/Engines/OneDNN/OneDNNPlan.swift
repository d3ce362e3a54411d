#if OneDNN
  import CKernels
  import Networks
  import Tensors

  /// A network compiled for oneDNN.
  ///
  /// The library's primitives are made for one number of samples, so there is a graph for each number that was asked
  /// for: that of a full batch at once, others when they come first. The arena serves all. A plan for training has
  /// graphs of their own for evaluation, which keep nothing for a backward pass.
  final class OneDNNPlan: Plan {
    let batch: Int
    private let network: Network
    private let threads: Int
    private let precision: Precision
    private let memoryLimit: Int?
    private let seed: UInt64?
    private let labelChecks: [LabelCheck]
    private var graphs: [GraphKey: CompiledGraph] = [:]
    private var arena: AlignedBuffer<UInt8>
    /// The threads of the layers that the library does not compute, started when there is one.
    private lazy var team = ThreadTeam(count: threads)

    private struct GraphKey: Hashable {
      let samples: Int
      let isForTraining: Bool
    }

    /// Compiles the graph of a full batch; throws where it does not fit the options' limit, or the machine.
    init(_ network: Network, batch: Int, options: CompileOptions) throws(EngineError) {
      self.network = network
      self.batch = batch
      threads = options.threads
      precision = options.precision
      memoryLimit = options.memoryLimit
      seed = if case .training(let seed) = options.purpose { seed } else { nil }
      arena = AlignedBuffer(count: 0)
      labelChecks = network.nodes.compactMap(LabelCheck.init)
      // The library's threads take their mode for denormals from the one that starts them.
      let mode = convoy_flush_denormals()
      defer { convoy_restore_denormals(mode) }
      _ = try graph(GraphKey(samples: batch, isForTraining: seed != nil))
    }

    /// The graph for a number of samples, made when it is asked for first.
    private func graph(_ key: GraphKey) throws(EngineError) -> CompiledGraph {
      if let known = graphs[key] { return known }
      OpenMP.setThreads(threads)
      let graph = try MemoryPlanning(
        network: network, samples: key.samples, seed: key.isForTraining ? seed : nil, threads: threads,
        precision: precision, team: { self.team }
      ).compile(limit: memoryLimit)
      if graph.arenaBytes > arena.count {
        try MachineMemory().check(samples: key.samples, needs: graph.arenaBytes)
        arena = AlignedBuffer(count: graph.arenaBytes)
        for other in graphs.values { try other.bind(arena.pointer) }
      }
      try graph.bind(arena.pointer)
      graphs[key] = graph
      return graph
    }

    func step(
      _ batch: Batch, parameters: FlatVector, gradient: FlatVector, statistics: FlatVector?,
      onFinal: (Range<Int>) -> Void
    ) throws(EngineError) -> StepResult {
      if let statistics {
        precondition(statistics.count == network.bufferLayout.count, "statistics of \(statistics.count)")
      }
      guard batch.count > 0 else {
        statistics?.pointer.update(repeating: 0, count: network.bufferLayout.count)
        return emptyStep(gradient, onFinal: onFinal)
      }
      let graph = try prepare(batch, parameters, gradient: gradient)
      let mode = convoy_flush_denormals()
      defer { convoy_restore_denormals(mode) }
      var state = state(batch, parameters, gradient: gradient, statistics: statistics)
      try graph.runForward(&state)
      try check(state, graph, batch)
      try graph.runBackward(&state, onFinal: onFinal)
      return StepResult(lossSum: state.loss, correct: state.correct, samples: batch.count)
    }

    func evaluate(
      _ batch: Batch, parameters: FlatVector, buffers: FlatVector?
    ) throws(EngineError) -> StepResult {
      if let buffers {
        precondition(buffers.count == network.bufferLayout.count, "buffers of \(buffers.count)")
      } else if network.bufferLayout.count > 0 {
        throw .unsupported(
          "network \(network.name) normalises with running statistics when it is evaluated, and none were given")
      }
      guard batch.count > 0 else { return StepResult(lossSum: 0, correct: 0, samples: 0) }
      let graph = try prepare(batch, parameters, gradient: nil)
      let mode = convoy_flush_denormals()
      defer { convoy_restore_denormals(mode) }
      var state = state(batch, parameters, buffers: buffers)
      try graph.runForward(&state)
      try check(state, graph, batch)
      return StepResult(lossSum: state.loss, correct: state.correct, samples: batch.count)
    }

    /// Checks what a forward pass found.
    private func check(_ state: StepState, _ graph: CompiledGraph, _ batch: Batch) throws(EngineError) {
      if let failure = state.failure { throw failure }
      guard !state.loss.isFinite else { return }
      var again = state
      again.loss = 0
      let origin = try graph.origin(&again, inputs: batch.count * network.inputShape.count)
      throw .notFinite(loss: state.loss, origin: origin)
    }

    private func emptyStep(_ gradient: FlatVector, onFinal: (Range<Int>) -> Void) -> StepResult {
      gradient.pointer.update(repeating: 0, count: gradient.count)
      if let graph = graphs[GraphKey(samples: batch, isForTraining: true)] {
        for range in graph.finalRanges { onFinal(range) }
      }
      return StepResult(lossSum: 0, correct: 0, samples: 0)
    }

    /// Checks what a step is given; returns the graph for its number of samples.
    private func prepare(
      _ batch: Batch, _ parameters: FlatVector, gradient: FlatVector?
    ) throws(EngineError) -> CompiledGraph {
      precondition(parameters.count == network.parameterLayout.count, "\(parameters.count) parameters")
      precondition(gradient == nil || seed != nil, "a step of a plan that was compiled for inference")
      precondition(gradient.map { $0.count == parameters.count } ?? true, "a gradient of another length")
      precondition(batch.count <= self.batch, "\(batch.count) samples for a plan of \(self.batch)")
      precondition(batch.sampleShape == network.inputShape, "samples of \(batch.sampleShape) for \(network.inputShape)")
      guard batch.targetCount == network.targetCount else {
        throw .targets(given: batch.targetCount, expected: network.targetCount)
      }
      for check in labelChecks { try check.check(batch) }
      let mode = convoy_flush_denormals()
      defer { convoy_restore_denormals(mode) }
      let graph = try graph(GraphKey(samples: batch.count, isForTraining: gradient != nil))
      OpenMP.setThreads(threads)
      return graph
    }

    private func state(
      _ batch: Batch, _ parameters: FlatVector, gradient: FlatVector? = nil, statistics: FlatVector? = nil,
      buffers: FlatVector? = nil
    ) -> StepState {
      StepState(
        inputs: batch.inputs.pointer, parameters: parameters.pointer, gradient: gradient?.pointer,
        statistics: statistics?.pointer, buffers: buffers?.pointer, labels: batch.labelPointer,
        targets: UnsafePointer(batch.targets.pointer), targetStride: batch.targetCount,
        sampleNumbers: batch.samplePointer, epoch: batch.epoch)
    }
  }

  extension OneDNNPlan: DescribedPlan {
    func describe() throws(EngineError) -> PlanDescription {
      try graph(GraphKey(samples: batch, isForTraining: seed != nil)).description(of: network, samples: batch)
    }
  }

  extension OneDNNPlan: ProfiledPlan {
    func profiledStep(
      _ batch: Batch, parameters: FlatVector, gradient: FlatVector
    ) throws(EngineError) -> [PlanPart] {
      let graph = try prepare(batch, parameters, gradient: gradient)
      let mode = convoy_flush_denormals()
      defer { convoy_restore_denormals(mode) }
      var state = state(batch, parameters, gradient: gradient)
      return try graph.runProfiled(network, &state)
    }

    func bareStep(_ batch: Batch, parameters: FlatVector, gradient: FlatVector) throws(EngineError) -> Bool {
      let graph = try prepare(batch, parameters, gradient: gradient)
      let mode = convoy_flush_denormals()
      defer { convoy_restore_denormals(mode) }
      var state = state(batch, parameters, gradient: gradient)
      try graph.runBare(&state)
      return true
    }
  }
#endif
