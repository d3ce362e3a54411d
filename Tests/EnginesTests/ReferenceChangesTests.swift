import Engines
import Foundation
import Networks
import Tensors
import Testing

/// Makes the changes of the kept references' parameters with which no decision is near, which the Python scripts read:
///
///     REFERENCE_CHANGES=Tests/EnginesTests/References swift test -c release --filter ReferenceChangesTests
private let folder = ProcessInfo.processInfo.environment["REFERENCE_CHANGES"]

@Suite(.enabled(if: folder != nil)) struct ReferenceChangesTests {
  private func write(_ name: String, _ network: Network, _ batch: Batch, formula: [Float]) throws {
    // Wider than is asked for: errors are estimates.
    let wide = try Decisions(network, batch: batch, width: 1.5 * Decisions.width).widened(formula.map(Double.init))
    let changes = ReferenceChanges(from: formula, to: wide.map { Float($0) })
    try changes.data.write(to: URL(filePath: try #require(folder)).appending(path: "\(name).changes"))
    print("\(name): \(changes.changes.count) of \(formula.count) parameters")
  }

  @Test func makes() throws {
    try write("lenet", Catalogue.lenet, ReferenceTests.batch, formula: ReferenceTests.formula)
    for it in NetworkReferenceTests.cases { try write(it.name, it.network, it.batch, formula: it.formula) }
  }
}
