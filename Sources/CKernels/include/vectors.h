// Sums of flat vectors.
#ifndef CONVOY_KERNELS_VECTORS_H
#define CONVOY_KERNELS_VECTORS_H

#include "targets.h"

/// sum[i] = left[i] + right[i]; the sources may lie at any address, and sum may be one of them.
void convoy_add_f32(float *sum, const convoy_unaligned_float *left, const convoy_unaligned_float *right, size_t count);

#endif
