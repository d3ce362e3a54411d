import Tensors

/// Hands out the places of a plan's tensors in its one arena.
final class ArenaLayout {
  /// Elements handed out so far.
  private(set) var elements = 0
  private let batch: Int

  /// Every tensor begins at a multiple of this many elements: a cache line of either format.
  private static let alignment = 16

  /// A layout for up to `batch` samples.
  init(batch: Int) {
    self.batch = batch
  }

  /// A place for so many elements.
  func reserve(_ count: Int) -> Slot {
    let slot = Slot(offset: elements, channels: count, plane: nil)
    elements += (count + Self.alignment - 1) / Self.alignment * Self.alignment
    return slot
  }

  /// A place for a tensor of activations, for a whole batch.
  func reserve(_ shape: Shape) -> Slot {
    Self.slot(at: reserve(batch * shape.count).offset, shape)
  }

  /// The slot of a tensor of activations at an offset.
  static func slot(at offset: Int, _ shape: Shape) -> Slot {
    shape.rank > 1
      ? Slot(offset: offset, channels: shape[0], plane: shape.extents.dropFirst().reduce(1, *))
      : Slot(offset: offset, channels: shape.count, plane: nil)
  }
}
