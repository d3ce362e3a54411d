import ParameterServer
import Testing
import WireFormat

@Suite struct CodecTests {
  private func decode(_ bytes: [UInt8]) throws(WireError) -> Envelope {
    try bytes.withUnsafeBufferPointer { bytes throws(WireError) in
      try WireFormat.decode(UnsafeRawBufferPointer(bytes))
    }
  }

  private func decode(record bytes: [UInt8]) throws(WireError) -> JournalRecord {
    try bytes.withUnsafeBufferPointer { bytes throws(WireError) in
      try WireFormat.decode(record: UnsafeRawBufferPointer(bytes))
    }
  }

  @Test(
    "Every kind of message comes back as it was, at the ends of what is permitted too",
    arguments: 0..<RandomMessages.kinds)
  func roundTrip(_ kind: Int) throws {
    for isExtreme in [false, true] {
      var random = RandomMessages(seed: UInt64(kind), isExtreme: isExtreme)
      for _ in 0..<50 {
        let envelope = random.envelope(kind)
        #expect(try decode(WireFormat.encode(envelope)) == envelope)
      }
    }
  }

  @Test(
    "Every kind of a journal's record comes back as it was, at the ends of what is permitted too",
    arguments: 0..<RandomMessages.recordKinds)
  func recordRoundTrip(_ kind: Int) throws {
    for isExtreme in [false, true] {
      var random = RandomMessages(seed: 1000 + UInt64(kind), isExtreme: isExtreme)
      for _ in 0..<50 {
        let record = random.record(kind)
        #expect(try decode(record: WireFormat.encode(record: record)) == record)
      }
    }
  }

  @Test("A push has the bytes that other implementations of the schema would write")
  func golden() {
    let envelope = Envelope(
      token: JobToken(Array(0..<16))!, view: ViewNumber(3), sender: Member(.worker, 2), incarnation: Incarnation(5),
      message: .push(Push(chunk: 7, step: 300, node: ShardNode(level: 1, index: 1), basis: 9, awaits: 301)))
    let expected: [UInt8] =
      [8, 2, 18, 16] + Array(0..<16) + [24, 3, 32, 3, 40, 2, 49, 5, 0, 0, 0, 0, 0, 0, 0]
      + [138, 3, 14, 8, 7, 16, 172, 2, 24, 1, 32, 1, 40, 9, 48, 173, 2]
    #expect(WireFormat.encode(envelope) == expected)
  }

  @Test(
    "What is cut short or damaged is refused or read as something else, and never a crash",
    arguments: 0..<RandomMessages.kinds + RandomMessages.recordKinds)
  func damage(_ kind: Int) {
    var random = RandomMessages(seed: 77 + UInt64(kind))
    let isRecord = kind >= RandomMessages.kinds
    for _ in 0..<4 {
      let bytes =
        isRecord
        ? WireFormat.encode(record: random.record(kind - RandomMessages.kinds))
        : WireFormat.encode(random.envelope(kind))
      func read(_ bytes: [UInt8]) { if isRecord { _ = try? decode(record: bytes) } else { _ = try? decode(bytes) } }
      for length in 0..<min(bytes.count, 200) { read(Array(bytes[..<length])) }
      for _ in 0..<500 {
        var damaged = bytes
        for _ in 0...random.number(3) {
          damaged[Int(random.number(UInt64(bytes.count)))] ^= UInt8(1 << random.number(8))
        }
        read(damaged)
      }
    }
  }

  @Test("Another version, a short token and nonsense are told apart")
  func errors() {
    #expect(throws: WireError.otherProtocol(1)) { try decode([8, 1]) }
    #expect(throws: WireError.otherProtocol(99)) { try decode([8, 99]) }
    #expect(throws: WireError.otherProtocol(99)) { try decode(record: [8, 99]) }
    #expect(throws: WireError.field("token", "0 bytes, not 16")) { try decode([8, 2]) }
    #expect(throws: WireError.unreadable(bytes: 3)) { try decode([255, 255, 255]) }
    #expect(throws: WireError.unreadable(bytes: 3)) { try decode(record: [255, 255, 255]) }
    #expect(throws: WireError.self) { try decode([UInt8](repeating: 0, count: WireFormat.maximumEnvelopeBytes + 1)) }
  }

