/// Which kinds of faults a run may have; which of them it has when, follows from its seed.
public struct FaultPlan: Hashable, Sendable {
  /// The kinds, in the order of their declaration.
  public let kinds: [FaultKind]
  /// Most faults of a run.
  public var most = 12

  /// Faults of these kinds.
  public init(_ kinds: some Sequence<FaultKind>) {
    let wanted = Set(kinds)
    self.kinds = FaultKind.allCases.filter(wanted.contains)
  }

  /// Every kind after which a job goes on to its end: all but `severed`, which may leave nobody who can.
  public static let all = FaultPlan(FaultKind.allCases.filter { $0 != .severed })
  /// None.
  public static let none = FaultPlan([])

  /// The plan that a text names: `none`, or `all` and kinds between commas; the text of a kind that is not known is given
  /// back.
  public static func parse(_ text: String) -> Result<FaultPlan, UnknownFault> {
    if text == "none" { return .success(.none) }
    var kinds: [FaultKind] = []
    for word in text.split(separator: ",", omittingEmptySubsequences: false) {
      if word == "all" {
        kinds += FaultPlan.all.kinds
        continue
      }
      guard let kind = FaultKind(rawValue: String(word)) else { return .failure(UnknownFault(text: String(word))) }
      kinds.append(kind)
    }
    return .success(FaultPlan(kinds))
  }

  /// A word that names no kind of fault.
  public struct UnknownFault: Error, Hashable, Sendable, CustomStringConvertible {
    /// The word.
    public let text: String

    /// One line for a person: what there is.
    public var description: String {
      let names = FaultKind.allCases.map(\.rawValue).joined(separator: ", ")
      return "there is no fault \"\(text)\"; there are all, none, \(names)"
    }
  }

  /// The faults of one run, by time. Each run has about half of the kinds, so that some are seen without the others.
  ///
  /// - Parameter span: microseconds in which faults begin.
  func schedule(seed: UInt64, servers: Int, workers: Int, span: UInt64, silence: UInt64) -> [Fault] {
    var stream = SeededStream(seed: seed, purpose: "faults")
    let chosen = kinds.filter { _ in stream.chance(50) }
    let kinds = chosen.isEmpty ? kinds : chosen
    guard !kinds.isEmpty else { return [] }
    let count = stream.number(in: 1...most)
    return (0..<count).map { _ in
      Self.fault(
        stream.pick(kinds), &stream, servers: servers, workers: workers, span: Int(span), silence: Int(silence))
    }.sorted { ($0.at, $0.kind.rawValue, $0.target) < ($1.at, $1.kind.rawValue, $1.target) }
  }

  private static func fault(
    _ kind: FaultKind, _ stream: inout SeededStream, servers: Int, workers: Int, span: Int, silence: Int
  ) -> Fault {
    let at = UInt64(stream.number(in: 0...span))
    // As often below the deadline of silence as above it: what is noticed and what is not.
    let lasting = UInt64(
      stream.chance(50) ? stream.number(in: 1...silence / 2) : stream.number(in: silence...silence * 3))
    let target = process(&stream, servers: servers, workers: workers)
    switch kind {
    case .fullDisk, .failingSync: return Fault(kind, of: .coordinator, at: at, lasting: lasting)
    case .crash, .pause: return Fault(kind, of: target, at: at, lasting: lasting)
    case .zombie:
      let target: ProcessName = stream.chance(70) ? .worker(stream.number(in: 0...workers - 1)) : target
      return Fault(kind, of: target, at: at, lasting: UInt64(stream.number(in: silence * 2...silence * 4)))
    case .clockJump:
      return Fault(kind, of: target, at: at, amount: stream.number(in: 1...silence * 2 / 1000))
    case .straggler:
      return Fault(
        kind, of: .worker(stream.number(in: 0...workers - 1)), at: at, lasting: lasting,
        amount: stream.number(in: 2...20))
    case .stranger: return Fault(kind, of: target, at: at, amount: stream.number(in: 0...63))
    case .severed:
      let (one, another) = pair(&stream, servers: servers, workers: workers)
      return Fault(
        kind, of: one, towards: another, at: stream.chance(30) ? 0 : at, amount: stream.chance(50) ? 0 : 1)
    case .loss, .duplicates, .reordering, .partition, .cut, .slowLink:
      var other: ProcessName? = process(&stream, servers: servers, workers: workers)
      if other == target || stream.chance(30) && kind != .cut { other = nil }
      let amount = kind == .slowLink ? stream.number(in: 100...20_000) : stream.number(in: 1...30)
      return Fault(
        kind, of: target, towards: other, at: at, lasting: lasting,
        amount: kind == .partition || kind == .cut ? 0 : amount)
    }
  }

  /// A worker and a server, or two servers, in either order.
  private static func pair(
    _ stream: inout SeededStream, servers: Int, workers: Int
  ) -> (ProcessName, ProcessName) {
    let server = stream.number(in: 0...servers - 1)
    var other = ProcessName.worker(stream.number(in: 0...workers - 1))
    if servers > 1, stream.chance(25) { other = .server((server + stream.number(in: 1...servers - 1)) % servers) }
    return stream.chance(50) ? (.server(server), other) : (other, .server(server))
  }

  private static func process(_ stream: inout SeededStream, servers: Int, workers: Int) -> ProcessName {
    let draw = stream.number(in: 0...99)
    if draw < 20 { return .coordinator }
    return draw < 60 ? .server(stream.number(in: 0...servers - 1)) : .worker(stream.number(in: 0...workers - 1))
  }
}
