#if OneDNN
  import COneDNN

  /// The one door to oneDNN: its engine, and what every call's status becomes.
  enum OneDNN {
    /// The library's engine for this processor: made once, used by any thread.
    private final class Processor: @unchecked Sendable {
      // Unchecked: the library's engines may be used by any thread.
      let handle: dnnl_engine_t

      init() {
        OneDNN.configure()
        var engine: dnnl_engine_t?
        let status = dnnl_engine_create(&engine, dnnl_cpu, 0)
        guard status == dnnl_success, let engine else { preconditionFailure("oneDNN has no engine for a processor") }
        handle = engine
      }
    }

    private static let processor = Processor()

    /// The engine that computes on this processor.
    static var engine: dnnl_engine_t { processor.handle }

    private static let configured: Void = {
      // What it would print goes to standard output, where results go, and to files of the current folder.
      dnnl_set_verbose(0)
      dnnl_set_jit_dump(0)
      // Workers that a fingerprint takes for equal must compute alike: fp32 is fp32, and the instruction set says which
      // kernels there are.
      dnnl_set_default_fpmath_mode(dnnl_fpmath_mode_strict)
      dnnl_set_cpu_isa_hints(dnnl_cpu_isa_no_hints)
    }()

    /// Takes what the library does out of its variables' hands: DNNL_VERBOSE, DNNL_JIT_DUMP, DNNL_DEFAULT_FPMATH_MODE and
    /// DNNL_CPU_ISA_HINTS, and the same with ONEDNN. It reads them when it is asked for anything first: this comes before.
    static func configure() { _ = configured }

    /// The library's version, as in `2.6.3`.
    static var version: String {
      guard let version = dnnl_version()?.pointee else { return "unknown" }
      return "\(version.major).\(version.minor).\(version.patch)"
    }

    /// The first number of the version.
    static var majorVersion: Int { Int(dnnl_version()?.pointee.major ?? 0) }

    /// The instruction set that the library uses at most on this processor.
    static var instructionSet: String {
      configure()
      return switch dnnl_get_effective_cpu_isa() {
      case dnnl_cpu_isa_sse41: "sse41"
      case dnnl_cpu_isa_avx: "avx"
      case dnnl_cpu_isa_avx2: "avx2"
      case dnnl_cpu_isa_avx2_vnni: "avx2_vnni"
      case dnnl_cpu_isa_avx512_core: "avx512_core"
      case dnnl_cpu_isa_avx512_core_vnni: "avx512_core_vnni"
      case dnnl_cpu_isa_avx512_core_bf16: "avx512_core_bf16"
      case dnnl_cpu_isa_avx512_core_amx: "avx512_core_amx"
      case let other: "isa\(other.rawValue)"
      }
    }

    /// Whether the library has AVX on this processor.
    static var hasAVX: Bool {
      let bits = dnnl_cpu_isa_avx.rawValue
      return dnnl_get_effective_cpu_isa().rawValue & bits == bits
    }

    /// Whether this processor has instructions for bfloat16: a set's number has the bits of those that it includes.
    static var hasBFloat16: Bool {
      configure()
      let bits = dnnl_cpu_isa_avx512_core_bf16.rawValue
      return dnnl_get_effective_cpu_isa().rawValue & bits == bits
    }

    /// Whether the library computes bfloat16 on this processor at all: with AVX-512, if need be without instructions of
    /// its own.
    static var emulatesBFloat16: Bool {
      configure()
      let bits = dnnl_cpu_isa_avx512_core.rawValue
      return dnnl_get_effective_cpu_isa().rawValue & bits == bits
    }

    /// Turns a status into an error that says what could not be done.
    static func check(_ status: dnnl_status_t, _ action: @autoclosure () -> String) throws(EngineError) {
      guard status != dnnl_success else { return }
      let reason =
        switch status {
        case dnnl_out_of_memory: "out of memory"
        case dnnl_invalid_arguments: "invalid arguments"
        case dnnl_unimplemented: "not implemented"
        case dnnl_runtime_error: "run-time error"
        default: "status \(status.rawValue)"
        }
      throw .library("oneDNN \(version) could not \(action()): \(reason)")
    }

    /// c = a · b + beta · c, row-major, on the threads that were set; a is m × k and b is k × n once transposed as said.
    static func multiply(_ p: MatrixProduct<Float>) {
      let status = dnnl_sgemm(
        p.aIsTransposed ? 84 : 78, p.bIsTransposed ? 84 : 78, Int64(p.rows), Int64(p.columns), Int64(p.depth), 1, p.a,
        Int64(p.aStride), p.b, Int64(p.bStride), p.accumulates ? 1 : 0, p.c, Int64(p.cStride))
      precondition(status == dnnl_success, "oneDNN refuses a product of \(p.rows) × \(p.depth) × \(p.columns)")
    }
  }

  /// How a tensor's elements lie in memory. Owns the library's descriptor.
  final class TensorLayout {
    let handle: UnsafeMutableRawPointer

    /// Takes over a descriptor.
    init(taking handle: UnsafeMutableRawPointer) {
      self.handle = handle
    }

    /// Elements of the given extents, the last dimension's next to each other.
    convenience init(plain extents: [Int], type: dnnl_data_type_t = dnnl_f32) throws(EngineError) {
      var strides = [Int64](repeating: 1, count: extents.count)
      for index in extents.indices.dropLast().reversed() {
        strides[index] = strides[index + 1] * Int64(extents[index + 1])
      }
      try self.init(extents, strides: strides, type: type)
    }

    /// Elements of the given extents, samples and channels first, a place's channels next to each other.
    convenience init(channelsLast extents: [Int], type: dnnl_data_type_t = dnnl_f32) throws(EngineError) {
      var strides = [Int64](repeating: 1, count: extents.count)
      var stride = Int64(extents[1])
      for index in extents.indices.dropFirst(2).reversed() {
        strides[index] = stride
        stride *= Int64(extents[index])
      }
      strides[0] = stride
      try self.init(extents, strides: strides, type: type)
    }

    /// fp32 elements of the given extents in blocks of 16 channels, a place's 16 next to each other.
    convenience init(inBlocksOf16 extents: [Int]) throws(EngineError) {
      var made: UnsafeMutableRawPointer?
      let numbers = extents.map(Int64.init)
      let status = numbers.withUnsafeBufferPointer {
        convoy_dnnl_layout_blocked(&made, Int32(numbers.count), $0.baseAddress, dnnl_f32)
      }
      try OneDNN.check(status, "describe a tensor of \(extents) in blocks")
      guard let made else { preconditionFailure("oneDNN made no layout and no error") }
      self.init(taking: made)
    }

    /// fp32 elements of the given extents, samples and channels first, channel after channel with all samples' planes in
    /// each: how the OpenBLAS engine's operations have them. Rows of features lie sample after sample.
    convenience init(channelMajor extents: [Int]) throws(EngineError) {
      var strides = [Int64](repeating: 1, count: extents.count)
      var stride: Int64 = 1
      for index in extents.indices.dropFirst(2).reversed() {
        strides[index] = stride
        stride *= Int64(extents[index])
      }
      let isFlat = extents.count == 2
      strides[0] = isFlat ? Int64(extents[1]) : stride
      strides[1] = isFlat ? 1 : stride * Int64(extents[0])
      try self.init(extents, strides: strides)
    }

    /// Whatever a primitive prefers for elements of the given extents.
    convenience init(any extents: [Int], type: dnnl_data_type_t = dnnl_f32) throws(EngineError) {
      try self.init(extents, strides: nil, type: type)
    }

    private convenience init(
      _ extents: [Int], strides: [Int64]?, type: dnnl_data_type_t = dnnl_f32
    ) throws(EngineError) {
      var made: UnsafeMutableRawPointer?
      let extents = extents.map(Int64.init)
      let status = extents.withUnsafeBufferPointer { extents in
        guard let strides else {
          return convoy_dnnl_layout_create(&made, Int32(extents.count), extents.baseAddress, type, nil)
        }
        return strides.withUnsafeBufferPointer {
          convoy_dnnl_layout_create(&made, Int32(extents.count), extents.baseAddress, type, $0.baseAddress)
        }
      }
      try OneDNN.check(status, "describe a tensor of \(extents)")
      guard let made else { preconditionFailure("oneDNN made no layout and no error") }
      self.init(taking: made)
    }

    /// A part of a tensor of this layout, where it lies in the whole.
    func part(_ extents: [Int], at offsets: [Int]) throws(EngineError) -> TensorLayout {
      var made: UnsafeMutableRawPointer?
      let numbers = extents.map(Int64.init) + offsets.map(Int64.init)
      let status = numbers.withUnsafeBufferPointer {
        convoy_dnnl_layout_part(
          &made, handle, Int32(extents.count), $0.baseAddress, $0.baseAddress.map { $0 + extents.count })
      }
      try OneDNN.check(status, "describe a part of a tensor of \(extents) at \(offsets)")
      guard let made else { preconditionFailure("oneDNN made no layout and no error") }
      return TensorLayout(taking: made)
    }

    deinit {
      convoy_dnnl_layout_destroy(handle)
    }

    /// Bytes of a tensor, padding included.
    var bytes: Int { convoy_dnnl_layout_bytes(handle) }

    /// The format, as in `aBcd16b`: dimensions from the outermost in, blocked ones in capitals, then the blocks.
    var name: String {
      var text = [CChar](repeating: 0, count: 64)
      convoy_dnnl_layout_name(handle, &text, text.count)
      return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// The elements' number format.
    var type: dnnl_data_type_t { convoy_dnnl_layout_type(handle) }

    /// Whether the elements are bfloat16.
    var isBFloat16: Bool { type == dnnl_bf16 }

    func isEqual(to other: TensorLayout) -> Bool { convoy_dnnl_layout_equal(handle, other.handle) != 0 }
  }

  /// A primitive that the library has chosen an implementation for. Owns the library's descriptor.
  final class PrimitiveDescriptor {
    let handle: dnnl_primitive_desc_t

    /// Has the library choose; `action` says what for in an error.
    ///
    /// - Parameter hasReLU: whether max(x, 0) of each element follows.
    init(
      _ action: @autoclosure () -> String, hasReLU: Bool = false,
      _ make: (UnsafeMutablePointer<dnnl_primitive_desc_t?>, dnnl_engine_t, dnnl_primitive_attr_t) -> dnnl_status_t
    ) throws(EngineError) {
      var attributes: dnnl_primitive_attr_t?
      try OneDNN.check(convoy_dnnl_attributes_create(&attributes, hasReLU ? 1 : 0), "make attributes")
      guard let attributes else { preconditionFailure("oneDNN made no attributes and no error") }
      defer { dnnl_primitive_attr_destroy(attributes) }
      var made: dnnl_primitive_desc_t?
      try OneDNN.check(make(&made, OneDNN.engine, attributes), action())
      guard let made else { preconditionFailure("oneDNN made no primitive and no error") }
      handle = made
    }

    deinit {
      dnnl_primitive_desc_destroy(handle)
    }

    /// The implementation, as the library names it.
    var implementation: String { String(cString: convoy_dnnl_implementation(handle)) }

    /// The layout that it wants or gives; nil where it has no such tensor.
    func optionalLayout(_ what: dnnl_query_t) throws(EngineError) -> TensorLayout? {
      var made: UnsafeMutableRawPointer?
      try OneDNN.check(convoy_dnnl_layout_of(&made, handle, what), "read a layout")
      return made.map(TensorLayout.init(taking:))
    }

    /// The layout that it wants or gives.
    func layout(_ what: dnnl_query_t) throws(EngineError) -> TensorLayout {
      guard let layout = try optionalLayout(what) else { preconditionFailure("\(implementation) has no such tensor") }
      return layout
    }
  }
#endif
