import Glibc

/// How the learning rate changes over a job's steps.
///
/// The factors are Caffe's (`SGDSolver::GetLearningRate`) but for the cosine, which is Loshchilov and Hutter's
/// (SGDR, 2017) without restarts. The text form is the job's: `step:1000:0.1`.
public enum LearningRateSchedule: Hashable, Sendable, CustomStringConvertible {
  /// 1 throughout.
  case fixed
  /// gamma to the power of ⌊step / size⌋.
  case step(size: Int, gamma: Double)
  /// gamma to the power of the number of milestones reached.
  case multistep(milestones: [Int], gamma: Double)
  /// (1 + gamma · step) to the power of −power.
  case inv(gamma: Double, power: Double)
  /// (1 − step / steps) to the power of power.
  case poly(power: Double)
  /// Half a cosine from 1 to 0: (1 + cos(π · step / steps)) / 2.
  case cosine

  /// The forms that a schedule's text may have.
  public static let forms = [
    "fixed", "step:SIZE:GAMMA", "multistep:STEP,STEP,…:GAMMA", "inv:GAMMA:POWER", "poly:POWER", "cosine",
  ]

  /// Reads a schedule, as in `cosine` or `multistep:300,600:0.1`.
  public init(parsing text: String) throws(ScheduleError) {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    func number(_ index: Int) throws(ScheduleError) -> Double {
      guard let value = Double(parts[index]), value.isFinite, value >= 0 else {
        throw ScheduleError(
          text: text, problem: "\(parts[index].isEmpty ? "nothing" : parts[index]) is no number from 0")
      }
      return value
    }
    func count(_ part: Substring) throws(ScheduleError) -> Int {
      guard let value = Int(part), value > 0 else {
        throw ScheduleError(text: text, problem: "\(part.isEmpty ? "nothing" : part) is no number of steps from 1")
      }
      return value
    }
    switch (parts[0], parts.count) {
    case ("fixed", 1): self = .fixed
    case ("cosine", 1): self = .cosine
    case ("step", 3): self = .step(size: try count(parts[1][...]), gamma: try number(2))
    case ("multistep", 3):
      var milestones: [Int] = []
      for milestone in parts[1].split(separator: ",", omittingEmptySubsequences: false) {
        milestones.append(try count(milestone))
      }
      guard zip(milestones, milestones.dropFirst()).allSatisfy({ $0 < $1 }) else {
        throw ScheduleError(text: text, problem: "the milestones do not rise")
      }
      self = .multistep(milestones: milestones, gamma: try number(2))
    case ("inv", 3): self = .inv(gamma: try number(1), power: try number(2))
    case ("poly", 2): self = .poly(power: try number(1))
    default: throw ScheduleError(text: text, problem: "it has none of the known forms")
    }
  }

  /// The text that reads back as this schedule.
  public var description: String {
    switch self {
    case .fixed: "fixed"
    case .step(let size, let gamma): "step:\(size):\(Self.text(gamma))"
    case .multistep(let milestones, let gamma):
      "multistep:\(milestones.map(String.init).joined(separator: ",")):\(Self.text(gamma))"
    case .inv(let gamma, let power): "inv:\(Self.text(gamma)):\(Self.text(power))"
    case .poly(let power): "poly:\(Self.text(power))"
    case .cosine: "cosine"
    }
  }

  /// The shortest text that reads back as the number; whole numbers as people write them, without `.0`.
  private static func text(_ number: Double) -> String {
    let text = "\(number)"
    return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
  }

  /// The learning rate of a step, counted from 0; computed in double precision and rounded once.
  ///
  /// Warm-up multiplies the first `warmupSteps` steps by (step + 1) / warmupSteps.
  public func rate(base: Double, step: Int, totalSteps: Int, warmupSteps: Int = 0) -> Float {
    let warmup = step < warmupSteps ? Double(step + 1) / Double(warmupSteps) : 1
    return Float(base * warmup * factor(step: step, totalSteps: totalSteps))
  }

  private func factor(step: Int, totalSteps: Int) -> Double {
    let share = min(1, Double(step) / Double(max(totalSteps, 1)))
    switch self {
    case .fixed: return 1
    case .step(let size, let gamma): return pow(gamma, Double(step / size))
    case .multistep(let milestones, let gamma): return pow(gamma, Double(milestones.count { $0 <= step }))
    case .inv(let gamma, let power): return pow(1 + gamma * Double(step), -power)
    case .poly(let power): return pow(1 - share, power)
    case .cosine: return (1 + cos(.pi * share)) / 2
    }
  }
}

/// Why a text is no schedule.
public struct ScheduleError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The text.
  public let text: String
  /// What is wrong with it.
  public let problem: String

  /// One line for a person, with the known forms.
  public var description: String {
    "\(text) is no schedule: \(problem); known are \(LearningRateSchedule.forms.joined(separator: ", "))"
  }
}
