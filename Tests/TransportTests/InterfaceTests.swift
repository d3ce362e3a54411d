import Foundation
import Testing

import Transport

@Suite struct InterfaceTests {
  @Test("Numbers and what is no host stay as they are; localhost is IPv4's loopback")
  func numbers() throws {
    for text in ["tcp://10.1.2.3:4", "tcp://[::1]:4", "tcp://[fe80::1]:4", "tcp://*:4", "ipc://x", "inproc://x"] {
      let address = try Address(parsing: text)
      #expect(try address.resolved() == address)
    }
    #expect(try Address(parsing: "tcp://localhost:4").resolved().description == "tcp://127.0.0.1:4")
  }

  @Test("This machine's own name, where it has a number, is found by it")
  func ownName() throws {
    let address = Address.tcp(host: ProcessInfo.processInfo.hostName, port: 7)
    guard let resolved = try? address.resolved(), case .tcp(let host, 7) = resolved else { return }
    #expect(Address.isNumber(host))
  }

  @Test("A host that cannot be found is named")
  func unresolvable() throws {
    // Longer than any label of DNS: nobody is asked.
    let host = String(repeating: "x", count: 80)
    let address = Address.tcp(host: host, port: 5555)
    #expect { try address.resolved() } throws: {
      "\($0)".hasPrefix("the host \(host) cannot be found: ") && "\($0)".contains("; ")
    }
    let hub = try ZeroMQTransport.holder().makeHub(Meeting.limits)
    #expect(throws: TransportError.self) { try hub.connect(to: address) }
    #expect(throws: TransportError.self) { try hub.listen(on: address) }
    hub.close(lingerMilliseconds: 0)
  }

  @Test("The interface that leads to this machine is its loopback")
  func loopback() throws {
    let near = Address.tcp(host: "127.0.0.1", port: 5555)
    #expect(try Interfaces.localHost(towards: near) == "127.0.0.1")
    #expect(try Interfaces.listeningAddress(towards: near) == .tcp(host: "127.0.0.1", port: 0))
    let interface = try #require(try Interfaces.all().first { $0.hosts.contains("127.0.0.1") })
    #expect(try Interfaces.host(of: interface.name, towards: near) == "127.0.0.1")
    #expect(try Interfaces.host(of: "127.0.0.1", towards: near) == "127.0.0.1")
    #expect(
      try Interfaces.listeningAddress(towards: near, interface: interface.name) == .tcp(host: "127.0.0.1", port: 0))
  }

  @Test("Every number of this machine leads to itself")
  func ownNumbers() throws {
    for host in try Interfaces.all().flatMap(\.hosts) {
      #expect(try Interfaces.localHost(towards: .tcp(host: host, port: 1)) == host)
    }
  }

  @Test("Of every interface others are told the one that leads to them; another address stays as it is")
  func advertised() throws {
    for text in ["tcp://*:7", "tcp://0.0.0.0:7", "tcp://[::]:7"] {
      let every = try Address(parsing: text)
      #expect(every.isEveryInterface)
      #expect(
        try Interfaces.advertised(every, towards: .tcp(host: "127.0.0.1", port: 1)).description == "tcp://127.0.0.1:7")
      for host in try Interfaces.all().flatMap(\.hosts) where !host.contains(":") {
        #expect(
          try Interfaces.advertised(every, towards: .tcp(host: host, port: 1)) == .tcp(host: host, port: 7))
      }
      // Whatever the machine has: a number of its own, and not the loopback's where there is another.
      guard case .tcp(let host, 7) = try Interfaces.advertised(every) else { return }
      let own = try Interfaces.all().flatMap(\.hosts)
      #expect(own.contains(host))
      let outer = own.filter { !$0.contains(":") && !Address.tcp(host: $0, port: 1).isLoopback }
      #expect(outer.isEmpty || !Address.tcp(host: host, port: 1).isLoopback)
    }
    let one = try Address(parsing: "tcp://127.0.0.1:7")
    #expect(try !one.isEveryInterface && Interfaces.advertised(one) == one)
    #expect(try Interfaces.advertised(one, towards: .tcp(host: "192.0.2.1", port: 1)) == one)
  }

  @Test("An unknown interface or number says what there is", arguments: ["eth99", "192.0.2.1"])
  func unknown(_ text: String) throws {
    let near = Address.tcp(host: "127.0.0.1", port: 5555)
    let loopback = try #require(try Interfaces.all().first { $0.hosts.contains("127.0.0.1") })
    #expect { try Interfaces.listeningAddress(towards: near, interface: text) } throws: {
      "\($0)".hasPrefix("\(text) is no interface or address of this machine that is up; it has ")
        && "\($0)".contains("\(loopback)")
    }
  }

  @Test("Listening on another machine's number says what this one has")
  func foreignNumber() throws {
    let hub = try ZeroMQTransport.holder().makeHub(Meeting.limits)
    #expect { try hub.listen(on: .tcp(host: "192.0.2.1", port: 0)) } throws: {
      "\($0)".hasPrefix("tcp://192.0.2.1:0 cannot be used: this machine has ") && "\($0)".contains("127.0.0.1")
    }
    hub.close(lingerMilliseconds: 0)
  }

  @Test("A connection by name comes about, with keys of one's own and with a shared one", arguments: [true, false])
  func byName(_ hasKeys: Bool) throws {
    let ring = try KeyRing(["server.0", "worker.0"])
    let server = try (hasKeys ? ring.transport("server.0") : ZeroMQTransport.holder()).makeHub(Meeting.limits)
    let worker = try (hasKeys ? ring.transport("worker.0") : ZeroMQTransport.holder()).makeHub(Meeting.limits)
    guard case .tcp(_, let port) = try server.listen(on: .tcp(host: "localhost", port: 0)) else { return }
    let peer = try worker.connect(to: .tcp(host: "localhost", port: port), expecting: "server.0")
    _ = try worker.send(numbered(6), to: peer)
    #expect(try number(of: server.message(while: worker).frames) == 6)
    worker.close(lingerMilliseconds: 0)
    server.close(lingerMilliseconds: 0)
  }
}
