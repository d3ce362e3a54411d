import Datasets
import Glibc
import Tensors
import Testing

@Suite struct BatchReaderTests {
  @Test("Pixels are normalised exactly: (x / 255 - mean) / deviation")
  func normalises() throws {
    let dataset = try SmallFiles.dataset(count: 5)
    let reader = try BatchReader(dataset: dataset, order: nil, sampleShape: [1, 2, 2])
    let batch = Batch(capacity: 4, sampleShape: [1, 2, 2])
    reader.read(SampleBlock(epoch: 2, positions: 1..<4), into: batch)
    #expect(batch.count == 3 && batch.epoch == 2)
    #expect((0..<3).map { batch.sample(at: $0) } == [1, 2, 3])
    #expect((0..<3).map { batch.label(at: $0) } == [1, 2, 0])
    var expected: [Float] = []
    for image in 1...3 {
      for pixel in 0..<4 { expected.append((Float(image + 50 * pixel) / 255 - 0.25) / 0.5) }
    }
    #expect(Array(batch.inputs.array[..<12]) == expected)
  }

  @Test("An order is followed, epoch by epoch")
  func order() throws {
    let order = SampleOrder(count: 9, seed: 3)
    let reader = try BatchReader(dataset: SmallFiles.dataset(count: 9), order: order, sampleShape: [1, 2, 2])
    let batch = Batch(capacity: 9, sampleShape: [1, 2, 2])
    for epoch in 0..<2 {
      reader.read(SampleBlock(epoch: epoch, positions: 0..<9), into: batch)
      #expect((0..<9).map { batch.sample(at: $0) } == (0..<9).map { order.sample(at: $0, epoch: epoch) })
      #expect((0..<9).allSatisfy { batch.label(at: $0) == Int32(batch.sample(at: $0) % 3) })
    }
  }

  @Test("A larger input has the image in its middle, on background, also where a batch is used again")
  func border() throws {
    let dataset = try SmallFiles.dataset(count: 2, height: 1, width: 2, mean: 0, deviation: 1)
    let reader = try BatchReader(dataset: dataset, order: nil, sampleShape: [1, 3, 4])
    let batch = Batch(capacity: 1, sampleShape: [1, 3, 4])
    batch.inputs.withMutableSpan { for index in $0.indices { $0[index] = 9 } }
    reader.read(SampleBlock(epoch: 0, positions: 1..<2), into: batch)
    #expect(batch.inputs.array == [0, 0, 0, 0, 0, 1.0 / 255, 51.0 / 255, 0, 0, 0, 0, 0])
  }

  @Test("Background is pixel 0, normalised")
  func background() throws {
    let reader = try BatchReader(
      dataset: SmallFiles.dataset(count: 1, height: 1, width: 1), order: nil, sampleShape: [1, 3, 3])
    let batch = Batch(capacity: 1, sampleShape: [1, 3, 3])
    reader.read(SampleBlock(epoch: 0, positions: 0..<1), into: batch)
    #expect(batch.inputs.array == [Float](repeating: -0.5, count: 9))
  }

  @Test(
    "An input that the images do not fit names both shapes",
    arguments: [[3, 2, 2], [1, 1, 1], [1, 3, 3], [1, 4, 2], [4], [1, 2, 2, 1]])
  func unsuitable(extents: [Int]) throws {
    let dataset = try SmallFiles.dataset(count: 1)
    let error = #expect(throws: DatasetError.self) {
      try BatchReader(dataset: dataset, order: nil, sampleShape: Shape(extents))
    }
    #expect(error?.description == "the network takes inputs of \(Shape(extents)), small has images of 1×2×2")
  }
}

