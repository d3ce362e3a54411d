import Networks

/// A convolution over volumes as its definition says, one product after another; planes have depth 1, lines height 1 too.
struct NaiveConvolution {
  let samples: Int
  let groups: Int
  let input: (channels: Int, extents: [Int])
  let output: (channels: Int, extents: [Int])
  let kernel: [Int]
  let stride: [Int]
  let padding: [Int]
  let dilation: [Int]

  /// The convolution of three dimensions' numbers; fewer are filled up in front.
  init(
    samples: Int, groups: Int, input: (channels: Int, extents: [Int]), output: (channels: Int, extents: [Int]),
    kernel: [Int], stride: [Int], padding: [Int], dilation: [Int]
  ) {
    func three(_ numbers: [Int], _ missing: Int) -> [Int] {
      Array(repeating: missing, count: 3 - numbers.count) + numbers
    }
    self.samples = samples
    self.groups = groups
    self.input = (input.channels, three(input.extents, 1))
    self.output = (output.channels, three(output.extents, 1))
    self.kernel = three(kernel, 1)
    self.stride = three(stride, 1)
    self.padding = three(padding, 0)
    self.dilation = three(dilation, 1)
  }

  /// Calls for every product: indices of input, weight and output.
  func forEachProduct(_ body: (_ input: Int, _ weight: Int, _ output: Int) -> Void) {
    let (groupInputs, groupOutputs) = (input.channels / groups, output.channels / groups)
    for sample in 0..<samples {
      for channel in 0..<output.channels {
        for source in 0..<groupInputs {
          let inputPlane = sample * input.channels + channel / groupOutputs * groupInputs + source
          forEachPlace { input, weight, output in
            body(
              inputPlane * product(self.input.extents) + input,
              (channel * groupInputs + source) * product(kernel) + weight,
              (sample * self.output.channels + channel) * product(self.output.extents) + output)
          }
        }
      }
    }
  }

  private func product(_ numbers: [Int]) -> Int { numbers.reduce(1, *) }

  /// Calls for the products of one pair of planes.
  private func forEachPlace(_ body: (Int, Int, Int) -> Void) {
    for output in 0..<product(self.output.extents) {
      for weight in 0..<product(kernel) {
        let (at, offset) = (coordinates(output, self.output.extents), coordinates(weight, kernel))
        let place = (0..<3).map { at[$0] * stride[$0] + offset[$0] * dilation[$0] - padding[$0] }
        guard (0..<3).allSatisfy({ (0..<input.extents[$0]).contains(place[$0]) }) else { continue }
        body((place[0] * input.extents[1] + place[1]) * input.extents[2] + place[2], weight, output)
      }
    }
  }

  private func coordinates(_ index: Int, _ extents: [Int]) -> [Int] {
    [index / (extents[1] * extents[2]), index / extents[2] % extents[1], index % extents[2]]
  }
}

/// Pooling as its definition says.
struct NaivePooling {
  let kernel: Extent
  let stride: Extent
  let padding: Extent
  let input: (height: Int, width: Int)
  let output: (height: Int, width: Int)

  /// The places of a window in its plane, in order, and the number of places that an average counts.
  func window(_ y: Int, _ x: Int) -> (places: [Int], counted: Int) {
    var places: [Int] = []
    var counted = 0
    for ky in 0..<kernel.height {
      for kx in 0..<kernel.width {
        let (iy, ix) = (y * stride.height + ky - padding.height, x * stride.width + kx - padding.width)
        // Padding on both sides counts, what a last window reaches beyond it does not.
        if iy < input.height + padding.height, ix < input.width + padding.width { counted += 1 }
        if (0..<input.height).contains(iy), (0..<input.width).contains(ix) { places.append(iy * input.width + ix) }
      }
    }
    return (places, counted)
  }
}
