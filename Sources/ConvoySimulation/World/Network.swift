import ParameterServer

/// Connections between processes, as ZeroMQ makes them, and the letters on their way.
///
/// A connection is made by one process (the dealer) to another's address (the router). Each direction keeps its order.
/// A dealer keeps what it sends while the connection is down, up to the high-water mark; a router drops what it sends
/// to a connection that is not there. Making a connection anew loses what was under way, and gives it a new number.
package struct Network<Content: AnyObject & Sendable>: ~Copyable {
  /// One direction of a connection.
  package struct Link {
    /// When the last letter arrives that the next may not overtake.
    var lastArrival: UInt64 = 0
    /// Nothing arrives before: a partition. TCP sends again what it holds.
    var blockedUntil: UInt64 = 0
    /// Letters on their way.
    var queued: Int32 = 0
    /// Letters that were queued at once at most.
    var peak: Int32 = 0
    /// Of 65,536 letters so many are lost, doubled, or overtaken by later ones.
    package var loss: UInt32 = 0
    /// See `loss`.
    package var duplicates: UInt32 = 0
    /// See `loss`.
    package var reordering: UInt32 = 0
    /// Microseconds that each letter travels longer.
    package var extraLatency: UInt64 = 0

    /// Whether nothing gets through any more, for good.
    package var isSevered = false

    var isDisturbed: Bool { loss | duplicates | reordering != 0 || isSevered }
  }

  /// A connection: which of its lives it is in, and until when it is down.
  struct Line {
    var generation: UInt32 = 1
    var downUntil: UInt64 = 0
  }

  /// Something under way.
  struct Letter {
    var content: Content
    let dealer: UInt16
    let router: UInt16
    let toRouter: Bool
    let generation: UInt32
  }

  /// A place of the slab: a letter, or the next place that is free.
  struct Place {
    static var none: UInt32 { .max }

    private var letter: Letter?
    private var next = Self.none

    init(_ letter: consuming Letter) { self.letter = letter }

    /// Takes a letter, and is free no more.
    mutating func take(_ letter: consuming Letter, _ free: inout UInt32) {
      self.letter = letter
      free = next
    }

    /// Gives its letter away and is free, if it holds one.
    mutating func give(_ free: inout UInt32, as index: UInt32) -> Letter? {
      guard let letter = letter.take() else { return nil }
      next = free
      free = index
      return letter
    }
  }

  let shape: NetworkShape
  private let processes: Int
  private let bandwidth: Divisor
  /// What a random number's remainder is the jitter of: one more than the most.
  private let jitter: Divisor
  private var links: Table<Link>
  private var lines: Table<Line>
  /// When a process's own network card has sent what it was given.
  private var cardFreeAt: Table<UInt64>
  private var letters = Table<Place>(capacity: 512)
  /// The first place that is free; `Place.none` where none is.
  private var free = Place.none
  private var stream: SeededStream
  /// How often each outcome came about, by `SendOutcome`: as many as it has cases.
  package private(set) var outcomes = InlineArray<4, UInt64>(repeating: 0)
  /// Letters that were doubled.
  package private(set) var doubled: UInt64 = 0
  /// Letters that may be overtaken.
  package private(set) var overtaken: UInt64 = 0
  /// Letters that were lost with their connection.
  package private(set) var lostWithConnection: UInt64 = 0

  init(shape: NetworkShape, processes: Int, seed: UInt64) {
    self.shape = shape
    self.processes = processes
    bandwidth = Divisor(max(1, shape.bytesPerMicrosecond))
    jitter = Divisor(min(shape.jitter, .max - 1) + 1)
    links = Table(repeating: Link(), count: processes * processes * 2)
    lines = Table(repeating: Line(), count: processes * processes)
    cardFreeAt = Table(repeating: 0, count: processes)
    stream = SeededStream(seed: seed, purpose: "network")
  }

  /// Letters that wait on one direction of a connection at most so far.
  package var peakQueue: Int {
    var peak: Int32 = 0
    for index in links.indices { peak = max(peak, links[index].peak) }
    return Int(peak)
  }

  @inline(__always)
  private func line(_ dealer: Int, _ router: Int) -> Int { dealer * processes + router }

  /// The life of a connection that a letter sent now belongs to.
  package func generation(dealer: Int, router: Int) -> UInt32 { lines[line(dealer, router)].generation }

  /// Sends a letter; its arrivals are scheduled.
  ///
  /// - Parameter generation: the connection's life that a router answers to; nil from the dealer, which means its own.
  mutating func send(
    _ content: consuming Content, bytes: Int, dealer: Int, router: Int, toRouter: Bool, generation: UInt32?,
    now: UInt64, _ queue: inout EventQueue
  ) -> SendOutcome {
    let index = line(dealer, router)
    let line = lines[index]
    let isDown = line.downUntil > now
    if !toRouter, isDown || (generation ?? line.generation) != line.generation { return count(.unreachable) }
    let (source, target) = toRouter ? (dealer, router) : (router, dealer)
    let place = index * 2 + (toRouter ? 1 : 0)
    // The link is taken out and put back once: each access to a list has its price.
    var link = links[place]
    guard Int(link.queued) < shape.highWaterMark else { return count(.full) }
    let departure = max(now, cardFreeAt[source], isDown ? line.downUntil : 0)
    let sent = departure + bandwidth.divide(UInt64(bytes)).quotient
    if !isDown { cardFreeAt[source] = sent }
    let random = stream.next()
    var arrival = sent + shape.latency + link.extraLatency + jitter.divide(random).remainder
    var inOrder = true
    let letter = Letter(
      content: content, dealer: UInt16(dealer), router: UInt16(router), toRouter: toRouter,
      generation: line.generation)
    var copyArrival: UInt64?
    if link.isDisturbed {
      if UInt32(random >> 48) < link.loss || link.isSevered { return count(.lost) }
      if UInt32(random >> 32 & 0xffff) < link.duplicates {
        doubled += 1
        copyArrival = arrival + (random >> 40 & 0xfff) * 10
      }
      if UInt32(random >> 16 & 0xffff) < link.reordering {
        overtaken += 1
        inOrder = false
        arrival += (random >> 40 & 0xfff) * 10
      }
    }
    arrival = max(arrival, link.blockedUntil)
    if inOrder {
      arrival = max(arrival, link.lastArrival + 1)
      link.lastArrival = arrival
    }
    link.queued += copyArrival == nil ? 1 : 2
    link.peak = max(link.peak, link.queued)
    links[place] = link
    guard let copyArrival else {
      queue.schedule(.message, at: arrival, process: target, argument: UInt64(put(consume letter)))
      return count(.sent)
    }
    queue.schedule(.message, at: arrival, process: target, argument: UInt64(put(copy letter)))
    queue.schedule(.message, at: copyArrival, process: target, argument: UInt64(put(consume letter)))
    return count(.sent)
  }

  private mutating func count(_ outcome: SendOutcome) -> SendOutcome {
    outcomes[outcome.rawValue] += 1
    return outcome
  }

  private mutating func put(_ letter: consuming Letter) -> UInt32 {
    guard free != Place.none else {
      letters.append(Place(letter))
      return UInt32(letters.count - 1)
    }
    let index = free
    letters[Int(index)].take(letter, &free)
    return index
  }

  /// Takes a letter that has arrived; nil where its connection was lost meanwhile.
  mutating func take(_ index: UInt32) -> Letter? {
    guard let letter = letters[Int(index)].give(&free, as: index) else { return nil }
    let line = line(Int(letter.dealer), Int(letter.router))
    guard letter.generation == lines[line].generation else {
      lostWithConnection += 1
      return nil
    }
    links[line * 2 + (letter.toRouter ? 1 : 0)].queued -= 1
    return letter
  }

  // MARK: What disturbs it

  /// Makes a connection anew, after a while: what was under way is lost.
  package mutating func cut(dealer: Int, router: Int, until: UInt64) {
    let line = line(dealer, router)
    lines[line].generation &+= 1
    lines[line].downUntil = max(lines[line].downUntil, until)
    for link in [line * 2, line * 2 + 1] {
      links[link].queued = 0
      links[link].lastArrival = 0
    }
  }

  /// Loses all connections of a process, which ended.
  mutating func cutAll(of process: Int, now: UInt64) {
    for other in 0..<processes where other != process {
      cut(dealer: process, router: other, until: now)
      cut(dealer: other, router: process, until: now)
    }
    cardFreeAt[process] = now
  }

  /// Changes the links of one direction from one process to another: both connections that there may be.
  package mutating func change(from source: Int, to target: Int, _ body: (inout Link) -> Void) {
    body(&links[line(source, target) * 2 + 1])
    body(&links[line(target, source) * 2])
  }

  /// Nothing gets through in one direction until a moment; past the keep-alive's limit the connections are lost.
  package mutating func block(from source: Int, to target: Int, until: UInt64, now: UInt64) {
    change(from: source, to: target) { $0.blockedUntil = max($0.blockedUntil, until) }
    if until > now + shape.connectionTimeout {
      cut(dealer: source, router: target, until: until)
      cut(dealer: target, router: source, until: until)
    }
  }

  /// Everything is as the shape says: no disturbance is left but what is severed.
  package mutating func heal(now: UInt64) {
    for index in links.indices {
      links[index].loss = 0
      links[index].duplicates = 0
      links[index].reordering = 0
      links[index].extraLatency = 0
      links[index].blockedUntil = 0
    }
    for index in lines.indices { lines[index].downUntil = min(lines[index].downUntil, now) }
  }
}
