import ConvoySimulation
import Testing

@Suite struct TableTests {
  private final class Counted {
    nonisolated(unsafe) static var alive = 0
    let number: Int
    init(_ number: Int) {
      self.number = number
      Self.alive += 1
    }
    deinit { Self.alive -= 1 }
  }

  @Test func whatIsAddedIsThereUntilItIsTakenOut() {
    var table = Table<Int>(capacity: 0)
    #expect(table.popLast() == nil)
    for number in 0..<100 { table.append(number) }
    table[40] = -1
    #expect(table.indices == 0..<100)
    #expect(table.indices.map { table[$0] } == (0..<40) + [-1] + (41..<100))
    let last = table.withElements { elements in
      elements.swapAt(0, 99)
      return elements[99]
    }
    #expect(last == 0)
    #expect(table.popLast() == 0)
    #expect(table.count == 99)
  }

  @Test func itsElementsEndWithIt() {
    do {
      var table = Table<Counted?>(repeating: nil, count: 3)
      for number in 0..<20 { table.append(Counted(number)) }
      table[1] = Counted(20)
      #expect(Counted.alive == 21)
      table[1] = nil
      #expect(table.popLast()??.number == 19)
      #expect(Counted.alive == 19)
    }
    #expect(Counted.alive == 0)
  }

  @Test func aListIsTurnedRound() {
    for count in 0..<6 {
      var list = (0..<count).map { "element \($0) of many, which is no small string" }
      let expected = Array(list.reversed())
      list.reverseByMoving()
      #expect(list == expected)
    }
  }
}
