#if OneDNN
  import CKernels
  import COneDNN
  import Tensors

  /// A stretch of the arena, needed from its first use to its last.
  final class ArenaRegion {
    let bytes: Int
    /// The first and the last command that uses it.
    private(set) var firstUse = Int.max
    private(set) var lastUse = -1
    /// Where it begins, once the arena is laid out.
    var offset = 0
    private(set) var base: UnsafeMutableRawPointer?
    /// The stretch that it is a part of, which then is the one that is laid out.
    private let whole: ArenaRegion?

    init(bytes: Int) {
      self.bytes = bytes
      whole = nil
    }

    /// A part of another, from so many bytes after its beginning.
    init(bytes: Int, at offset: Int, in whole: ArenaRegion) {
      self.bytes = bytes
      self.offset = offset
      self.whole = whole
    }

    func use(at command: Int) {
      whole?.use(at: command)
      firstUse = min(firstUse, command)
      lastUse = max(lastUse, command)
    }

    func bind(_ arena: UnsafeMutableRawPointer) {
      base = arena + offset
    }

    /// Its first element, once the arena is there.
    var floats: UnsafeMutablePointer<Float> {
      if let whole { return whole.floats + offset / MemoryLayout<Float>.stride }
      guard let base else { preconditionFailure("a region outside the arena") }
      return base.assumingMemoryBound(to: Float.self)
    }
  }

  /// Where an argument lies: in the arena, or in what a step is given.
  enum Place {
    case region(ArenaRegion)
    /// From this element of the parameters, of their gradient.
    case parameters(Int)
    case gradient(Int)
    /// From this element of the running statistics.
    case buffers(Int)
    case inputs
  }

  /// What a step is given, and what it finds.
  struct StepState {
    let inputs: UnsafeMutablePointer<Float>
    let parameters: UnsafeMutablePointer<Float>
    let gradient: UnsafeMutablePointer<Float>?
    let statistics: UnsafeMutablePointer<Float>?
    let buffers: UnsafeMutablePointer<Float>?
    let labels: UnsafePointer<Int32>
    /// The samples' targets, `targetStride` for each.
    let targets: UnsafePointer<Float>
    let targetStride: Int
    let sampleNumbers: UnsafePointer<Int>
    let epoch: Int
    var loss = 0.0
    var correct = 0
    /// The first thing that a command of ours could not compute.
    var failure: EngineError?

    func address(_ place: Place) -> UnsafeMutablePointer<Float> {
      switch place {
      case .region(let region): return region.floats
      case .parameters(let offset): return parameters + offset
      case .inputs: return inputs
      case .buffers(let offset):
        guard let buffers else { preconditionFailure("running statistics that were not given") }
        return buffers + offset
      case .gradient(let offset):
        guard let gradient else { preconditionFailure("a gradient in a forward pass") }
        return gradient + offset
      }
    }
  }

  /// One thing that a step does.
  protocol Command: AnyObject {
    /// What it is for, as in `conv1 forward`.
    var purpose: String { get }
    /// What computes it, as the library names it; `convoy` for loops of ours.
    var implementation: String { get }
    /// Whether it is a primitive of the library, or stands in the place of one.
    var isPrimitive: Bool { get }
    /// What it sets; nil where that lies in the flat vector.
    var result: GraphCompiler.Tensor? { get }
    /// Bytes that it uses besides.
    var workspaceBytes: Int { get }
    /// Takes what it needs, once the arena is there.
    func bind(scratchpad: UnsafeMutableRawPointer) throws(EngineError)
    func run(_ state: inout StepState) throws(EngineError)
  }

  /// A loop of ours.
  ///
  /// Its body throws nothing: Swift 6.3.1 left garbage where the caller of a closure with a typed error looks for one.
  final class KernelCommand: Command {
    /// What computes loops of ours; others call the library.
    static let ownImplementation = "convoy"

    let purpose: String
    let implementation: String
    let result: GraphCompiler.Tensor?
    var workspaceBytes: Int { 0 }
    /// Products call the library; what is the library's own is told by its name.
    var isPrimitive: Bool { implementation != Self.ownImplementation }
    private let body: (inout StepState) -> Void

    init(
      _ purpose: String, by implementation: String = "convoy", result: GraphCompiler.Tensor? = nil,
      _ body: @escaping (inout StepState) -> Void
    ) {
      self.purpose = purpose
      self.implementation = implementation
      self.result = result
      self.body = body
    }

    func bind(scratchpad: UnsafeMutableRawPointer) {}

    func run(_ state: inout StepState) throws(EngineError) { body(&state) }
  }

  /// A primitive of the library with its arguments, made before the first step.
  final class PrimitiveCommand: Command {
    struct Argument {
      let index: Int32
      let layout: TensorLayout
      let place: Place
    }

    let purpose: String
    let descriptor: PrimitiveDescriptor
    let scratchpadBytes: Int
    private let stream: PrimitiveStream
    private var arguments: [Argument]
    private var bound: BoundPrimitive?

    init(
      _ purpose: String, _ descriptor: PrimitiveDescriptor, _ arguments: [Argument], stream: PrimitiveStream
    ) throws(EngineError) {
      self.purpose = purpose
      self.descriptor = descriptor
      self.arguments = arguments
      self.stream = stream
      scratchpadBytes = try descriptor.optionalLayout(dnnl_query_scratchpad_md)?.bytes ?? 0
    }

    var implementation: String { descriptor.implementation }
    var isPrimitive: Bool { true }

    var result: GraphCompiler.Tensor? {
      for index in [DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_SRC, DNNL_ARG_DST] {
        guard let argument = arguments.first(where: { $0.index == index }) else { continue }
        return GraphCompiler.Tensor(extents: [], layout: argument.layout, place: argument.place)
      }
      return nil
    }

    var workspaceBytes: Int {
      scratchpadBytes + arguments.reduce(0) { $0 + ($1.index == DNNL_ARG_WORKSPACE ? $1.layout.bytes : 0) }
    }

    /// The regions that it uses.
    var regions: [ArenaRegion] {
      arguments.compactMap { if case .region(let region) = $0.place { region } else { nil } }
    }

    func bind(scratchpad: UnsafeMutableRawPointer) throws(EngineError) {
      bound = try BoundPrimitive(descriptor, arguments, scratchpad: scratchpad, purpose)
    }

    func run(_ state: inout StepState) throws(EngineError) {
      guard let bound else { preconditionFailure("\(purpose) runs before it was bound") }
      for (index, argument) in arguments.enumerated() {
        if case .region = argument.place { continue }
        bound.set(index, state.address(argument.place))
      }
      try bound.run(stream, purpose)
    }
  }

  /// The library's queue for the calling thread. Owns it.
  final class PrimitiveStream {
    let handle: dnnl_stream_t

    init() throws(EngineError) {
      var made: dnnl_stream_t?
      let flags = dnnl_stream_default_flags
      try OneDNN.check(dnnl_stream_create(&made, OneDNN.engine, UInt32(flags.rawValue)), "make a stream")
      guard let made else { preconditionFailure("oneDNN made no stream and no error") }
      handle = made
    }

    deinit {
      dnnl_stream_destroy(handle)
    }
  }

  /// A primitive and the memories of its arguments. Owns them.
  private final class BoundPrimitive {
    private var primitive: dnnl_primitive_t?
    private let arguments: UnsafeMutableBufferPointer<dnnl_exec_arg_t>
    private var count = 0

    init(
      _ descriptor: PrimitiveDescriptor, _ arguments: [PrimitiveCommand.Argument],
      scratchpad: UnsafeMutableRawPointer, _ purpose: String
    ) throws(EngineError) {
      self.arguments = .allocate(capacity: arguments.count + 1)
      try OneDNN.check(dnnl_primitive_create(&primitive, descriptor.handle), "make \(purpose)")
      for argument in arguments {
        let address: UnsafeMutablePointer<Float>? =
          if case .region(let region) = argument.place { region.floats } else { nil }
        try append(argument.index, argument.layout, address)
      }
      if let layout = try descriptor.optionalLayout(dnnl_query_scratchpad_md) {
        try append(DNNL_ARG_SCRATCHPAD, layout, scratchpad)
      }
    }

    deinit {
      for index in 0..<count { dnnl_memory_destroy(arguments[index].memory) }
      arguments.deallocate()
      if let primitive { dnnl_primitive_destroy(primitive) }
    }

    private func append(
      _ index: Int32, _ layout: TensorLayout, _ address: UnsafeMutableRawPointer?
    ) throws(EngineError) {
      var memory: dnnl_memory_t?
      try OneDNN.check(
        convoy_dnnl_memory_create(&memory, layout.handle, OneDNN.engine, address), "describe an argument")
      arguments.initializeElement(at: count, to: dnnl_exec_arg_t(arg: index, memory: memory))
      count += 1
    }

    /// Says where an argument lies in this step.
    func set(_ index: Int, _ address: UnsafeMutablePointer<Float>) {
      let status = dnnl_memory_set_data_handle(arguments[index].memory, address)
      precondition(status == dnnl_success, "an argument without an address")
    }

    func run(_ stream: PrimitiveStream, _ purpose: String) throws(EngineError) {
      try OneDNN.check(
        dnnl_primitive_execute(primitive, stream.handle, Int32(count), arguments.baseAddress), "run \(purpose)")
    }
  }
#endif
