import CKernels
import Glibc

/// Work that a team's threads share: tasks that may run in any order, each on any thread.
package protocol ParallelWork: AnyObject {
  /// Does one task; `thread` is the number of the one that does it, below the team's count.
  func perform(task: Int, thread: Int)
}

/// Threads that compute together: the caller's and others of its own, parked while there is nothing to do.
///
/// Which thread does which task is left to chance, so tasks must not care. Where the system starts no more threads there
/// are fewer than were asked for: those that there are do all tasks.
package final class ThreadTeam {
  /// Number of threads, the caller's included.
  package let count: Int
  private let shared: Shared
  private let threads: [pthread_t]

  /// A team of so many threads.
  package init(count: Int) {
    precondition(count > 0, "a team of \(count) threads")
    shared = Shared()
    var threads: [pthread_t] = []
    for number in 1..<max(count, 1) {
      let member = Unmanaged.passRetained(Member(shared: shared, number: number))
      var thread = pthread_t()
      let result = pthread_create(
        &thread, nil,
        { argument in
          let mode = convoy_flush_denormals()
          Unmanaged<Member>.fromOpaque(argument!).takeRetainedValue().run()
          convoy_restore_denormals(mode)
          return nil
        }, member.toOpaque())
      guard result == 0 else {
        member.release()
        break
      }
      threads.append(thread)
    }
    self.threads = threads
    self.count = 1 + threads.count
  }

  deinit {
    shared.close()
    for thread in threads { pthread_join(thread, nil) }
  }

  /// Has all tasks done; returns when the last is.
  package func run(_ work: some ParallelWork, tasks: Int) {
    guard count > 1, tasks > 1 else {
      for task in 0..<tasks { work.perform(task: task, thread: 0) }
      return
    }
    shared.begin(work, tasks: tasks)
    shared.help(thread: 0)
    shared.waitForEnd()
  }

  /// A thread of the team.
  private final class Member {
    let shared: Shared
    let number: Int

    init(shared: Shared, number: Int) {
      self.shared = shared
      self.number = number
    }

    func run() {
      var round = 0
      while let next = shared.waitForRound(after: round) {
        round = next
        shared.help(thread: number)
      }
    }
  }

  /// The round of tasks that is under way.
  private final class Shared {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var work: (any ParallelWork)?
    private var tasks = 0
    private var next = 0
    private var done = 0
    private var round = 0
    private var isClosed = false

    init() {
      pthread_mutex_init(mutex, nil)
      pthread_cond_init(changed, nil)
    }

    deinit {
      pthread_cond_destroy(changed)
      pthread_mutex_destroy(mutex)
      changed.deallocate()
      mutex.deallocate()
    }

    func begin(_ work: some ParallelWork, tasks: Int) {
      pthread_mutex_lock(mutex)
      self.work = work
      self.tasks = tasks
      next = 0
      done = 0
      round += 1
      pthread_cond_broadcast(changed)
      pthread_mutex_unlock(mutex)
    }

    /// Does tasks of the round until none is left to begin.
    func help(thread: Int) {
      pthread_mutex_lock(mutex)
      while next < tasks, let work {
        let task = next
        next += 1
        pthread_mutex_unlock(mutex)
        work.perform(task: task, thread: thread)
        pthread_mutex_lock(mutex)
        done += 1
        if done == tasks { pthread_cond_broadcast(changed) }
      }
      pthread_mutex_unlock(mutex)
    }

    func waitForEnd() {
      pthread_mutex_lock(mutex)
      while done < tasks { pthread_cond_wait(changed, mutex) }
      work = nil
      pthread_mutex_unlock(mutex)
    }

    func waitForRound(after round: Int) -> Int? {
      pthread_mutex_lock(mutex)
      defer { pthread_mutex_unlock(mutex) }
      while self.round == round, !isClosed { pthread_cond_wait(changed, mutex) }
      return isClosed ? nil : self.round
    }

    func close() {
      pthread_mutex_lock(mutex)
      isClosed = true
      pthread_cond_broadcast(changed)
      pthread_mutex_unlock(mutex)
    }
  }
}
