import Tensors

extension Catalogue {
  /// VGG with 16 layers (Simonyan and Zisserman, 2015, configuration D): 138,357,544 parameters, 15,470,264,320
  /// multiply-accumulates.
  ///
  /// Names are torchvision's; weights begin as in He et al. (2015), which trains it without the paper's pre-training.
  public static let vgg16 = try! vgg16(input: [3, 224, 224], classes: 1000)

  /// VGG for other images and classes: its first fully connected layer takes the planes that the last pooling gives.
  static func vgg16(input: Shape, classes: Int) throws(NetworkError) -> Network {
    try Network("vgg-16", input: input) {
      vggFeatures([[64, 64], [128, 128], [256, 256, 256], [512, 512, 512], [512, 512, 512]])
      FullyConnected("classifier.0", 4096, weights: .gaussian(deviation: 0.01))
      ReLU("classifier.1")
      Dropout("classifier.2", 0.5)
      FullyConnected("classifier.3", 4096, weights: .gaussian(deviation: 0.01))
      ReLU("classifier.4")
      Dropout("classifier.5", 0.5)
      FullyConnected("classifier.6", classes, weights: .gaussian(deviation: 0.01))
      SoftmaxCrossEntropy("loss")
    }
  }

  /// Blocks of convolutions, each with its ReLU, and a pooling after each block.
  private static func vggFeatures(_ blocks: [[Int]]) -> [Layer] {
    var layers: [Layer] = []
    for block in blocks {
      for channels in block {
        layers.append(
          Convolution(
            "features.\(layers.count)", channels: channels, kernel: 3, padding: 1, weights: .he(.normal)
          ).layer)
        layers.append(ReLU("features.\(layers.count)").layer)
      }
      layers.append(MaxPooling("features.\(layers.count)", 2).layer)
    }
    return layers
  }
}
