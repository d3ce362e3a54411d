#if OneDNN
  import CKernels

  /// How a tensor's channels lie in blocks, for the loops that go over them.
  struct BlockedExtents {
    let samples: Int
    let blocks: Int
    let places: Int
    let lanes: Int

    /// The blocks of a tensor; nil where it lies otherwise, or has channels that fill no block.
    init?(_ tensor: GraphCompiler.Tensor) throws(EngineError) {
      let extents = tensor.extents
      guard extents.count > 2, extents[1].isMultiple(of: 16) else { return nil }
      samples = extents[0]
      places = extents.dropFirst(2).reduce(1, *)
      if tensor.layout.isEqual(to: try TensorLayout(inBlocksOf16: extents)) {
        (blocks, lanes) = (extents[1] / 16, 16)
      } else if tensor.layout.isEqual(to: try TensorLayout(channelsLast: extents)) {
        (blocks, lanes) = (1, extents[1])
      } else {
        return nil
      }
    }

    /// Tensors of at least so many elements, 16 MiB, stay in no cache until they are read again.
    private static let streamedElements = 4 << 20

    var channels: Int { blocks * lanes }
    /// Elements of a channel in the batch.
    var count: Int { samples * places }

    func part(block: Int, samples: Range<Int>) -> convoy_block {
      convoy_block(
        blocks: blocks, places: places, lanes: lanes, block: block, first: samples.lowerBound, end: samples.upperBound,
        is_streamed: self.samples * channels * places >= Self.streamedElements ? 1 : 0)
    }
  }
#endif
