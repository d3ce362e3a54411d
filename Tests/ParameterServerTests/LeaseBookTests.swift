import Testing

import ParameterServer

/// The coordinator's book of leases, against a naive model of the same.
@Suite struct LeaseBookTests {
  /// The book of a coordinator that read what was condensed of another's.
  private static func successor(of book: LeaseBook) -> LeaseBook {
    var successor = LeaseBook(from: 0, applied: UnitSet())
    for record in book.condensed {
      switch record {
      case .leaseBook(let stand): successor = LeaseBook(stand)
      case .leased(let member, let incarnation, let leases): successor.replay(leases, to: member, incarnation)
      default: Issue.record("\(record) says nothing of leases")
      }
    }
    #expect(successor.condensed == book.condensed)
    return successor
  }

  @Test func whatAWorkerHoldsOfEarlierGrantsIsCondensedApart() {
    var book = LeaseBook(from: 0, applied: UnitSet())
    let (member, life) = (Member(.worker, 0), Incarnation(7))
    for _ in 0..<3 { _ = book.grant(Leases.maximumUnits, below: 1 << 20, to: member, life) }
    var next = Self.successor(of: book)
    #expect(book.condensed.count == 1 + 2 + 1, "no record has more units than a grant may have")
    let again = next.note(LeaseRequest(grant: 2, held: UnitSet(), wantsMore: true), of: member, life)
    #expect(again?.grant == 3 && again?.units.ranges == [2 * Leases.maximumUnits..<3 * Leases.maximumUnits])
    next.remove(life)
    #expect(next.returned.ranges == [0..<3 * Leases.maximumUnits] && next.frontier == 3 * Leases.maximumUnits)
  }

  /// Random grants, reports and deaths: each unit is with one worker at a time, and none is lost.
  @Test func eachUnitIsWithOneWorkerUntilItIsFinished() {
    for seed in 0..<300 as Range<UInt64> {
      var generator = SeededGenerator(seed: seed)
      let limit = 60
      var applied = UnitSet()
      for unit in 0..<limit where generator.chance(10) { applied.insert(unit) }
      var book = LeaseBook(from: 0, applied: applied)
      var held: [UInt64: Set<Int>] = [:]
      var grants: [UInt64: UInt64] = [:]
      var finished = Set(applied.ranges.joined())
      var next: UInt64 = 4
      var lives: [UInt64] = [0, 1, 2, 3]
      for _ in 0..<400 {
        if generator.chance(5) { book = Self.successor(of: book) }
        let index = Int.random(in: 0..<lives.count, using: &generator)
        let life = lives[index]
        let (member, incarnation) = (Member(.worker, UInt32(index)), Incarnation(life))
        switch Int.random(in: 0..<10, using: &generator) {
        case 0:
          book.remove(incarnation)
          held[life] = nil
          lives[index] = next
          next += 1
        case 1...4:
          // It finishes some, and says so.
          for unit in (held[life] ?? []).sorted() where generator.chance(60) {
            held[life]?.remove(unit)
            finished.insert(unit)
          }
          var rest = UnitSet()
          for unit in held[life] ?? [] { rest.insert(unit) }
          #expect(
            book.note(LeaseRequest(grant: grants[life] ?? 0, held: rest, wantsMore: true), of: member, incarnation)
              == nil)
        default:
          guard let leases = book.grant(Int.random(in: 1...5, using: &generator), below: limit, to: member, incarnation)
          else { continue }
          #expect(leases.grant == (grants[life] ?? 0) + 1)
          grants[life] = leases.grant
          for unit in leases.units.ranges.joined() {
            #expect(held.values.allSatisfy { !$0.contains(unit) }, "unit \(unit) is with two, seed \(seed)")
            #expect(!applied.contains(unit))
            held[life, default: []].insert(unit)
          }
        }
      }
      // Everyone goes, and one worker does the rest: nothing is missing then.
      for life in lives { book.remove(Incarnation(life)) }
      while let leases = book.grant(7, below: limit, to: Member(.worker, 0), Incarnation(next)) {
        finished.formUnion(leases.units.ranges.joined())
      }
      #expect(finished == Set(0..<limit), "seed \(seed)")
    }
  }

  private let member = Member(.worker, 0)
  private let life = Incarnation(5)

  private func request(_ grant: UInt64, _ held: UnitSet = UnitSet()) -> LeaseRequest {
    LeaseRequest(grant: grant, held: held, wantsMore: true)
  }

  @Test func aGrantThatDidNotComeIsSentAgain() {
    var book = LeaseBook(from: 0, applied: UnitSet())
    let first = book.grant(3, below: 9, to: member, life)
    #expect(book.note(request(0), of: member, life) == first)
    #expect(book.note(request(1, first!.units), of: member, life) == nil)
  }

  @Test func whatAWorkerMakesUpIsNotBelieved() {
    var book = LeaseBook(from: 0, applied: UnitSet())
    let units = book.grant(3, below: 9, to: member, life)!.units
    _ = book.note(request(1, UnitSet(ranges: [0..<Int.max])!), of: member, life)
    book.remove(life)
    #expect(book.returned == units)
  }

  @Test func whatIsAppliedEverywhereDoesNotComeBack() {
    var book = LeaseBook(from: 0, applied: UnitSet())
    _ = book.grant(6, below: 9, to: member, life)
    book.finish(below: 4)
    book.remove(life)
    #expect(book.returned.ranges == [4..<6])
  }

  @Test func aReplayedBookIsTheSame() {
    var book = LeaseBook(from: 0, applied: UnitSet())
    var copy = book
    for number in [0, 1, 0] as [UInt32] {
      let incarnation = Incarnation(UInt64(number))
      let leases = book.grant(4, below: 99, to: Member(.worker, number), incarnation)!
      copy.replay(leases, to: Member(.worker, number), incarnation)
    }
    book.keep([Incarnation(1)])
    copy.keep([Incarnation(1)])
    #expect(book.returned == copy.returned && book.returned.count == 8)
    #expect(book.frontier == 12 && copy.frontier == 12)
  }
}
