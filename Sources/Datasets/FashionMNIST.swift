import Glibc
import Tensors

/// Fashion-MNIST (Xiao, Rasul and Vollgraf, 2017): 70,000 images of clothes, 28 by 28, ten classes.
enum FashionMNIST {
  static let name = "fashion-mnist"
  /// Where Debian's package puts the files.
  static let packagedDirectory = "/usr/share/datasets/fashion-mnist"
  static let package = "dataset-fashion-mnist"

  static let classNames = [
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
  ]

  static let form = DatasetForm(sampleShape: [1, 28, 28], classes: classNames.count, trainingSamples: 60_000)

  /// Of the training images' 47,040,000 pixels.
  static let mean: Float = 0.286_040_6
  static let deviation: Float = 0.353_024_2

  /// SHA-256 of the uncompressed files.
  private static let digests = [
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
  ]

  static func load(_ split: Split, directory: String?) throws(DatasetError) -> ImageDataset {
    let prefix = split == .train ? "train" : "t10k"
    let folder = directory ?? packagedDirectory
    let imagesName = "\(prefix)-images-idx3-ubyte"
    let labelsName = "\(prefix)-labels-idx1-ubyte"
    // Both are looked for before the large one is read: half a data set is reported at once.
    let imagesPath = try path(of: imagesName, in: folder)
    let labelsPath = try path(of: labelsName, in: folder)
    let labels = try IDXFile(path: labelsPath, dimensions: 1)
    let images = try IDXFile(path: imagesPath, dimensions: 3)
    let dataset = try ImageDataset(
      name: name, split: split, classNames: classNames, mean: mean, deviation: deviation, images: images, labels: labels
    )
    // Last, so that a file that is damaged in a way that can be named is reported by that.
    try check(images, name: imagesName)
    try check(labels, name: labelsName)
    return dataset
  }

  /// Looks for the files of both splits.
  static func locate(directory: String?) throws(DatasetError) {
    for name in digests.keys.sorted(by: >) { _ = try path(of: name, in: directory ?? packagedDirectory) }
  }

  private static func path(of name: String, in folder: String) throws(DatasetError) -> String {
    let candidates = ["\(folder)/\(name).gz", "\(folder)/\(name)"]
    guard let path = candidates.first(where: { access($0, F_OK) == 0 }) else {
      throw .missing(
        "the data set fashion-mnist is not there: no \(name) or \(name).gz in \(folder)",
        remedy: "install it with apt install \(package), or name its folder with --data-dir")
    }
    return path
  }

  /// The name promises those bytes: members of a job rely on having the same.
  private static func check(_ file: IDXFile, name: String) throws(DatasetError) {
    guard let expected = digests[name], file.digest.description == expected else {
      throw .damaged(
        file: file.path,
        "its contents are not Fashion-MNIST's: SHA-256 \(file.digest) uncompressed, expected \(digests[name] ?? "")")
    }
  }
}
