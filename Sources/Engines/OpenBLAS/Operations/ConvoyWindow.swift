import CKernels
import Networks

extension convoy_window {
  /// The numbers of a window as the kernels take them: dimensions that it lacks have one place.
  init(_ window: Window) {
    func three(_ number: (Window.Dimension) -> Int, missing: Int) -> (Int, Int, Int) {
      let numbers = Array(repeating: missing, count: 3 - window.dimensions.count) + window.dimensions.map(number)
      return (numbers[0], numbers[1], numbers[2])
    }
    self.init(input: three(\.input, missing: 1), output: three(\.output, missing: 1))
    (kernel_depth, kernel_height, kernel_width) = three(\.kernel, missing: 1)
    (stride_depth, stride_height, stride_width) = three(\.stride, missing: 1)
    (padding_depth, padding_height, padding_width) = three(\.padding, missing: 0)
    (end_padding_depth, end_padding_height, end_padding_width) = three(\.endPadding, missing: 0)
    (dilation_depth, dilation_height, dilation_width) = three(\.dilation, missing: 1)
  }

  /// The extents of two planes of one to three dimensions, for loops that read no more of a window.
  init(input: ArraySlice<Int>, output: ArraySlice<Int>) {
    func three(_ extents: ArraySlice<Int>) -> (Int, Int, Int) {
      let numbers = Array(repeating: 1, count: 3 - extents.count) + extents
      return (numbers[0], numbers[1], numbers[2])
    }
    self.init(input: three(input), output: three(output))
  }

  private init(input: (Int, Int, Int), output: (Int, Int, Int)) {
    self.init()
    (depth, height, width) = input
    (output_depth, output_height, output_width) = output
    (kernel_depth, kernel_height, kernel_width) = (1, 1, 1)
    (stride_depth, stride_height, stride_width) = (1, 1, 1)
    (dilation_depth, dilation_height, dilation_width) = (1, 1, 1)
  }
}
