import CMessages
import CProtobufC
public import ParameterServer

/// Records of a coordinator's journal, in the style of the messages: whoever reads them need not be the same build, and a
/// record of another version is refused.
extension WireFormat {
  /// Most bytes of a record: the totals of as many epochs as a job may have.
  public static let maximumRecordBytes = 64 << 20

  /// The bytes of a record.
  public static func encode(record: JournalRecord) -> [UInt8] {
    var arena = ProtobufC.Arena()
    let wire = arena.make(convoy__wire__record__init)
    wire.pointee.protocol = protocolVersion
    encode(record, into: &wire.pointee, &arena)
    return ProtobufC.pack(
      wire, size: { convoy__wire__record__get_packed_size($0) }, into: { convoy__wire__record__pack($0, $1) })
  }

  private static func encode(
    _ record: JournalRecord, into wire: inout Convoy__Wire__Record, _ arena: inout ProtobufC.Arena
  ) {
    switch record {
    case .term(let term):
      wire.body_case = CONVOY__WIRE__RECORD__BODY_TERM
      wire.term = encode(number: term, &arena)
    case .view(let view):
      wire.body_case = CONVOY__WIRE__RECORD__BODY_VIEW
      wire.view = encode(view, &arena)
    case .leased(let member, let incarnation, let leases):
      wire.body_case = CONVOY__WIRE__RECORD__BODY_LEASED
      let body = arena.make(convoy__wire__lease__init)
      body.pointee.role = UInt32(member.role.rawValue)
      body.pointee.number = member.number
      body.pointee.incarnation = incarnation.rawValue
      body.pointee.leases = encode(leases, &arena)
      wire.leased = body
    case .leaseBook(let stand):
      wire.body_case = CONVOY__WIRE__RECORD__BODY_LEASE_BOOK
      let body = arena.make(convoy__wire__lease_book__init)
      body.pointee.frontier = UInt64(stand.frontier)
      body.pointee.returned = encode(stand.returned, &arena)
      body.pointee.applied = encode(stand.applied, &arena)
      wire.lease_book = body
    case .checkpoint(let mark):
      wire.body_case = CONVOY__WIRE__RECORD__BODY_CHECKPOINT
      let body = arena.make(convoy__wire__mark__init)
      body.pointee.step = UInt64(mark.step)
      body.pointee.version = mark.version
      body.pointee.rules = encode(mark.rules, &arena)
      body.pointee.covered = encode(mark.covered, &arena)
      wire.checkpoint = body
    case .totals(let totals, let staleness):
      wire.body_case = CONVOY__WIRE__RECORD__BODY_TOTALS
      let body = arena.make(convoy__wire__totals__init)
      body.pointee.n_epochs = totals.count
      body.pointee.epochs = encode(totals, &arena)
      if staleness.count > 0 { body.pointee.staleness = encode(staleness, &arena) }
      wire.totals = body
    case .agreed(let fingerprint, let data):
      wire.body_case = CONVOY__WIRE__RECORD__BODY_AGREED
      let body = arena.make(convoy__wire__agreement__init)
      body.pointee.engine_fingerprint = arena.string(fingerprint)
      body.pointee.data_digest = arena.bytes(data)
      wire.agreed = body
    case .completed:
      wire.body_case = CONVOY__WIRE__RECORD__BODY_COMPLETED
      wire.completed = empty(&arena)
    }
  }

  /// Reads a record. Every number is checked before it is believed.
  public static func decode(record bytes: UnsafeRawBufferPointer) throws(WireError) -> JournalRecord {
    guard bytes.count <= maximumRecordBytes else {
      throw .tooLong(bytes: bytes.count, maximum: maximumRecordBytes)
    }
    let record = try ProtobufC.unpack(
      bytes, budget: memoryBudget(forBytes: bytes.count), with: { convoy__wire__record__unpack($0, $1, $2) },
      free: { convoy__wire__record__free_unpacked($0, $1) }
    ) { wire throws(WireError) in try decode(wire) }
    guard let record else { throw .unreadable(bytes: bytes.count) }
    return record
  }

  private static func decode(_ wire: Convoy__Wire__Record) throws(WireError) -> JournalRecord {
    guard wire.protocol == protocolVersion else { throw .otherProtocol(wire.protocol) }
    switch wire.body_case {
    case CONVOY__WIRE__RECORD__BODY_TERM:
      return .term(try Fields.counter(Fields.message(wire.term, "term").number, "term.number"))
    case CONVOY__WIRE__RECORD__BODY_VIEW: return .view(try decode(Fields.message(wire.view, "view")))
    case CONVOY__WIRE__RECORD__BODY_LEASED:
      let body = try Fields.message(wire.leased, "leased")
      return .leased(
        Member(try Fields.role(body.role, "leased.role"), try Fields.member(body.number, "leased.number")),
        Incarnation(body.incarnation),
        try leases(body.leases, "leased.leases"))
    case CONVOY__WIRE__RECORD__BODY_LEASE_BOOK:
      let body = try Fields.message(wire.lease_book, "lease_book")
      return .leaseBook(
        LeaseStand(
          frontier: try Fields.int(body.frontier, "lease_book.frontier"),
          returned: try units(body.returned, "lease_book.returned"),
          applied: try units(body.applied, "lease_book.applied")))
    case CONVOY__WIRE__RECORD__BODY_CHECKPOINT:
      let body = try Fields.message(wire.checkpoint, "checkpoint")
      let mark = CheckpointMark(
        step: try Fields.int(body.step, "checkpoint.step"),
        version: try Fields.count(body.version, "checkpoint.version"),
        rules: try rules(body.rules, "checkpoint.rules"),
        covered: try units(body.covered, "checkpoint.covered"))
      if let problem = mark.problem { throw .field("checkpoint", problem) }
      return .checkpoint(mark)
    case CONVOY__WIRE__RECORD__BODY_TOTALS:
      let body = try Fields.message(wire.totals, "totals")
      return .totals(
        try epochs(body.epochs, body.n_epochs, "totals.epochs", maximum: JobRules.maximumEpochs),
        try staleness(body.staleness, "totals.staleness"))
    case CONVOY__WIRE__RECORD__BODY_AGREED:
      let body = try Fields.message(wire.agreed, "agreed")
      return .agreed(
        fingerprint: try Fields.text(body.engine_fingerprint, "agreed.engine_fingerprint"),
        data: try Fields.digest(body.data_digest, "agreed.data_digest"))
    case CONVOY__WIRE__RECORD__BODY_COMPLETED: return .completed
    default: throw .field("body", "there is none that this version knows")
    }
  }
}
