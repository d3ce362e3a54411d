/// Where each tensor of a network lies in its one flat vector of parameters.
///
/// Names and layouts are PyTorch's (`conv1.weight` as OIHW, `fc1.weight` as [out, in]), so that files travel.
public struct ParameterLayout: Hashable, Sendable {
  /// One tensor's place.
  public struct Entry: Hashable, Sendable {
    /// The tensor's name, as in `conv1.weight`.
    public let name: String
    /// Its shape, in PyTorch's order.
    public let shape: Shape
    /// Index of its first element in the flat vector.
    public let offset: Int

    /// The indices of its elements in the flat vector.
    public var range: Range<Int> { offset..<offset + shape.count }
  }

  /// The tensors, in the order of the flat vector, without holes.
  public private(set) var entries: [Entry] = []

  /// Number of elements of the flat vector.
  public private(set) var count = 0

  /// A layout without tensors.
  public init() {}

  /// Adds a tensor after the last one and returns its place.
  @discardableResult
  public mutating func append(_ name: String, shape: Shape) -> Entry {
    let entry = Entry(name: name, shape: shape, offset: count)
    entries.append(entry)
    count += shape.count
    return entry
  }

  /// The tensor of this name, or nil.
  public subscript(name: String) -> Entry? {
    entries.first { $0.name == name }
  }
}
