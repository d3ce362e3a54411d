import Foundation
package import ParameterServer

/// The thread on which a worker computes: takes orders, tells what became of them.
package final class ComputeThread: Sendable {
  /// What the thread tells, in order.
  package enum Report: Sendable {
    /// A chunk of a node's sum is final; the vectors hold it.
    case gradientReady(step: Int, node: ShardNode, chunk: Int, ModelVectors)
    /// A shard was computed.
    case computed(ShardResult)
    /// Everything ordered was computed.
    case finished(step: Int)
    /// The computation failed.
    case failed(String)
  }

  private let orders = BlockingQueue<ComputeOrder>()
  private let ended = DispatchSemaphore(value: 0)

  /// Starts the thread; `makeSummer` is called on it first.
  package init(
    makeSummer: @escaping @Sendable () throws(ConvoyError) -> ShardSummer,
    report: @escaping @Sendable (Report) -> Void
  ) {
    let thread = Thread { [orders, ended] in
      Self.run(orders, makeSummer: makeSummer, report: report)
      ended.signal()
    }
    thread.name = "compute"
    thread.stackSize = 8 << 20
    thread.start()
  }

  private static func run(
    _ orders: BlockingQueue<ComputeOrder>, makeSummer: () throws(ConvoyError) -> ShardSummer,
    report: (Report) -> Void
  ) {
    do throws(ConvoyError) {
      let summer = try makeSummer()
      while let order = orders.take() {
        try summer.compute(
          order,
          ready: { node, chunk, vectors in
            report(.gradientReady(step: order.step, node: node, chunk: chunk, vectors))
          },
          computed: { report(.computed($0)) })
        report(.finished(step: order.step))
      }
    } catch {
      report(.failed(error.message))
    }
  }

  /// Orders a gradient.
  package func compute(_ order: ComputeOrder) {
    orders.put(order)
  }

  /// Ends the thread after the order under way, and waits for it.
  package func close() {
    orders.close()
    ended.wait()
    ended.signal()
  }
}
