import CKernels
import Networks
import Tensors

/// Max or average pooling over a window that moves, or over parts that share the plane out (adaptive), channel by channel.
final class PoolingOperation<Scalar: EngineScalar>: SharedOperation {
  private let places: Places
  private let window: convoy_window
  private let function: PoolingFunction
  private let isAdaptive: Bool
  let team: ThreadTeam
  /// Where each largest value came from, as `Int32`; nil for averages.
  private let origins: Slot?
  var pass: Pass<Scalar>?

  init(
    _ function: PoolingFunction, window: convoy_window, isAdaptive: Bool, batch: Int, places: Places,
    team: ThreadTeam, arena: ArenaLayout
  ) {
    self.function = function
    self.window = window
    self.isAdaptive = isAdaptive
    self.places = places
    self.team = team
    origins = function == .maximum ? arena.reserve(batch * places.output.count) : nil
  }

  var parameterRange: Range<Int> { 0..<0 }

  func forward(_ context: inout StepContext<Scalar>) {
    share(context, isBackward: false, tasks: places.input.channels)
  }

  func backward(_ context: inout StepContext<Scalar>) {
    if places.inputGradient != nil { share(context, isBackward: true, tasks: places.input.channels) }
  }

  func perform(_ channel: Int, _ pass: Pass<Scalar>) {
    let (context, samples) = (pass.context, pass.context.samples)
    let (plane, outputs) = (places.input.plane ?? 1, places.output.plane ?? 1)
    let (input, output) = (channel * samples * plane, channel * samples * outputs)
    let origins = origins.map { slot in
      UnsafeMutableRawPointer(context.pointer(slot)).assumingMemoryBound(to: Int32.self) + output
    }
    let kernels = Scalar.pooling
    withUnsafePointer(to: window) { window in
      if !pass.isBackward {
        let (x, y) = (context.pointer(places.input) + input, context.pointer(places.output) + output)
        switch (function, isAdaptive) {
        case (.maximum, false): kernels.maxPool(x, window, samples, y, origins)
        case (.maximum, true): kernels.adaptiveMaxPool(x, window, samples, y, origins)
        case (.average, false): kernels.averagePool(x, window, samples, y)
        case (.average, true): kernels.adaptiveAveragePool(x, window, samples, y)
        }
      } else if let outputGradient = places.outputGradient, let inputGradient = places.inputGradient {
        let (dy, dx) = (context.pointer(outputGradient) + output, context.pointer(inputGradient) + input)
        switch (function, isAdaptive) {
        case (.maximum, _): kernels.maxPoolBackward(dy, origins, outputs, plane, samples, dx)
        case (.average, false): kernels.averagePoolBackward(dy, window, samples, dx)
        case (.average, true): kernels.adaptiveAveragePoolBackward(dy, window, samples, dx)
        }
      }
    }
  }
}
