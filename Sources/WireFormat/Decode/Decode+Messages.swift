import CMessages
import CProtobufC
import ParameterServer

extension WireFormat {
  /// The body of an envelope that was read.
  static func decodeBody(_ wire: Convoy__Wire__Envelope) throws(WireError) -> Message {
    if let message = try decodeToCoordinator(wire) { return message }
    if let message = try decodeFromCoordinator(wire) { return message }
    if let message = try decodeBesideCoordinator(wire) { return message }
    switch wire.body_case {
    case CONVOY__WIRE__ENVELOPE__BODY_STATUS_REQUEST: return .statusRequest
    case CONVOY__WIRE__ENVELOPE__BODY_SET_MODE:
      let body = try Fields.message(wire.set_mode, "set_mode")
      return .setMode(try consistency(UInt64(body.kind), UInt64(body.argument), "set_mode"))
    case CONVOY__WIRE__ENVELOPE__BODY_STATUS:
      let body = try Fields.message(wire.status, "status")
      return .status(try Fields.text(body.text, "status.text", maximum: Fields.maximumStatus))
    case CONVOY__WIRE__ENVELOPE__BODY_REFUSED: return .refused(try decode(Fields.message(wire.refused, "refused")))
    default: throw .field("body", "there is none that this version knows")
    }
  }

  private static func decodeToCoordinator(_ wire: Convoy__Wire__Envelope) throws(WireError) -> Message? {
    switch wire.body_case {
    case CONVOY__WIRE__ENVELOPE__BODY_HELLO:
      let body = try Fields.message(wire.hello, "hello")
      return .hello(
        Hello(role: try Fields.role(body.role, "hello.role"), name: try Fields.name(body.name, "hello.name")))
    case CONVOY__WIRE__ENVELOPE__BODY_READY: return .ready(try decode(Fields.message(wire.ready, "ready")))
    case CONVOY__WIRE__ENVELOPE__BODY_VIEW_ACCEPTED:
      let body = try Fields.message(wire.view_accepted, "view_accepted")
      return .viewAccepted(closed: try Fields.count(body.number, "view_accepted.number"))
    case CONVOY__WIRE__ENVELOPE__BODY_STATE_LOST:
      return .stateLost(chunk: try Fields.message(wire.state_lost, "state_lost").chunk)
    case CONVOY__WIRE__ENVELOPE__BODY_PROGRESS:
      return .progress(try decode(Fields.message(wire.progress, "progress"), "progress"))
    case CONVOY__WIRE__ENVELOPE__BODY_LEASE_REQUEST:
      let body = try Fields.message(wire.lease_request, "lease_request")
      return .leaseRequest(
        LeaseRequest(
          grant: try Fields.counter(body.grant, "lease_request.grant"),
          held: try units(body.held, "lease_request.held"), wantsMore: body.wants_more != 0))
    case CONVOY__WIRE__ENVELOPE__BODY_LEAVING:
      let body = try Fields.message(wire.leaving, "leaving")
      return .leaving(
        Leaving(
          text: try Fields.text(body.text, "leaving.text"), isOrderly: body.is_orderly != 0,
          kind: try failureKind(body.kind, "leaving.kind"),
          progress: try decode(Fields.message(body.progress, "leaving.progress"), "leaving.progress")))
    case CONVOY__WIRE__ENVELOPE__BODY_OUTRANKED:
      return .outranked(
        term: try Fields.counter(Fields.message(wire.outranked, "outranked").number, "outranked.number"))
    case CONVOY__WIRE__ENVELOPE__BODY_SNAPSHOT: return .snapshot(try position(wire.snapshot, "snapshot"))
    default: return nil
    }
  }

  private static func decodeFromCoordinator(_ wire: Convoy__Wire__Envelope) throws(WireError) -> Message? {
    switch wire.body_case {
    case CONVOY__WIRE__ENVELOPE__BODY_WELCOME:
      let body = try Fields.message(wire.welcome, "welcome")
      return .welcome(
        Welcome(
          member: Member(
            try Fields.role(body.role, "welcome.role"), try Fields.member(body.number, "welcome.number")),
          job: try Fields.text(body.job, "welcome.job", maximum: Fields.maximumJob)))
    case CONVOY__WIRE__ENVELOPE__BODY_NEW_VIEW: return .view(try decode(Fields.message(wire.new_view, "view")))
    case CONVOY__WIRE__ENVELOPE__BODY_RESTORE: return .restore(try position(wire.restore, "restore"))
    case CONVOY__WIRE__ENVELOPE__BODY_LEASES: return .leases(try leases(wire.leases, "leases"))
    case CONVOY__WIRE__ENVELOPE__BODY_CUT:
      return .cut(try Fields.counter(Fields.message(wire.cut, "cut").number, "cut.number"))
    case CONVOY__WIRE__ENVELOPE__BODY_SNAPSHOT_TAKEN:
      let (chunk, version) = try chunkVersion(wire.snapshot_taken, "snapshot_taken")
      return .snapshotTaken(chunk: chunk, version: version)
    case CONVOY__WIRE__ENVELOPE__BODY_ALIVE: return .alive
    case CONVOY__WIRE__ENVELOPE__BODY_STOP: return .stop(try decode(Fields.message(wire.stop, "stop")))
    default: return nil
    }
  }

