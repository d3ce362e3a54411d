package import Engines

extension Job {
  /// The number format that the job asks for; fp32 where the name is none.
  private var wantedPrecision: Precision { Precision(rawValue: precision) ?? .fp32 }

  /// The number format that this machine computes the job's steps in: fp32 where its processor, or the engine, has no
  /// instructions for what the job asks for.
  package var precisionHere: Precision {
    Engines.engine(named: engine)?.supports(wantedPrecision) == true ? wantedPrecision : .fp32
  }

  /// One line about a number format that this machine does not compute in; nil where it does.
  package var precisionProblem: String? {
    guard precisionHere != wantedPrecision else { return nil }
    let others = Engines.names.filter { Engines.engine(named: $0)?.supports(wantedPrecision) == true }
    let reason =
      others.isEmpty
      ? "this CPU has neither AMX nor AVX512-bf16" : "the engine \(engine) does not compute in it (\(others[0]) does)"
    return "\(precision): \(reason): computing in \(precisionHere.rawValue)"
  }
}
