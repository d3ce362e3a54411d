/// The norm of a step's gradient, where the job clips: the server of the first chunk adds what all have measured, in the
/// order of the chunks, and tells the scale that follows.
///
/// One round is enough to know. Whoever pushes to a later step has read every chunk after this one, so that no chunk waits
/// for a scale any more when another step's first part comes.
struct NormRound: Sendable {
  /// An update that is whole and waits for the scale of its step.
  struct UnscaledUpdate: Sendable {
    let update: Update
    let gradient: GradientHandle
    /// The chunk's part of the norm; nil where this server adds, and has it among the others.
    let part: GradientHandle?

    var handles: [GradientHandle] { [gradient] + (part.map { [$0] } ?? []) }
  }

  /// The updates of this server's chunks that wait.
  var waiting: [UnscaledUpdate] = []
  /// The server that adds; nil where there is no view.
  var adder: Member?
  /// The server of each chunk.
  var holders: [Member] = []
  /// The step, where this server adds.
  var step: UInt64?
  /// What has come of the step, by chunk.
  var parts: [GradientHandle?] = []
  var missing = 0
  /// The number of the newest order to add.
  var order: UInt64 = 0
  var isAdding = false
  /// The step's scale, once it is known.
  var scale: UInt64?
  /// Whether this server has updated a chunk by a scale that the one that adds may not know.
  var tells = false
  /// How often something was said again.
  var retries: UInt64 = 0

  /// Begins a step; returns what is needed no more.
  mutating func begin(_ step: UInt64, chunks: Int) -> [GradientHandle] {
    defer {
      self.step = step
      parts = Array(repeating: nil, count: chunks)
      missing = chunks
      scale = nil
    }
    return end()
  }

  /// Lets go of the parts, and takes no answer to an order any more.
  mutating func end() -> [GradientHandle] {
    defer { parts = [] }
    isAdding = false
    return parts.compactMap { $0 }
  }
}

extension Server {
  private var adds: Bool { norm.adder == session.member }

  /// A new view: another server may add, and what was measured is void, as the pushes are.
  mutating func beginNorm(_ view: View, _ holders: [Int], _ effects: inout [ServerEffect]) {
    for handle in norm.end() + norm.waiting.flatMap(\.handles) { effects.append(.release(handle)) }
    norm.waiting = []
    norm.holders = holders.map { view.servers[$0].member }
    norm.adder = norm.holders.first
    norm.step = nil
    norm.scale = nil
    norm.tells = false
    guard let (step, scale) = newestScale else { return }
    if adds { (norm.step, norm.scale) = (step, scale) } else { norm.tells = true }
  }

  /// The newest scale that a chunk here was updated by, with its step.
  private var newestScale: (step: UInt64, scale: UInt64)? {
    var newest: (step: UInt64, scale: UInt64)?
    for case let state? in chunks where state.holdsState {
      var known: (step: UInt64, scale: UInt64)?
      if let update = state.open?.update {
        known = update.scale.map { (update.step, $0) }
      } else if state.closed > 0 {
        known = state.scale.map { (UInt64(state.closed - 1), $0) }
      }
      if let known, newest.map({ known.step > $0.step }) ?? true { newest = known }
    }
    return newest
  }

  /// Tells the server that adds which scale a chunk was updated by: others may still wait for it.
  mutating func tellScale(_ effects: inout [ServerEffect]) {
    guard norm.tells, let adder = norm.adder, let (step, scale) = newestScale else { return }
    send(.scale(step: step, bits: scale), to: .server(adder), &effects)
  }

  /// Says again what has had no answer.
  mutating func retryNorm(_ effects: inout [ServerEffect]) {
    tellScale(&effects)
    norm.retries += 1
    for index in Rotation.order(norm.waiting.count, turn: norm.retries) { sendPart(norm.waiting[index], &effects) }
  }

  // MARK: Parts

  /// An update that is whole waits for its scale.
  mutating func measure(_ update: Update, _ gradient: GradientHandle, _ effects: inout [ServerEffect]) {
    let chunk = Int(update.chunk)
    let part = sums.take()
    effects.append(.measure(chunk: chunk, samples: update.samples, gradient: gradient, into: part))
    chunks[chunk]?.awaitsScale = true
    let unscaled = NormRound.UnscaledUpdate(update: update, gradient: gradient, part: adds ? nil : part)
    norm.waiting.append(unscaled)
    if adds { take(part, of: chunk, step: update.step, from: nil, &effects) } else { sendPart(unscaled, &effects) }
  }

