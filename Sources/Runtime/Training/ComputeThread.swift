import Foundation
package import ParameterServer

/// The thread on which a worker computes: takes orders, tells what became of them.
package final class ComputeThread: Sendable {
  /// What the thread tells, in order.
  package enum Report: Sendable {
    /// A chunk of a node's sum is final; the vectors hold it.
    case gradientReady(order: UInt64, node: ShardNode, chunk: Int, ModelVectors)
    /// A shard was computed.
    case computed(ShardResult)
    /// Everything ordered was computed, in so many milliseconds.
    case finished(order: UInt64, milliseconds: UInt64)
    /// The computation failed.
    case failed(ConvoyError)
  }

  private struct Order: Sendable {
    let order: ComputeOrder
    let model: ModelVectors
  }

  private let orders = BlockingQueue<Order>()
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
    _ orders: BlockingQueue<Order>, makeSummer: () throws(ConvoyError) -> ShardSummer,
    report: (Report) -> Void
  ) {
    do throws(ConvoyError) {
      let summer = try makeSummer()
      while let next = orders.take() {
        let begin = MonotonicClock.seconds
        let number = next.order.number
        try summer.compute(
          next.order, model: next.model,
          ready: { node, chunk, vectors in
            report(.gradientReady(order: number, node: node, chunk: chunk, vectors))
          },
          computed: { report(.computed($0)) })
        report(.finished(order: number, milliseconds: UInt64((MonotonicClock.seconds - begin) * 1000)))
      }
    } catch {
      report(.failed(error))
    }
  }

  /// Orders a gradient at some parameters, which stay as they are as long as the computation reads them.
  package func compute(_ order: ComputeOrder, model: ModelVectors) {
    orders.put(Order(order: order, model: model))
  }

  /// Ends the thread after the order under way, and waits for it.
  package func close() {
    orders.close()
    ended.wait()
    ended.signal()
  }
}
