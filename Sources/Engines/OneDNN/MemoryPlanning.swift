#if OneDNN
  import Networks
  import Tensors

  /// Compiles within a limit of memory: as much is computed again in the backward pass as it takes.
  ///
  /// The network is cut into runs of layers of about the same bytes; of all but the last only what later runs read is
  /// kept, and a run's forward passes are done again before its backward passes (Chen, Xu, Zhang and Guestrin, "Training
  /// deep nets with sublinear memory cost", 2016). The gradient keeps its bits, as the same primitives compute the same
  /// numbers twice. Two runs compute about half of the layers again, many runs almost all: they are tried from few to
  /// many, and what a graph takes is what its arena's layout says.
  struct MemoryPlanning {
    let network: Network
    let samples: Int
    /// The seed of what is random; nil in a plan for inference.
    let seed: UInt64?
    let threads: Int
    let precision: Precision
    /// Gives the threads of what the library does not compute.
    let team: () -> ThreadTeam

    /// The graph that computes the least again and fits.
    ///
    /// - Parameter limit: most bytes of the arena.
    func compile(limit: Int?) throws(EngineError) -> CompiledGraph {
      let compiler = try GraphCompiler(
        network, samples: samples, seed: seed, threads: threads, precision: precision, team: team)
      let whole = try compiler.compile()
      guard let limit, whole.arenaBytes > limit else { return whole }
      var least = whole.arenaBytes
      if seed != nil {
        for cuts in cutSets(compiler.unitStarts) {
          let graph = try GraphCompiler(
            network, samples: samples, seed: seed, threads: threads, precision: precision, cuts: cuts, team: team
          )
          .compile()
          if graph.arenaBytes <= limit { return graph }
          least = min(least, graph.arenaBytes)
        }
      }
      throw .memory(samples: samples, needed: least, bound: limit, isMachine: false)
    }

    /// Where the network may be cut, from few places to all.
    ///
    /// - Parameter starts: the layers that a run may begin with.
    func cutSets(_ starts: [Int]) -> [[Int]] {
      let places = starts.filter { $0 > 0 }
      // A cut inside of a residual block keeps the shortcut as well.
      let narrow = places.filter { crossing($0) == 1 }
      var sets: [[Int]] = []
      for candidates in [narrow, places] {
        var runs = 2
        while runs <= candidates.count {
          sets.append(balanced(candidates, runs: runs))
          runs += max(1, runs / 4)
        }
        sets.append(candidates)
      }
      var seen: Set<[Int]> = [[]]
      return sets.filter { seen.insert($0).inserted }
    }

    /// Number of tensors that layers before a place make and layers from it on read.
    private func crossing(_ place: Int) -> Int {
      var sources: Set<Int> = []
      for node in network.nodes[place...] {
        for case .some(let input) in node.inputs where input < place { sources.insert(input) }
      }
      return sources.count
    }

    /// Cuts that make so many runs of about the same bytes of activations.
    private func balanced(_ candidates: [Int], runs: Int) -> [Int] {
      var bytes: [Int] = [0]
      for node in network.nodes { bytes.append(bytes[bytes.count - 1] + node.outputShape.count) }
      let total = bytes[bytes.count - 1]
      var cuts: [Int] = []
      for run in 1..<runs {
        let target = total / runs * run
        let nearest = candidates.min { abs(bytes[$0] - target) < abs(bytes[$1] - target) }
        if let nearest, nearest > cuts.last ?? 0 { cuts.append(nearest) }
      }
      return cuts
    }
  }
#endif
