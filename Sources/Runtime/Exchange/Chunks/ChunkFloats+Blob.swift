import ParameterServer
import Tensors
package import Transport

/// A chunk's floats as one blob of bytes, little-endian:
///
/// `CVCHUNK1`, then as 64-bit numbers: elements, slots (vectors of an optimiser's state), version, updates, flags (1: there
/// is a previous version, 2: with its slots, 4: there is a shared state), the previous version, the number of workers with a
/// state of their own, their numbers in ascending order; then the vectors as fp32: values, previous values, previous slots,
/// shared slots, each worker's slots; then a 32-bit CRC-32C of all before.
extension ChunkFloats {
  private static let magic: UInt64 = 0x314B_4E55_4843_5643
  private static let headWords = 8
  /// Most workers whose states are held.
  package static let maximumWorkers = Int(Bounds.members)

  private struct Flags: OptionSet {
    let rawValue: UInt64
    static let previous = Flags(rawValue: 1)
    static let previousSlots = Flags(rawValue: 2)
    static let shared = Flags(rawValue: 4)
  }

  /// The blob. With `isWhole` it has what a replica needs; without it, no previous version: what a checkpoint needs.
  ///
  /// Cost: one copy of all floats.
  package func blob(slots: Int, isWhole: Bool) -> Frame {
    var flags: Flags = []
    var vectors = [values]
    if isWhole, let previous {
      flags.insert(.previous)
      vectors.append(previous.values)
      if let slots = previous.slots {
        flags.insert(.previousSlots)
        vectors += slots
      }
    }
    if let shared {
      flags.insert(.shared)
      vectors += shared
    }
    for worker in workers { vectors += worker.slots }
    let head: [UInt64] =
      [
        Self.magic, UInt64(values.count), UInt64(slots), version, updates, flags.rawValue,
        flags.contains(.previous) ? previous?.version ?? 0 : 0, UInt64(workers.count),
      ] + workers.map { UInt64($0.worker) }
    return Self.frame(head: head, vectors: vectors)
  }

  private static func frame(head: [UInt64], vectors: [FlatVector]) -> Frame {
    let floats = vectors.reduce(0) { $0 + $1.count }
    // Head and checksum are whole floats, so that a vector is the memory.
    let memory = FlatVector(count: 2 * head.count + floats + 1)
    let bytes = UnsafeMutableRawPointer(memory.pointer)
    for (index, word) in head.enumerated() {
      bytes.storeBytes(of: word.littleEndian, toByteOffset: 8 * index, as: UInt64.self)
    }
    var offset = 2 * head.count
    for vector in vectors {
      vector.withBytes(of: 0..<vector.count) { memory.copy($0, to: offset..<offset + vector.count) }
      offset += vector.count
    }
    var checksum = CRC32C()
    memory.withBytes(of: 0..<offset) { checksum.update($0) }
    bytes.storeBytes(of: checksum.value.littleEndian, toByteOffset: 4 * offset, as: UInt32.self)
    return memory.frame(of: 0..<memory.count)
  }

  /// Reads a blob of a chunk of so many elements, whose optimiser has so many state vectors. Every length is compared
  /// with the bytes that are there before memory is taken.
  package init(blob: UnsafeRawBufferPointer, elements: Int, slots: Int) throws(ConvoyError) {
    func fail(_ problem: String) -> ConvoyError { ConvoyError(.badData, "a chunk's state cannot be read: \(problem)") }
    func word(_ index: Int) -> UInt64 {
      UInt64(littleEndian: blob.loadUnaligned(fromByteOffset: 8 * index, as: UInt64.self))
    }
    guard blob.count >= 8 * Self.headWords + 4, word(0) == Self.magic else { throw fail("it does not begin as one") }
    var checksum = CRC32C()
    checksum.update(UnsafeRawBufferPointer(rebasing: blob.dropLast(4)))
    guard UInt32(littleEndian: blob.loadUnaligned(fromByteOffset: blob.count - 4, as: UInt32.self)) == checksum.value
    else { throw fail("its checksum is not that of its bytes") }
    guard word(1) == UInt64(elements), word(2) == UInt64(slots) else {
      throw fail("it is of \(word(1)) elements and \(word(2)) state vectors, not \(elements) and \(slots)")
    }
    let flags = Flags(rawValue: word(5))
    let workerCount = word(7)
    guard flags.rawValue < 8, workerCount <= UInt64(Self.maximumWorkers),
      !flags.contains(.previousSlots) || flags.contains(.previous)
    else { throw fail("flags \(flags.rawValue), \(workerCount) workers") }
    var count = 1
    if flags.contains(.previous) { count += 1 }
    if flags.contains(.previousSlots) { count += slots }
    if flags.contains(.shared) { count += slots }
    count += Int(workerCount) * slots
    let head = 8 * (Self.headWords + Int(workerCount))
    let (floats, overflow) = count.multipliedReportingOverflow(by: 4 * elements)
    guard !overflow, floats == blob.count - head - 4 else {
      throw fail("\(blob.count) bytes for \(count) vectors of \(elements) elements")
    }
    let numbers = (0..<Int(workerCount)).map { word(Self.headWords + $0) }
    guard zip(numbers, numbers.dropFirst()).allSatisfy({ $0 < $1 }), numbers.last ?? 0 < UInt64(Bounds.members) else {
      throw fail("its workers are not in order, or none of a job's")
    }
    guard [word(3), word(4), word(6)].allSatisfy({ $0 <= Bounds.count }) else {
      throw fail("it is at version \(word(3)) after \(word(4)) steps of the optimizer and version \(word(6))")
    }

    var offset = head
    func vector() -> FlatVector {
      let vector = FlatVector(count: elements)
      vector.copy(UnsafeRawBufferPointer(rebasing: blob[offset..<offset + 4 * elements]), to: 0..<elements)
      offset += 4 * elements
      return vector
    }
    func vectors() -> [FlatVector] { (0..<slots).map { _ in vector() } }
    self.init(values: vector(), version: word(3), updates: word(4))
    if flags.contains(.previous) {
      previous = Previous(version: word(6), values: vector())
      if flags.contains(.previousSlots) { previous?.slots = vectors() }
    }
    if flags.contains(.shared) { shared = vectors() }
    workers = numbers.map { (UInt32($0), vectors()) }
  }
}
