#define _POSIX_C_SOURCE 200809L
#include "illegal.h"

#include <setjmp.h>
#include <signal.h>
#include <stddef.h>

static _Thread_local sigjmp_buf *way_out;

static void caught(int number) {
  if (way_out) siglongjmp(*way_out, 1);
  // Another thread's: the instruction is met again, and ends the process as it would have.
  signal(number, SIG_DFL);
}

int convoy_is_illegal(void (*body)(void *), void *context) {
  struct sigaction action = {.sa_handler = caught}, before;
  sigemptyset(&action.sa_mask);
  if (sigaction(SIGILL, &action, &before) != 0) return 0;
  sigjmp_buf place;
  volatile int is_illegal = 0;
  if (sigsetjmp(place, 1) == 0) {
    way_out = &place;
    body(context);
  } else {
    is_illegal = 1;
  }
  way_out = NULL;
  sigaction(SIGILL, &before, NULL);
  return is_illegal;
}
