import ParameterServer
import Testing

/// A job of the tests: two chunks of 64 bytes, four shards, batches of eight samples.
enum Job {
  static let token = JobToken([UInt8](repeating: 7, count: JobToken.byteCount))!
  static let otherToken = JobToken([UInt8](repeating: 8, count: JobToken.byteCount))!

  static func digest(_ byte: UInt8) -> [UInt8] { [UInt8](repeating: byte, count: 32) }

  static let digests = Digests(build: digest(1), network: digest(2), job: digest(3), data: [])

  static var workerReady: Ready {
    var digests = digests
    digests.data = digest(4)
    return Ready(digests: digests, samples: 32, engineFingerprint: "toy", address: "")
  }

  static var serverReady: Ready { Ready(digests: digests, samples: 0, engineFingerprint: "", address: "toy://") }

  static func rules(
    _ consistency: Consistency = .sync, then segments: [(Int, Consistency)] = [], samples: Int = 32, batch: Int = 8,
    shards: Int = 4, steps: Int = 8, chunks: Int = 2, slots: Int = 0, every: Int? = nil, staleness: UInt64? = nil,
    buffers: Int = 0, clips: Bool = false
  ) -> JobRules {
    JobRules(
      schedule: BatchSchedule(samples: samples, batch: batch, tree: ShardTree(shards: shards)!)!, steps: steps,
      chunks: ChunkTable(elements: 16 * chunks, buffers: 16 * buffers, chunkElements: 16)!,
      segments: ([(0, consistency)] + segments).map { JobRules.Segment(firstStep: $0.0, consistency: $0.1) },
      slots: slots, checkpointEvery: every, maximumStaleness: staleness, clipsNorm: clips)!
  }

  /// A view: by server its chunks and its replicas, by worker its nodes. `lives` are other incarnations than the first.
  static func view(
    _ rules: JobRules, _ number: UInt64 = 1, era: UInt32 = 1, origin: View.Origin = .initial, isBeginning: Bool = true,
    chunks: [[UInt32]] = [[0, 1]], replicas: [[UInt32]] = [], nodes: [[ShardNode]] = [[node(2, 0)]],
    earlier: [[ShardNode]] = [], since: Int = 0, lives: [Member: UInt64] = [:]
  ) -> View {
    View(
      number: ViewNumber(number), era: era, origin: origin, isBeginning: isBeginning, rules: rules,
      servers: chunks.indices.map { index in
        let member = Member(.server, UInt32(index))
        return View.Server(
          member: member, incarnation: lives[member].map(Incarnation.init) ?? life(member), name: "\(member)",
          address: "toy://\(index)", chunks: chunks[index],
          replicas: replicas.indices.contains(index) ? replicas[index] : [])
      },
      workers: nodes.indices.map { index in
        let member = Member(.worker, UInt32(index))
        return View.Worker(
          member: member, incarnation: lives[member].map(Incarnation.init) ?? life(member), name: "\(member)",
          nodes: nodes[index], earlierNodes: earlier.indices.contains(index) ? earlier[index] : [])
      },
      since: since)
  }

  /// The first life of a member.
  static func life(_ member: Member) -> Incarnation {
    Incarnation(UInt64(member.role.rawValue) * 100 + UInt64(member.number))
  }
}

func node(_ level: UInt8, _ index: UInt32) -> ShardNode { ShardNode(level: level, index: index) }

func server(_ number: UInt32) -> Member { Member(.server, number) }

func worker(_ number: UInt32) -> Member { Member(.worker, number) }

/// The payloads that a machine was given: each is let go of once, and used only before.
struct Ledger {
  private(set) var held: Set<GradientHandle> = []
  private var next: UInt64 = 0

  /// A payload that comes.
  mutating func arrive(_ bytes: Int) -> ReceivedPayload {
    let handle = GradientHandle(next)
    next += 1
    held.insert(handle)
    return ReceivedPayload(handle: handle, bytes: bytes)
  }

  /// A sum that is made.
  mutating func make(_ handle: GradientHandle) {
    if !held.insert(handle).inserted { Issue.record("\(handle) is made twice") }
  }

  func use(_ handle: GradientHandle) {
    if !held.contains(handle) { Issue.record("\(handle) is used and not held") }
  }

  mutating func letGo(_ handle: GradientHandle) {
    if held.remove(handle) == nil { Issue.record("\(handle) is let go of and not held") }
  }
}