@Suite(.timeLimit(.minutes(30))) struct PrefetchingReaderTests {
  private func reader(depth: Int) throws -> PrefetchingReader {
    let reader = try BatchReader(dataset: SmallFiles.dataset(count: 100), order: nil, sampleShape: [1, 2, 2])
    return PrefetchingReader(reader: reader, capacity: 3, depth: depth, sampleShape: [1, 2, 2])
  }

  @Test("Blocks come in order, in no more batches than the depth", arguments: [1, 2, 5])
  func order(depth: Int) throws {
    let reader = try reader(depth: depth)
    for block in 0..<30 { reader.enqueue(SampleBlock(epoch: block, positions: 3 * block..<3 * block + 3)) }
    var batches: Set<ObjectIdentifier> = []
    for block in 0..<30 {
      let batch = try #require(reader.batch(of: SampleBlock(epoch: block, positions: 3 * block..<3 * block + 3)))
      #expect(batch.epoch == block && (0..<3).map { batch.sample(at: $0) } == Array(3 * block..<3 * block + 3))
      batches.insert(ObjectIdentifier(batch))
      reader.recycle(batch)
    }
    #expect(batches.count <= depth)
  }

  @Test(
    "What is asked for comes, whatever was enqueued: out of order, again, or never", arguments: [1, 2, 5], [1, 7, 23])
  func wanted(depth: Int, stride: Int) throws {
    let reader = try reader(depth: depth)
    for block in 0..<30 { reader.enqueue(SampleBlock(epoch: 0, positions: 3 * block..<3 * block + 3)) }
    for turn in 0..<60 {
      let first = turn * stride % 33 * 3
      let batch = try #require(reader.batch(of: SampleBlock(epoch: 0, positions: first..<first + 3)))
      #expect((0..<3).map { batch.sample(at: $0) } == Array(first..<first + 3))
      reader.recycle(batch)
    }
  }

  @Test("After close there is no batch, and closing again does nothing")
  func close() throws {
    let reader = try reader(depth: 2)
    reader.enqueue(SampleBlock(epoch: 0, positions: 0..<3))
    reader.close()
    #expect(reader.batch(of: SampleBlock(epoch: 0, positions: 0..<3)) == nil)
    reader.close()
    reader.enqueue(SampleBlock(epoch: 0, positions: 0..<3))
    #expect(reader.batch(of: SampleBlock(epoch: 0, positions: 0..<3)) == nil)
  }

  @Test("Close ends a wait for a batch that cannot be read")
  func closeWhileWaiting() throws {
    let reader = try reader(depth: 1)
    _ = try #require(reader.batch(of: SampleBlock(epoch: 1, positions: 0..<3)))
    let waiter = Waiter(reader)
    reader.close()
    #expect(waiter.join())
  }

  @Test("Close ends the thread while it waits for a batch to be given back")
  func closeWhileFull() throws {
    let reader = try reader(depth: 1)
    for _ in 0..<3 { reader.enqueue(SampleBlock(epoch: 0, positions: 0..<3)) }
    let batch = try #require(reader.batch(of: SampleBlock(epoch: 0, positions: 0..<3)))
    reader.close()
    #expect(batch.count == 3)
  }

  @Test("The last reference ends the thread and frees its batches")
  func ends() throws {
    weak var kept: Batch?
    do {
      let reader = try reader(depth: 2)
      for _ in 0..<3 { reader.enqueue(SampleBlock(epoch: 0, positions: 0..<3)) }
      let batch = try #require(reader.batch(of: SampleBlock(epoch: 0, positions: 0..<3)))
      kept = batch
      reader.recycle(batch)
    }
    // The thread holds the batches: they live on if it does.
    #expect(kept == nil)
  }

  /// A thread that waits for a batch, on no thread of the cooperative pool.
  private final class Waiter {
    private var thread = pthread_t()

    init(_ reader: PrefetchingReader) {
      pthread_create(
        &thread, nil,
        { argument in
          let batch = Unmanaged<PrefetchingReader>.fromOpaque(argument!).takeRetainedValue()
            .batch(of: SampleBlock(epoch: 0, positions: 0..<3))
          return batch == nil ? UnsafeMutableRawPointer(bitPattern: 1) : nil
        }, Unmanaged.passRetained(reader).toOpaque())
    }

    /// Whether it got nothing.
    func join() -> Bool {
      var result: UnsafeMutableRawPointer?
      pthread_join(thread, &result)
      return result != nil
    }
  }
}
