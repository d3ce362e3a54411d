// Sums of flat vectors, and over them.
#ifndef CONVOY_KERNELS_VECTORS_H
#define CONVOY_KERNELS_VECTORS_H

#include "targets.h"

/// sum[i] = left[i] + right[i]; the sources may lie at any address, and sum may be one of them.
void convoy_add_f32(float *sum, const convoy_unaligned_float *left, const convoy_unaligned_float *right, size_t count);

/// values[i] *= factor.
void convoy_scale_f32(float *values, float factor, size_t count);

/// to[i] = from[i] / divisor; from may lie at any address.
void convoy_divide_f32(const convoy_unaligned_float *from, float divisor, float *to, size_t count);

/// to[i] = gradient[i] + factor * gradient[i] * gradient[i] * (now[i] - basis[i]): what a late gradient would be by now
/// (Zheng et al., "Asynchronous stochastic gradient descent with delay compensation", 2017). gradient may lie at any
/// address.
void convoy_compensate_f32(const convoy_unaligned_float *gradient, float factor, const float *now, const float *basis,
                           float *to, size_t count);

/// product[i] = left[i] * right[i]; in place where product is one of them.
void convoy_multiply_f32(const float *left, const float *right, float *product, size_t count);

/// rows[r][c] = columns[c][r] + bias[c] (bias may be NULL), then ReLU where asked: `columns` holds `column_count` runs of
/// `row_count` values.
void convoy_transpose_add_bias_f32(const float *columns, const float *bias, int relu, size_t row_count,
                                   size_t column_count, float *rows);

/// The sum of the values in fp64, added in one fixed order on every instruction set.
double convoy_sum_f32(const convoy_unaligned_float *values, size_t count);

/// The sum of the values' squares in fp64, likewise.
double convoy_squared_norm_f32(const convoy_unaligned_float *values, size_t count);

#endif
