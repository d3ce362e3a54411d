package import ParameterServer

/// What happens next in a world. A letter's content is a reference: its kind of layout is known, and it is moved cheaply.
package enum Occurrence<Content: AnyObject> {
  /// A letter has arrived; `generation` is the life of the connection that it came through.
  case message(Content, dealer: Int, router: Int, toRouter: Bool, generation: UInt32)
  /// A process has finished something of its own.
  case local(UInt64, process: Int)
  /// The timer that a process asked for is due.
  case timer(process: Int)
  /// A fault of the schedule begins or ends.
  case fault(Int, begins: Bool)
  /// A process is to be started.
  case start(process: Int)
}

/// A virtual clock in microseconds, a queue of what will happen, a network, and processes that live in it.
///
/// Processes are numbers. The world knows when they live, pause and what their clocks say; what they do is its user's.
package struct World<Content: AnyObject & Sendable>: ~Copyable {
  /// What the world knows of a process.
  struct Process {
    var life: UInt16 = 0
    var isAlive = false
    var isPaused = false
    /// Microseconds that its clock is ahead of the world's.
    var clockOffset: UInt64 = 0
    /// When its timer is due in the world's time; `.max` where it has none.
    var timer: UInt64 = .max
    /// The earliest entry of the queue that looks after the timer; `.max` where there is none.
    var timerEntry: UInt64 = .max
    /// What came while it was paused: all of it comes at once when it returns.
    var backlog: [Scheduled] = []
  }

  /// Microseconds since the beginning.
  package private(set) var now: UInt64 = 0
  /// The network.
  package private(set) var network: Network<Content>
  private(set) var processes: Table<Process>
  /// The hash over all that has happened.
  package private(set) var hash = TraceHash()
  /// What has happened, in number.
  package private(set) var events: UInt64 = 0
  private var queue: EventQueue

  /// A world of so many processes, none of which lives yet.
  package init(processes: Int, shape: NetworkShape, seed: UInt64) {
    self.processes = Table(repeating: Process(), count: processes)
    network = Network(shape: shape, processes: processes, seed: seed)
    queue = EventQueue(seed: seed)
  }

  // MARK: What will happen

  /// Sends a letter through the connection that one process made to another.
  package mutating func send(
    _ content: consuming Content, bytes: Int, dealer: Int, router: Int, toRouter: Bool, generation: UInt32? = nil
  ) -> SendOutcome {
    network.send(
      content, bytes: bytes, dealer: dealer, router: router, toRouter: toRouter, generation: generation, now: now,
      &queue)
  }

  /// A process will have finished something of its own after some microseconds.
  package mutating func finish(_ argument: UInt64, process: Int, after delay: UInt64) {
    queue.schedule(.local, at: now + delay, process: process, life: processes[process].life, argument: argument)
  }

  /// A process asks for its timer; replaces what it asked for before.
  package mutating func setTimer(process: Int, at moment: Moment) {
    let ahead = processes[process].clockOffset
    let due = moment.milliseconds.multipliedReportingOverflow(by: 1000)
    let time = due.overflow ? .max : max(now + 1, due.partialValue - min(due.partialValue, ahead))
    processes[process].timer = time
    lookAfterTimer(of: process)
  }

  private mutating func lookAfterTimer(of process: Int) {
    let time = processes[process].timer
    guard time < processes[process].timerEntry else { return }
    processes[process].timerEntry = time
    queue.schedule(.timer, at: time, process: process, life: processes[process].life)
  }

  /// A fault of the schedule begins, or ends, at a time.
  package mutating func plan(fault: Int, begins: Bool, at time: UInt64) {
    queue.schedule(begins ? .faultBegins : .faultEnds, at: max(time, now), process: 0, argument: UInt64(fault))
  }

  /// A process starts after some microseconds.
  package mutating func planStart(of process: Int, after delay: UInt64) {
    queue.schedule(.start, at: now + delay, process: process)
  }

  /// The next thing that happens before or at a limit; nil where nothing does, and the clock stands at the limit then.
  package mutating func next(until limit: UInt64) -> Occurrence<Content>? {
    while let time = queue.nextTime, time <= limit, let entry = queue.pop() {
      let process = Int(entry.process)
      switch entry.kind {
      case .message, .local, .timer:
        if processes[process].isPaused {
          // A letter to a process that died meanwhile is let go when it is taken.
          if entry.kind == .timer { processes[process].timerEntry = .max }
          processes[process].backlog.append(entry)
          continue
        }
      case .start, .faultBegins, .faultEnds: break
      }
      now = max(now, time)
      guard let occurrence = occurrence(entry, process) else { continue }
      events += 1
      hash.mix(now << 24 ^ UInt64(entry.kind.rawValue) << 16 ^ UInt64(entry.process))
      return occurrence
    }
    now = max(now, limit)
    return nil
  }

  private mutating func occurrence(_ entry: Scheduled, _ process: Int) -> Occurrence<Content>? {
    switch entry.kind {
    case .message:
      guard let letter = network.take(UInt32(entry.argument)), processes[process].isAlive else { return nil }
      return .message(
        letter.content, dealer: Int(letter.dealer), router: Int(letter.router), toRouter: letter.toRouter,
        generation: letter.generation)
    case .local:
      guard entry.life == processes[process].life, processes[process].isAlive else { return nil }
      return .local(entry.argument, process: process)
    case .timer:
      guard entry.life == processes[process].life, processes[process].isAlive else { return nil }
      if entry.time >= processes[process].timerEntry { processes[process].timerEntry = .max }
      guard processes[process].timer <= now else {
        lookAfterTimer(of: process)
        return nil
      }
      processes[process].timer = .max
      return .timer(process: process)
    case .start: return .start(process: process)
    case .faultBegins: return .fault(Int(entry.argument), begins: true)
    case .faultEnds: return .fault(Int(entry.argument), begins: false)
    }
  }

  /// Adds what its user knows of an event to the trace's hash.
  @inline(__always)
  mutating func note(_ word: UInt64) { hash.mix(word) }

  // MARK: Processes

  /// The number of a process's life; 0 for what is no process.
  func life(of process: Int) -> UInt16 { process < processes.count ? processes[process].life : 0 }

  /// Whether a process lives; false for what is no process.
  func isAlive(_ process: Int) -> Bool { process < processes.count && processes[process].isAlive }

  /// Whether any process lives.
  var isAnyoneAlive: Bool {
    for process in processes.indices where processes[process].isAlive { return true }
    return false
  }

  /// What a process's clock says.
  package func moment(of process: Int) -> Moment {
    Moment(milliseconds: (now + processes[process].clockOffset) / 1000)
  }

  /// A process begins a life, without connections, timer or memory of another.
  package mutating func begin(_ process: Int) {
    if processes[process].life > 0 { network.cutAll(of: process, now: now) }
    processes[process].life &+= 1
    processes[process].isAlive = true
    processes[process].isPaused = false
    processes[process].timer = .max
    processes[process].timerEntry = .max
    processes[process].backlog.removeAll()
  }

  /// A process ends without a word: its connections are lost, with what was under way.
  package mutating func end(_ process: Int) {
    guard processes[process].isAlive else { return }
    processes[process].isAlive = false
    processes[process].isPaused = false
    processes[process].life &+= 1
    network.cutAll(of: process, now: now)
    for entry in processes[process].backlog where entry.kind == .message { _ = network.take(UInt32(entry.argument)) }
    processes[process].backlog.removeAll()
  }

  /// A process ends after its last words: they arrive, what was under way to it is lost later, when its lines are.
  package mutating func leave(_ process: Int) {
    processes[process].isAlive = false
    processes[process].life &+= 1
  }

  /// A process is stopped: nothing happens to it until it returns.
  package mutating func pause(_ process: Int) {
    if processes[process].isAlive { processes[process].isPaused = true }
  }

  /// A process that was stopped goes on: what came meanwhile comes now, in its order.
  package mutating func resume(_ process: Int) {
    guard processes[process].isPaused else { return }
    processes[process].isPaused = false
    let backlog = processes[process].backlog
    processes[process].backlog.removeAll()
    for entry in backlog where entry.kind != .timer { queue.putBack(entry, at: now) }
    lookAfterTimer(of: process)
  }

  /// A process's clock jumps forward; its timer comes so much earlier.
  package mutating func advanceClock(of process: Int, by microseconds: UInt64) {
    processes[process].clockOffset += microseconds
    guard processes[process].timer != .max else { return }
    processes[process].timer = max(now, processes[process].timer - min(processes[process].timer, microseconds))
    lookAfterTimer(of: process)
  }

  // MARK: The network

  /// Disturbs the network, or heals it.
  package mutating func withNetwork<Result>(_ body: (inout Network<Content>) -> Result) -> Result { body(&network) }
}
