public import Tensors

/// What a data set's samples are like: what a network for it must take and tell apart.
public struct DatasetForm: Hashable, Sendable {
  /// The shape of an image: channels, height, width.
  public let sampleShape: Shape
  /// Number of classes.
  public let classes: Int
  /// Number of samples in the training set.
  public let trainingSamples: Int
}

/// The data sets that are known by name.
public enum DatasetCatalogue {
  private struct Entry: Sendable {
    let name: String
    let form: DatasetForm
    let load: @Sendable (Split, String?) throws(DatasetError) -> ImageDataset
    let locate: @Sendable (String?) throws(DatasetError) -> Void
  }

  private static let entries = [
    Entry(
      name: FashionMNIST.name, form: FashionMNIST.form,
      load: { split, directory throws(DatasetError) in try FashionMNIST.load(split, directory: directory) },
      locate: { directory throws(DatasetError) in try FashionMNIST.locate(directory: directory) })
  ]

  /// The names.
  public static var names: [String] { entries.map(\.name) }

  /// What a data set's samples are like, without reading any.
  public static func form(of name: String) throws(DatasetError) -> DatasetForm {
    guard let entry = entries.first(where: { $0.name == name }) else { throw .unknown(name) }
    return entry.form
  }

  /// Reads a part of a data set and checks it: from the given folder, or from where its package puts it.
  ///
  /// Cost: inflates and hashes the files; for Fashion-MNIST's training set about half a second.
  public static func load(_ name: String, split: Split, directory: String? = nil) throws(DatasetError) -> ImageDataset {
    guard let entry = entries.first(where: { $0.name == name }) else { throw .unknown(name) }
    return try entry.load(split, directory)
  }

  /// Looks whether a data set's files are there, without reading them: to say so before anything is started.
  public static func locate(_ name: String, directory: String? = nil) throws(DatasetError) {
    guard let entry = entries.first(where: { $0.name == name }) else { throw .unknown(name) }
    try entry.locate(directory)
  }
}
