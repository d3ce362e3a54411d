import FoundationEssentials

/// Looks for a key that an object of a JSON text has twice: JSON readers keep one of the two and say nothing.
enum DuplicateKeys {
  /// The first key that an object at any depth repeats, or nil.
  ///
  /// The text must be JSON that a reader has accepted.
  static func first(in text: [UInt8]) -> String? {
    // The keys of each object around the place; an array has none, and its strings are values.
    var keys: [Set<String>?] = []
    var expectsKey = false
    var index = 0
    while index < text.count {
      switch text[index] {
      case UInt8(ascii: "{"):
        keys.append([])
        expectsKey = true
      case UInt8(ascii: "["):
        keys.append(nil)
        expectsKey = false
      case UInt8(ascii: "}"), UInt8(ascii: "]"): _ = keys.popLast()
      case UInt8(ascii: ","): expectsKey = keys.last.map { $0 != nil } ?? false
      case UInt8(ascii: "\""):
        let end = endOfString(in: text, from: index)
        if expectsKey, !keys.isEmpty {
          let key = decoded(text[index..<end])
          if keys[keys.count - 1]?.insert(key).inserted == false { return key }
          expectsKey = false
        }
        index = end
        continue
      default: break
      }
      index += 1
    }
    return nil
  }

  /// The index after the closing quotation mark of the string that begins at `start`.
  private static func endOfString(in text: [UInt8], from start: Int) -> Int {
    var index = start + 1
    while index < text.count, text[index] != UInt8(ascii: "\"") {
      index += text[index] == UInt8(ascii: "\\") ? 2 : 1
    }
    return min(index + 1, text.count)
  }

  /// The text that a JSON string stands for: two spellings of one key are one key.
  private static func decoded(_ string: ArraySlice<UInt8>) -> String {
    if string.contains(UInt8(ascii: "\\")), let text = try? JSONDecoder().decode(String.self, from: Data(string)) {
      return text
    }
    return String(decoding: string.dropFirst().dropLast(), as: UTF8.self)
  }
}
