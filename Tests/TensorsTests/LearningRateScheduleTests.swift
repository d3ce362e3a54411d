import Tensors
import Testing

@Suite struct LearningRateScheduleTests {
  private func rate(_ text: String, _ step: Int, base: Double = 1, total: Int = 100, warmup: Int = 0) throws -> Float {
    try LearningRateSchedule(parsing: text).rate(base: base, step: step, totalSteps: total, warmupSteps: warmup)
  }

  @Test("Caffe's LeNet: inv at step 100")
  func caffe() throws {
    #expect(abs(try rate("inv:0.0001:0.75", 100, base: 0.01) - 0.00992565) < 1e-8)
  }

  @Test(
    "Points of each schedule",
    arguments: [
      ("fixed", 0, 1.0), ("fixed", 99, 1), ("step:10:0.5", 9, 1), ("step:10:0.5", 10, 0.5), ("step:10:0.5", 39, 0.125),
      ("multistep:30,60:0.5", 29, 1), ("multistep:30,60:0.5", 30, 0.5), ("multistep:30,60:0.5", 60, 0.25),
      ("inv:1:1", 0, 1), ("inv:1:1", 3, 0.25), ("inv:3:0.5", 1, 0.5), ("poly:1", 0, 1), ("poly:1", 25, 0.75),
      ("poly:2", 50, 0.25), ("poly:1", 100, 0), ("poly:1", 101, 0), ("cosine", 0, 1), ("cosine", 50, 0.5),
      ("cosine", 100, 0), ("cosine", 1000, 0),
    ])
  func points(text: String, step: Int, expected: Double) throws {
    #expect(abs(try rate(text, step) - Float(expected)) < 1e-7)
  }

  @Test("The rate is rounded to fp32 once")
  func rounding() throws {
    #expect(try rate("fixed", 0, base: 0.1) == Float(0.1))
    #expect(try rate("cosine", 25, base: 0.03) == Float(0.03 * 0.853_553_390_593_273_8))
  }

  @Test("Warm-up rises linearly from base / steps and multiplies")
  func warmup() throws {
    #expect(try rate("fixed", 0, warmup: 4) == 0.25)
    #expect(try rate("fixed", 3, warmup: 4) == 1)
    #expect(try rate("fixed", 4, warmup: 4) == 1)
    #expect(try rate("poly:1", 50, warmup: 100) == 0.255)
  }

  @Test(
    "The text of a schedule is the text that it was read from",
    arguments: ["cosine", "fixed", "step:1000:0.1", "multistep:300,600:0.1", "inv:0.0001:0.75", "poly:1", "poly:0.5"])
  func text(text: String) throws {
    #expect(try LearningRateSchedule(parsing: text).description == text)
  }

  @Test(
    "A text that is no schedule is named whole, with the known forms",
    arguments: [
      "", "cosin", "cosine:1", "fixed:", "step", "step:10", "step:0:0.1", "step:-1:0.1", "step:a:0.1", "step::0.1",
      "step:10:nan", "step:10:-1", "step:10:", "multistep::0.1", "multistep:3,,4:0.1", "multistep:6,3:0.1",
      "multistep:3,3:0.1", "inv:1", "inv:inf:1", "poly:x", "step:99999999999999999999:0.1",
    ])
  func refusals(text: String) {
    let error = #expect(throws: ScheduleError.self) { try LearningRateSchedule(parsing: text) }
    #expect(error?.text == text)
    #expect(error?.description.contains("multistep:STEP,STEP,…:GAMMA") == true)
    #expect(error?.description.contains("\n") == false)
  }
}
