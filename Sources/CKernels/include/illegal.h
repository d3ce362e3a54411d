// Whether this processor has the instructions that somebody else's code consists of.
#ifndef CONVOY_KERNELS_ILLEGAL_H
#define CONVOY_KERNELS_ILLEGAL_H

/// Runs `body` on the calling thread with SIGILL caught; whether it came. What the body had begun then stays as it is.
int convoy_is_illegal(void (*body)(void *), void *context);

#endif
