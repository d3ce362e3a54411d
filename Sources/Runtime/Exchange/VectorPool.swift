package import Tensors

/// Vectors of one length that are used again once nobody else holds them.
///
/// A vector that goes along with a message is held by the transport until the last byte left; it comes back by
/// being let go. The pool grows to what is in flight at once, and no further.
package struct VectorPool {
  private var vectors: [FlatVector] = []
  private let count: Int

  /// A pool of vectors of `count` elements.
  package init(count: Int) {
    self.count = count
  }

  /// A vector that nobody else holds; what it holds is anything.
  package mutating func take() -> FlatVector {
    for index in vectors.indices where isKnownUniquelyReferenced(&vectors[index]) {
      return vectors[index]
    }
    let vector = FlatVector(count: count)
    vectors.append(vector)
    return vector
  }
}
