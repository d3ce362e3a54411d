#include <zmq.h>

// What wakes a thread that waits in zmq_poll; Swift's Glibc module leaves it out.
#include <sys/eventfd.h>
