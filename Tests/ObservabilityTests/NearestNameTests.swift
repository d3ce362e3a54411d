import Observability
import Testing

@Suite struct NearestNameTests {
  private let names = ["lenet", "lenet-5", "resnet-20", "alexnet"]

  @Test(
    "One slip of each kind is found",
    arguments: [
      ("lenett", "lenet"), ("lnet", "lenet"), ("lemet", "lenet"), ("elnet", "lenet"), ("LENET-5", "lenet-5"),
      ("resnet20", "resnet-20"), ("lexanet", "alexnet"),
    ])
  func finds(written: String, meant: String) {
    #expect(NearestName.suggestion(for: written, in: names) == meant)
  }

  @Test("A swap of neighbours counts once, so it is found where two changes would be too far")
  func swapCountsOnce() {
    #expect(NearestName.suggestion(for: "sgd", in: ["gsd"]) == "gsd")
    #expect(NearestName.suggestion(for: "sgd", in: ["sxy"]) == nil)
  }

  @Test("What is far from every name has no suggestion, and the hint lists what there is")
  func farAway() {
    #expect(NearestName.suggestion(for: "transformer", in: names) == nil)
    #expect(NearestName.suggestion(for: "", in: names) == nil)
    #expect(NearestName.hint(for: "transformer", in: ["sync", "async"]) == "known are sync, async")
    #expect(NearestName.hint(for: "snyc", in: ["sync", "async"]) == "did you mean sync?")
  }

  @Test("Of names equally near the first in the alphabet is taken, whatever their order")
  func ties() {
    #expect(NearestName.suggestion(for: "bat", in: ["cat", "hat"]) == "cat")
    #expect(NearestName.suggestion(for: "bat", in: ["hat", "cat"]) == "cat")
  }

  @Test("A text of a megabyte is far from every name")
  func longText() {
    #expect(NearestName.suggestion(for: String(repeating: "x", count: 1 << 20), in: names) == nil)
  }
}
