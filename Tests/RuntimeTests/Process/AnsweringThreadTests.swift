import Foundation
import Networks
import ParameterServer
import Runtime
import Tensors
import Testing

/// What may take long is done beside the threads that answer.
@Suite struct AnsweringThreadTests {
  @Test func aThreadIsKnownForAsLongAsItHasToAnswer() {
    #expect(!AnsweringThread.isCurrent)
    AnsweringThread.run {
      #expect(AnsweringThread.isCurrent)
      AnsweringThread.run {}
      #expect(AnsweringThread.isCurrent)
    }
    #expect(!AnsweringThread.isCurrent)
    AnsweringThread.requireOther("a test")
  }

  @Test func whatTakesLongIsNoneOfItsWork() async {
    await #expect(processExitsWith: .failure) {
      AnsweringThread.run { AnsweringThread.requireOther("initial values") }
    }
  }

  @Test func aWorkThreadIsAnother() {
    let thread = WorkThread(name: "test")
    let done = DispatchSemaphore(value: 0)
    AnsweringThread.run {
      thread.put {
        AnsweringThread.requireOther("a test")
        done.signal()
      }
      done.wait()
    }
    thread.close()
  }

  @Test func initialValuesAreThoseOfTheWholeNetwork() throws {
    var job = Job()
    job.model = "resnet-20"
    let prepared = try PreparedJob(job: job, text: job.yaml)
    let network = prepared.network
    let chunks = try #require(
      ChunkTable(elements: network.parameterLayout.count, buffers: network.bufferLayout.count, servers: 3))
    let values = InitialValues(of: prepared, chunks: chunks)
      .values(of: Array(0..<chunks.count), cancellation: Cancellation())
    #expect(values.map(\.chunk) == Array(0..<chunks.count))
    let parts = { (kind: ChunkKind) in
      values.filter { chunks.kind(of: $0.chunk) == kind }.flatMap { $0.values.array }
    }
    #expect(parts(.parameters) == network.initialParameters(seed: job.seed).array)
    #expect(parts(.buffers) == network.initialBuffers().array)
    let givenUp = Cancellation()
    givenUp.cancel()
    #expect(InitialValues(of: prepared, chunks: chunks).values(of: [0, 1], cancellation: givenUp).isEmpty)
  }
}
