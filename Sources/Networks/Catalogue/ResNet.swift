import Tensors

extension Catalogue {
  /// The CIFAR network with 20 layers of He et al. (2016), section 4.2: 269,722 parameters, 40,551,040
  /// multiply-accumulates.
  ///
  /// Shortcuts are of type A: where the plane is halved every other place is taken and channels of zeros are added.
  public static let resnet20 = try! resnet20(input: [3, 32, 32], classes: 10)

  /// The network for other images and classes.
  static func resnet20(input: Shape, classes: Int) throws(NetworkError) -> Network {
    try Network("resnet-20", input: input) {
      normalized("conv1", "bn1", channels: 16, kernel: 3, padding: 1)
      ReLU("relu1")
      blocks([3, 3, 3], after: "relu1") { name, stage, isFirst, source in
        basicBlock(name, channels: 16 << stage, isHalving: stage > 0 && isFirst, source: source)
      }
      GlobalPooling("avgpool")
      FullyConnected("fc", classes, weights: .he(.normal))
      SoftmaxCrossEntropy("loss")
    }
  }

  /// ResNet with 50 layers (He et al., 2016) as torchvision has it: 25,557,032 parameters, 4,089,184,256
  /// multiply-accumulates.
  ///
  /// A block that halves the plane does so in its 3×3 convolution. Names are torchvision's.
  public static let resnet50 = try! resnet50(input: [3, 224, 224], classes: 1000)

  /// The network for other images and classes.
  static func resnet50(input: Shape, classes: Int) throws(NetworkError) -> Network {
    try Network("resnet-50", input: input) {
      normalized("conv1", "bn1", channels: 64, kernel: 7, stride: 2, padding: 3)
      ReLU("relu")
      MaxPooling("maxpool", 3, stride: 2, padding: 1)
      blocks([3, 4, 6, 3], after: "maxpool") { name, stage, isFirst, source in
        bottleneck(
          name, channels: 64 << stage, stride: stage > 0 && isFirst ? 2 : 1, isProjecting: isFirst, source: source)
      }
      GlobalPooling("avgpool")
      FullyConnected("fc", classes, weights: .he(.normal))
      SoftmaxCrossEntropy("loss")
    }
  }

  /// Stages of so many blocks, each taking from the last layer of the one before.
  private static func blocks(
    _ counts: [Int], after source: String,
    _ block: (_ name: String, _ stage: Int, _ isFirst: Bool, _ source: String) -> [Layer]
  ) -> [Layer] {
    var layers: [Layer] = []
    for (stage, count) in counts.enumerated() {
      for index in 0..<count {
        layers += block("layer\(stage + 1).\(index)", stage, index == 0, layers.last?.name ?? source)
      }
    }
    return layers
  }

  /// A convolution without bias and its batch normalisation; weights begin as in He et al. (2015).
  @LayerTable private static func normalized(
    _ convolution: String, _ normalization: String, channels: Int, kernel: Extent, stride: Extent = 1,
    padding: Extent = 0, from input: String? = nil
  ) -> [Layer] {
    Convolution(
      convolution, channels: channels, kernel: kernel, stride: stride, padding: padding, bias: false,
      weights: .he(.normal), from: input)
    BatchNormalization(normalization)
  }

  /// Two 3×3 convolutions beside a shortcut without parameters.
  @LayerTable private static func basicBlock(
    _ name: String, channels: Int, isHalving: Bool, source: String
  ) -> [Layer] {
    normalized(
      "\(name).conv1", "\(name).bn1", channels: channels, kernel: 3, stride: isHalving ? 2 : 1, padding: 1,
      from: source)
    ReLU("\(name).relu1")
    normalized("\(name).conv2", "\(name).bn2", channels: channels, kernel: 3, padding: 1)
    if isHalving {
      AveragePooling("\(name).shortcut", 1, stride: 2, from: source)
      Pad("\(name).pad", [0, 0, 0], after: [channels / 2, 0, 0])
    }
    Addition("\(name).add", of: ["\(name).bn2", isHalving ? "\(name).pad" : source])
    ReLU("\(name).relu2")
  }

  /// A 3×3 convolution between two of 1×1, the last to four times the channels, beside the input or its projection.
  @LayerTable private static func bottleneck(
    _ name: String, channels: Int, stride: Extent, isProjecting: Bool, source: String
  ) -> [Layer] {
    normalized("\(name).conv1", "\(name).bn1", channels: channels, kernel: 1, from: source)
    ReLU("\(name).relu1")
    normalized("\(name).conv2", "\(name).bn2", channels: channels, kernel: 3, stride: stride, padding: 1)
    ReLU("\(name).relu2")
    normalized("\(name).conv3", "\(name).bn3", channels: 4 * channels, kernel: 1)
    if isProjecting {
      normalized(
        "\(name).downsample.0", "\(name).downsample.1", channels: 4 * channels, kernel: 1, stride: stride,
        from: source)
    }
    Addition("\(name).add", of: ["\(name).bn3", isProjecting ? "\(name).downsample.1" : source])
    ReLU("\(name).relu3")
  }
}
