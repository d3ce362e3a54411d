import ParameterServer
import Testing

@Suite struct PlacementTests {
  @Test(arguments: [1, 2, 3]) func everyServerOfLeNetHasFourChunks(servers: Int) throws {
    let table = try #require(ChunkTable(elements: 431_080, servers: servers))
    let bytes = (0..<table.count).map(table.bytes(of:))
    let placed = Placement.servers(ofChunks: bytes, servers: servers)
    for server in 0..<servers { #expect(placed.count { $0 == server } >= 4) }
    #expect(bytes.reduce(0, +) == 4 * 431_080)
  }

  @Test func chunksTileTheVector() throws {
    for elements in Array(1...200) + [1000, 61_706, 431_080, 1 << 20, 25_557_032] {
      for servers in 1...7 {
        let table = try #require(ChunkTable(elements: elements, servers: servers))
        var next = 0
        for chunk in 0..<table.count {
          let range = table.range(of: chunk)
          #expect(range.lowerBound == next && !range.isEmpty)
          #expect(range.lowerBound % ChunkTable.alignment == 0)
          #expect(table.bytes(of: chunk) == 4 * range.count)
          #expect(table.bytes(of: chunk) <= ChunkTable.preferredBytes)
          next = range.upperBound
        }
        #expect(next == elements)
        #expect(ChunkTable(elements: elements, chunkElements: table.chunkElements) == table)
        if elements >= servers * ChunkTable.minimumPerServer * ChunkTable.alignment {
          #expect(table.count >= servers * ChunkTable.minimumPerServer)
        }
      }
    }
  }

  @Test func chunksKeepTheBlocksOfANormWhole() throws {
    for elements in [1, 16, 4095, 4096, 61_706, 431_080, 1 << 20, 25_557_032, 61_100_840] {
      for servers in [1, 2, 3, 7, 64, 100] {
        let table = try #require(ChunkTable(elements: elements, servers: servers, keepsBlocks: true))
        let block = table.normElements
        #expect(table.keepsBlocks && block == ChunkTable(elements: elements, servers: 1)?.normElements)
        #expect(block % ChunkTable.alignment == 0 && block <= ChunkTable.preferredNormElements)
        let blocks = table.chunks(of: .parameters).reduce(0) { $0 + table.normBytes(of: $1) / 8 }
        #expect(blocks == (elements + block - 1) / block, "\(elements), \(servers)")
        if servers <= 64, elements >= servers * 64 {
          #expect(table.count >= servers * ChunkTable.minimumPerServer, "\(elements), \(servers)")
        }
      }
    }
    #expect(ChunkTable(elements: 61_100_840, servers: 1)?.normElements == 16_384)
  }

  @Test func noChunkHoldsParametersAndBuffers() throws {
    for elements in [1, 16, 100, 269_722, 25_557_032] {
      for buffers in [0, 1, 16, 1376, 53_120, 3_000_000] {
        for servers in 1...3 {
          let table = try #require(ChunkTable(elements: elements, buffers: buffers, servers: servers))
          let alone = try #require(ChunkTable(elements: elements, servers: servers))
          #expect(table.chunks(of: .parameters) == 0..<alone.count)
          #expect(table.chunks(of: .buffers) == alone.count..<table.count)
          for (kind, count) in [(ChunkKind.parameters, elements), (.buffers, buffers)] {
            var next = 0
            for chunk in table.chunks(of: kind) {
              let range = table.range(of: chunk)
              #expect(table.kind(of: chunk) == kind && range.lowerBound == next && !range.isEmpty)
              #expect(table.bytes(of: chunk) == 4 * range.count && range.count <= table.chunkElements)
              next = range.upperBound
            }
            #expect(next == count, "\(elements), \(buffers), \(servers)")
          }
        }
      }
    }
  }

  @Test func serversHoldTheSameBytesWithinOneChunk() {
    var generator = SeededGenerator(seed: 5)
    for _ in 0..<200 {
      let bytes = (0..<Int.random(in: 1...40, using: &generator)).map { _ in
        Int.random(in: 1...1000, using: &generator)
      }
      let servers = Int.random(in: 1...6, using: &generator)
      let placed = Placement.servers(ofChunks: bytes, servers: servers)
      #expect(placed == Placement.servers(ofChunks: bytes, servers: servers))
      #expect(placed.count == bytes.count && placed.allSatisfy { (0..<servers).contains($0) })
      let loads = (0..<servers).map { server in
        zip(bytes, placed).reduce(0) { $0 + ($1.1 == server ? $1.0 : 0) }
      }
      #expect(loads.max()! - loads.min()! <= bytes.max()!)
    }
  }

  /// The same on every machine and in every version: a view states who holds what, and files may as well.
  @Test func theRuleIsFixed() {
    #expect(Placement.servers(ofChunks: [8, 8, 8, 8, 8, 8, 2], servers: 3) == [0, 1, 2, 0, 1, 2, 0])
    #expect(Placement.servers(ofChunks: [1, 9, 5, 5], servers: 2) == [0, 0, 1, 1])
  }

  @Test func nonsenseIsRefused() {
    for (elements, servers) in [(0, 1), (-5, 1), (1, 0), (1, -1), (1 << 41, 1), (.max, 1)] {
      #expect(ChunkTable(elements: elements, servers: servers) == nil, "\(elements), \(servers)")
    }
    for (elements, chunk) in [
      (0, 16), (10, 0), (10, -16), (10, 17), (10, 1 << 29), (1 << 41, 16), (1 << 40, 16), (.max, 16), (10, .max),
      (.min, .min),
    ] { #expect(ChunkTable(elements: elements, chunkElements: chunk) == nil, "\(elements), \(chunk)") }
    for buffers in [-1, 1 << 41, .max, .min, 1 << 40] {
      #expect(ChunkTable(elements: 10, buffers: buffers, chunkElements: 16) == nil, "\(buffers)")
    }
  }
}
