// Sums of flat vectors, and over them.
#ifndef CONVOY_KERNELS_VECTORS_H
#define CONVOY_KERNELS_VECTORS_H

#include "targets.h"

/// sum[i] = left[i] + right[i]; the sources may lie at any address, and sum may be one of them.
void convoy_add_f32(float *sum, const convoy_unaligned_float *left, const convoy_unaligned_float *right, size_t count);

/// The sum of the values in fp64, added in one fixed order on every instruction set.
double convoy_sum_f32(const convoy_unaligned_float *values, size_t count);

/// The sum of the values' squares in fp64, likewise.
double convoy_squared_norm_f32(const convoy_unaligned_float *values, size_t count);

#endif