  private mutating func sendPart(_ unscaled: NormRound.UnscaledUpdate, _ effects: inout [ServerEffect]) {
    guard let part = unscaled.part, let adder = norm.adder else { return }
    let update = unscaled.update
    send(.norm(chunk: update.chunk, step: update.step), to: .server(adder), payload: .gradient(part), &effects)
  }

  mutating func receiveNorm(
    _ chunk: Int, _ step: UInt64, from sender: Member, payload: ReceivedPayload?, _ effects: inout [ServerEffect]
  ) -> Refusal? {
    guard let rules = view?.rules, adds, step < UInt64(rules.steps), norm.holders.indices.contains(chunk),
      norm.holders[chunk] == sender, rules.awaitsScale(chunk: chunk, step: Int(step))
    else {
      return Refusal(.misplaced, "\(session.member) adds no norm of chunk \(chunk) in step \(step) for \(sender)")
    }
    guard let payload, payload.bytes == rules.chunks.normBytes(of: chunk) else {
      return Refusal(.malformed, "the norm of chunk \(chunk) came with another length")
    }
    take(payload.handle, of: chunk, step: step, from: sender, &effects)
    return nil
  }

  /// Takes a part, once: of a step whose scale is known, the answer is that.
  private mutating func take(
    _ part: GradientHandle, of chunk: Int, step: UInt64, from sender: Member?, _ effects: inout [ServerEffect]
  ) {
    guard let rules = view?.rules else { return effects.append(.release(part)) }
    if norm.step.map({ step > $0 }) ?? true {
      let count = rules.chunks.chunks(of: .parameters).count
      for old in norm.begin(step, chunks: count) { effects.append(.release(old)) }
    }
    if step == norm.step, let scale = norm.scale {
      effects.append(.release(part))
      guard let sender else { return applyScale(step, scale, &effects) }
      return send(.scale(step: step, bits: scale), to: .server(sender), &effects)
    }
    guard step == norm.step, norm.parts[chunk] == nil else {
      drops.count(step == norm.step ? .repeated : .outdated)
      return effects.append(.release(part))
    }
    norm.parts[chunk] = part
    norm.missing -= 1
    guard norm.missing == 0 else { return }
    norm.order += 1
    norm.isAdding = true
    effects.append(.addNorm(order: norm.order, parts: norm.parts.compactMap { $0 }))
  }

  // MARK: Scales

  /// The parts were added.
  mutating func scaled(_ order: UInt64, _ scale: UInt64, _ effects: inout [ServerEffect]) {
    // What was ordered in an earlier view, or is known since, is void.
    guard norm.isAdding, norm.order == order, let step = norm.step else { return drops.count(.outdated) }
    settle(step, scale, &effects)
  }

  /// A step's scale is known: everybody is told.
  private mutating func settle(_ step: UInt64, _ scale: UInt64, _ effects: inout [ServerEffect]) {
    for part in norm.end() { effects.append(.release(part)) }
    norm.step = step
    norm.scale = scale
    for server in view?.servers ?? [] where server.member != session.member && !server.chunks.isEmpty {
      send(.scale(step: step, bits: scale), to: .server(server.member), &effects)
    }
    applyScale(step, scale, &effects)
  }

  mutating func receiveScale(
    _ step: UInt64, _ scale: UInt64, from sender: Member, _ effects: inout [ServerEffect]
  ) -> Refusal? {
    guard let rules = view?.rules, step < UInt64(rules.steps), rules.awaitsScale(chunk: 0, step: Int(step)),
      adds || norm.adder == sender
    else {
      return Refusal(.misplaced, "\(session.member) takes no scale of step \(step) from \(sender)")
    }
    guard adds else {
      if !norm.waiting.contains(where: { $0.update.step == step }) { drops.count(.repeated) }
      applyScale(step, scale, &effects)
      return nil
    }
    if norm.step.map({ step > $0 || (step == $0 && norm.scale == nil) }) ?? true {
      settle(step, scale, &effects)
    } else if step == norm.step, let known = norm.scale {
      send(.scale(step: step, bits: known), to: .server(sender), &effects)
    } else {
      drops.count(.outdated)
    }
    return nil
  }

  /// Orders the updates that waited for a scale.
  private mutating func applyScale(_ step: UInt64, _ scale: UInt64, _ effects: inout [ServerEffect]) {
    norm.tells = false
    let due = norm.waiting.filter { $0.update.step == step }
    norm.waiting.removeAll { $0.update.step == step }
    for unscaled in due {
      chunks[Int(unscaled.update.chunk)]?.awaitsScale = false
      if let part = unscaled.part { effects.append(.release(part)) }
      order(unscaled.update.scaled(by: scale), unscaled.gradient, &effects)
    }
  }
}
