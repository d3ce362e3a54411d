/// What libzmq asks before it lets a peer in, as RFC 27 (ZAP) has it, and the answer.
struct ZAPRequest {
  /// The request's name for the answer; empty where the request is none.
  let identifier: [UInt8]
  /// Where the peer connects from.
  let address: String
  /// The key that the peer has proved to hold; nil where the request is not of CURVE or not of our domain.
  let key: CurvePublicKey?

  /// The domain of every listener of ours.
  static let domain = "convoy"

  /// Reads a request's frames.
  init(_ parts: [[UInt8]]) {
    func text(_ index: Int) -> String { String(decoding: parts[index], as: UTF8.self) }
    identifier = parts.count > 1 ? parts[1] : []
    address = parts.count > 3 ? text(3) : "an unknown address"
    // version, request, domain, address, routing id, mechanism, key
    guard parts.count == 7, text(0) == "1.0", text(2) == Self.domain, text(5) == "CURVE" else {
      key = nil
      return
    }
    key = CurvePublicKey(parts[6])
  }

  /// The answer's frames: the name of whoever may come in, or nil to refuse.
  func answer(_ name: String?) -> [Frame] {
    let parts = ["1.0", nil, name == nil ? "400" : "200", name == nil ? "unknown key" : "OK", name ?? "", ""]
    return parts.map { part in Frame(copying: part.map { Array($0.utf8) } ?? identifier) }
  }
}
