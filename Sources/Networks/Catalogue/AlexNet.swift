import Tensors

extension Catalogue {
  /// AlexNet as torchvision has it (Krizhevsky, "One weird trick", 2014): 61,100,840 parameters, 714,188,480
  /// multiply-accumulates.
  ///
  /// No groups and no response normalisation. Names are torchvision's; its adaptive pooling is left out, as it changes
  /// nothing for images of this size. First values are the 2012 paper's: deviation 0.01, and biases of 1 where it says so.
  public static let alexnet = try! alexnet(input: [3, 224, 224], classes: 1000)

  /// AlexNet for other images and classes: its first fully connected layer takes the planes that the last pooling gives.
  static func alexnet(input: Shape, classes: Int) throws(NetworkError) -> Network {
    try Network("alexnet", input: input) {
      alexnetConvolution("features.0", channels: 64, kernel: 11, stride: 4, padding: 2, bias: 0)
      ReLU("features.1")
      MaxPooling("features.2", 3, stride: 2)
      alexnetConvolution("features.3", channels: 192, kernel: 5, padding: 2, bias: 1)
      ReLU("features.4")
      MaxPooling("features.5", 3, stride: 2)
      alexnetConvolution("features.6", channels: 384, kernel: 3, padding: 1, bias: 0)
      ReLU("features.7")
      alexnetConvolution("features.8", channels: 256, kernel: 3, padding: 1, bias: 1)
      ReLU("features.9")
      alexnetConvolution("features.10", channels: 256, kernel: 3, padding: 1, bias: 1)
      ReLU("features.11")
      MaxPooling("features.12", 3, stride: 2)
      Dropout("classifier.0", 0.5)
      FullyConnected("classifier.1", 4096, weights: .gaussian(deviation: 0.01), biases: .constant(1))
      ReLU("classifier.2")
      Dropout("classifier.3", 0.5)
      FullyConnected("classifier.4", 4096, weights: .gaussian(deviation: 0.01), biases: .constant(1))
      ReLU("classifier.5")
      FullyConnected("classifier.6", classes, weights: .gaussian(deviation: 0.01))
      SoftmaxCrossEntropy("loss")
    }
  }

  private static func alexnetConvolution(
    _ name: String, channels: Int, kernel: Extent, stride: Extent = 1, padding: Extent, bias: Float
  ) -> Convolution {
    Convolution(
      name, channels: channels, kernel: kernel, stride: stride, padding: padding, weights: .gaussian(deviation: 0.01),
      biases: .constant(bias))
  }
}
