/// The networks that are known by name.
public enum Catalogue {
  /// The networks.
  public static let networks: [Network] = [lenet, leNet5, resnet20, alexnet, vgg16, resnet50]

  /// The network of a name, or nil.
  public static func network(named name: String) -> Network? {
    networks.first { $0.name == name }
  }
}
