import ParameterServer

/// A job of the test cluster.
struct ClusterSettings: Sendable {
  var consistency = Consistency.sync
  var servers = 1
  var workers = 2
  var samples = 20
  var batch = 8
  var shards = 4
  var epochs = 2
  var maximumSteps: Int?
  var elements = 100
  var buffers = 0
  var weather = Weather()
  var seed: UInt64 = 1
  var deadlines = Deadlines()

  static let token = JobToken([UInt8](repeating: 7, count: JobToken.byteCount))!
  static let otherToken = JobToken([UInt8](repeating: 8, count: JobToken.byteCount))!
  static let digests = Digests(
    build: digest(1), network: digest(2), job: digest(3), data: [])

  static func digest(_ byte: UInt8) -> [UInt8] { [UInt8](repeating: byte, count: 32) }

  /// Whether there is such a process.
  func contains(_ actor: Actor) -> Bool {
    switch actor {
    case .coordinator: true
    case .server(let index): index < servers
    case .worker(let index): index < workers
    }
  }

  /// Steps of the job, counted one by one.
  var steps: Int {
    var perEpoch = 0
    for _ in stride(from: 0, to: samples, by: batch) { perEpoch += 1 }
    return min(perEpoch * epochs, maximumSteps ?? .max)
  }

  /// The samples of each step, counted one by one.
  var sampleCounts: [Int] {
    let epoch = stride(from: 0, to: samples, by: batch).map { min(batch, samples - $0) }
    return (0..<steps).map { epoch[$0 % epoch.count] }
  }

  var plan: JobPlan {
    JobPlan(
      consistency: consistency, servers: servers, workers: workers, tree: ShardTree(shards: shards)!, batch: batch,
      epochs: epochs, maximumSteps: maximumSteps, elements: elements, buffers: buffers, job: "toy",
      digests: Self.digests)
  }

  func serverReady(_ actor: Actor) -> Ready {
    Ready(digests: Self.digests, samples: 0, engineFingerprint: "", address: actor.address)
  }

  func workerReady(_ actor: Actor) -> Ready {
    var digests = Self.digests
    digests.data = Self.digest(4)
    return Ready(digests: digests, samples: UInt64(samples), engineFingerprint: "toy", address: "")
  }

  /// A job of any shape: uneven shards, empty ones, too many workers, servers without a chunk.
  static func random(_ consistency: Consistency, seed: UInt64) -> ClusterSettings {
    var generator = SeededGenerator(seed: seed)
    var settings = ClusterSettings()
    settings.consistency = consistency
    settings.servers = Int.random(in: 1...3, using: &generator)
    settings.workers = Int.random(in: 1...5, using: &generator)
    settings.shards = 1 << Int.random(in: 0...3, using: &generator)
    settings.batch = Int.random(in: 1...12, using: &generator)
    settings.samples = Int.random(in: 1...30, using: &generator)
    settings.epochs = Int.random(in: 1...3, using: &generator)
    settings.maximumSteps = generator.chance(30) ? Int.random(in: 1...6, using: &generator) : nil
    settings.elements = generator.chance(15) ? Int.random(in: 1...40, using: &generator) : 150
    settings.buffers = generator.chance(40) ? Int.random(in: 1...80, using: &generator) : 0
    settings.weather.order = generator.pick(Weather.Order.allCases)
    settings.weather.duplicates = generator.pick([0, 5, 30])
    settings.weather.delays = generator.pick([0, 10, 50])
    settings.seed = seed
    return settings
  }
}

extension Actor {
  /// What a server states as its address.
  var address: String {
    if case .server(let index) = self { "toy://\(index)" } else { "" }
  }

  /// The server at an address.
  init?(address: String) {
    guard address.hasPrefix("toy://"), let index = Int(address.dropFirst(6)) else { return nil }
    self = .server(index)
  }

  /// The connection that others know it by.
  var connection: Connection {
    switch self {
    case .coordinator: Connection(0)
    case .server(let index): Connection(100 + UInt64(index))
    case .worker(let index): Connection(200 + UInt64(index))
    }
  }

  /// Who is at the other end of a connection.
  init?(_ connection: Connection) {
    switch connection.rawValue {
    case 0: self = .coordinator
    case 100..<200: self = .server(Int(connection.rawValue) - 100)
    case 200..<300: self = .worker(Int(connection.rawValue) - 200)
    default: return nil
    }
  }

  /// A connection that no process of the cluster has.
  static let strangersConnection = Connection(300)

  var incarnation: Incarnation { Incarnation(9000 + connection.rawValue) }
}
