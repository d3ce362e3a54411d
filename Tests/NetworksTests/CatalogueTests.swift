import Networks
import Tensors
import Testing

/// The catalogue against published counts, not against our own arithmetic.
@Suite struct CatalogueTests {
  @Test func lenetIsCaffes() throws {
    let network = try #require(Catalogue.network(named: "lenet"))
    #expect(network.inputShape == [1, 28, 28])
    #expect(network.parameterLayout.count == 431_080)
    #expect(network.forwardMACs == 2_293_000)
    #expect(network.classes == 10)
    #expect(
      network.parameterLayout.entries.map { "\($0.name) \($0.shape)" } == [
        "conv1.weight 20×1×5×5", "conv1.bias 20", "conv2.weight 50×20×5×5", "conv2.bias 50",
        "fc1.weight 500×800", "fc1.bias 500", "fc2.weight 10×500", "fc2.bias 10",
      ])
    #expect(
      network.summary.prefix(4).map(\.outputShape) == [[20, 24, 24], [20, 12, 12], [50, 8, 8], [50, 4, 4]])
    #expect(network.summary.map(\.parameters).filter { $0 > 0 } == [520, 25_050, 400_500, 5_010])
  }

  @Test func lenet5() throws {
    let network = try #require(Catalogue.network(named: "lenet-5"))
    #expect(network.inputShape == [1, 32, 32])
    #expect(network.parameterLayout.count == 61_706)
    #expect(network.forwardMACs == 416_520)
    let layers = network.summary.filter { $0.parameters > 0 }
    #expect(layers.map(\.name) == ["conv1", "conv2", "fc1", "fc2", "fc3"])
    #expect(layers.map(\.parameters) == [156, 2_416, 48_120, 10_164, 850])
  }

  /// Parameters and multiply-accumulates as published, and a shape on the way.
  static let published: [(name: String, parameters: Int, macs: Int, layer: String, shape: Shape)] = [
    ("resnet-20", 269_722, 40_551_040, "layer3.0.add", [64, 8, 8]),
    ("alexnet", 61_100_840, 714_188_480, "features.12", [256, 6, 6]),
    ("vgg-16", 138_357_544, 15_470_264_320, "features.30", [512, 7, 7]),
    ("resnet-50", 25_557_032, 4_089_184_256, "layer4.2.relu3", [2048, 7, 7]),
  ]

  @Test(arguments: published.indices) func countsAreThePublished(index: Int) throws {
    let it = Self.published[index]
    let network = try #require(Catalogue.network(named: it.name))
    #expect(network.parameterLayout.count == it.parameters)
    #expect(network.forwardMACs == it.macs)
    #expect(network.summary.first { $0.name == it.layer }?.outputShape == it.shape)
  }

  @Test func resNet50HasTorchvisionsNames() throws {
    let network = Catalogue.resnet50
    #expect(
      network.parameterLayout.entries.prefix(15).map { "\($0.name) \($0.shape)" } == [
        "conv1.weight 64×3×7×7", "bn1.weight 64", "bn1.bias 64",
        "layer1.0.conv1.weight 64×64×1×1", "layer1.0.bn1.weight 64", "layer1.0.bn1.bias 64",
        "layer1.0.conv2.weight 64×64×3×3", "layer1.0.bn2.weight 64", "layer1.0.bn2.bias 64",
        "layer1.0.conv3.weight 256×64×1×1", "layer1.0.bn3.weight 256", "layer1.0.bn3.bias 256",
        "layer1.0.downsample.0.weight 256×64×1×1", "layer1.0.downsample.1.weight 256", "layer1.0.downsample.1.bias 256",
      ])
    // torchvision's state has 53,120 running means and variances.
    #expect(network.bufferLayout.count == 53_120)
  }

  @Test func aDataSetOfThePublishedShapeGetsThePublishedNetwork() throws {
    for network in Catalogue.networks {
      let built = try Catalogue.network(named: network.name, input: network.inputShape, classes: network.classes)
      #expect(built == network)
    }
    // On a border of background, as in the paper.
    #expect(try Catalogue.network(named: "lenet-5", input: [1, 28, 28], classes: 10) == Catalogue.leNet5)
    #expect(try Catalogue.network(named: "lenet-6", input: [1, 28, 28], classes: 10) == nil)
  }

  @Test func networksTakeADataSetsShapeAndClasses() throws {
    let gray = try #require(try Catalogue.network(named: "resnet-20", input: [1, 28, 28], classes: 10))
    // Two channels fewer of 16 kernels of 3×3.
    #expect(gray.inputShape == [1, 28, 28] && gray.parameterLayout.count == 269_722 - 2 * 16 * 9)
    #expect(gray.bufferLayout == Catalogue.resnet20.bufferLayout)
    let hundred = try #require(try Catalogue.network(named: "resnet-20", input: [3, 32, 32], classes: 100))
    #expect(hundred.classes == 100 && hundred.parameterLayout.count == 269_722 + 90 * 65)
    let ten = try #require(try Catalogue.network(named: "vgg-16", input: [3, 224, 224], classes: 10))
    #expect(ten.parameterLayout.count == 138_357_544 - 990 * 4097)
    let small = try #require(try Catalogue.network(named: "resnet-50", input: [3, 64, 64], classes: 200))
    #expect(small.parameterLayout.count == 25_557_032 - 800 * 2049)
  }

  @Test(
    arguments: [
      ("alexnet", [1, 28, 28], "features.5"), ("vgg-16", [1, 28, 28], "features.30"), ("resnet-50", [16], "input"),
      ("lenet", [1, 28], "input"), ("lenet", [1, 9, 9], "conv2"),
    ] as [(String, Shape, String)])
  func shapesThatANetworkCannotTakeAreRefused(name: String, shape: Shape, layer: String) throws {
    let error = #expect(throws: NetworkError.self) {
      try Catalogue.network(named: name, input: shape, classes: 10)
    }
    #expect(error?.layer == layer, "\(String(describing: error))")
  }

  @Test func namesAreUniqueAndFound() {
    #expect(Set(Catalogue.networks.map(\.name)).count == Catalogue.networks.count)
    for network in Catalogue.networks { #expect(Catalogue.network(named: network.name) == network) }
    #expect(Catalogue.network(named: "lenet-6") == nil)
  }
}
