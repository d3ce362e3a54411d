import Tensors
import Testing

@Suite struct OptimizerTests {
  /// Optimisers and base rates, in the order of `References/optimizer_reference.py`.
  static let cases: [(Optimizer, Float)] = [
    (.sgd(SGD(momentum: 0.9, nesterov: true, weightDecay: 5e-4)), 0.05),
    (.adagrad(Adagrad()), 0.05),
    (.adagrad(Adagrad(epsilon: 1e-3, initialSquares: 0.1, weightDecay: 0.01)), 0.05),
    (.adadelta(Adadelta()), 1),
    (.adadelta(Adadelta(rho: 0.8, epsilon: 1e-4, weightDecay: 0.01)), 1),
    (.rmsProp(RMSProp()), 0.01),
    (.rmsProp(RMSProp(rho: 0.9, epsilon: 1e-3, momentum: 0.5, weightDecay: 0.01)), 0.01),
    (.adam(Adam()), 0.01),
    (.adam(Adam(beta1: 0.8, beta2: 0.99, epsilon: 1e-3, weightDecay: 0.1)), 0.01),
    (.adamW(AdamW()), 0.01),
    (.adamW(AdamW(beta1: 0.8, beta2: 0.99, epsilon: 1e-3, weightDecay: 0.1)), 0.01),
  ]
  static let updates = 10

  /// The largest difference, relative to the larger of the number and the vector's scale of 1.
  private func difference(_ left: [Float], _ right: [Double]) -> Double {
    zip(left, right).map { abs(Double($0) - $1) / max(1, abs($1)) }.max() ?? .infinity
  }

  @Test("PyTorch's optimisers, over ten updates with a rate that falls", arguments: cases.indices)
  func pyTorch(index: Int) throws {
    let count = 37
    let (optimizer, base) = Self.cases[index]
    let kept = try reference("optimizer_reference")
    try #require(kept.count == Self.cases.count * Self.updates * count)
    let parameters = FlatVector(values(stream: 0, count: count))
    let state = optimizer.makeState(count: count)
    for update in 1...Self.updates {
      // The sum over four samples, as servers get it.
      let gradient = FlatVector(values(stream: update, count: count, scale: 0.25).map { 4 * $0 })
      optimizer.apply(
        gradient: gradient, scale: 0.25, learningRate: base / Float(update), update: update, parameters: parameters,
        state: state, range: 0..<count)
      let first = (index * Self.updates + update - 1) * count
      #expect(difference(parameters.array, kept[first..<first + count].map(Double.init)) < 1e-6, "update \(update)")
    }
  }

  @Test("The formulas in double precision, at many magnitudes", arguments: cases.indices)
  func doubleLoop(index: Int) {
    let count = 1003
    let (optimizer, base) = Self.cases[index]
    let start = values(stream: 20, count: count)
    let parameters = FlatVector(start)
    let state = optimizer.makeState(count: count)
    var naive = NaiveOptimizer(optimizer, weights: start)
    for update in 1...Self.updates {
      let gradient = values(stream: 20 + update, count: count).enumerated().map { index, value in
        value * [1, 100, 1e-2][index % 3]
      }
      optimizer.apply(
        gradient: FlatVector(gradient), scale: 1 / 128, learningRate: base, update: update, parameters: parameters,
        state: state, range: 0..<count)
      naive.apply(gradient: gradient, scale: 1 / 128, rate: Double(base))
    }
    #expect(difference(parameters.array, naive.weights) < 2e-6)
    #expect(difference(parameters.array, start.map(Double.init)) > 1e-3)
  }

  @Test(
    "The same bits whatever the split, into another vector, from a gradient at any address", arguments: cases.indices)
  func splits(index: Int) {
    let count = 517
    let (optimizer, rate) = Self.cases[index]
    let whole = FlatVector(values(stream: 40, count: count))
    let wholeState = optimizer.makeState(count: count)
    var from = FlatVector(whole.array)
    var to = FlatVector(count: count)
    let state = optimizer.makeState(count: count)
    for update in 1...3 {
      let gradient = values(stream: 40 + update, count: count)
      optimizer.apply(
        gradient: FlatVector(gradient), scale: 0.3, learningRate: rate, update: update, parameters: whole,
        state: wholeState, range: 0..<count)
      withBytes(gradient.withUnsafeBytes { Array($0) }, offset: update) { payload in
        for (first, end) in zip([0, 1, 9, 200, 201], [1, 9, 200, 201, count]) {
          optimizer.apply(
            gradient: payload.baseAddress! + 4 * first, scale: 0.3, learningRate: rate, update: update,
            from: from.pointer + first, to: to.pointer + first, state: state, stateRange: first..<end)
        }
      }
      swap(&from, &to)
    }
    #expect(bits(from.array) == bits(whole.array))
    for (part, expected) in zip(state, wholeState) { #expect(bits(part.array) == bits(expected.array)) }
  }

  @Test("A range leaves the rest of the parameters and of the state as it was", arguments: cases.indices)
  func range(index: Int) {
    let (optimizer, rate) = Self.cases[index]
    let parameters = FlatVector([1, 1, 1, 1])
    let state = optimizer.makeState(count: 4)
    optimizer.apply(
      gradient: FlatVector([1, 1, 1, 1]), scale: 1, learningRate: rate, update: 1, parameters: parameters,
      state: state, range: 1..<3)
    let after = parameters.array
    #expect(after[0] == 1 && after[3] == 1 && after[1] < 1 && after[1] == after[2])
    for (values, vector) in zip(state.map(\.array), optimizer.stateVectors) {
      #expect(values[0] == vector.initialValue && values[3] == vector.initialValue && values[1] != values[0])
    }
  }

  @Test("Each optimiser names its state as PyTorch does")
  func state() {
    #expect(Optimizer.sgd(SGD(momentum: 0)).stateVectors.isEmpty)
    #expect(Optimizer.sgd(SGD(momentum: 0.5)).stateVectors.map(\.name) == ["momentum_buffer"])
    #expect(Optimizer.adam(Adam()).stateVectors.map(\.name) == ["exp_avg", "exp_avg_sq"])
    #expect(Optimizer.rmsProp(RMSProp()).stateVectors.map(\.name) == ["square_avg"])
    #expect(Optimizer.rmsProp(RMSProp(momentum: 0.1)).stateVectors.map(\.name) == ["square_avg", "momentum_buffer"])
    #expect(Optimizer.adagrad(Adagrad(initialSquares: 0.5)).makeState(count: 2).map(\.array) == [[0.5, 0.5]])
  }
}
