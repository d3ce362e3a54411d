import CMessages
import CProtobufC
import ParameterServer

extension WireFormat {
  /// Sets the body of an envelope.
  static func encode(_ message: Message, into wire: inout Convoy__Wire__Envelope, _ arena: inout ProtobufC.Arena) {
    switch message {
    case .hello, .ready, .viewAccepted, .stateLost, .progress, .leaseRequest, .leaving, .snapshot, .outranked:
      encodeToCoordinator(message, into: &wire, &arena)
    case .welcome, .view, .restore, .leases, .cut, .snapshotTaken, .alive, .stop:
      encodeFromCoordinator(message, into: &wire, &arena)
    case .pull, .push, .marker, .parameters, .position, .replicate, .replica, .replicated, .norm,
      .scale:
      encodeBesideCoordinator(message, into: &wire, &arena)
    case .statusRequest:
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_STATUS_REQUEST
      wire.status_request = empty(&arena)
    case .setMode(let mode):
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_SET_MODE
      let body = arena.make(convoy__wire__mode__init)
      (body.pointee.kind, body.pointee.argument) = code(of: mode)
      wire.set_mode = body
    case .status(let text):
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_STATUS
      let body = arena.make(convoy__wire__text__init)
      body.pointee.text = arena.string(text)
      wire.status = body
    case .refused(let refusal):
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_REFUSED
      let body = arena.make(convoy__wire__refusal__init)
      body.pointee.reason = UInt32(refusal.reason.rawValue)
      body.pointee.explanation = arena.string(Fields.line(refusal.explanation))
      wire.refused = body
    }
  }

  private static func encodeToCoordinator(
    _ message: Message, into wire: inout Convoy__Wire__Envelope, _ arena: inout ProtobufC.Arena
  ) {
    switch message {
    case .hello(let hello):
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_HELLO
      let body = arena.make(convoy__wire__hello__init)
      body.pointee.role = UInt32(hello.role.rawValue)
      body.pointee.name = arena.string(hello.name)
      wire.hello = body
    case .ready(let ready):
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_READY
      wire.ready = encode(ready, &arena)
    case .viewAccepted(let closed):
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_VIEW_ACCEPTED
      wire.view_accepted = encode(number: closed, &arena)
    case .stateLost(let chunk):
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_STATE_LOST
      wire.state_lost = chunkVersion(chunk, 0, &arena)
    case .progress(let progress):
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_PROGRESS
      wire.progress = encode(progress, &arena)
    case .leaseRequest(let request):
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_LEASE_REQUEST
      let body = arena.make(convoy__wire__lease_request__init)
      body.pointee.grant = request.grant
      body.pointee.held = encode(request.held, &arena)
      body.pointee.wants_more = request.wantsMore ? 1 : 0
      wire.lease_request = body
    case .leaving(let leaving):
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_LEAVING
      let body = arena.make(convoy__wire__leaving__init)
      body.pointee.text = arena.string(Fields.line(leaving.text))
      body.pointee.is_orderly = leaving.isOrderly ? 1 : 0
      body.pointee.kind = UInt32(leaving.kind.rawValue)
      body.pointee.progress = encode(leaving.progress, &arena)
      wire.leaving = body
    case .snapshot(let position):
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_SNAPSHOT
      wire.snapshot = encode(position, &arena)
    case .outranked(let term):
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_OUTRANKED
      wire.outranked = encode(number: term, &arena)
    default: break
    }
  }

  private static func encodeFromCoordinator(
    _ message: Message, into wire: inout Convoy__Wire__Envelope, _ arena: inout ProtobufC.Arena
  ) {
    switch message {
    case .welcome(let welcome):
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_WELCOME
      let body = arena.make(convoy__wire__welcome__init)
      body.pointee.role = UInt32(welcome.member.role.rawValue)
      body.pointee.number = welcome.member.number
      body.pointee.job = arena.string(welcome.job)
      wire.welcome = body
    case .view(let view):
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_NEW_VIEW
      wire.new_view = encode(view, &arena)
    case .restore(let position):
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_RESTORE
      wire.restore = encode(position, &arena)
    case .leases(let leases):
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_LEASES
      wire.leases = encode(leases, &arena)
    case .cut(let number):
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_CUT
      wire.cut = encode(number: number, &arena)
    case .snapshotTaken(let chunk, let version):
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_SNAPSHOT_TAKEN
      wire.snapshot_taken = chunkVersion(chunk, version, &arena)
    case .alive:
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_ALIVE
      wire.alive = empty(&arena)
    case .stop(let reason):
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_STOP
      let body = arena.make(convoy__wire__stop__init)
      let (code, text) = code(of: reason)
      body.pointee.reason = code
      body.pointee.text = arena.string(Fields.line(text))
      body.pointee.kind = UInt32(reason.kind.rawValue)
      wire.stop = body
    default: break
    }
  }

  private static func encodeBesideCoordinator(
    _ message: Message, into wire: inout Convoy__Wire__Envelope, _ arena: inout ProtobufC.Arena
  ) {
    switch message {
    case .pull(let pull):
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_PULL
      let body = arena.make(convoy__wire__pull__init)
      body.pointee.chunk = pull.chunk
      body.pointee.closed = pull.closed
      body.pointee.is_exact = pull.isExact ? 1 : 0
      wire.pull = body
    case .push(let push):
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_PUSH
      wire.push = encode(push, &arena)
    case .marker(let number):
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_MARKER
      wire.marker = encode(number: number, &arena)
    case .parameters(let parameters):
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_PARAMETERS
      wire.parameters = encode(parameters, &arena)
    case .position(let position):
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_POSITION
      wire.position = encode(position, &arena)
    case .replicate(let update):
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_REPLICATE
      wire.replicate = encode(update, &arena)
    case .replica(let position):
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_REPLICA
      wire.replica = encode(position, &arena)
    case .replicated(let chunk, let version):
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_REPLICATED
      wire.replicated = chunkVersion(chunk, version, &arena)
    case .norm(let chunk, let step):
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_NORM
      let body = arena.make(convoy__wire__chunk_step__init)
      (body.pointee.chunk, body.pointee.step) = (chunk, step)
      wire.norm = body
    case .scale(let step, let bits):
      wire.body_case = CONVOY__WIRE__ENVELOPE__BODY_SCALE
      let body = arena.make(convoy__wire__scale__init)
      (body.pointee.step, body.pointee.bits) = (step, bits)
      wire.scale = body
    default: break
    }
  }

  private static func code(of reason: StopReason) -> (UInt32, String) {
    switch reason {
    case .completed: (1, "")
    // A member's own conclusions travel as failures.
    case .failed(let text, _), .unreachable(let text), .rejected(let text), .fenced(let text): (2, text)
    case .interrupted: (3, "")
    }
  }
}
