// Counts a thread's allocations, for tests of code that must not allocate. Linked into a test bundle, it stands in
// front of the C library's allocator for the whole process; a thread that does not count pays for one comparison.
#ifndef CONVOY_ALLOCATION_COUNTER_H
#define CONVOY_ALLOCATION_COUNTER_H

#include <stddef.h>

/// Begins to count the calling thread's calls of malloc, calloc, realloc and the aligned ones.
void convoy_count_allocations(void);

/// Ends counting and returns the number, without calls made by a library whose file name contains one of the words of
/// `excluded`, which are separated by spaces.
size_t convoy_allocations_except(const char *excluded);

#endif
