/// Makes a schedule that fails smaller, as long as it still fails.
///
/// Delta debugging (Zeller, Hildebrandt 2002, "Simplifying and Isolating Failure-Inducing Input") over the list, then
/// each remaining fault's duration and time are halved.
public struct Shrinking {
  /// Runs that may still be spent.
  public private(set) var budget: Int
  private let fails: ([Fault]) -> Bool

  /// A search that spends at most so many runs; `fails` runs a schedule.
  public init(budget: Int = 200, fails: @escaping ([Fault]) -> Bool) {
    self.budget = budget
    self.fails = fails
  }

  /// The smallest schedule found. The one given must fail.
  public mutating func shrink(_ faults: [Fault]) -> [Fault] {
    guard !check([]) else { return [] }
    return shrinkTimes(of: removeFaults(from: faults))
  }

  private mutating func check(_ faults: [Fault]) -> Bool {
    guard budget > 0 else { return false }
    budget -= 1
    return fails(faults)
  }

  private mutating func removeFaults(from all: [Fault]) -> [Fault] {
    var faults = all
    var parts = 2
    while faults.count >= 2 {
      let size = (faults.count + parts - 1) / parts
      var isSmaller = false
      var first = 0
      while first < faults.count {
        let rest = Array(faults[..<first] + faults[min(first + size, faults.count)...])
        if !rest.isEmpty, check(rest) {
          faults = rest
          isSmaller = true
        } else {
          first += size
        }
      }
      if isSmaller {
        parts = max(parts - 1, 2)
      } else if size == 1 {
        break
      } else {
        parts = min(parts * 2, faults.count)
      }
    }
    return faults
  }

  private mutating func shrinkTimes(of all: [Fault]) -> [Fault] {
    var faults = all
    for index in faults.indices {
      for path in [\Fault.lasting, \Fault.at] {
        while faults[index][keyPath: path] > 1 {
          var candidate = faults
          candidate[index][keyPath: path] /= 2
          guard check(candidate) else { break }
          faults = candidate
        }
      }
      while faults[index].amount > 1 {
        var candidate = faults
        candidate[index].amount /= 2
        guard check(candidate) else { break }
        faults = candidate
      }
    }
    return faults
  }
}
