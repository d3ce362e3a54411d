/// The data sets that are known by name.
public enum DatasetCatalogue {
  private struct Entry: Sendable {
    let name: String
    let load: @Sendable (Split, String?) throws(DatasetError) -> ImageDataset
  }

  private static let entries = [
    Entry(name: FashionMNIST.name) { split, directory throws(DatasetError) in
      try FashionMNIST.load(split, directory: directory)
    }
  ]

  /// The names.
  public static var names: [String] { entries.map(\.name) }

  /// Reads a part of a data set and checks it: from the given folder, or from where its package puts it.
  ///
  /// Cost: inflates and hashes the files; for Fashion-MNIST's training set about half a second.
  public static func load(_ name: String, split: Split, directory: String? = nil) throws(DatasetError) -> ImageDataset {
    guard let entry = entries.first(where: { $0.name == name }) else { throw .unknown(name) }
    return try entry.load(split, directory)
  }
}
