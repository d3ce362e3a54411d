import Networks

/// A convolution as its definition says, one product after another.
struct NaiveConvolution {
  let layer: Convolution
  let samples: Int
  let input: (channels: Int, height: Int, width: Int)
  let output: (height: Int, width: Int)

  /// Calls for every product: indices of input, weight and output.
  func forEachProduct(_ body: (_ input: Int, _ weight: Int, _ output: Int) -> Void) {
    let groupInputs = input.channels / layer.groups
    let groupOutputs = layer.channels / layer.groups
    for sample in 0..<samples {
      for channel in 0..<layer.channels {
        for y in 0..<output.height {
          for x in 0..<output.width {
            for source in 0..<groupInputs {
              for ky in 0..<layer.kernel.height {
                for kx in 0..<layer.kernel.width {
                  let iy = y * layer.stride.height + ky * layer.dilation.height - layer.padding.height
                  let ix = x * layer.stride.width + kx * layer.dilation.width - layer.padding.width
                  guard (0..<input.height).contains(iy), (0..<input.width).contains(ix) else { continue }
                  let plane = sample * input.channels + channel / groupOutputs * groupInputs + source
                  body(
                    (plane * input.height + iy) * input.width + ix,
                    ((channel * groupInputs + source) * layer.kernel.height + ky) * layer.kernel.width + kx,
                    ((sample * layer.channels + channel) * output.height + y) * output.width + x)
                }
              }
            }
          }
        }
      }
    }
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