  @Test("A message that states more than it holds takes no more memory than its budget")
  func budget() {
    // A view with a server whose list of chunks states four gigabytes.
    let hostile: [UInt8] = [8, 2, 138, 2, 12, 50, 10, 42, 255, 255, 255, 255, 15, 1, 1, 1, 1]
    #expect(throws: WireError.self) { try decode(hostile) }
    // A long list of empty epochs: each takes far more memory than its two bytes.
    let epochs = [UInt8](repeating: 0, count: 200_000).enumerated().map { UInt8($0.offset % 2 == 0 ? 26 : 0) }
    let length = epochs.count
    let body: [UInt8] = [154, 1, UInt8(length & 0x7F | 0x80), UInt8(length >> 7 & 0x7F | 0x80), UInt8(length >> 14)]
    #expect(throws: WireError.self) { try decode([8, 2] + body + epochs) }
  }

  @Test("Sets of units whose ranges run backwards, overlap, lie past all units or have no end are refused")
  func units() throws {
    /// A record of leased units with these bounds, each below 128.
    func leased(_ bounds: [UInt8]) -> [UInt8] {
      let units = [10, UInt8(bounds.count)] + bounds
      let leases = [8, 1, 18, UInt8(units.count)] + units
      let lease = [8, 3, 34, UInt8(leases.count)] + leases
      return [8, 2, 146, 1, UInt8(lease.count)] + lease
    }
    func record(_ units: UnitSet) -> JournalRecord {
      .leased(Member(.worker, 0), Incarnation(0), Leases(grant: 1, units: units))
    }
    #expect(try decode(record: leased([1, 3, 5, 6])) == record(UnitSet(ranges: [1..<3, 5..<6])!))
    for bounds: [UInt8] in [[3, 1], [2, 2], [1, 5, 4, 6], [1, 3, 3, 4], [1, 3, 5]] {
      #expect(throws: WireError.self, "\(bounds)") { try decode(record: leased(bounds)) }
    }
    let far = WireFormat.encode(record: record(UnitSet(ranges: [1 << 57..<(1 << 57) + 1])!))
    #expect(throws: WireError.self) { try decode(record: far) }
    let many = UnitSet(ranges: (0...1 << 16).map { 2 * $0..<2 * $0 + 1 })!
    #expect(throws: WireError.self) { try decode(record: WireFormat.encode(record: record(many))) }
  }

  @Test("A grant of more units than one may hold, and an update divided by nothing, are refused")
  func bounds() {
    var random = RandomMessages(seed: 5)
    func envelope(_ message: Message) -> [UInt8] {
      let any = random.envelope(10)
      return WireFormat.encode(
        Envelope(token: any.token, view: any.view, sender: any.sender, incarnation: any.incarnation, message: message))
    }
    #expect(throws: WireError.self) {
      try decode(envelope(.leases(Leases(grant: 1, units: UnitSet(ranges: [0..<Leases.maximumUnits + 1])!))))
    }
    func update(samples: UInt64, shards: UInt32) -> Message {
      .replicate(
        Update(
          chunk: 0, version: 1, closed: 1, unit: nil, kind: .summed, step: 0, staleness: 0, basis: 0, worker: nil,
          samples: samples, shards: shards))
    }
    #expect(throws: Never.self) { try decode(envelope(update(samples: 1, shards: 1))) }
    #expect(throws: WireError.self) { try decode(envelope(update(samples: 0, shards: 1))) }
    #expect(throws: WireError.self) { try decode(envelope(update(samples: 1, shards: 0))) }
  }
}
