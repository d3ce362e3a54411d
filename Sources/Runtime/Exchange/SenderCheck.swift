package import ParameterServer
package import Transport

/// Holds what a message says of its sender against the key by which it came.
package enum SenderCheck {
  /// Why a message is not looked at; nil where its sender is who the key is of, or where nobody proved a key: that is
  /// within a machine, or where the person does without keys.
  package static func refusal(of envelope: Envelope, provedBy identity: PeerIdentity?) -> Refusal? {
    guard let identity, !agrees(envelope, identity) else { return nil }
    return Refusal(.wrongKey, "the key is \(identity)'s, and the message is \(claim(of: envelope))")
  }

  private static func agrees(_ envelope: Envelope, _ identity: PeerIdentity) -> Bool {
    let sender = envelope.sender
    guard identity.role.rawValue == sender.role.description else { return false }
    switch envelope.message {
    case .hello(let hello):
      // Whoever asks for a place has none yet, or had one: it asks by its key's name.
      return hello.role == sender.role && hello.name == identity.name
    case .statusRequest, .setMode: return sender.role == .client
    default:
      guard let number = identity.number else { return true }
      return sender.number == number || sender.number == Member.unassigned
    }
  }

  private static func claim(of envelope: Envelope) -> String {
    if case .hello(let hello) = envelope.message {
      return "of a \(hello.role) that asks for \(hello.name.isEmpty ? "any place" : "the place \(hello.name)")"
    }
    return "\(envelope.sender)'s"
  }
}
