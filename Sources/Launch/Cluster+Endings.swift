import Runtime

extension Cluster {
  /// A process has ended: the job goes on where it was its time, or where it is started again.
  func ended(_ slot: Slot) throws(SpawnFailure) {
    // What it wrote before its end is there by now; a grandchild that holds the pipes is not waited for.
    for _ in 0..<Self.drainReads where slot.process.output >= 0 { try readOutput(slot) }
    for _ in 0..<Self.drainReads where slot.process.errors >= 0 { readErrors(slot) }
    slot.close()
    guard let coordinator = slots.first, let ending = slot.process.ending else { return }
    log.info("\(slot.title), process \(slot.process.identifier), \(slot.text(ending))")
    // The coordinator may have said before that the job is done, or why it failed.
    if slot !== coordinator, coordinator.process.output >= 0 { try readOutput(coordinator) }
    if slot !== coordinator { tell(.ended(slot.name)) }
    guard killAt == nil, failure == nil else { return }
    if summary != nil {
      // The job is done: whoever has not followed the coordinator by then has lost its way.
      if slot === coordinator { killAt = MonotonicClock.seconds + Self.leavingSeconds }
      return
    }
    if slot === coordinator { coordinatorEnded(slot, ending) } else { memberEnded(slot, ending) }
  }

  /// Tells the coordinator, or its successor where there is none now.
  private func tell(_ word: LauncherWord) {
    guard let coordinator = slots.first, coordinator.isRunning, let input = coordinator.input else {
      return untold.append(word)
    }
    input.send(Array("\(word.line)\n".utf8))
  }

  private func coordinatorEnded(_ slot: Slot, _ ending: ProcessEnding) {
    switch ending.verdict {
    case .left where ending == .exit(0):
      fail(ConvoyError(.failed, "the coordinator left without a result\(slot.lastWords)"))
    case .restart where hasStarted: restartLater(slot, ending)
    case .left, .restart, .final: fail(slot, ending)
    }
  }

  private func memberEnded(_ slot: Slot, _ ending: ProcessEnding) {
    if ending == .exit(0) { return }
    // What ends before training begins would end the same way again; a connection that stood would not.
    guard hasStarted || slot.isConnectionLost(ending) else { return fail(slot, ending) }
    switch slot.verdict(ending) {
    case .left:
      let text = "\(slot.title) was asked to leave, and left: it is not started again"
      log.info(text)
      notice(text)
    case .restart: restartLater(slot, ending)
    case .final: fail(slot, ending)
    }
  }

  private func restartLater(_ slot: Slot, _ ending: ProcessEnding) {
    let now = MonotonicClock.seconds
    guard let wait = slot.restarts.grant(restarts, lived: now - slot.startedAt) else {
      let spent =
        slot.restarts.count == 0 ? "" : "; --restarts allows no more than \(slot.restarts.count) restarts of it"
      return fail(slot, ending, spent)
    }
    slot.restartAt = now + wait
    let count = slot.restarts.count
    let text =
      "\(slot.title) \(slot.text(ending)): restart \(count) in \(Self.seconds(wait)) s, \(restarts.budget - count) left"
    log.warning(text + slot.lastWords)
    notice(text)
  }

  private func fail(_ slot: Slot, _ ending: ProcessEnding, _ addition: String = "") {
    fail(ConvoyError(ending.exitCode, "\(slot.title) \(slot.text(ending))\(slot.lastWords)\(addition)"))
  }

  /// Seconds with at most two decimals.
  private static func seconds(_ value: Double) -> String {
    let hundredths = Int((value * 100).rounded())
    let decimals = hundredths % 100
    if decimals == 0 { return "\(hundredths / 100)" }
    if decimals % 10 == 0 { return "\(hundredths / 100).\(decimals / 10)" }
    return "\(hundredths / 100).\(decimals < 10 ? "0" : "")\(decimals)"
  }
}
