/// A network that engines are compared on, and what is aimed at.
public struct ComparedNetwork: Hashable, Sendable {
  /// The network's name in the catalogue.
  public let name: String
  /// Samples of a step.
  public let batch: Int
  /// The least ratio to PyTorch's images a second in fp32 that is aimed at, on 2 threads.
  public let target: Double
  /// The same in bf16.
  public let bfloat16Target: Double

  /// The networks that the script for PyTorch has too.
  public static let all = [
    ComparedNetwork(name: "lenet", batch: 64, target: 2.0, bfloat16Target: 2.0),
    ComparedNetwork(name: "resnet-20", batch: 128, target: 1.6, bfloat16Target: 2.5),
    ComparedNetwork(name: "alexnet", batch: 32, target: 1.4, bfloat16Target: 2.5),
    ComparedNetwork(name: "vgg-16", batch: 8, target: 1.4, bfloat16Target: 2.0),
    ComparedNetwork(name: "resnet-50", batch: 16, target: 1.6, bfloat16Target: 2.5),
  ]

  /// The one of a name, with a batch of its own where one is given.
  public static func named(_ name: String, batch: Int?) -> ComparedNetwork? {
    guard let known = all.first(where: { $0.name == name }) else { return nil }
    return ComparedNetwork(
      name: name, batch: batch ?? known.batch, target: known.target, bfloat16Target: known.bfloat16Target)
  }
}
