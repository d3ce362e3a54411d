extension Array {
  /// Turns the order round, and moves the elements: `reverse` copies them, with their references.
  @inline(__always)
  package mutating func reverseByMoving() {
    guard count > 1 else { return }
    withUnsafeMutableBufferPointer { elements in
      guard let base = elements.baseAddress else { return }
      var (left, right) = (base, base + elements.count - 1)
      while left < right {
        let first = left.move()
        left.moveInitialize(from: right, count: 1)
        right.initialize(to: first)
        left += 1
        right -= 1
      }
    }
  }
}
