/// A number of bytes, as people write it: `2GiB`, `512 MiB`, `1.5 GB`.
public struct MemorySize: Hashable, Sendable, CustomStringConvertible {
  /// The number of bytes.
  public let bytes: Int

  /// A size of so many bytes.
  public init(_ bytes: Int) {
    self.bytes = bytes
  }

  /// Reads a size: a number, which may have decimals, and a unit: B, KiB, MiB, GiB, TiB, kB, MB, GB or TB, upper or lower
  /// case; bytes without one. nil where the text is none, or the size is not positive or larger than any memory.
  public init?(_ text: String) {
    let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    let unit = text.dropFirst(digits.count).drop { $0 == " " }.lowercased()
    guard let number = Double(digits), let factor = Self.units[unit] else { return nil }
    let bytes = number * factor
    guard bytes >= 1, bytes < 0x1p60 else { return nil }
    self.bytes = Int(bytes)
  }

  private static let units: [String: Double] = [
    "": 1, "b": 1, "kib": 0x1p10, "mib": 0x1p20, "gib": 0x1p30, "tib": 0x1p40, "kb": 1e3, "mb": 1e6, "gb": 1e9,
    "tb": 1e12,
  ]

  /// The size in the largest unit of which it has one, rounded up to two decimals, as in `1.25 GiB`.
  public var description: String {
    var value = Double(bytes)
    var unit = 0
    while value >= 1024, unit < 4 {
      value /= 1024
      unit += 1
    }
    let hundredths = Int((value * 100).rounded(.up))
    let (whole, rest) = (hundredths / 100, hundredths % 100)
    let fraction = rest == 0 ? "" : rest % 10 == 0 ? ".\(rest / 10)" : rest < 10 ? ".0\(rest)" : ".\(rest)"
    return "\(whole)\(fraction) \(["B", "KiB", "MiB", "GiB", "TiB"][unit])"
  }
}
