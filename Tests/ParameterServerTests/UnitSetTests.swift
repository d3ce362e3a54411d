import ParameterServer
import Testing

@Suite struct UnitSetTests {
  @Test func itHoldsWhatASetHolds() {
    for seed in 0..<300 as Range<UInt64> {
      var generator = SeededGenerator(seed: seed)
      var units = UnitSet()
      var set: Set<Int> = []
      for _ in 0..<200 {
        let unit = Int.random(in: 0..<[10, 60, 1000][Int(seed % 3)], using: &generator)
        let wasAbsent = units.insert(unit)
        #expect(wasAbsent == set.insert(unit).inserted)
      }
      // The same members, however they came: neighbouring ranges are joined.
      var sorted = UnitSet()
      for unit in set.sorted() { _ = sorted.insert(unit) }
      #expect(units == sorted)
    }
  }
}
