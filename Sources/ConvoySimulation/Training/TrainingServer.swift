import ParameterServer
import Runtime
import Transport

/// The floats of a simulated server: the very store of production, told the same effects.
///
/// The toy numbers go on beside it, so that all that is checked of them is checked of the floats' ways too.
final class TrainingServer {
  private let model: TrainingModel
  private let slot: Int
  /// What came and was not taken over by the store yet.
  private var frames: [GradientHandle: Frame] = [:]
  private var store: ChunkStore?
  private var view: View?
  private var isPrimary: [Bool] = []
  private var isHeld: [Bool] = []
  /// The workers of the view, by the connection that they speak by.
  private var workers: [Connection: UInt32] = [:]

  /// The server of a slot, which holds nothing yet.
  init(_ model: TrainingModel, slot: Int) {
    self.model = model
    self.slot = slot
  }

  /// A letter has come; its payload is known by a handle.
  func receive(_ envelope: Envelope, _ frame: Frame?, from source: Destination, as payload: ReceivedPayload?) {
    if let payload, let frame { frames[payload.handle] = frame }
    if case .connection(let connection) = source, envelope.sender.role == .worker, envelope.token == RunShape.token,
      view?.incarnation(of: envelope.sender) == envelope.incarnation
    {
      workers[connection] = envelope.sender.number
    }
  }

  /// Does with the floats what the machine decided.
  func perform(_ effect: ServerEffect, as member: Member, _ context: inout SimulationContext) {
    switch effect {
    case .adopt(let view): adopt(view, member)
    case .install(let position, let handle):
      guard let frame = frames.removeValue(forKey: handle), let store else { return }
      do throws(ConvoyError) {
        try store.install(position, frame)
        isHeld[Int(position.chunk)] = true
      } catch {
        context.misuse(slot, error.message)
      }
    case .drop(let chunk):
      store?.drop(chunk)
      if holds(chunk) { isHeld[chunk] = false }
    case .combine(let left, let right, let sum):
      guard hold(left), hold(right) else { return }
      store?.combine(left: left, right: right, into: sum)
      store?.release(left)
      store?.release(right)
    case .release(let handle): if frames.removeValue(forKey: handle) == nil { store?.release(handle) }
    case .apply(let update, let gradient): order(update, gradient)
    case .snapshot(let position): if holds(Int(position.chunk)) { store?.takeSnapshot(Int(position.chunk)) }
    case .forgetSnapshot(let chunk): store?.forgetSnapshot(chunk)
    case .initialise, .send, .prepare, .measure, .addNorm, .refused, .timer, .stop: break
    }
  }

  /// The first values of chunks that were ordered in an era are made.
  func initialise(_ chunks: [Int], era: UInt32, _ context: inout SimulationContext) {
    guard let store else { return context.misuse(slot, "fills chunks before it has a view") }
    guard era == view?.era else { return }
    let initial = InitialValues(of: model.prepared, chunks: store.rules.chunks)
    for chunk in chunks where !isHeld[chunk] {
      store.initialise(chunk, initial.values(of: chunk))
      isHeld[chunk] = true
      check(chunk, version: 0, store, &context)
    }
  }

  /// Whether a chunk's newest floats are those that its version had everywhere else.
  private func check(_ chunk: Int, version: UInt64, _ store: ChunkStore, _ context: inout SimulationContext) {
    let floats = store.values(of: chunk, version: version, bytes: store.rules.chunks.bytes(of: chunk))
    if !model.record.note(floats, chunk: chunk, version: version) {
      context.monitor.differs("chunk \(chunk): version \(version) has not the floats that it had before")
    }
  }

  private func adopt(_ view: View, _ member: Member) {
    if self.view?.era != view.era {
      store = ChunkStore(rules: view.rules, settings: model.settings)
      isHeld = Array(repeating: false, count: view.rules.chunks.count)
    } else {
      store?.adopt(view.rules)
    }
    self.view = view
    workers = workers.filter { view.worker(Member(.worker, $0.value)) != nil }
    store?.forgetWorkers(besides: Set(view.workers.map(\.member.number)))
    isPrimary = Array(repeating: false, count: view.rules.chunks.count)
    for chunk in view.server(member)?.chunks ?? [] { isPrimary[Int(chunk)] = true }
  }

  private func holds(_ chunk: Int) -> Bool { isHeld.indices.contains(chunk) && isHeld[chunk] }

  /// Hands what came over to the store, where its floats are read; false where nothing is held under the handle.
  private func hold(_ handle: GradientHandle) -> Bool {
    guard let store else { return false }
    if let frame = frames.removeValue(forKey: handle) { store.receive(frame, as: handle) }
    return store.holds(handle)
  }

  // MARK: Updates

  /// An update takes its time in the simulation: until then the gradient is kept under a handle of its own.
  private static func pending(_ chunk: UInt32) -> GradientHandle { GradientHandle(.max - UInt64(chunk)) }

  private func order(_ update: Update, _ gradient: GradientHandle) {
    guard hold(gradient), let store, holds(Int(update.chunk)) else { return }
    // A replica is sent what its primary has compensated.
    if isPrimary[Int(update.chunk)] { store.compensate(update, gradient: gradient) }
    store.receive(store.payload(of: gradient), as: Self.pending(update.chunk))
  }

  /// Makes an update that was ordered; the toy gradient says which shards are in it.
  func finish(_ update: Update, by gradient: ToyPayload, _ context: inout SimulationContext) {
    let (chunk, handle) = (Int(update.chunk), Self.pending(update.chunk))
    guard let store, store.holds(handle), holds(chunk) else {
      return context.misuse(slot, "updates chunk \(chunk), whose floats it does not hold")
    }
    do throws(ConvoyError) { try store.apply(update, gradient: handle) } catch {
      return context.misuse(slot, error.message)
    }
    store.release(handle)
    check(chunk, version: update.version, store, &context)
    guard isPrimary[chunk] else { return }
    model.record.applied(update, step: Int(gradient.step), shards: gradient.shards, at: context.world.now)
  }

  // MARK: Sending

  /// What goes along with a message.
  func frame(
    _ payload: ServerPayload, for message: Message, to destination: Destination, _ context: inout SimulationContext
  ) -> Frame? {
    let frame = frame(payload, for: message, to: destination)
    if frame == nil { context.misuse(slot, "sends floats that it does not hold: \(payload)") }
    return frame
  }

  private func frame(_ payload: ServerPayload, for message: Message, to destination: Destination) -> Frame? {
    guard let store else { return nil }
    switch payload {
    case .gradient(let handle): return hold(handle) ? store.payload(of: handle) : nil
    case .values(let chunk, let version):
      guard case .parameters(let parameters) = message, holds(chunk) else { return nil }
      var worker: UInt32?
      if case .connection(let connection) = destination { worker = workers[connection] }
      let bytes = store.rules.payloadBytes(ofChunk: chunk, step: Int(parameters.closed))
      if model.isSpoilt, chunk == 1 { return Frame(copying: [UInt8](repeating: 0, count: bytes)) }
      return store.values(of: chunk, version: version, bytes: bytes, to: worker)
    case .state(let chunk): return holds(chunk) ? store.state(of: chunk) : nil
    case .snapshot(let chunk): return holds(chunk) ? store.snapshot(of: chunk) : nil
    }
  }
}
