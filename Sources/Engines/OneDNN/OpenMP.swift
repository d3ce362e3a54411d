#if OneDNN
  import Glibc

  /// The OpenMP that oneDNN computes on.
  ///
  /// It is found at run time, because which one that is was decided when the library was built.
  enum OpenMP {
    /// What GNU's OpenMP offers to compiled code.
    struct Team: Sendable {
      typealias Body = @convention(c) (UnsafeMutableRawPointer?) -> Void

      let parallel: @convention(c) (Body, UnsafeMutableRawPointer?, UInt32, UInt32) -> Void
      let number: @convention(c) () -> Int32
      let count: @convention(c) () -> Int32
    }

    /// GNU's OpenMP; nil where it is another, or none.
    static let team: Team? = {
      guard let parallel = symbol("GOMP_parallel"), let number = symbol("omp_get_thread_num"),
        let count = symbol("omp_get_num_threads")
      else { return nil }
      return Team(
        parallel: unsafeBitCast(
          parallel, to: (@convention(c) (Team.Body, UnsafeMutableRawPointer?, UInt32, UInt32) -> Void).self),
        number: unsafeBitCast(number, to: (@convention(c) () -> Int32).self),
        count: unsafeBitCast(count, to: (@convention(c) () -> Int32).self))
    }()

    private typealias Setter = @convention(c) (Int32) -> Void
    private typealias Getter = @convention(c) () -> Int32

    private static let setThreadCount = symbol("omp_set_num_threads").map { unsafeBitCast($0, to: Setter.self) }
    private static let setDynamic = symbol("omp_set_dynamic").map { unsafeBitCast($0, to: Setter.self) }
    private static let setLevels = symbol("omp_set_max_active_levels").map { unsafeBitCast($0, to: Setter.self) }
    private static let level = symbol("omp_get_level").map { unsafeBitCast($0, to: Getter.self) }
    private static let threadLimit = symbol("omp_get_thread_limit").map { unsafeBitCast($0, to: Getter.self) }

    private static func symbol(_ name: String) -> UnsafeMutableRawPointer? { dlsym(nil, name) }

    /// Sets how many threads what this thread calls is computed on.
    ///
    /// The setting belongs to the thread that makes it. With it go OMP_DYNAMIC, by which fewer would be given on a machine
    /// that is busy, and OMP_MAX_ACTIVE_LEVELS, by which there may be one only.
    static func setThreads(_ count: Int) {
      setThreadCount?(Int32(clamping: count))
      setDynamic?(0)
      setLevels?(1 + (level?() ?? 0))
    }

    /// How many threads of a number a parallel region has that this thread begins: one is begun, and they are counted.
    static func grant(of wanted: Int) -> ThreadGrant {
      guard wanted > 1, let team else { return ThreadGrant(count: wanted) }
      // The library ends the process where it cannot start a thread.
      if let refusal = refusal(ofThreads: wanted - 1) { return ThreadGrant(count: 1, reason: refusal) }
      setThreads(wanted)
      var granted: Int32 = 0
      withUnsafeMutablePointer(to: &granted) { address in
        team.parallel(
          { data in
            guard let data, let team = OpenMP.team, team.number() == 0 else { return }
            data.assumingMemoryBound(to: Int32.self).pointee = team.count()
          }, UnsafeMutableRawPointer(address), UInt32(clamping: wanted), 0)
      }
      let count = min(Int(granted), wanted)
      guard count < wanted else { return ThreadGrant(count: wanted) }
      let limit = threadLimit?() ?? .max
      let reason =
        limit < wanted
        ? "OMP_THREAD_LIMIT is \(limit): unset it, or state --threads \(count)"
        : "OpenMP gives no more: look at the variables that begin with OMP_ and GOMP_, or state --threads \(count)"
      return ThreadGrant(count: count, reason: reason)
    }

    /// Why so many threads, with the stacks that OpenMP's have, cannot be started now; nil where they can.
    private static func refusal(ofThreads count: Int) -> String? {
      let stated = ["OMP_STACKSIZE", "GOMP_STACKSIZE"].compactMap { (name: String) -> (name: String, bytes: Int)? in
        getenv(name).flatMap { bytes(String(cString: $0)) }.map { (name, $0) }
      }.first
      let attributes = UnsafeMutablePointer<pthread_attr_t>.allocate(capacity: 1)
      pthread_attr_init(attributes)
      defer {
        pthread_attr_destroy(attributes)
        attributes.deallocate()
      }
      if let stated { pthread_attr_setstacksize(attributes, stated.bytes) }
      var threads: [pthread_t] = []
      defer { for thread in threads { pthread_join(thread, nil) } }
      for _ in 0..<count {
        var thread = pthread_t()
        let result = pthread_create(&thread, attributes, { _ in nil }, nil)
        guard result == 0 else {
          let what = stated.map { " with a stack of \($0.bytes) bytes, as \($0.name) says," } ?? ""
          return
            "a thread\(what) cannot be started: \(String(cString: strerror(result))); look at the limits on processes and memory (ulimit -u, ulimit -v, pids.max of the control group)"
        }
        threads.append(thread)
      }
      return nil
    }

    /// The bytes of a stack's size as OpenMP reads it: a number of KiB, or of what its last letter says.
    static func bytes(_ text: String) -> Int? {
      var digits = text.filter { $0 != " " }.lowercased()
      let shifts: [Character: Int] = ["b": 0, "k": 10, "m": 20, "g": 30]
      let shift = digits.last.flatMap { shifts[$0] }
      if shift != nil { digits.removeLast() }
      guard let number = Int(digits), number > 0 else { return nil }
      let (bytes, overflow) = number.multipliedReportingOverflow(by: 1 << (shift ?? 10))
      return overflow ? .max : bytes
    }
  }
#endif
