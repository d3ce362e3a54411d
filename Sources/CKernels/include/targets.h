// What every kernel file starts with: how its functions are compiled.
#ifndef CONVOY_KERNELS_TARGETS_H
#define CONVOY_KERNELS_TARGETS_H

#include <stddef.h>
#include <stdint.h>

// One function, compiled for several instruction sets and chosen when the library is loaded. Element-wise
// loops give the same bits in each, because contraction to fused multiply-add is off (see each .c file) and
// the order of a reduction is spelled out in its source.
#if defined(__x86_64__) && defined(__linux__)
#define CONVOY_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define CONVOY_CLONES
#endif

// Before a loop whose iterations touch one element of each vector, which are the same vector or do not overlap: without
// it the compiler's check at run time takes an update in place for an overlap, and the loop runs one element at a time.
#if defined(__clang__)
#define CONVOY_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define CONVOY_INDEPENDENT
#endif

// A float at any address: payloads of messages begin where the transport put them.
typedef float convoy_unaligned_float __attribute__((aligned(1)));

// A 16-bit number at any address.
typedef uint16_t convoy_unaligned_half __attribute__((aligned(1)));

#endif
