import ParameterServer
import Testing

@Suite struct ViewTests {
  private let rules = Job.rules()

  private func problem(
    _ number: UInt64 = 1, era: UInt32 = 1, origin: View.Origin = .initial, chunks: [[UInt32]] = [[0], [1]],
    replicas: [[UInt32]] = [], nodes: [[ShardNode]] = [[node(2, 0)]], earlier: [[ShardNode]] = [], since: Int = 0
  ) -> String? {
    Job.view(
      rules, number, era: era, origin: origin, chunks: chunks, replicas: replicas, nodes: nodes, earlier: earlier,
      since: since
    ).problem
  }

  @Test func whatHoldsTogetherHasNoProblem() {
    #expect(problem() == nil)
    #expect(problem(chunks: [[0, 1], []], replicas: [[], [0, 1]]) == nil)
    #expect(problem(nodes: []) == nil, "a job may wait for workers")
    #expect(problem(nodes: [[node(0, 3), node(1, 0), node(0, 2)], []]) == nil)
    #expect(problem(nodes: [[node(1, 1)], [node(1, 0)]], earlier: [[], [node(2, 0)]], since: 4) == nil)
    #expect(problem(origin: .checkpoint(step: 8)) == nil)
  }

  @Test func chunksWithoutOneServerAreFound() {
    for chunks in [[], [[0]], [[0, 0], [1]], [[0, 1], [1]], [[0, 1, 2]], [[0, 1, .max]]] as [[[UInt32]]] {
      #expect(problem(chunks: chunks) != nil, "\(chunks)")
    }
    for replicas in [[[0]], [[1], [1]], [[1, 1]], [[2]]] as [[[UInt32]]] {
      #expect(problem(replicas: replicas) != nil, "\(replicas)")
    }
  }

  @Test func shardsWithoutOneWorkerAreFound() {
    for nodes in [
      [[]], [[node(1, 0)]], [[node(1, 0)], [node(1, 0)]], [[node(2, 0), node(0, 3)]], [[node(1, 0), node(0, 2)]],
      [[node(3, 0)]], [[node(2, 0), node(2, 1)]], [[node(62, 1)]], [[node(255, .max)]],
    ] as [[[ShardNode]]] {
      #expect(problem(nodes: nodes) != nil, "\(nodes)")
      #expect(problem(nodes: [[node(2, 0)], []], earlier: nodes, since: 1) != nil, "\(nodes), earlier")
    }
  }

  @Test func numbersThatCannotBeAreFound() {
    #expect(problem(0) != nil && problem(era: 0) != nil && problem(since: -1) != nil)
    #expect(problem(origin: .checkpoint(step: 9)) != nil && problem(origin: .checkpoint(step: -1)) != nil)
  }

  @Test func placesOutOfOrderAreFound() {
    let view = Job.view(rules, chunks: [[0], [1]], nodes: [[node(1, 0)], [node(1, 1)]])
    func changed(_ servers: [View.Server], _ workers: [View.Worker]) -> String? {
      View(number: view.number, rules: rules, servers: servers, workers: workers).problem
    }
    #expect(changed(view.servers.reversed(), view.workers) == "server.0 stands after server.1")
    #expect(changed(view.servers, view.workers.reversed()) == "worker.0 stands after worker.1")
    #expect(changed([view.servers[0], view.servers[0]], view.workers) != nil)
    let posing = View.Worker(member: server(0), incarnation: Incarnation(1), name: "", nodes: [node(2, 0)])
    #expect(changed(view.servers, [posing]) != nil)
  }

  @Test func incarnationsAreFoundByPlace() {
    let view = Job.view(rules, chunks: [[0], [1]])
    #expect(view.incarnation(of: server(1)) == Incarnation(201) && view.incarnation(of: worker(1)) == nil)
    #expect(view.incarnation(of: .coordinator) == nil && view.incarnation(of: Member(.client, 0)) == nil)
  }
}
