import Engines
package import Tensors

/// An optimiser's update of a whole vector, shared by threads in ranges: the same bits on any number of them, as the
/// update is element by element.
package final class SharedUpdate: ParallelWork {
  private let team: ThreadTeam
  private let parameters: FlatVector
  private let gradient: FlatVector
  private let velocity: FlatVector
  private let scale: Float
  private let optimizer = SGD(momentum: 0.9, weightDecay: 1e-4)

  /// Elements of a range: a whole number of pages, of which each thread takes several.
  private static let rangeCount = 1 << 16

  /// An update of the parameters by `scale` times the gradient, on so many threads.
  package init(parameters: FlatVector, gradient: FlatVector, scale: Float, threads: Int) {
    team = ThreadTeam(count: threads)
    self.parameters = parameters
    self.gradient = gradient
    velocity = FlatVector(count: parameters.count)
    self.scale = scale
  }

  /// Makes an update.
  package func run() {
    team.run(self, tasks: (parameters.count + Self.rangeCount - 1) / Self.rangeCount)
  }

  /// Makes a range's part of it.
  package func perform(task: Int, thread: Int) {
    let first = task * Self.rangeCount
    // A rate of almost nothing, so that a batch of noise does not make the weights diverge.
    optimizer.apply(
      gradient: gradient, scale: scale, learningRate: 1e-6, parameters: parameters, velocity: velocity,
      range: first..<min(first + Self.rangeCount, parameters.count))
  }
}
