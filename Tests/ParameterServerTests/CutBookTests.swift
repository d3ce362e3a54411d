import Testing

import ParameterServer

@Suite struct CutBookTests {
  private func position(_ chunk: UInt32, _ closed: UInt64) -> ChunkPosition {
    ChunkPosition(chunk: chunk, version: closed, closed: closed)
  }

  @Test func onlySoManyCutsAreKept() {
    var book = CutBook()
    var effects: [CoordinatorEffect] = []
    for step in 1...6 as ClosedRange<UInt64> { _ = book.take(position(0, step), chunks: 2, isLast: false, &effects) }
    #expect(effects == [.abandon(cut: 1), .abandon(cut: 2)] && book.open.count == CutBook.maximumOpen)
  }

  @Test func aCutThatWasTakenIsNotTakenAgain() {
    var book = CutBook()
    var effects: [CoordinatorEffect] = []
    #expect(book.take(position(0, 5), chunks: 1, isLast: false, &effects).complete?.step == 5)
    #expect(book.take(position(0, 5), chunks: 1, isLast: false, &effects).isNew == false)
    #expect(book.take(position(0, 4), chunks: 1, isLast: false, &effects).isNew == false)
    book.abandonAll(&effects)
    #expect(book.take(position(0, 5), chunks: 1, isLast: false, &effects).isNew, "the job went back")
  }

  @Test func theLastCutIsTakenAgainUnlessItIsBeingWritten() {
    var book = CutBook()
    var effects: [CoordinatorEffect] = []
    _ = book.take(position(0, 8), chunks: 1, isLast: true, &effects)
    book.storing = [8]
    #expect(!book.take(position(0, 8), chunks: 1, isLast: true, &effects).isNew)
    book.storing = []
    #expect(book.take(position(0, 8), chunks: 1, isLast: true, &effects).isNew)
  }
}