  private static func decodeBesideCoordinator(_ wire: Convoy__Wire__Envelope) throws(WireError) -> Message? {
    switch wire.body_case {
    case CONVOY__WIRE__ENVELOPE__BODY_PULL:
      let body = try Fields.message(wire.pull, "pull")
      return .pull(
        Pull(chunk: body.chunk, closed: try Fields.count(body.closed, "pull.closed"), isExact: body.is_exact != 0))
    case CONVOY__WIRE__ENVELOPE__BODY_PUSH: return .push(try decode(Fields.message(wire.push, "push")))
    case CONVOY__WIRE__ENVELOPE__BODY_MARKER:
      return .marker(try Fields.counter(Fields.message(wire.marker, "marker").number, "marker.number"))
    case CONVOY__WIRE__ENVELOPE__BODY_PARAMETERS:
      return .parameters(try decode(Fields.message(wire.parameters, "parameters"), "parameters"))
    case CONVOY__WIRE__ENVELOPE__BODY_POSITION:
      return .position(try decode(Fields.message(wire.position, "position"), "position"))
    case CONVOY__WIRE__ENVELOPE__BODY_REPLICATE: return .replicate(try update(wire.replicate, "replicate"))
    case CONVOY__WIRE__ENVELOPE__BODY_REPLICA: return .replica(try position(wire.replica, "replica"))
    case CONVOY__WIRE__ENVELOPE__BODY_REPLICATED:
      let (chunk, version) = try chunkVersion(wire.replicated, "replicated")
      return .replicated(chunk: chunk, version: version)
    case CONVOY__WIRE__ENVELOPE__BODY_NORM:
      let body = try Fields.message(wire.norm, "norm")
      return .norm(chunk: body.chunk, step: try Fields.count(body.step, "norm.step"))
    case CONVOY__WIRE__ENVELOPE__BODY_SCALE:
      let body = try Fields.message(wire.scale, "scale")
      return .scale(step: try Fields.count(body.step, "scale.step"), bits: try Fields.scale(body.bits, "scale.bits"))
    default: return nil
    }
  }

  private static func decode(_ body: Convoy__Wire__Ready) throws(WireError) -> Ready {
    Ready(
      digests: Digests(
        build: try Fields.digest(body.build_digest, "ready.build_digest"),
        network: try Fields.digest(body.network_digest, "ready.network_digest"),
        job: try Fields.digest(body.job_digest, "ready.job_digest"),
        data: try Fields.digest(body.data_digest, "ready.data_digest")),
      samples: UInt64(try Fields.int(body.samples, "ready.samples", maximum: 1 << 40)),
      engineFingerprint: try Fields.text(body.engine_fingerprint, "ready.engine_fingerprint"),
      address: try Fields.name(body.address, "ready.address"))
  }

  private static func failureKind(_ number: UInt32, _ name: String) throws(WireError) -> FailureKind {
    guard let kind = UInt8(exactly: number).flatMap(FailureKind.init(rawValue:)) else {
      throw .field(name, "there is no kind \(number)")
    }
    return kind
  }

  private static func decode(_ body: Convoy__Wire__Stop) throws(WireError) -> StopReason {
    switch body.reason {
    case 1: return .completed
    case 2: return .failed(try Fields.text(body.text, "stop.text"), try failureKind(body.kind, "stop.kind"))
    case 3: return .interrupted
    default: throw .field("stop.reason", "there is no reason \(body.reason)")
    }
  }

  private static func decode(_ body: Convoy__Wire__Push) throws(WireError) -> Push {
    Push(
      chunk: body.chunk, step: try Fields.count(body.step, "push.step"),
      node: try Fields.node(level: body.level, index: body.index, "push.level"),
      basis: try Fields.count(body.basis, "push.basis"), awaits: try Fields.count(body.awaits, "push.awaits"))
  }

  private static func decode(_ body: Convoy__Wire__Parameters, _ name: String) throws(WireError) -> Parameters {
    var answers: Contribution?
    if body.is_answer != 0 {
      answers = Contribution(
        step: try Fields.count(body.step, "\(name).step"),
        node: try Fields.node(level: body.level, index: body.index, "\(name).level"), isStale: body.is_stale != 0)
    }
    return Parameters(
      chunk: body.chunk, version: try Fields.count(body.version, "\(name).version"),
      closed: try Fields.count(body.closed, "\(name).closed"), answers: answers,
      asked: try Fields.count(body.asked, "\(name).asked"))
  }

  private static func decode(_ body: Convoy__Wire__Refusal) throws(WireError) -> Refusal {
    guard let reason = UInt8(exactly: body.reason).flatMap(RefusalReason.init(rawValue:)) else {
      throw .field("refused.reason", "there is no reason \(body.reason)")
    }
    return Refusal(reason, try Fields.text(body.explanation, "refused.explanation"))
  }
}
