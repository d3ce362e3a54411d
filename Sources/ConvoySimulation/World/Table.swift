/// A list that has one owner and cannot be copied, so that nobody has to look whether it is shared before it is changed:
/// an array does with every change.
///
/// Costs what memory costs, and a look at the bounds.
package struct Table<Element: ~Copyable>: ~Copyable {
  private var base: UnsafeMutablePointer<Element>
  private var capacity: Int
  /// Number of elements.
  package private(set) var count: Int

  /// An empty table with room for some elements; it grows where they are more.
  package init(capacity: Int) {
    self.capacity = max(1, capacity)
    base = .allocate(capacity: self.capacity)
    count = 0
  }

  /// A table of so many elements, made one by one.
  package init(count: Int, _ element: () -> Element) {
    self.init(capacity: count)
    for _ in 0..<count { append(element()) }
  }

  deinit {
    base.deinitialize(count: count)
    base.deallocate()
  }

  /// The places of the elements.
  package var indices: Range<Int> { 0..<count }

  /// An element where it is.
  package subscript(_ index: Int) -> Element {
    @inline(__always)
    unsafeAddress {
      precondition(UInt(bitPattern: index) < UInt(bitPattern: count), "a table has no such place")
      return UnsafePointer(base + index)
    }
    @inline(__always)
    unsafeMutableAddress {
      precondition(UInt(bitPattern: index) < UInt(bitPattern: count), "a table has no such place")
      return base + index
    }
  }

  /// Adds an element at the end.
  @inline(__always)
  package mutating func append(_ element: consuming Element) {
    if count == capacity { grow() }
    (base + count).initialize(to: element)
    count += 1
  }

  /// Takes out the last element; nil where there is none.
  @inline(__always)
  package mutating func popLast() -> Element? {
    guard count > 0 else { return nil }
    count -= 1
    return (base + count).move()
  }

  /// Calls with the elements, which `body` may exchange but neither add nor take out.
  @inline(__always)
  package mutating func withElements<Result>(_ body: (UnsafeMutableBufferPointer<Element>) -> Result) -> Result {
    body(UnsafeMutableBufferPointer(start: base, count: count))
  }

  private mutating func grow() {
    let larger = UnsafeMutablePointer<Element>.allocate(capacity: capacity * 2)
    larger.moveInitialize(from: base, count: count)
    base.deallocate()
    base = larger
    capacity *= 2
  }
}

extension Table where Element: Copyable {
  /// A table of the same element.
  package init(repeating element: Element, count: Int) {
    self.init(count: count) { element }
  }
}
