import Tensors

extension Catalogue {
  /// LeNet as Caffe's MNIST example has it: 431,080 parameters, 2,293,000 multiply-accumulates.
  ///
  /// Pooling takes the maximum, and the only non-linearity besides it is one ReLU.
  public static let lenet = try! lenet(input: [1, 28, 28], classes: 10)

  /// LeNet for other images and classes.
  static func lenet(input: Shape, classes: Int) throws(NetworkError) -> Network {
    try Network("lenet", input: input) {
      Convolution("conv1", channels: 20, kernel: 5)
      MaxPooling("pool1", 2)
      Convolution("conv2", channels: 50, kernel: 5)
      MaxPooling("pool2", 2)
      FullyConnected("fc1", 500)
      ReLU("relu1")
      FullyConnected("fc2", classes)
      SoftmaxCrossEntropy("loss")
    }
  }

  /// LeNet-5 (LeCun et al., 1998) in its modern form: 61,706 parameters, 416,520 multiply-accumulates.
  ///
  /// Plain averages for the trainable sub-sampling, every map of the second convolution connected to all of the first,
  /// and a softmax for the radial basis functions.
  public static let leNet5 = try! leNet5(input: [1, 32, 32], classes: 10)

  /// LeNet-5 for other images and classes; those smaller than 32 by 32 stand on a border of background, as the paper's
  /// do.
  static func leNet5(input: Shape, classes: Int) throws(NetworkError) -> Network {
    let input = input.rank == 3 ? [input[0], max(input[1], 32), max(input[2], 32)] : input
    return try Network("lenet-5", input: input) {
      Convolution("conv1", channels: 6, kernel: 5)
      Tanh("tanh1")
      AveragePooling("pool1", 2)
      Convolution("conv2", channels: 16, kernel: 5)
      Tanh("tanh2")
      AveragePooling("pool2", 2)
      FullyConnected("fc1", 120)
      Tanh("tanh3")
      FullyConnected("fc2", 84)
      Tanh("tanh4")
      FullyConnected("fc3", classes)
      SoftmaxCrossEntropy("loss")
    }
  }
}
