import Tensors
import Testing

@Suite struct SGDTests {
  static let settings = [
    SGD(momentum: 0), SGD(momentum: 0, weightDecay: 0.01), SGD(momentum: 0.9), SGD(momentum: 0.9, weightDecay: 5e-4),
    SGD(momentum: 0.9, nesterov: true, weightDecay: 5e-4),
  ]

  /// Values between -1 and 1 of many magnitudes.
  private func values(_ count: Int, _ stream: UInt64) -> [Float] {
    let random = CounterRandom(stream)
    return (0..<count).map { Float(2 * random.uniform(at: UInt64($0)) - 1) }
  }

  /// The update as PyTorch documents it, one element at a time.
  private func naive(
    _ sgd: SGD, _ gradient: [Float], scale: Float, rate: Float, _ weights: inout [Float], _ velocity: inout [Float]
  ) {
    for index in weights.indices {
      let scaled = gradient[index] * scale
      let decay = sgd.weightDecay * weights[index]
      var update = scaled + decay
      if sgd.momentum != 0 {
        let g = update
        let kept = sgd.momentum * velocity[index]
        velocity[index] = kept + g
        let ahead = sgd.momentum * velocity[index]
        update = sgd.nesterov ? g + ahead : velocity[index]
      }
      let change = rate * update
      weights[index] -= change
    }
  }

  @Test("The same bits as a scalar loop, over several steps", arguments: settings)
  func scalarLoop(sgd: SGD) {
    let count = 1003
    var weights = values(count, 1)
    var velocity = [Float](repeating: 0, count: count)
    let parameters = FlatVector(weights)
    let state = FlatVector(count: count)
    for step in 0..<4 {
      let gradient = values(count, 10 + UInt64(step))
      let rate = 0.1 / Float(step + 1)
      naive(sgd, gradient, scale: 1 / 128, rate: rate, &weights, &velocity)
      sgd.apply(
        gradient: FlatVector(gradient), scale: 1 / 128, learningRate: rate, parameters: parameters,
        velocity: sgd.momentum == 0 ? nil : state, range: 0..<count)
    }
    #expect(parameters.array.map(\.bitPattern) == weights.map(\.bitPattern))
    #expect(state.array.map(\.bitPattern) == velocity.map(\.bitPattern))
  }

  @Test("The same bits whatever the chunks, into another vector, from a gradient at any address", arguments: settings)
  func chunks(sgd: SGD) {
    let count = 517
    let gradient = values(count, 2)
    let whole = FlatVector(values(count, 3))
    let wholeVelocity = FlatVector(values(count, 4))
    let from = FlatVector(whole.array)
    let to = FlatVector(count: count)
    let velocity = FlatVector(wholeVelocity.array)
    sgd.apply(
      gradient: FlatVector(gradient), scale: 0.3, learningRate: 0.7, parameters: whole, velocity: wholeVelocity,
      range: 0..<count)
    // One byte past an aligned address, as a message's payload may begin.
    let payload = UnsafeMutableRawPointer.allocate(byteCount: 4 * count + 1, alignment: 64)
    defer { payload.deallocate() }
    gradient.withUnsafeBytes { (payload + 1).copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
    for (first, end) in zip([0, 1, 9, 200, 201], [1, 9, 200, 201, count]) {
      sgd.apply(
        gradient: payload + 1 + 4 * first, scale: 0.3, learningRate: 0.7, from: from.pointer + first,
        to: to.pointer + first, velocity: velocity.pointer + first, count: end - first)
    }
    #expect(to.array.map(\.bitPattern) == whole.array.map(\.bitPattern))
    #expect(velocity.array.map(\.bitPattern) == wholeVelocity.array.map(\.bitPattern))
    #expect(from.array.map(\.bitPattern) != to.array.map(\.bitPattern))
  }

  @Test("A range leaves the rest as it was")
  func range() {
    let parameters = FlatVector([1, 1, 1, 1])
    SGD(momentum: 0).apply(
      gradient: FlatVector([1, 1, 1, 1]), scale: 1, learningRate: 0.5, parameters: parameters, velocity: nil,
      range: 1..<3)
    #expect(parameters.array == [1, 0.5, 0.5, 1])
  }

  /// What PyTorch 2.15 makes of three steps, in the order of the settings.
  ///
  ///     w = torch.nn.Parameter(torch.tensor(weights)); o = torch.optim.SGD([w], lr=0.05, **settings)
  ///     for k, g in enumerate(gradients):
  ///       o.param_groups[0]["lr"] = 0.05 / (k + 1); w.grad = torch.tensor(g); o.step()
  static let torch: [[Float]] = [
    [0.484500021, -1.23150003, 1.94583333, 0.086666666, -0.747500002, 3.05250001, -0.335750014],
    [0.484046578, -1.23036325, 1.94402504, 0.0865787789, -0.746811867, 3.04971552, -0.335460722],
    [0.476999998, -1.21949995, 1.89633346, 0.0848666653, -0.750500023, 3.10199976, -0.360199988],
    [0.476964712, -1.21941161, 1.89619243, 0.0848598927, -0.750446439, 3.10178304, -0.360177457],
    [0.463746071, -1.20391452, 1.85231864, 0.073036626, -0.747867286, 3.14396167, -0.389893711],
  ]

  @Test("PyTorch's optimiser, with a rate that changes", arguments: zip(settings, torch))
  func pyTorch(sgd: SGD, expected: [Float]) {
    let parameters = FlatVector([0.5, -1.25, 2, 0.1, -0.75, 3, -0.3])
    let gradients: [[Float]] = [
      [0.25, -0.5, 1, 0.3, 0, -2, 0.7], [-0.1, 0.4, 0.9, -0.6, 0.2, 1.5, -0.05],
      [0.33, -0.21, -1.1, 0.8, -0.45, 0.6, 0.12],
    ]
    let velocity = FlatVector(count: 7)
    for (step, gradient) in gradients.enumerated() {
      // The sum over four samples, as servers get it.
      sgd.apply(
        gradient: FlatVector(gradient.map { 4 * $0 }), scale: 0.25, learningRate: 0.05 / Float(step + 1),
        parameters: parameters, velocity: velocity, range: 0..<7)
    }
    for (value, expected) in zip(parameters.array, expected) { #expect(abs(value - expected) <= 5e-7) }
  }
}
