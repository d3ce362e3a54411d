import Networks
import Tensors
import Testing

/// The catalogue against published counts, not against our own arithmetic.
@Suite struct CatalogueTests {
  @Test func lenetIsCaffes() throws {
    let network = try #require(Catalogue.network(named: "lenet"))
    #expect(network.inputShape == [1, 28, 28])
    #expect(network.parameterLayout.count == 431_080)
    #expect(network.forwardMACs == 2_293_000)
    #expect(network.classes == 10)
    #expect(
      network.parameterLayout.entries.map { "\($0.name) \($0.shape)" } == [
        "conv1.weight 20×1×5×5", "conv1.bias 20", "conv2.weight 50×20×5×5", "conv2.bias 50",
        "fc1.weight 500×800", "fc1.bias 500", "fc2.weight 10×500", "fc2.bias 10",
      ])
    #expect(
      network.summary.prefix(4).map(\.outputShape) == [[20, 24, 24], [20, 12, 12], [50, 8, 8], [50, 4, 4]])
    #expect(network.summary.map(\.parameters).filter { $0 > 0 } == [520, 25_050, 400_500, 5_010])
  }

  @Test func lenet5() throws {
    let network = try #require(Catalogue.network(named: "lenet-5"))
    #expect(network.inputShape == [1, 32, 32])
    #expect(network.parameterLayout.count == 61_706)
    #expect(network.forwardMACs == 416_520)
    let layers = network.summary.filter { $0.parameters > 0 }
    #expect(layers.map(\.name) == ["conv1", "conv2", "fc1", "fc2", "fc3"])
    #expect(layers.map(\.parameters) == [156, 2_416, 48_120, 10_164, 850])
  }

  @Test func namesAreUniqueAndFound() {
    #expect(Set(Catalogue.networks.map(\.name)).count == Catalogue.networks.count)
    for network in Catalogue.networks { #expect(Catalogue.network(named: network.name) == network) }
    #expect(Catalogue.network(named: "lenet-6") == nil)
  }
}
