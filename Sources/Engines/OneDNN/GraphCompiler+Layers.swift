#if OneDNN
  import COneDNN
  import Networks
  import Tensors

  /// What computes each layer, and which are computed together.
  extension GraphCompiler {
    /// Adds a layer's forward pass; returns its output and what its backward pass does.
    func add(
      _ node: Network.Node, index: Int, sources: [Tensor], hasReLU: Bool
    ) throws(EngineError) -> (Tensor, Backward?) {
      let sources = try standard(sources, for: node)
      let source = sources[0]
      switch node.layer.kind {
      case .convolution(let layer): return try addConvolution(layer, node, source, hasReLU: hasReLU)
      case .fullyConnected where precision != .fp32: return try addInnerProduct(node, source, hasReLU: hasReLU)
      case .fullyConnected: return try addFullyConnected(node, source, hasReLU: hasReLU)
      case .batchNormalization(let layer):
        return try addBatchNormalization(layer, node, source, hasReLU: hasReLU)
      case .addition:
        if let normalization = additions.first(where: { $0.value == index })?.key {
          return try addNormalizedSum(normalization, index: index, node, sources, hasReLU: hasReLU)
        }
        return try addAddition(node, sources, hasReLU: hasReLU)
      case .maxPooling, .averagePooling, .adaptivePooling: return try addPooling(node, index: index, sources)
      case .relu: return try addElementwise(dnnl_eltwise_relu_use_dst_for_bwd, node, source)
      case .leakyReLU(let slope):
        return try addElementwise(dnnl_eltwise_relu_use_dst_for_bwd, alpha: Float(slope), node, source)
      case .tanh: return try addElementwise(dnnl_eltwise_tanh_use_dst_for_bwd, node, source)
      case .sigmoid: return try addElementwise(dnnl_eltwise_logistic_use_dst_for_bwd, node, source)
      case .dropout(let probability): return try addDropout(probability, node, index: index, source)
      case .flatten: return try addFlatten(node, source)
      case .pad(let margins, let value): return try addPadding(margins, value, node, source)
      case .loss(let loss):
        guard loss.isPlainSoftmax, index == network.nodes.count - 1 else {
          return try addBridge(node, index: index, sources)
        }
        let (output, backward, gradient) = try addLoss(node, source)
        logitsGradient = gradient
        return (output, backward)
      case .reshape: return try addReshape(node, source)
      case .transposedConvolution, .localResponseNormalization, .embedding, .relu6, .prelu, .softmax,
        .multiplication, .concatenation, .crop, .slice, .bilinearUpsampling:
        return try addBridge(node, index: index, sources)
      }
    }

    /// The range of the flat vector of a layer's parameter; nil where it has none of that name.
    func range(of parameter: String, _ node: Network.Node) -> Range<Int>? {
      network.parameterLayout.entries.first { $0.name == "\(node.layer.name).\(parameter)" }?.range
    }

    /// Whether a layer's ReLU follows and nobody else reads what lies between.
    func fusesReLU(after index: Int) -> Bool {
      switch network.nodes[index].layer.kind {
      case .convolution, .fullyConnected, .batchNormalization, .addition: break
      default: return false
      }
      let readers = network.nodes.indices.filter { network.nodes[$0].inputs.contains(index) }
      guard readers == [index + 1] else { return false }
      return network.nodes[index + 1].layer.kind == .relu
    }

    /// For each batch normalisation that is computed with the sum that alone reads it: that sum.
    static func normalizedSums(_ network: Network) -> [Int: Int] {
      var sums: [Int: Int] = [:]
      for (index, node) in network.nodes.enumerated() {
        guard node.layer.kind == .addition, node.inputs.count == 2, Set(node.inputs).count == 2 else { continue }
        let candidates = node.inputs.compactMap(\.self).filter { input in
          guard case .batchNormalization = network.nodes[input].layer.kind else { return false }
          return network.nodes.allSatisfy { !$0.inputs.contains(input) || $0.layer.name == node.layer.name }
        }
        if let last = candidates.max() { sums[last] = index }
      }
      return sums
    }
  }

  extension Loss {
    /// Whether it is the negative logarithm of the softmax's share for each sample's label, and nothing else.
    fileprivate var isPlainSoftmax: Bool {
      guard weight == 1, case .softmaxCrossEntropy(let settings) = function else { return false }
      return settings.classWeights.isEmpty && settings.labelSmoothing == 0 && settings.ignoredLabel == nil
        && !settings.isPerPlace
    }
  }
#endif
