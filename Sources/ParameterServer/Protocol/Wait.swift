/// A member waits for a server: it has asked for something, and nothing at all is heard on the way to that server.
public struct Wait: Hashable, Sendable {
  /// What was asked for.
  public enum Request: Hashable, Sendable, CustomStringConvertible {
    /// A chunk that has so many closed steps.
    case pull(chunk: UInt32, step: UInt64)
    /// The answer to a gradient of a step.
    case push(chunk: UInt32, step: UInt64)
    /// A marker of a cut is on its way.
    case marker(UInt64)
    /// Another server's: what the two exchange of replicas and of the gradient's norm.
    case exchange

    /// A few words for a person.
    public var description: String {
      switch self {
      case .pull(let chunk, let step): "pull of chunk \(chunk), step \(step)"
      case .push(let chunk, let step): "push of chunk \(chunk), step \(step)"
      case .marker(let number): "marker of cut \(number)"
      case .exchange: "replicas and norms"
      }
    }
  }

  /// The server.
  public let server: Member
  /// Milliseconds since the server was heard, or since something was first asked of it.
  public let milliseconds: UInt64
  /// The first thing that was asked for.
  public let request: Request

  /// A wait as stated.
  public init(server: Member, milliseconds: UInt64, request: Request) {
    self.server = server
    self.milliseconds = milliseconds
    self.request = request
  }
}

/// How long nothing was heard on the way to each server while something is asked of it.
///
/// A server that is alive answers when it is asked whether it hears, whatever else it waits for: so a worker that waits
/// for slower ones is told from one that does not reach its server.
struct LinkWatch: Sendable {
  private struct Link: Sendable {
    let server: Member
    /// Milliseconds without a word, as far as this member was there to hear one.
    var unheard: UInt64 = 0
    /// The same when the server was asked last whether it hears.
    var probedAt: UInt64 = 0
    var request: Wait.Request?
  }

  private var links: [Link] = []
  private var lookedAt: Moment?

  /// The servers, in the order in which they were stated.
  var servers: [Member] { links.map(\.server) }

  /// Begins anew, with these servers.
  mutating func begin(_ servers: [Member], at now: Moment) {
    links = servers.map { Link(server: $0) }
    lookedAt = now
  }

  /// Something came from a server, by the way that leads to it.
  mutating func heard(_ server: Member) {
    for index in links.indices where links[index].server == server {
      links[index].unheard = 0
      links[index].probedAt = 0
      return
    }
  }

  /// Looks at what is asked of each server now; returns those that are to be asked whether they hear.
  ///
  /// - Parameter requests: what is asked of each of `servers`; nil where nothing is.
  mutating func look(at now: Moment, _ deadlines: Deadlines, requests: [Wait.Request?]) -> [Member] {
    // A member that was stopped for a while heard nobody, whoever spoke.
    let passed = min(now.milliseconds(since: lookedAt ?? now), 2 * deadlines.heartbeat)
    lookedAt = now
    var asked: [Member] = []
    for index in links.indices {
      links[index].request = requests[index]
      guard links[index].request != nil else {
        (links[index].unheard, links[index].probedAt) = (0, 0)
        continue
      }
      links[index].unheard += passed
      guard links[index].unheard >= links[index].probedAt + deadlines.linkProbe else { continue }
      links[index].probedAt = links[index].unheard
      asked.append(links[index].server)
    }
    return asked
  }

  /// Who is waited for, longer than an answer takes; at most what a report holds.
  func waits(_ deadlines: Deadlines) -> [Wait] {
    var waits: [Wait] = []
    for link in links where link.unheard > deadlines.linkProbe && waits.count < Progress.maximumWaits {
      guard let request = link.request else { continue }
      waits.append(Wait(server: link.server, milliseconds: link.unheard, request: request))
    }
    return waits
  }
}

/// Who has spoken to a server lately: each is told now and then that it is heard, as its answers may have to wait for
/// others.
struct Callers: Sendable {
  private var connections: [Connection] = []
  private var saidAt = Moment(milliseconds: 0)
  /// More than the members of any job.
  private static let maximum = 2 * Int(Bounds.members)

  /// Somebody has spoken.
  mutating func note(_ source: Destination) {
    guard case .connection(let connection) = source, connections.last != connection,
      !connections.contains(connection), connections.count < Self.maximum
    else { return }
    connections.append(connection)
  }

  /// Those who are to be told now.
  mutating func due(at now: Moment, every milliseconds: UInt64) -> [Connection] {
    guard now.milliseconds(since: saidAt) >= milliseconds else { return [] }
    saidAt = now
    defer { connections.removeAll(keepingCapacity: true) }
    return connections
  }
}
