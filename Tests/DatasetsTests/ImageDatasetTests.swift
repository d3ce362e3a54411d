import Datasets
import Glibc
import Tensors
import Testing

@Suite struct ImageDatasetTests {
  private let folder = TemporaryFolder()

  private func dataset(labels: [UInt8]) throws -> ImageDataset {
    let images = folder.write("images", SmallFiles.idx([3, 1, 2], [1, 2, 3, 4, 5, 6]))
    let labels = folder.write("labels", SmallFiles.idx([labels.count], labels))
    return try ImageDataset(
      name: "small", split: .test, classNames: ["a", "b"], mean: 0, deviation: 1,
      images: IDXFile(path: images, dimensions: 3), labels: IDXFile(path: labels, dimensions: 1))
  }

  @Test("Images and labels belong together")
  func reads() throws {
    let dataset = try dataset(labels: [0, 1, 0])
    #expect(dataset.count == 3 && dataset.sampleShape == [1, 1, 2])
    #expect((0..<3).map { dataset.label(of: $0) } == [0, 1, 0])
    #expect(dataset.withPixels(of: 1) { [$0[0], $0[1]] } == [3, 4])
    #expect(dataset.digest != (try self.dataset(labels: [0, 1, 1])).digest)
  }

  @Test("Another number of labels than images names both files")
  func counts() {
    let error = #expect(throws: DatasetError.self) { try dataset(labels: [0, 1]) }
    #expect(
      error?.description
        == "\(folder.path)/labels: it holds 2 labels, expected 3: the images of \(folder.path)/images")
  }

  @Test("A label that is no class is named with its place")
  func labels() {
    let error = #expect(throws: DatasetError.self) { try dataset(labels: [0, 1, 2]) }
    #expect(error?.description == "\(folder.path)/labels: label 2 is 2, expected 0 to 1: one of 2 classes")
  }

  @Test("A name that is not known is carried, with those that are")
  func unknown() {
    #expect(throws: DatasetError.unknown("fashion-mnits")) {
      try DatasetCatalogue.load("fashion-mnits", split: .test, directory: nil)
    }
    #expect(DatasetError.unknown("x").description == "there is no data set x; known are fashion-mnist")
  }

  @Test("Fashion-MNIST that is not there says which file and what to do")
  func missing() {
    let error = #expect(throws: DatasetError.self) {
      try DatasetCatalogue.load("fashion-mnist", split: .train, directory: folder.path)
    }
    #expect(
      error?.description == """
        the data set fashion-mnist is not there: no train-images-idx3-ubyte or train-images-idx3-ubyte.gz \
        in \(folder.path): install it with apt install dataset-fashion-mnist, or name its folder with --data-dir
        """)
  }

  @Test("Other files under the name of Fashion-MNIST are refused by their digest")
  func digest() {
    let images = folder.write("t10k-images-idx3-ubyte", SmallFiles.idx([1, 28, 28], [UInt8](repeating: 1, count: 784)))
    _ = folder.write("t10k-labels-idx1-ubyte", SmallFiles.idx([1], [3]))
    let error = #expect(throws: DatasetError.self) {
      try DatasetCatalogue.load("fashion-mnist", split: .test, directory: folder.path)
    }
    #expect(error?.description.hasPrefix("\(images): its contents are not Fashion-MNIST's: SHA-256 ") == true)
    #expect(error?.description.hasSuffix("5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b") == true)
  }

  @Test("The packaged Fashion-MNIST: sizes, classes, and the published mean and deviation")
  func fashionMNIST() throws {
    let training = try DatasetCatalogue.load("fashion-mnist", split: .train, directory: nil)
    let test = try DatasetCatalogue.load("fashion-mnist", split: .test, directory: nil)
    #expect(training.count == 60_000 && test.count == 10_000)
    #expect(training.sampleShape == [1, 28, 28] && training.classNames.count == 10)
    #expect(training.digest != test.digest)
    #expect(training.mean == test.mean && training.deviation == test.deviation)
    // The first labels, as on the data set's own page: ankle boot, T-shirt/top, T-shirt/top, dress.
    #expect(
      (0..<4).map { training.classNames[Int(training.label(of: $0))] }
        == ["Ankle boot", "T-shirt/top", "T-shirt/top", "Dress"])
    var perClass = [Int](repeating: 0, count: 10)
    var histogram = [Int](repeating: 0, count: 256)
    for sample in 0..<training.count {
      perClass[Int(training.label(of: sample))] += 1
      training.withPixels(of: sample) { pixels in for index in pixels.indices { histogram[Int(pixels[index])] += 1 } }
    }
    #expect(perClass == [Int](repeating: 6000, count: 10))
    let count = Double(training.count * 784)
    let mean = histogram.enumerated().reduce(0.0) { $0 + Double($1.offset) / 255 * Double($1.element) } / count
    let variance = histogram.enumerated().reduce(0.0) { sum, bin in
      let distance = Double(bin.offset) / 255 - mean
      return sum + distance * distance * Double(bin.element)
    }
    #expect(abs(mean - Double(training.mean)) < 1e-7)
    #expect(abs((variance / count).squareRoot() - Double(training.deviation)) < 1e-7)
  }
}
