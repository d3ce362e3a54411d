import Glibc

/// What a process inherits from whoever started it, whatever that is, made into what this program needs.
package enum InheritedState {
  /// Most descriptors that the program asks for, where its limit may be raised.
  private static let wantedDescriptors: rlim_t = 65_536

  /// To be called first, before anything else opens a descriptor or starts a thread.
  package static func settle() {
    openStandardDescriptors()
    settleSignals()
    // The owner of files may always use them; what others may is the person's choice.
    let mask = umask(0o077)
    umask(mask & 0o077)
    raiseDescriptorLimit()
  }

  /// Where standard input, output or error are closed, the next files that are opened would be taken for them.
  private static func openStandardDescriptors() {
    for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) < 0 {
      // The lowest that is free is this one: those below it are open by now.
      _ = open("/dev/null", O_RDWR)
    }
  }

  /// Whoever ignores SIGCHLD never hears how a child ended; a signal that is blocked asks nothing.
  ///
  /// SIGHUP stays ignored where it is: `nohup` wants that.
  private static func settleSignals() {
    signal(SIGCHLD, SIG_DFL)
    // What cannot be written, because its reader has gone or a limit is reached, is an error of the write.
    signal(SIGPIPE, SIG_IGN)
    signal(SIGXFSZ, SIG_IGN)
    var none = sigset_t()
    sigemptyset(&none)
    pthread_sigmask(SIG_SETMASK, &none, nil)
  }

  /// Each connection takes a descriptor or two; shells grant 1024 and allow more.
  private static func raiseDescriptorLimit() {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    let wanted = min(limit.rlim_max, wantedDescriptors)
    guard limit.rlim_cur < wanted else { return }
    limit.rlim_cur = wanted
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  }
}
