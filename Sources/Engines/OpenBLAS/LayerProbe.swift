import CKernels
package import Networks
import Tensors

/// Runs a network's layers without its loss, in the precision that trains: for checks of layers.
///
/// It shows what training hides: the output, and the gradient of the input for any gradient of the output.
package final class LayerProbe {
  private let plan: OpenBLASPlan<Float>
  /// Samples without labels: the layers that are run read none.
  private let batch: Batch

  /// Compiles a network for exactly `samples` samples.
  ///
  /// Its last layer, the loss, is not run.
  package init(_ network: Network, samples: Int, threads: Int = 1) {
    plan = OpenBLASPlan(
      network, batch: samples, threads: threads, purpose: .training(seed: 0), needsInputGradient: true)
    batch = Batch(capacity: samples, sampleShape: network.inputShape)
  }

  /// What the layers gave: sample after sample, each in the order of its shape.
  package struct Result {
    /// The layers' output.
    package let output: [Float]
    /// The gradient of the input.
    package let inputGradient: [Float]
    /// The gradient of the parameters, as they lie in the flat vector.
    package let parameterGradient: [Float]
  }

  /// Runs forward on the inputs, then backward from a gradient of the output.
  package func run(inputs: [Float], outputGradient: [Float], parameters: [Float]) -> Result {
    var parameterGradient = [Float](repeating: .nan, count: parameters.count)
    return inputs.withUnsafeBufferPointer { inputs in
      parameters.withUnsafeBufferPointer { parameters in
        parameterGradient.withUnsafeMutableBufferPointer { gradient in
          var context = StepContext<Float>(
            samples: plan.batch, arena: plan.arena.pointer, parameters: parameters.baseAddress!,
            gradient: gradient.baseAddress!, labels: batch.labelPointer,
            sampleNumbers: batch.samplePointer, isTraining: true)
          return run(inputs.baseAddress!, outputGradient, &context, gradient)
        }
      }
    }
  }

  private func run(
    _ inputs: UnsafePointer<Float>, _ outputGradient: [Float], _ context: inout StepContext<Float>,
    _ parameterGradient: UnsafeMutableBufferPointer<Float>
  ) -> Result {
    plan.load(inputs, context)
    let layers = plan.operations.dropLast()
    for layer in layers { layer.forward(&context) }
    let count = plan.batch * plan.logits.value.count
    let output = Array(UnsafeBufferPointer(start: context.pointer(plan.logits.value), count: count))
    if let slot = plan.logits.gradient { context.pointer(slot).update(from: outputGradient, count: count) }
    for layer in layers.reversed() { layer.backward(&context) }
    return Result(
      output: output, inputGradient: sampleMajor(plan.inputGradient, context),
      parameterGradient: Array(parameterGradient))
  }

  /// A tensor's elements, sample after sample.
  private func sampleMajor(_ slot: Slot?, _ context: StepContext<Float>) -> [Float] {
    guard let slot else { return [] }
    var elements = [Float](repeating: 0, count: plan.batch * slot.count)
    convoy_swap_outer_f32(
      context.pointer(slot), slot.plane == nil ? plan.batch : slot.channels, slot.plane == nil ? 1 : plan.batch,
      slot.plane ?? slot.count, &elements)
    return elements
  }
}
