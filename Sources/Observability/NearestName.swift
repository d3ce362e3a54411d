/// Names that a person may have meant.
public enum NearestName {
  /// The name nearest to what was written, where one is near enough: at most a third of its letters differ.
  ///
  /// Distance counts insertions, deletions, substitutions and swaps of neighbours (Damerau and Levenshtein).
  public static func suggestion(for written: String, in names: [String]) -> String? {
    let lower = written.lowercased()
    // A name of another length is at least as far as the lengths differ: no table for a text of a megabyte.
    let near = names.compactMap { name -> (name: String, distance: Int)? in
      let bound = max(1, max(lower.count, name.count) / 3)
      guard abs(lower.count - name.count) <= bound else { return nil }
      let distance = distance(Array(lower.unicodeScalars), Array(name.lowercased().unicodeScalars))
      return distance <= bound ? (name, distance) : nil
    }
    return near.min { ($0.distance, $0.name) < ($1.distance, $1.name) }?.name
  }

  /// `did you mean NAME?` or, where no name is near, the known ones.
  public static func hint(for written: String, in names: [String]) -> String {
    if let name = suggestion(for: written, in: names) { return "did you mean \(name)?" }
    return "known are \(names.joined(separator: ", "))"
  }

  private static func distance(_ left: [Unicode.Scalar], _ right: [Unicode.Scalar]) -> Int {
    var rows = [Array(0...right.count)]
    for i in left.indices.map({ $0 + 1 }) {
      var row = [i] + [Int](repeating: 0, count: right.count)
      for j in right.indices.map({ $0 + 1 }) {
        let change = left[i - 1] == right[j - 1] ? 0 : 1
        row[j] = min(rows[i - 1][j] + 1, row[j - 1] + 1, rows[i - 1][j - 1] + change)
        if i > 1, j > 1, left[i - 1] == right[j - 2], left[i - 2] == right[j - 1] {
          row[j] = min(row[j], rows[i - 2][j - 2] + 1)
        }
      }
      rows.append(row)
    }
    return rows[left.count][right.count]
  }
}
