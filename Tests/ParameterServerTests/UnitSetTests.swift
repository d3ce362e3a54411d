import ParameterServer
import Testing

@Suite struct UnitSetTests {
  @Test(arguments: [10, 60, 1000]) func itHoldsWhatASetHolds(most: Int) {
    for seed in 0..<60 as Range<UInt64> {
      var generator = SeededGenerator(seed: seed)
      var units = UnitSet()
      var set: Set<Int> = []
      for _ in 0..<200 {
        let unit = Int.random(in: 0..<most, using: &generator)
        switch Int.random(in: 0..<8, using: &generator) {
        case 0...4: #expect(units.insert(unit) == set.insert(unit).inserted)
        case 5, 6: #expect(units.remove(unit) == (set.remove(unit) != nil))
        default:
          let bound = Int.random(in: 0...most / 4, using: &generator)
          units.removeAll(below: bound)
          set = set.filter { $0 >= bound }
        }
        #expect(units.contains(unit) == set.contains(unit))
        #expect(units.firstMissing(from: unit) == (unit...).first { !set.contains($0) })
      }
      #expect(units.count == set.count && units.isEmpty == set.isEmpty)
      #expect(Array(units.ranges.joined()) == set.sorted())
      // However it came about, it is the set of its ranges: neighbouring ones are joined.
      #expect(UnitSet(ranges: units.ranges) == units)
    }
  }

  @Test func rangesOutOfOrderAreNoSet() {
    for ranges in [[0..<0], [-1..<2], [0..<2, 2..<3], [0..<2, 1..<3], [4..<5, 0..<1]] {
      #expect(UnitSet(ranges: ranges) == nil, "\(ranges)")
    }
  }
}
