#if OneDNN
  import CKernels
  import Networks
  import Tensors

  /// What a command is for.
  struct CommandMark {
    enum Pass {
      case forward, recomputation, backward
    }

    /// The layer that it was added for.
    let node: Int
    let pass: Pass
  }

  /// A network's commands for one number of samples, and where their tensors lie in an arena.
  final class CompiledGraph {
    /// What a step does, in order: first the forward pass.
    let commands: [any Command]
    /// What each command is for.
    let marks: [CommandMark]
    /// Number of commands that the forward pass has.
    let forwardCount: Int
    /// After which commands a range of the gradient is final.
    private let finals: [Int: Range<Int>]
    /// The ranges of the gradient in the order in which they become final.
    let finalRanges: [Range<Int>]
    /// Bytes of the arena.
    let arenaBytes: Int
    /// Bytes of the scratchpad that all primitives share.
    let scratchpadBytes: Int
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
      commands: [any Command], marks: [CommandMark], forwardCount: Int, finals: [Int: Range<Int>],
      regions: [ArenaRegion], outputs: [Output]
    ) {
      precondition(marks.count == commands.count, "\(commands.count) commands, \(marks.count) marks")
      self.outputs = outputs
      self.commands = commands
      self.marks = marks
      self.forwardCount = forwardCount
      self.finals = finals
      finalRanges = finals.keys.sorted().compactMap { finals[$0] }
      self.regions = regions
      let scratchpad = commands.lazy.compactMap { ($0 as? PrimitiveCommand)?.scratchpadBytes }.max() ?? 0
      scratchpadBytes = Self.rounded(scratchpad)
      scratchpadOffset = Self.layOut(regions)
      arenaBytes = scratchpadOffset + scratchpadBytes
    }

    /// Most bytes that are in use at once: what no layout of the arena could do without.
    var peakBytes: Int {
      var changes = [Int](repeating: 0, count: commands.count + 1)
      for region in regions where region.lastUse >= 0 {
        changes[region.firstUse] += region.bytes
        changes[region.lastUse + 1] -= region.bytes
      }
      var (used, peak) = (0, 0)
      for change in changes {
        used += change
        peak = max(peak, used)
      }
      return peak + scratchpadBytes
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
        } else if !Self.areFinite(state.address(output.tensor.place), output.tensor.layout) {
          return .layer(output.name)
        }
      }
      return .loss(outputs.last { $0.isLoss }?.name ?? "loss")
    }

    private static func areFinite(_ values: UnsafeMutablePointer<Float>, _ layout: TensorLayout) -> Bool {
      guard layout.isBFloat16 else { return areFinite(values, layout.bytes / MemoryLayout<Float>.stride) }
      // All ones in the exponent: an infinity, or no number.
      let exponent: UInt16 = 0x7f80
      let halves = UnsafeRawBufferPointer(start: values, count: layout.bytes).bindMemory(to: UInt16.self)
      return halves.allSatisfy { $0 & exponent != exponent }
    }

    private static func areFinite(_ values: UnsafePointer<Float>, _ count: Int) -> Bool {
      UnsafeBufferPointer(start: values, count: count).allSatisfy(\.isFinite)
    }

    /// Runs all and tells what each command of a network took.
    func runProfiled(_ network: Network, _ state: inout StepState) throws(EngineError) -> [PlanPart] {
      let clock = ContinuousClock()
      var parts: [PlanPart] = []
      for (command, mark) in zip(commands, marks) {
        let begin = clock.now
        try command.run(&state)
        parts.append(
          PlanPart(
            layer: network.nodes[mark.node].layer.name, purpose: command.purpose,
            implementation: command.implementation, duration: clock.now - begin))
      }
      return parts
    }

    /// Runs the library's primitives, and the loops that stand in the place of some.
    func runBare(_ state: inout StepState) throws(EngineError) {
      for command in commands where command.isPrimitive {
        try command.run(&state)
      }
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
