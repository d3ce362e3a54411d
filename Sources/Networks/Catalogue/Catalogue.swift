public import Tensors

/// The networks that are known by name.
public enum Catalogue {
  /// The networks, as published.
  public static let networks: [Network] = [lenet, leNet5, resnet20, alexnet, vgg16, resnet50]

  /// The published network of a name, or nil.
  public static func network(named name: String) -> Network? {
    networks.first { $0.name == name }
  }

  /// The network of a name as it is for images of a shape and a number of classes; nil where there is none of that name.
  ///
  /// It is the published one where that takes such images and tells as many classes apart.
  ///
  /// - Parameter input: channels, height and width. What the network takes may be larger: see `leNet5`.
  /// - Throws: where a layer cannot take what the images leave it, as a window larger than its plane.
  public static func network(named name: String, input: Shape, classes: Int) throws(NetworkError) -> Network? {
    guard network(named: name) != nil else { return nil }
    guard input.rank == 3, classes > 0 else {
      throw NetworkError(
        layer: Network.inputName,
        problem: "it takes images of channels, height and width in one class or more, not \(input) in \(classes)")
    }
    return switch name {
    case lenet.name: try lenet(input: input, classes: classes)
    case leNet5.name: try leNet5(input: input, classes: classes)
    case resnet20.name: try resnet20(input: input, classes: classes)
    case alexnet.name: try alexnet(input: input, classes: classes)
    case vgg16.name: try vgg16(input: input, classes: classes)
    case resnet50.name: try resnet50(input: input, classes: classes)
    default: preconditionFailure("nobody builds \(name) for a data set")
    }
  }
}
