import CKernels
import Networks
import Tensors

/// Max or average pooling, plane by plane.
///
/// Work is shared by channels.
final class PoolingOperation<Scalar: EngineScalar>: Operation, ParallelWork {
  private let places: Places
  private let window: convoy_window
  private let isMaximum: Bool
  private let team: ThreadTeam
  /// Where each largest value came from, as `Int32`; nil for averages.
  private let origins: Slot?
  private var isBackward = false
  private var context: StepContext<Scalar>?

  init(
    _ pooling: Pooling, isMaximum: Bool, node: Network.Node, batch: Int, places: Places, team: ThreadTeam,
    reserve: (Int) -> Slot
  ) {
    self.places = places
    self.isMaximum = isMaximum
    self.team = team
    window = convoy_window(
      height: node.inputShape[1], width: node.inputShape[2], kernel_height: pooling.kernel.height,
      kernel_width: pooling.kernel.width, stride_height: pooling.stride.height, stride_width: pooling.stride.width,
      padding_height: pooling.padding.height, padding_width: pooling.padding.width, dilation_height: 1,
      dilation_width: 1, output_height: node.outputShape[1], output_width: node.outputShape[2])
    origins = isMaximum ? reserve(batch * node.outputShape.count) : nil
  }

  var parameterRange: Range<Int> { 0..<0 }

  func forward(_ context: inout StepContext<Scalar>) {
    run(context, isBackward: false)
  }

  func backward(_ context: inout StepContext<Scalar>) {
    if places.inputGradient != nil { run(context, isBackward: true) }
  }

  private func run(_ context: StepContext<Scalar>, isBackward: Bool) {
    self.context = context
    self.isBackward = isBackward
    team.run(self, tasks: places.input.channels)
  }

  func perform(task channel: Int, thread: Int) {
    guard let context else { return }
    let input = channel * context.samples * window.height * window.width
    let output = channel * context.samples * window.output_height * window.output_width
    let origins = origins.map { slot in
      UnsafeMutableRawPointer(context.pointer(slot)).assumingMemoryBound(to: Int32.self) + output
    }
    withUnsafePointer(to: window) { window in
      if !isBackward {
        let (x, y) = (context.pointer(places.input) + input, context.pointer(places.output) + output)
        if isMaximum {
          Scalar.kernels.maxPool(x, window, context.samples, y, origins)
        } else {
          Scalar.kernels.averagePool(x, window, context.samples, y)
        }
      } else if let outputGradient = places.outputGradient, let inputGradient = places.inputGradient {
        let (dy, dx) = (context.pointer(outputGradient) + output, context.pointer(inputGradient) + input)
        if isMaximum {
          Scalar.kernels.maxPoolBackward(dy, origins, window, context.samples, dx)
        } else {
          Scalar.kernels.averagePoolBackward(dy, window, context.samples, dx)
        }
      }
    }
  }
}
