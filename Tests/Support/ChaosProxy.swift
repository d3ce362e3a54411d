import Foundation
package import Glibc

/// A TCP proxy on the loopback interface that hurts connections: cuts them all, refuses new ones, or holds their bytes.
///
/// One thread moves the bytes. A command has been carried out when its call returns.
package final class ChaosProxy: @unchecked Sendable {
  /// What has happened so far.
  package struct Counts: Hashable, Sendable {
    /// Connections that were let through.
    package var accepted = 0
    /// Connections that were reset at once.
    package var refused = 0
    /// Connections that were cut.
    package var cut = 0
    /// Bytes that arrived, both ways.
    package var bytes = 0

    /// Counts as stated.
    package init(accepted: Int = 0, refused: Int = 0, cut: Int = 0, bytes: Int = 0) {
      (self.accepted, self.refused, self.cut, self.bytes) = (accepted, refused, cut, bytes)
    }
  }

  /// Why there is no proxy.
  package struct Failure: Error, CustomStringConvertible {
    /// One line.
    package let description: String
  }

  private enum Command {
    case cut
    case refuse(Bool)
    case hold(Bool)
    case stop
  }

  /// The port that it listens on.
  package let port: UInt16
  private let target: sockaddr_in
  private let listener: Int32
  private let waking: (reading: Int32, writing: Int32)

  // What both sides touch, under the condition's lock.
  private let condition = NSCondition()
  private var commands: [(Command, DispatchSemaphore)] = []
  private var total = Counts()

  /// A proxy in front of a port of 127.0.0.1, on a free port.
  package init(to target: UInt16) throws(Failure) {
    self.target = Self.loopback(target)
    listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var ends: [Int32] = [-1, -1]
    guard listener >= 0, let port = Self.listen(listener), pipe(&ends) == 0 else {
      throw Failure(description: "no proxy can listen: \(String(cString: strerror(errno)))")
    }
    self.port = port
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    waking = (ends[0], ends[1])
    let state = State(listener: listener, waking: ends[0])
    let thread = Thread { [weak self] in Self.run(state, { self }) }
    thread.name = "chaos-proxy"
    thread.start()
  }

  deinit {
    // The thread sees the end of its pipe, and closes everything.
    close(waking.writing)
  }

  /// What has happened so far.
  package var counts: Counts {
    condition.lock()
    defer { condition.unlock() }
    return total
  }

  /// Waits until what has happened is enough.
  package func wait(until isEnough: (Counts) -> Bool) {
    condition.lock()
    defer { condition.unlock() }
    while !isEnough(total) { condition.wait() }
  }

  /// Cuts every connection, with a reset to both sides.
  package func cutAll() { perform(.cut) }
  /// Resets new connections, or lets them through again.
  package func refuseNew(_ isRefusing: Bool) { perform(.refuse(isRefusing)) }
  /// Holds all bytes back, as a network does that has gone without a word, or lets them go again.
  package func hold(_ isHolding: Bool) { perform(.hold(isHolding)) }
  /// Cuts everything and listens no more.
  package func stop() { perform(.stop) }

  private func perform(_ command: Command) {
    let done = DispatchSemaphore(value: 0)
    condition.lock()
    commands.append((command, done))
    condition.unlock()
    var byte: UInt8 = 1
    _ = write(waking.writing, &byte, 1)
    done.wait()
  }

  // MARK: The thread

  /// What only the thread touches.
  private struct State {
    let listener: Int32
    let waking: Int32
    var connections: [ProxyConnection] = []
    var isRefusing = false
    var isHolding = false
    var isStopped = false
  }

  private static func run(_ initial: State, _ proxy: () -> ChaosProxy?) {
    var state = initial
    // The pipe stays readable at its end; commands after a stop are still answered.
    while turn(&state, proxy) {}
    for connection in state.connections { connection.close(isCut: true) }
    if !state.isStopped { close(state.listener) }
    close(state.waking)
  }

  /// Waits for something and deals with it; false once the proxy is gone.
  private static func turn(_ state: inout State, _ proxy: () -> ChaosProxy?) -> Bool {
    let moved = state.isHolding ? [] : state.connections.flatMap(\.watched)
    var watched = [
      pollfd(fd: state.waking, events: Int16(POLLIN), revents: 0),
      pollfd(fd: state.isStopped ? -1 : state.listener, events: Int16(POLLIN), revents: 0),
    ]
    watched += moved
    poll(&watched, nfds_t(watched.count), -1)
    if watched[0].revents != 0 {
      var bytes = [UInt8](repeating: 0, count: 64)
      if read(state.waking, &bytes, bytes.count) == 0 { return false }
    }
    guard let proxy = proxy() else { return false }
    var news = Counts()
    if !state.isHolding { move(&state, Array(watched.dropFirst(2)), &news) }
    if watched[1].revents != 0 { accept(&state, proxy.target, &news) }
    proxy.finish(news, &state)
    return true
  }

  private static func move(_ state: inout State, _ watched: [pollfd], _ news: inout Counts) {
    var kept: [ProxyConnection] = []
    for (index, connection) in state.connections.enumerated() {
      var connection = connection
      if watched[2 * index].revents == 0, watched[2 * index + 1].revents == 0 {
        kept.append(connection)
      } else if let count = connection.move() {
        news.bytes += count
        if connection.isOver { connection.close(isCut: false) } else { kept.append(connection) }
      } else {
        connection.close(isCut: true)
      }
    }
    state.connections = kept
  }

  private static func accept(_ state: inout State, _ target: sockaddr_in, _ news: inout Counts) {
    let client = Glibc.accept(state.listener, nil, nil)
    guard client >= 0 else { return }
    _ = fcntl(client, F_SETFD, FD_CLOEXEC)
    let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard !state.isRefusing, server >= 0, withAddress(target, { connect(server, $0, $1) }) == 0 else {
      if server >= 0 { close(server) }
      reset(client)
      news.refused += 1
      return
    }
    news.accepted += 1
    state.connections.append(ProxyConnection(client: client, server: server))
  }

  /// Carries out what was asked for, and tells those who wait.
  private func finish(_ news: Counts, _ state: inout State) {
    condition.lock()
    defer { condition.unlock() }
    total.accepted += news.accepted
    total.refused += news.refused
    total.bytes += news.bytes
    for (command, done) in commands {
      switch command {
      case .cut: cut(&state)
      case .refuse(let isRefusing): state.isRefusing = isRefusing
      case .hold(let isHolding): state.isHolding = isHolding
      case .stop:
        cut(&state)
        if !state.isStopped { close(state.listener) }
        state.isStopped = true
      }
      done.signal()
    }
    commands = []
    condition.broadcast()
  }

  private func cut(_ state: inout State) {
    for connection in state.connections { connection.close(isCut: true) }
    total.cut += state.connections.count
    state.connections = []
  }

  // MARK: Sockets

  /// Listens on a free port of 127.0.0.1; the port.
  package static func listen(_ listener: Int32) -> UInt16? {
    guard withAddress(loopback(0), { bind(listener, $0, $1) }) == 0, Glibc.listen(listener, 64) == 0 else { return nil }
    var address = sockaddr_in()
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(listener, $0, &length) }
    }
    return result == 0 ? UInt16(bigEndian: address.sin_port) : nil
  }

  /// 127.0.0.1 and a port, as the system takes it.
  package static func loopback(_ port: UInt16) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return address
  }

  /// Hands an address over as the system's calls take it.
  package static func withAddress(
    _ address: sockaddr_in, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
  ) -> Int32 {
    withUnsafePointer(to: address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
  }
}
