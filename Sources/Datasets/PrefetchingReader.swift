import Glibc
public import Tensors

/// Reads batches ahead of whoever computes, on a thread of its own.
///
/// Blocks are read in the order they are enqueued. Whoever computes asks for the very block that it needs: what was
/// enqueued before it is not wanted any more and is dropped. At most `depth` batches exist; they are used again and
/// again.
public final class PrefetchingReader: Sendable {
  private let shared: Shared

  /// Starts a reader.
  ///
  /// - Parameters:
  ///   - capacity: most samples of a block.
  ///   - depth: batches that are read ahead.
  public init(reader: BatchReader, capacity: Int, depth: Int, sampleShape: Shape) {
    precondition(depth > 0, "a reader that holds no batch")
    shared = Shared(free: (0..<depth).map { _ in Batch(capacity: capacity, sampleShape: sampleShape) })
    let run = Run(shared: shared, reader: reader)
    shared.locked {
      var thread = pthread_t()
      let result = pthread_create(
        &thread, nil,
        { argument in
          Unmanaged<Run>.fromOpaque(argument!).takeRetainedValue().run()
          return nil
        }, Unmanaged.passRetained(run).toOpaque())
      precondition(result == 0, "no thread could be started: \(String(cString: strerror(result)))")
      shared.thread = thread
    }
  }

  deinit {
    close()
  }

  /// Adds a block to what is read, unless it is already read or about to be.
  public func enqueue(_ block: SampleBlock) {
    shared.locked { if !shared.isExpected(block) { shared.blocks.append(block) } }
  }

  /// Waits for the batch of a block, which is read now where nobody enqueued it; nil once the reader is closed.
  ///
  /// - Precondition: the block has at most as many samples as a batch, and its taker gave its last batch back.
  public func batch(of block: SampleBlock) -> Batch? {
    shared.locked {
      shared.request(block)
      while !shared.isClosed {
        if let index = shared.ready.firstIndex(where: { $0.block == block }) {
          shared.drop(ready: index)
          return shared.ready.removeFirst().batch
        }
        // Nothing that was read can be what is waited for: room is made for it.
        if shared.reading != block { shared.drop(ready: shared.ready.count) }
        shared.wait()
      }
      return nil
    }
  }

  /// Gives a batch back, to be filled again.
  public func recycle(_ batch: Batch) {
    shared.locked { shared.free.append(batch) }
  }

  /// Ends the thread, and every wait.
  public func close() {
    let thread: pthread_t? = shared.locked {
      shared.isClosed = true
      defer { shared.thread = nil }
      return shared.thread
    }
    if let thread { pthread_join(thread, nil) }
  }

  /// What the thread does.
  private final class Run {
    let shared: Shared
    let reader: BatchReader

    init(shared: Shared, reader: BatchReader) {
      self.shared = shared
      self.reader = reader
    }

    func run() {
      while let (block, batch) = take() {
        reader.read(block, into: batch)
        shared.locked {
          shared.ready.append((block, batch))
          shared.reading = nil
        }
      }
    }

    private func take() -> (SampleBlock, Batch)? {
      shared.locked {
        while shared.blocks.isEmpty || shared.free.isEmpty, !shared.isClosed { shared.wait() }
        if shared.isClosed { return nil }
        shared.reading = shared.blocks.removeFirst()
        return shared.reading.map { ($0, shared.free.removeLast()) }
      }
    }
  }

  /// What both sides change, under one lock.
  private final class Shared: @unchecked Sendable {
    // Unchecked: every variable is read and written inside `locked` only.
    var blocks: [SampleBlock] = []
    var ready: [(block: SampleBlock, batch: Batch)] = []
    /// The block that is being read.
    var reading: SampleBlock?
    var free: [Batch]
    var isClosed = false
    var thread: pthread_t?

    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    init(free: [Batch]) {
      self.free = free
      // The lists never grow past the batches: nothing is allocated while it runs.
      ready.reserveCapacity(free.count)
      pthread_mutex_init(mutex, nil)
      pthread_cond_init(changed, nil)
    }

    deinit {
      pthread_cond_destroy(changed)
      pthread_mutex_destroy(mutex)
      changed.deallocate()
      mutex.deallocate()
    }

    /// Whether a block is read, being read, or about to be.
    func isExpected(_ block: SampleBlock) -> Bool {
      reading == block || blocks.contains(block) || ready.contains { $0.block == block }
    }

    /// Drops what was to be read before a block, and has the block read first where nobody expects it.
    func request(_ block: SampleBlock) {
      if reading == block || ready.contains(where: { $0.block == block }) { return }
      if let index = blocks.firstIndex(of: block) {
        blocks.removeFirst(index)
      } else {
        blocks.insert(block, at: 0)
      }
      // Whoever asks waits next, with the lock given back only then.
      pthread_cond_broadcast(changed)
    }

    /// Drops the first batches that were read.
    func drop(ready count: Int) {
      for entry in ready[..<count] { free.append(entry.batch) }
      ready.removeFirst(count)
      if count > 0 { pthread_cond_broadcast(changed) }
    }

    /// Changes what is shared and tells the other side.
    func locked<Result>(_ body: () -> Result) -> Result {
      pthread_mutex_lock(mutex)
      defer {
        pthread_cond_broadcast(changed)
        pthread_mutex_unlock(mutex)
      }
      return body()
    }

    /// Waits for a change; the lock is held before and after.
    func wait() { pthread_cond_wait(changed, mutex) }
  }
}
