import CKernels
import Networks
import Tensors

extension PlanCompiler {
  /// Adds a node's operations and returns what it gives.
  mutating func add(_ node: Network.Node, index: Int, sources: [PlanTensor], fusesReLU: Bool) -> PlanTensor {
    let source = sources[0]
    switch node.layer.kind {
    case .convolution(let layer): return addConvolution(layer, node, source, fusesReLU: fusesReLU)
    case .transposedConvolution(let layer): return addTransposedConvolution(layer, node, source)
    case .fullyConnected: return addFullyConnected(node, source, fusesReLU: fusesReLU)
    case .embedding(let layer):
      let output = tensor(node.outputShape, hasGradient: true)
      append(EmbeddingOperation<Scalar>(layer, places: places(source, output), weights: weights(of: node)))
      return output
    case .maxPooling, .averagePooling, .adaptivePooling: return addPooling(node, source)
    case .batchNormalization, .localResponseNormalization: return addNormalization(node, source)
    case .relu, .relu6, .leakyReLU, .prelu, .tanh, .sigmoid, .softmax: return addActivation(node, source)
    case .dropout(let probability):
      let output = inPlace(source, node.outputShape)
      append(
        DropoutOperation<Scalar>(
          probability, seed: seed ?? 0, layer: index, batch: seed == nil ? 0 : batch,
          places: places(source, output), arena: arena))
      return output
    case .addition, .multiplication, .concatenation: return addJoining(node, sources)
    case .flatten, .reshape: return addReshaping(node, source)
    case .crop, .pad, .slice, .bilinearUpsampling: return addMoving(node, source)
    case .loss(let loss): return addLoss(loss, node, index: index, sources: sources)
    }
  }

  // MARK: Layers with products

  private mutating func addConvolution(
    _ layer: Convolution, _ node: Network.Node, _ source: PlanTensor, fusesReLU: Bool
  ) -> PlanTensor {
    let output = tensor(node.outputShape, hasGradient: true, mayBeOverwritten: !fusesReLU)
    let products = products(
      node, inputChannels: node.inputShape[0], outputChannels: layer.channels, groups: layer.groups)
    append(
      ConvolutionOperation<Scalar>(
        products, places: places(source, output), weights: weights(of: node), bias: parameter("bias", of: node),
        hasReLU: fusesReLU))
    return output
  }

  private mutating func addTransposedConvolution(
    _ layer: TransposedConvolution, _ node: Network.Node, _ source: PlanTensor
  ) -> PlanTensor {
    let output = tensor(node.outputShape, hasGradient: true)
    let products = products(
      node, inputChannels: layer.channels, outputChannels: node.inputShape[0], groups: layer.groups)
    append(
      TransposedConvolutionOperation<Scalar>(
        products, places: places(source, output), weights: weights(of: node), bias: parameter("bias", of: node)))
    return output
  }

  private func products(
    _ node: Network.Node, inputChannels: Int, outputChannels: Int, groups: Int
  ) -> ConvolutionProducts<Scalar> {
    guard let window = node.window else { preconditionFailure("layer \(node.layer.name) has no window") }
    return ConvolutionProducts<Scalar>(
      .init(window: window, inputChannels: inputChannels, outputChannels: outputChannels, groups: groups),
      weights: weights(of: node), trains: seed != nil, team: team, arena: arena)
  }

  private mutating func addFullyConnected(
    _ node: Network.Node, _ source: PlanTensor, fusesReLU: Bool
  ) -> PlanTensor {
    let source = flat(source)
    let output = tensor(node.outputShape, hasGradient: true, mayBeOverwritten: !fusesReLU)
    append(
      FullyConnectedOperation<Scalar>(
        places: places(source, output), weights: weights(of: node), bias: parameter("bias", of: node),
        hasReLU: fusesReLU, team: team))
    return output
  }

  // MARK: Layers of neighbours and channels

  private mutating func addPooling(_ node: Network.Node, _ source: PlanTensor) -> PlanTensor {
    let output = tensor(node.outputShape, hasGradient: source.gradient != nil)
    let function: PoolingFunction
    switch node.layer.kind {
    case .adaptivePooling(let which, _): function = which
    case .maxPooling: function = .maximum
    default: function = .average
    }
    let window = node.window.map(convoy_window.init)
    let planes = (node.inputShape.extents.dropFirst(), node.outputShape.extents.dropFirst())
    append(
      PoolingOperation<Scalar>(
        function, window: window ?? convoy_window(input: planes.0, output: planes.1), isAdaptive: window == nil,
        batch: batch, places: places(source, output), team: team, arena: arena))
    return output
  }

  private mutating func addNormalization(_ node: Network.Node, _ source: PlanTensor) -> PlanTensor {
    if case .batchNormalization(let layer) = node.layer.kind {
      let output = tensor(node.outputShape, hasGradient: true)
      let weights = weights(of: node)
      append(
        BatchNormalizationOperation<Scalar>(
          layer, places: places(source, output), weights: weights, bias: parameter("bias", of: node) ?? weights,
          means: buffer("running_mean", of: node), variances: buffer("running_var", of: node), team: team,
          arena: arena))
      return output
    }
    // The gradient is computed from the output, too.
    let output = tensor(node.outputShape, hasGradient: source.gradient != nil, mayBeOverwritten: false)
    if case .localResponseNormalization(let layer) = node.layer.kind {
      append(
        ResponseNormalizationOperation<Scalar>(
          layer, shape: node.inputShape, batch: batch, places: places(source, output), team: team, arena: arena))
    }
    return output
  }

