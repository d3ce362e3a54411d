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

// A float at any address: payloads of messages begin where the transport put them.
typedef float convoy_unaligned_float __attribute__((aligned(1)));

#endif
