/// What the tasks of an operation are doing.
struct Pass<Scalar: EngineScalar> {
  let context: StepContext<Scalar>
  let isBackward: Bool
  /// Which of several rounds of tasks it is.
  let phase: Int
}

/// An operation whose tasks a team shares. What a task computes depends on its number alone, never on the threads.
protocol SharedOperation<Scalar>: Operation, ParallelWork {
  var team: ThreadTeam { get }
  /// What is being computed; set while the team runs.
  var pass: Pass<Scalar>? { get set }

  func perform(_ task: Int, _ pass: Pass<Scalar>)
}

extension SharedOperation {
  /// Has all tasks of a pass done.
  func share(_ context: StepContext<Scalar>, isBackward: Bool, phase: Int = 0, tasks: Int) {
    pass = Pass(context: context, isBackward: isBackward, phase: phase)
    team.run(self, tasks: tasks)
    pass = nil
  }

  func perform(task: Int, thread: Int) {
    if let pass { perform(task, pass) }
  }
}

/// Elements of a batch in pieces for tasks: large enough to be worth a thread, small enough to stay in its cache.
enum Pieces {
  static let size = 1 << 15

  /// Number of pieces.
  static func count(_ elements: Int) -> Int { (elements + size - 1) / size }

  /// The elements of a piece.
  static func range(_ piece: Int, of elements: Int) -> Range<Int> {
    piece * size..<min((piece + 1) * size, elements)
  }
}
