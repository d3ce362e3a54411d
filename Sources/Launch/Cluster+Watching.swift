import Glibc
import Runtime

extension Cluster {
  /// Waits for something to happen and deals with it.
  func turn() throws(SpawnFailure) {
    // Members that are started on the way are looked at the next time.
    let slots = slots
    var watched: [pollfd] = [pollfd(fd: signals.descriptor, events: Int16(POLLIN), revents: 0)]
    for slot in slots {
      watched.append(pollfd(fd: slot.process.output, events: Int16(POLLIN), revents: 0))
      watched.append(pollfd(fd: slot.process.errors, events: Int16(POLLIN), revents: 0))
      let waiting = slot.input.flatMap { $0.isPending ? $0.descriptor : nil } ?? -1
      watched.append(pollfd(fd: waiting, events: Int16(POLLOUT), revents: 0))
    }
    poll(&watched, nfds_t(watched.count), Int32((waitSeconds(slots) * 1000).rounded(.up)))
    for signal in signals.take() { stopped(by: signal) }
    for (index, slot) in slots.enumerated() {
      if watched[3 * index + 1].revents != 0 { try readOutput(slot) }
      if watched[3 * index + 2].revents != 0 { readErrors(slot) }
      if watched[3 * index + 3].revents != 0 { slot.input?.flush() }
    }
    // All are looked at before any end is dealt with: what is told to the coordinator then does not go to a dead one.
    let running = slots.filter(\.isRunning)
    for slot in running { slot.process.reap(waiting: false) }
    for slot in running where slot.process.ending != nil { try ended(slot) }
    warnOfLogs(running)
    let now = MonotonicClock.seconds
    for slot in slots { if let moment = slot.restartAt, now >= moment { try restart(slot) } }
    beat(at: now)
    if let killAt, now >= killAt { killAll() }
  }

  /// Says once that lines of a log are lost: the job goes on without them.
  private func warnOfLogs(_ slots: [Slot]) {
    guard !isWarnedOfLogs, let problem = slots.lazy.compactMap({ $0.log.problem ?? $0.output.problem }).first else {
      return
    }
    isWarnedOfLogs = true
    notice("the job goes on without some lines of its logs: \(problem)")
  }

  /// Seconds until there is something to do of which no descriptor tells.
  private func waitSeconds(_ slots: [Slot]) -> Double {
    let isClosing = slots.contains { $0.isRunning && $0.process.output < 0 && $0.process.errors < 0 }
    let restart = slots.compactMap(\.restartAt).min() ?? .infinity
    let now = MonotonicClock.seconds
    return max(0, min(isClosing ? Self.closedPollSeconds : Self.pollSeconds, restart - now))
  }

  /// Tells processes on other hosts that this one lives.
  private func beat(at now: Double) {
    guard hosts != nil, now >= beatAt + Lifeline.beatSeconds else { return }
    beatAt = now
    // Not to a connection that is stuck: it has beats to deliver.
    for slot in slots where slot.host != nil && slot.input?.isPending == false { slot.input?.send([0x0A]) }
  }

  func readOutput(_ slot: Slot) throws(SpawnFailure) {
    guard let bytes = Self.read(slot.process.output) else { return slot.process.closeOutput() }
    if !bytes.isEmpty { slot.noteOutput() }
    // Only the coordinator tells events; what is none goes to the log, whoever says it.
    let isCoordinator = slot === slots.first
    let isEvent: (String) -> Bool = { isCoordinator && JobEvent(line: $0) != nil }
    for line in slot.output.take(bytes[...], unless: isEvent) {
      if isCoordinator, let event = JobEvent(line: line) { try took(event) }
    }
  }

  func readErrors(_ slot: Slot) {
    guard let bytes = Self.read(slot.process.errors) else { return slot.process.closeErrors() }
    _ = slot.log.take(bytes[...])
  }

  /// What a pipe holds now; nil at its end.
  private static func read(_ descriptor: Int32) -> [UInt8]? {
    var isEnd = false
    let bytes = [UInt8](unsafeUninitializedCapacity: 64 << 10) { buffer, count in
      let result = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
      isEnd = result == 0 || (result < 0 && errno != EAGAIN && errno != EINTR)
      count = max(0, result)
    }
    return isEnd ? nil : bytes
  }

  private func took(_ event: JobEvent) throws(SpawnFailure) {
    switch event {
    case .listening(let address):
      // A coordinator that was started again listens again, and its members are there. Nor are members started for a
      // job that was stopped meanwhile: nobody would end them.
      guard self.address == nil, killAt == nil else { return }
      self.address = address
      do throws(ConvoyError) { try findWays(from: address) } catch { return fail(error) }
      try startMembers()
    case .started: hasStarted = true
    case .finished(let summary):
      self.summary = summary
      for slot in slots { slot.restartAt = nil }
    case .failed(let message, let exitCode):
      // It says so when it knows, and again when it ends.
      fail(ConvoyError(ExitCode(rawValue: exitCode) ?? .failed, message))
    case .notice(let text): log.info(text)
    default: break
    }
    report(event)
  }
}
