import ParameterServer
import Testing

@Suite struct ViewTests {
  private func view(servers: Int, workers: Int, shards: Int, _ consistency: Consistency = .sync) -> View {
    var settings = ClusterSettings()
    settings.consistency = consistency
    settings.servers = servers
    settings.shards = shards
    settings.elements = 500
    return View.assigning(
      number: ViewNumber(1), rules: settings.plan.rules(samples: 20)!,
      servers: (0..<servers).map { (Incarnation(UInt64($0)), "s\($0)", "toy://\($0)") },
      workers: (0..<workers).map { (Incarnation(UInt64(100 + $0)), "w\($0)") })
  }

  private func changed(
    _ view: View, number: ViewNumber? = nil, servers: ([View.Server]) -> [View.Server] = { $0 },
    workers: ([View.Worker]) -> [View.Worker] = { $0 }
  ) -> View {
    View(
      number: number ?? view.number, rules: view.rules, servers: servers(view.servers), workers: workers(view.workers))
  }

  private func worker(_ number: UInt32, _ nodes: [ShardNode]) -> View.Worker {
    View.Worker(member: Member(.worker, number), incarnation: Incarnation(5), name: "w", nodes: nodes)
  }

  private func server(_ number: UInt32, _ chunks: [UInt32]) -> View.Server {
    View.Server(member: Member(.server, number), incarnation: Incarnation(5), name: "s", address: "", chunks: chunks)
  }

  @Test func assignedViewsHoldTogether() {
    for servers in 1...4 {
      for workers in 1...9 {
        for shards in [1, 2, 4, 8] {
          let view = view(servers: servers, workers: workers, shards: shards)
          #expect(view.problem == nil)
          let byChunk = view.serverOfChunk
          #expect(byChunk?.count == view.rules.chunks.count)
          for (chunk, holder) in (byChunk ?? []).enumerated() {
            #expect(view.servers.filter { $0.chunks.contains(UInt32(chunk)) }.map(\.member.number) == [UInt32(holder)])
          }
          #expect(view == self.view(servers: servers, workers: workers, shards: shards))
          #expect(self.view(servers: servers, workers: workers, shards: shards, .async).problem == nil)
        }
      }
    }
  }

  @Test func holesAndDoublesAreFound() {
    let view = view(servers: 2, workers: 2, shards: 4)
    let chunks = (0..<UInt32(view.rules.chunks.count)).map(\.self)
    #expect(changed(view, servers: { _ in [server(0, chunks), server(1, [])] }).problem == nil)
    #expect(changed(view, number: ViewNumber.none).problem != nil)
    #expect(changed(view, servers: { _ in [] }).problem != nil)
    #expect(changed(view, servers: { _ in [server(0, chunks.dropLast())] }).problem != nil)
    #expect(changed(view, servers: { _ in [server(0, chunks + [0])] }).problem != nil)
    #expect(changed(view, servers: { _ in [server(0, chunks), server(1, [3])] }).problem != nil)
    #expect(changed(view, servers: { _ in [server(0, chunks + [UInt32(chunks.count)])] }).problem != nil)
    #expect(changed(view, servers: { _ in [server(0, chunks + [.max])] }).problem != nil)
    #expect(changed(view, workers: { _ in [] }).problem != nil)
    #expect(changed(view, workers: { $0.dropLast() }).problem != nil)
    let node = { (level: UInt8, index: UInt32) in ShardNode(level: level, index: index) }
    for nodes in [
      [node(1, 0)], [node(1, 1)], [node(2, 0), node(0, 3)], [node(1, 0), node(1, 0), node(1, 1)],
      [node(1, 0), node(0, 2)], [node(1, 0), node(0, 3)], [node(3, 0)], [node(2, 0), node(2, 1)], [node(62, 1)],
      [node(255, .max)], [node(0, 0), node(0, 1), node(0, 2), node(0, 4)],
    ] { #expect(changed(view, workers: { _ in [worker(0, nodes)] }).problem != nil, "\(nodes)") }
    #expect(changed(view, workers: { _ in [worker(0, [node(0, 3), node(1, 0), node(0, 2)])] }).problem == nil)
    #expect(changed(view, workers: { _ in [worker(0, [node(1, 1)]), worker(1, [node(1, 0)])] }).problem == nil)
  }

  @Test func wrongPlacesAreFound() {
    let view = view(servers: 2, workers: 2, shards: 4)
    #expect(changed(view, servers: { $0.reversed() }).problem?.contains("in the place of server.0") == true)
    #expect(changed(view, workers: { $0.reversed() }).problem?.contains("in the place of worker.0") == true)
    let asynchronous = self.view(servers: 2, workers: 2, shards: 4, .async)
    #expect(changed(asynchronous, workers: { _ in [] }).problem != nil)
  }

  @Test func incarnationsAreFoundByPlace() {
    let view = view(servers: 2, workers: 2, shards: 4)
    #expect(view.incarnation(of: Member(.server, 1)) == Incarnation(1))
    #expect(view.incarnation(of: Member(.worker, 1)) == Incarnation(101))
    #expect(view.incarnation(of: Member(.worker, 2)) == nil)
    #expect(view.incarnation(of: Member(.server, Member.unassigned)) == nil)
    #expect(view.incarnation(of: .coordinator) == nil)
  }
}
