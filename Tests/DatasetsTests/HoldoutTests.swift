import Datasets
import Tensors
import Testing

@Suite struct HoldoutTests {
  @Test(
    "Every sample is held out or trained on, once",
    arguments: [(1, 0), (2, 1), (10, 0), (10, 3), (10, 9), (1000, 100), (60_000, 6000)])
  func partition(samples: Int, count: Int) {
    let holdout = Holdout(samples: samples, count: count, seed: 5)
    #expect(holdout.count == count && holdout.trainingCount == samples - count)
    let heldOut = (0..<count).map(holdout.heldOut)
    let trained = (0..<samples - count).map(holdout.training)
    #expect((heldOut + trained).sorted() == Array(0..<samples))
    if count == 0 { #expect(trained == Array(0..<samples)) }
  }

  @Test("The seed chooses, and a smaller part is the beginning of a larger one")
  func seeds() {
    func heldOut(_ seed: UInt64, _ count: Int = 100) -> [Int] {
      let holdout = Holdout(samples: 1000, count: count, seed: seed)
      return (0..<count).map(holdout.heldOut)
    }
    #expect(heldOut(1) == heldOut(1))
    #expect(Set(heldOut(1)).symmetricDifference(heldOut(2)).count > 100)
    #expect(heldOut(1, 400).prefix(100) == heldOut(1)[...])
    // It is no epoch's order: what is held out says nothing of what is read first.
    let order = SampleOrder(count: 1000, seed: 1)
    #expect(heldOut(1) != (0..<100).map { order.sample(at: $0, epoch: 0) })
  }

  /// Computed apart from this package too: Philox, its key and the network written again in Python.
  @Test("Known answers: a job that resumes holds the same samples out")
  func knownAnswers() {
    let holdout = Holdout(samples: 60_000, count: 6000, seed: 1)
    #expect((0..<8).map(holdout.heldOut) == [21232, 50878, 43056, 1727, 30870, 33918, 46734, 18786])
    #expect((0..<4).map(holdout.training) == [28531, 51755, 31832, 19466])
    #expect((0..<9).map(Holdout(samples: 10, count: 9, seed: 7).heldOut) == [6, 7, 8, 0, 3, 4, 5, 1, 9])
  }

  @Test("A reader of a part reads its samples, under their numbers in the data set, in the order of an epoch")
  func readers() throws {
    let dataset = try SmallFiles.dataset(count: 9)
    let holdout = Holdout(samples: 9, count: 4, seed: 3)
    let order = SampleOrder(count: 5, seed: 3)
    let shape: Shape = [1, 2, 2]
    let training = try BatchReader(dataset: dataset, part: .training(holdout), order: order, sampleShape: shape)
    let heldOut = try BatchReader(dataset: dataset, part: .heldOut(holdout), order: nil, sampleShape: shape)
    let batch = Batch(capacity: 9, sampleShape: shape)
    for epoch in 0..<2 {
      training.read(SampleBlock(epoch: epoch, positions: 0..<5), into: batch)
      let expected = (0..<5).map { holdout.training(order.sample(at: $0, epoch: epoch)) }
      #expect((0..<5).map { batch.sample(at: $0) } == expected)
      #expect((0..<5).allSatisfy { batch.label(at: $0) == Int32(batch.sample(at: $0) % 3) })
    }
    heldOut.read(SampleBlock(epoch: 0, positions: 1..<4), into: batch)
    #expect((0..<3).map { batch.sample(at: $0) } == (1..<4).map(holdout.heldOut))
  }
}