  private mutating func addActivation(_ node: Network.Node, _ source: PlanTensor) -> PlanTensor {
    if case .prelu = node.layer.kind {
      // The gradient of the slopes is computed from the input.
      let output = tensor(node.outputShape, hasGradient: true)
      append(
        PReLUOperation<Scalar>(places: places(source, output), slopes: weights(of: node), team: team, arena: arena))
      return output
    }
    var output = inPlace(source, node.outputShape)
    // Derivatives are read from the output.
    output.mayBeOverwritten = false
    let places = places(source, output)
    let (kernels, elementwise) = (Scalar.kernels, Scalar.elementwise)
    switch node.layer.kind {
    case .softmax: append(SoftmaxOperation<Scalar>(places: places))
    case .tanh: append(ActivationOperation(kernels.tanh, kernels.tanhBackward, places: places, team: team))
    case .sigmoid:
      append(ActivationOperation(kernels.sigmoid, kernels.sigmoidBackward, places: places, team: team))
    case .relu6:
      append(ActivationOperation(elementwise.relu6, elementwise.relu6Backward, places: places, team: team))
    case .leakyReLU(let slope):
      let slope = Scalar(slope)
      append(
        ActivationOperation<Scalar>(
          { elementwise.leakyReLU($0, slope, $2, 1, $1) }, { elementwise.leakyReLUBackward($0, $1, slope, $3, 1, $2) },
          places: places, team: team))
    default: append(ActivationOperation(kernels.relu, kernels.reluBackward, places: places, team: team))
    }
    return output
  }

  // MARK: Layers that join and move

  private mutating func addJoining(_ node: Network.Node, _ sources: [PlanTensor]) -> PlanTensor {
    let hasGradient = sources.contains { $0.gradient != nil }
    let output: PlanTensor
    if case .addition = node.layer.kind, sources[0].mayBeOverwritten, sources[0].gradient != nil || !hasGradient {
      // The first term becomes the sum, and its gradient is the sum's.
      output = sources[0]
    } else {
      output = tensor(node.outputShape, hasGradient: hasGradient)
    }
    let terms = sources.map(\.source)
    switch node.layer.kind {
    case .addition: append(JoiningOperation<Scalar>(.sum, terms, output: output.source, team: team))
    case .multiplication: append(JoiningOperation<Scalar>(.product, terms, output: output.source, team: team))
    default: append(ConcatenationOperation<Scalar>(terms, output: output.source))
    }
    return output
  }

  /// A tensor as a flat one.
  private mutating func flat(_ source: PlanTensor) -> PlanTensor {
    source.value.plane == nil ? source : relaid(source, [source.value.count])
  }

  /// A spatial tensor as a flat one, or a flat one as a spatial one.
  private mutating func relaid(_ source: PlanTensor, _ shape: Shape) -> PlanTensor {
    let output = tensor(shape, hasGradient: source.gradient != nil)
    append(LayoutOperation<Scalar>(places: places(source, output)))
    return output
  }

  private mutating func addReshaping(_ node: Network.Node, _ source: PlanTensor) -> PlanTensor {
    let shape = node.outputShape
    let isSame =
      source.value.plane == nil ? shape.rank == 1 : shape.rank > 1 && shape[0] == source.value.channels
    guard isSame else {
      let source = flat(source)
      return shape.rank == 1 ? source : relaid(source, shape)
    }
    // The elements lie as they should. Under another name they have other readers.
    if isOnlyReader(of: node.input) { return source }
    let output = tensor(shape, hasGradient: source.gradient != nil)
    append(CopyOperation<Scalar>(places: places(source, output)))
    return output
  }

  private mutating func addMoving(_ node: Network.Node, _ source: PlanTensor) -> PlanTensor {
    let output = tensor(node.outputShape, hasGradient: source.gradient != nil)
    let places = places(source, output)
    if let region = node.region {
      var fill: Float = 0
      if case .pad(_, let value) = node.layer.kind { fill = value }
      append(
        RegionOperation<Scalar>(region, inputShape: node.inputShape, fill: fill, places: places, team: team))
    } else if case .bilinearUpsampling(_, let alignsCorners) = node.layer.kind {
      append(UpsamplingOperation<Scalar>(node, alignsCorners: alignsCorners, places: places, team: team))
    }
    return output
  }

  private mutating func addLoss(
    _ loss: Loss, _ node: Network.Node, index: Int, sources: [PlanTensor]
  ) -> PlanTensor {
    let isMain = index == network.nodes.count - 1
    // Not `map`: flattening adds operations to this compiler.
    var inputs: [Source] = []
    for source in sources { inputs.append(flat(source).source) }
    if isMain { setLogits(inputs[0]) }
    append(LossOperation<Scalar>(loss, inputs: inputs, node: node, isMain: isMain))
    return sources[0]
  }
}
