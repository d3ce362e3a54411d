#if OneDNN
  import CKernels
  import Networks
  import Tensors

  /// A network's commands for one number of samples, and where their tensors lie in an arena.
  final class CompiledGraph {
    /// What a step does, in order: first the forward pass.
    let commands: [any Command]
    /// Number of commands that the forward pass has.
    let forwardCount: Int
    /// After which commands a range of the gradient is final.
    private let finals: [Int: Range<Int>]
    /// The ranges of the gradient in the order in which they become final.
    let finalRanges: [Range<Int>]
    /// Bytes of the arena.
    let arenaBytes: Int
    private let regions: [ArenaRegion]
    private let outputs: [Output]
    private let scratchpadOffset: Int

    /// Where a layer's output lies once its commands are done.
    struct Output {
      let name: String
      let isLoss: Bool
      let tensor: GraphCompiler.Tensor
      /// Number of commands that are then done, this layer's included.
      let commandCount: Int
    }

    init(
      commands: [any Command], forwardCount: Int, finals: [Int: Range<Int>], regions: [ArenaRegion], outputs: [Output]
    ) {
      self.outputs = outputs
      self.commands = commands
      self.forwardCount = forwardCount
      self.finals = finals
      finalRanges = finals.keys.sorted().compactMap { finals[$0] }
      self.regions = regions
      let scratchpad = commands.lazy.compactMap { ($0 as? PrimitiveCommand)?.scratchpadBytes }.max() ?? 0
      scratchpadOffset = Self.layOut(regions)
      arenaBytes = scratchpadOffset + Self.rounded(scratchpad)
    }

    /// Every tensor begins on a page's cache line of its own.
    private static func rounded(_ bytes: Int) -> Int { (bytes + 127) / 128 * 128 }

    /// Gives each region a place that no other has while it is in use; returns the end of the last.
    ///
    /// The largest first, each at the lowest place that is free: a greedy rule that comes close to the most bytes in use
    /// at once (Pisarchyk and Lee, "Efficient memory management for deep neural net inference", 2020).
    private static func layOut(_ regions: [ArenaRegion]) -> Int {
      var placed: [ArenaRegion] = []
      var end = 0
      let used = regions.filter { $0.lastUse >= 0 }
      for region in used.sorted(by: { ($0.bytes, $1.firstUse) > ($1.bytes, $0.firstUse) }) {
        let others = placed.filter { $0.firstUse <= region.lastUse && region.firstUse <= $0.lastUse }
        var offset = 0
        for other in others.sorted(by: { $0.offset < $1.offset }) {
          if offset + rounded(region.bytes) <= other.offset { break }
          offset = max(offset, other.offset + rounded(other.bytes))
        }
        region.offset = offset
        placed.append(region)
        end = max(end, offset + rounded(region.bytes))
      }
      return end
    }

    /// Makes the primitives, over an arena of at least `arenaBytes`.
    func bind(_ arena: UnsafeMutableRawPointer) throws(EngineError) {
      for region in regions { region.bind(arena) }
      for command in commands { try command.bind(scratchpad: arena + scratchpadOffset) }
    }

    /// Runs the forward pass.
    func runForward(_ state: inout StepState) throws(EngineError) {
      for index in 0..<forwardCount { try commands[index].run(&state) }
    }

    /// Goes through the forward pass again, layer by layer, and tells where a value is not finite first.
    ///
    /// The arena's regions serve one tensor after another, so that nothing can be looked at once the pass is done.
    func origin(_ state: inout StepState, inputs: Int) throws(EngineError) -> NonFiniteOrigin {
      guard Self.areFinite(state.inputs, inputs) else { return .input }
      var done = 0
      for output in outputs {
        while done < output.commandCount {
          try commands[done].run(&state)
          done += 1
        }
        if output.isLoss {
          guard state.loss.isFinite else { return .loss(output.name) }
        } else if !Self.areFinite(
          state.address(output.tensor.place), output.tensor.layout.bytes / MemoryLayout<Float>.stride)
        {
          return .layer(output.name)
        }
      }
      preconditionFailure("a loss that is finite when it is computed again")
    }

    private static func areFinite(_ values: UnsafePointer<Float>, _ count: Int) -> Bool {
      UnsafeBufferPointer(start: values, count: count).allSatisfy(\.isFinite)
    }

    /// Runs all and tells what each command took.
    func runProfiled(_ state: inout StepState) throws(EngineError) -> [PlanPart] {
      let clock = ContinuousClock()
      var parts: [PlanPart] = []
      for command in commands {
        let begin = clock.now
        try command.run(&state)
        parts.append(
          PlanPart(
            purpose: command.purpose, implementation: command.implementation, duration: clock.now - begin))
      }
      return parts
    }

    /// Runs the backward pass.
    func runBackward(_ state: inout StepState, onFinal: (Range<Int>) -> Void) throws(EngineError) {
      for index in forwardCount..<commands.count {
        try commands[index].run(&state)
        if let range = finals[index] { onFinal(range) }
      }
    }
  }
#endif
