import ParameterServer
import Runtime
import Tensors
import Testing
import Transport

/// Clipping by the norm of the whole gradient, in a server's floats.
@Suite struct ClippingTests {
  private static let optimizer = Optimizer.sgd(SGD(momentum: 0, nesterov: false, weightDecay: 0))
  private static let rules = Stores.rules(.sync, slots: 0)
  private static let chunks = rules.chunks

  private static func settings(bound: Double?) -> UpdateSettings {
    UpdateSettings(
      optimizer: optimizer, statistics: RunningStatistics(Stores.network), schedule: .cosine, learningRate: 0.1,
      warmupSteps: 0, clipping: bound.map(NormClipping.init(bound:)))
  }

  /// The parameters after one update by a gradient that is a sum over eight samples, clipped at a bound.
  private static func updated(_ gradient: [Float], bound: Double?) throws -> [Float] {
    let store = Stores.store(rules, settings(bound: bound))
    let parameters = chunks.chunks(of: .parameters)
    for chunk in parameters {
      store.receive(Frame(floats: Array(gradient[chunks.range(of: chunk)])), as: GradientHandle(UInt64(chunk)))
    }
    var scale: UInt64?
    if bound != nil {
      let parts = parameters.map { GradientHandle(100 + UInt64($0)) }
      for chunk in parameters {
        store.measure(chunk, samples: 8, gradient: GradientHandle(UInt64(chunk)), into: parts[chunk])
        #expect(store.payload(of: parts[chunk]).count == chunks.normBytes(of: chunk))
      }
      scale = store.scale(ofNorm: parts)
    }
    var result: [Float] = []
    for chunk in parameters {
      let update = Update(
        chunk: UInt32(chunk), version: 1, closed: 1, unit: nil, kind: .summed, step: 0, staleness: 0, basis: 0,
        worker: nil, samples: 8, shards: 4, scale: scale)
      try store.apply(update, gradient: GradientHandle(UInt64(chunk)))
      result += store.values(of: chunk, version: 1, bytes: chunks.bytes(of: chunk)).floats
    }
    return result
  }

  @Test("An update moves the parameters by the clipped mean, and one below the bound as if nothing were clipped")
  func update() throws {
    var numbers = Numbers(5)
    let gradient = numbers.floats(Self.chunks.elements)
    let norm = gradient.reduce(0.0) { $0 + Double($1 / 8) * Double($1 / 8) }.squareRoot()
    let start = Stores.initial.parameters.array
    let clipped = try Self.updated(gradient, bound: 0.125)
    for (index, value) in clipped.enumerated() {
      let expected = Double(start[index]) - 0.1 * Double(gradient[index] / 8) * 0.125 / (norm + 1e-6)
      #expect(abs(Double(value) - expected) < 1e-7, "element \(index)")
    }
    let plain = try Self.updated(gradient, bound: nil)
    #expect(try Self.updated(gradient, bound: 1e6) == plain && clipped != plain)
  }
}
