import CAllocationCounter
import Engines
import Networks
import Tensors
import Testing

@Suite struct AllocationTests {
  @Test func theCounterCounts() {
    convoy_count_allocations()
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 16)
    let aligned = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 64)
    let count = convoy_allocations_except("libopenblas")
    buffer.deallocate()
    aligned.deallocate()
    #expect(count == 2)
  }

  private static let residual = Engines.all.map { PlanTests.Case(network: Catalogue.resnet20, engine: $0) }

  /// The thread that calls is counted; with two threads it does whatever tasks it takes.
  ///
  /// Left out is what the libraries take by themselves: OpenBLAS's kernels for small products allocate and free some
  /// scratch, oneDNN makes a list of arguments for each primitive that it runs.
  @Test(arguments: PlanTests.cases + residual, [1, 2]) func aStepTakesNoMemory(_ test: PlanTests.Case, threads: Int)
    throws
  {
    let network = test.network
    let plan = try test.engine.compile(network, batch: 16, threads: threads, purpose: .training(seed: 1))
    let parameters = network.initialParameters(seed: 1)
    let gradient = FlatVector(count: parameters.count)
    let (statistics, buffers) = (FlatVector(count: network.bufferLayout.count), network.initialBuffers())
    let batches = [16, 16, 5, 0, 1, 16].map { makeBatch(network, count: $0) }
    // What is made once, for a type or for a number of samples, is made here.
    for batch in batches {
      _ = try plan.step(batch, parameters: parameters, gradient: gradient, statistics: statistics, onFinal: { _ in })
      _ = try plan.evaluate(batch, parameters: parameters, buffers: buffers)
    }
    for batch in batches {
      convoy_count_allocations()
      _ = try plan.step(batch, parameters: parameters, gradient: gradient, statistics: statistics, onFinal: { _ in })
      _ = try plan.evaluate(batch, parameters: parameters, buffers: buffers)
      let count = convoy_allocations_except("libopenblas libdnnl libstdc++ libgomp")
      #expect(count == 0)
    }
  }
}
