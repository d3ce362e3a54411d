#if OneDNN
  import CKernels
  import Networks
  import Tensors

  /// Batch normalisation by loops of ours, with the sum and the ReLU that follow it in the same pass over memory.
  ///
  /// The library's primitive leaves a sum, a ReLU after it and the sum of gradients to passes of their own. On CPUs all of
  /// them are as fast as memory is: Jung et al. 2019, "Restructuring Batch Normalization to Accelerate CNN Training".
  final class BlockedNormalization {
    typealias Tensor = GraphCompiler.Tensor

    let name: String
    let extents: BlockedExtents
    let epsilon: Double
    let hasReLU: Bool
    /// Where the weights and biases lie in the flat vector.
    let weights: Int
    let biases: Int
    let source: Tensor
    let residual: Tensor?
    let output: Tensor
    private let threads: Int
    /// Whether each thread takes blocks of all samples; otherwise it takes samples of all blocks.
    private let isSharedByBlocks: Bool
    /// For each channel: mean, inverse deviation, and the factor and term that the forward pass applies.
    let kept: Tensor
    /// For each thread two sums of each channel, in double precision.
    private let sums: Tensor
    /// For each channel the factor, slope and constant that the backward pass applies.
    private let values: Tensor

    init(
      _ name: String, _ extents: BlockedExtents, epsilon: Double, hasReLU: Bool, weights: Int, biases: Int,
      source: Tensor, residual: Tensor?, compiler: GraphCompiler
    ) throws(EngineError) {
      self.name = name
      self.extents = extents
      self.epsilon = epsilon
      self.hasReLU = hasReLU
      self.weights = weights
      self.biases = biases
      self.source = source
      self.residual = residual
      threads = compiler.threads
      isSharedByBlocks = extents.blocks.isMultiple(of: compiler.threads) || extents.blocks >= 4 * compiler.threads
      output = compiler.makeTensor(source.extents, source.layout)
      kept = try compiler.makePlainTensor([4, extents.channels])
      sums = try compiler.makePlainTensor([compiler.threads, 4, extents.channels])
      values = try compiler.makePlainTensor([3, extents.channels])
    }

    private struct Kept {
      let mean: UnsafeMutablePointer<Float>
      let inverse: UnsafeMutablePointer<Float>
      let factor: UnsafeMutablePointer<Float>
      let term: UnsafeMutablePointer<Float>
    }

    private func kept(_ state: StepState) -> Kept {
      let (base, channels) = (state.address(kept.place), extents.channels)
      return Kept(mean: base, inverse: base + channels, factor: base + 2 * channels, term: base + 3 * channels)
    }

    /// The two sums of each channel that a thread's part has found.
    private func sums(_ state: StepState, part: Int) -> UnsafeMutablePointer<Double> {
      let base = UnsafeMutableRawPointer(state.address(sums.place)).assumingMemoryBound(to: Double.self)
      return base + part * 2 * extents.channels
    }

    // MARK: Sharing

    /// Runs sums over a thread's part and what follows from the sums: in one phase by blocks, in two by samples.
    ///
    /// - Parameters:
    ///   - gather: adds to the two sums of a block's lanes what a range of samples has.
    ///   - conclude: turns the sums of a range of channels into factors.
    ///   - apply: goes over a range of samples of a block with them.
    private func phases(
      gather:
        @escaping (StepState, Int, Range<Int>, UnsafeMutablePointer<Double>, UnsafeMutablePointer<Double>) -> Void,
      conclude: @escaping (StepState, Range<Int>, UnsafeMutablePointer<Double>, UnsafeMutablePointer<Double>) -> Void,
      apply: @escaping (StepState, Int, Range<Int>) -> Void
    ) -> [ParallelCommand.Phase] {
      let (lanes, channels, blocks, samples, threads) = (
        extents.lanes, extents.channels, extents.blocks, extents.samples, self.threads
      )
      if isSharedByBlocks {
        return [
          { [self] state, part in
            let (first, second) = (sums(state, part: 0), sums(state, part: 0) + channels)
            for block in blocks * part / threads..<blocks * (part + 1) / threads {
              let range = block * lanes..<(block + 1) * lanes
              (first + range.lowerBound).update(repeating: 0, count: lanes)
              (second + range.lowerBound).update(repeating: 0, count: lanes)
              gather(state, block, 0..<samples, first + range.lowerBound, second + range.lowerBound)
              conclude(state, range, first, second)
              apply(state, block, 0..<samples)
            }
          }
        ]
      }
      return [
        { [self] state, part in
          let first = sums(state, part: part)
          first.update(repeating: 0, count: 2 * channels)
          for block in 0..<blocks {
            gather(
              state, block, samples * part / threads..<samples * (part + 1) / threads, first + block * lanes,
              first + channels + block * lanes)
          }
        },
        { [self] state, part in
          // Every thread reads the sums of all; one writes down what follows from them.
          guard part == 0 else { return }
          let total = sums(state, part: 0)
          for other in 1..<max(threads, 1) {
            let sums = sums(state, part: other)
            for index in 0..<2 * channels { total[index] += sums[index] }
          }
          conclude(state, 0..<channels, total, total + channels)
        },
        { state, part in
          for block in 0..<blocks {
            apply(state, block, samples * part / threads..<samples * (part + 1) / threads)
          }
        },
      ]
    }

    private func emit(_ compiler: GraphCompiler, _ pass: String, sets: Tensor, _ phases: [ParallelCommand.Phase]) {
      compiler.emit(
        "\(name) \(pass)", by: "convoy normalisation", sets: sets,
        workspaceBytes: kept.layout.bytes + sums.layout.bytes, phases)
    }

    // MARK: Forward

    /// Normalises with the batch's own statistics, or with running ones that lie in the buffers from there on.
    func addForward(_ compiler: GraphCompiler, running: (means: Int, variances: Int)?) {
      compiler.use([source, output, kept, sums] + (residual.map { [$0] } ?? []))
      let apply: (StepState, Int, Range<Int>) -> Void = { [self] state, block, samples in
        let (kept, first) = (kept(state), block * extents.lanes)
        convoy_blocked_normalize(
          state.address(source.place), residual.map { UnsafePointer(state.address($0.place)) }, kept.factor + first,
          kept.term + first, hasReLU ? 1 : 0, extents.part(block: block, samples: samples), state.address(output.place))
      }
      let gather: (StepState, Int, Range<Int>, UnsafeMutablePointer<Double>, UnsafeMutablePointer<Double>) -> Void = {
        [self] state, block, samples, first, second in
        guard running == nil else { return }
        let x = state.address(source.place)
        // Moments about an element of the channel lose nothing where the mean is far from 0.
        let shift = x + block * extents.places * extents.lanes
        convoy_blocked_moments(x, shift, extents.part(block: block, samples: samples), first, second)
      }
      let conclude: (StepState, Range<Int>, UnsafeMutablePointer<Double>, UnsafeMutablePointer<Double>) -> Void = {
        [self] state, channels, first, second in
        let (kept, x, count) = (kept(state), state.address(source.place), Double(extents.count))
        let parameters = (state.parameters + weights, state.parameters + biases)
        for channel in channels {
          let mean: Double
          let variance: Double
          if let running {
            mean = Double(state.address(.buffers(running.means))[channel])
            variance = Double(state.address(.buffers(running.variances))[channel])
          } else {
            let (block, lane) = channel.quotientAndRemainder(dividingBy: extents.lanes)
            let shifted = first[channel] / count
            mean = Double(x[block * extents.places * extents.lanes + lane]) + shifted
            variance = max(second[channel] / count - shifted * shifted, 0)
            // For whoever tells the statistics: the sums are done with.
            second[channel] = variance
          }
          let inverse = 1 / (variance + epsilon).squareRoot()
          let factor = Double(parameters.0[channel]) * inverse
          kept.mean[channel] = Float(mean)
          kept.inverse[channel] = Float(inverse)
          kept.factor[channel] = Float(factor)
          kept.term[channel] = Float(Double(parameters.1[channel]) - mean * factor)
        }
      }
      emit(compiler, "forward", sets: output, phases(gather: gather, conclude: conclude, apply: apply))
    }

    /// Writes the batch's mean and unbiased variance where the step wants them.
    func addStatistics(_ compiler: GraphCompiler, means: Int, variances: Int) {
      // One element has no unbiased variance; its biased one is 0.
      let correction = extents.count > 1 ? Double(extents.count) / Double(extents.count - 1) : 1
      compiler.emit("\(name) statistics", uses: [sums, kept]) { [self] state in
        guard let statistics = state.statistics else { return }
        let (mean, variance) = (kept(state).mean, sums(state, part: 0) + extents.channels)
        for channel in 0..<extents.channels {
          statistics[means + channel] = mean[channel]
          statistics[variances + channel] = Float(variance[channel] * correction)
        }
      }
    }

    // MARK: Backward

    /// The gradients of the input, of the residual and of the parameters.
    ///
    /// - Parameters:
    ///   - gradient: of the output; `other` is added to it.
    ///   - masked: where the gradient before the ReLU goes, which is the residual's; nil where nobody needs it. It may be
    ///     where the gradient is.
    func addBackward(
      _ compiler: GraphCompiler, gradient: Tensor, other: Tensor?, masked: Tensor?, result: Tensor
    ) {
      compiler.use(
        [source, gradient, result, kept, sums, values] + (residual == nil ? [] : [output])
          + [other, masked].compactMap(\.self))
      let given: (StepState) -> convoy_block_gradient = { [self] state in
        let kept = kept(state)
        let recomputes = hasReLU && residual == nil
        return convoy_block_gradient(
          gradient: state.address(gradient.place), other: other.map { UnsafePointer(state.address($0.place)) },
          output: hasReLU && residual != nil ? UnsafePointer(state.address(output.place)) : nil,
          scale: recomputes ? UnsafePointer(kept.factor) : nil, offset: recomputes ? UnsafePointer(kept.term) : nil)
      }
      let gather: (StepState, Int, Range<Int>, UnsafeMutablePointer<Double>, UnsafeMutablePointer<Double>) -> Void = {
        [self] state, block, samples, first, second in
        let base = block * extents.lanes
        convoy_blocked_gradient_sums(
          state.address(source.place), kept(state).mean + base, given(state).from(lane: base),
          extents.part(block: block, samples: samples), masked.map { state.address($0.place) }, first, second)
      }
      let factors = backwardFactors()
      let apply: (StepState, Int, Range<Int>) -> Void = { [self] state, block, samples in
        let base = block * extents.lanes
        let kept = kept(state)
        var given = given(state).from(lane: base)
        if let masked {
          given = convoy_block_gradient(
            gradient: state.address(masked.place), other: nil, output: nil, scale: nil, offset: nil)
        }
        let values = backwardValues(state)
        convoy_blocked_gradient(
          state.address(source.place), kept.mean + base, given, values.factor + base, values.slope + base,
          values.constant + base, extents.part(block: block, samples: samples), state.address(result.place))
      }
      emit(compiler, "gradient", sets: result, phases(gather: gather, conclude: factors, apply: apply))
    }

    /// The parameters' gradient from the sums, and the factors of the input's.
    private func backwardFactors()
      -> (StepState, Range<Int>, UnsafeMutablePointer<Double>, UnsafeMutablePointer<Double>) -> Void
    {
      { [self] state, channels, first, second in
        let (kept, count) = (kept(state), Double(extents.count))
        let (weight, weightGradient, biasGradient) = (
          state.parameters + weights, state.address(.gradient(weights)), state.address(.gradient(biases))
        )
        let values = backwardValues(state)
        for channel in channels {
          let inverse = Double(kept.inverse[channel])
          let (sum, product) = (first[channel], second[channel])
          let factor = Double(weight[channel]) * inverse
          weightGradient[channel] = Float(product * inverse)
          biasGradient[channel] = Float(sum)
          values.factor[channel] = Float(factor)
          values.slope[channel] = Float(-factor * inverse * inverse * product / count)
          values.constant[channel] = Float(-factor * sum / count)
        }
      }
    }

    private func backwardValues(_ state: StepState) -> (
      factor: UnsafeMutablePointer<Float>, slope: UnsafeMutablePointer<Float>, constant: UnsafeMutablePointer<Float>
    ) {
      let base = state.address(values.place)
      return (base, base + extents.channels, base + 2 * extents.channels)
    }
  }

  extension convoy_block_gradient {
    /// With the channels' factors from a lane on.
    fileprivate func from(lane: Int) -> convoy_block_gradient {
      convoy_block_gradient(
        gradient: gradient, other: other, output: output, scale: scale.map { $0 + lane },
        offset: offset.map { $0 + lane })
    }
  }
#endif
