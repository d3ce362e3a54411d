/// What a job's workers agree on.
struct Agreement: Sendable, Equatable {
  let fingerprint: String
  let data: [UInt8]
  let samples: UInt64
}

/// Whether who joins works with what the others work with.
extension Roster {
  /// What a member works with that does not agree with the job or with the others, or nil.
  func mismatch(_ ready: Ready, of member: Member, plan: JobPlan, agreed: Agreement?) -> Refusal? {
    func differs(_ what: String, _ theirs: [UInt8], _ ours: [UInt8]) -> Refusal? {
      guard theirs != ours else { return nil }
      return Refusal(
        .mismatch,
        "\(member) has another \(what) (\(Self.short(theirs))) than the job (\(Self.short(ours))): start it from the same build, job and data"
      )
    }
    if let refusal = differs("build of convoy", ready.digests.build, plan.digests.build)
      ?? differs("network", ready.digests.network, plan.digests.network)
      ?? differs("job", ready.digests.job, plan.digests.job)
    {
      return refusal
    }
    guard member.role == .worker else { return nil }
    if !plan.digests.data.isEmpty, let refusal = differs("data set", ready.digests.data, plan.digests.data) {
      return refusal
    }
    guard let agreed else { return nil }
    if let refusal = differs("data set", ready.digests.data, agreed.data) { return refusal }
    if ready.samples != agreed.samples {
      return Refusal(.mismatch, "\(member) counts \(ready.samples) training samples, the job \(agreed.samples)")
    }
    if plan.consistency != .async, ready.engineFingerprint != agreed.fingerprint {
      return Refusal(
        .mismatch,
        "\(member) computes with \(ready.engineFingerprint), the others with \(agreed.fingerprint): the job's bytes would not repeat"
      )
    }
    return nil
  }

  private static func short(_ digest: [UInt8]) -> String {
    let digits = Array("0123456789abcdef")
    return String(digest.prefix(4).flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
  }
}
