#include "vectors.h"

#pragma STDC FP_CONTRACT OFF

CONVOY_CLONES
void convoy_add_f32(float *sum, const convoy_unaligned_float *left, const convoy_unaligned_float *right, size_t count) {
  CONVOY_INDEPENDENT
  for (size_t i = 0; i < count; i++) sum[i] = left[i] + right[i];
}

CONVOY_CLONES
void convoy_scale_f32(float *values, float factor, size_t count) {
  CONVOY_INDEPENDENT
  for (size_t i = 0; i < count; i++) values[i] *= factor;
}

CONVOY_CLONES
void convoy_divide_f32(const convoy_unaligned_float *from, float divisor, float *to, size_t count) {
  CONVOY_INDEPENDENT
  for (size_t i = 0; i < count; i++) to[i] = from[i] / divisor;
}

CONVOY_CLONES
void convoy_compensate_f32(const convoy_unaligned_float *gradient, float factor, const float *now, const float *basis,
                           float *to, size_t count) {
  CONVOY_INDEPENDENT
  for (size_t i = 0; i < count; i++) {
    const float g = gradient[i];
    to[i] = g + factor * g * g * (now[i] - basis[i]);
  }
}

CONVOY_CLONES void convoy_multiply_f32(const float *left, const float *right, float *product, size_t count) {
  for (size_t i = 0; i < count; i++) product[i] = left[i] * right[i];
}

CONVOY_CLONES void convoy_transpose_add_bias_f32(const float *columns, const float *bias, int relu, size_t row_count,
                                                 size_t column_count, float *rows) {
  // Tiles of a cache line's floats on both sides, so that neither is walked across.
  for (size_t first_row = 0; first_row < row_count; first_row += 16)
    for (size_t first = 0; first < column_count; first += 16)
      for (size_t row = first_row; row < row_count && row < first_row + 16; row++)
        for (size_t column = first; column < column_count && column < first + 16; column++) {
          float value = columns[column * row_count + row] + (bias ? bias[column] : 0);
          rows[row * column_count + column] = relu && value < 0 ? 0 : value;
        }
}

#define LANES 16

// Sixteen sums, of the elements whose index has the same remainder, added as a tree: an order that does not depend on
// how wide the machine's vectors are. The square of an fp32 number is exact in fp64.
#define REDUCE(term)                                       \
  double lanes[LANES] = {0};                               \
  size_t i = 0;                                            \
  for (; i + LANES <= count; i += LANES) {                 \
    for (size_t j = 0; j < LANES; j++) {                   \
      const double x = (double)values[i + j];              \
      lanes[j] += term;                                    \
    }                                                      \
  }                                                        \
  for (size_t j = 0; i < count; i++, j++) {                \
    const double x = (double)values[i];                    \
    lanes[j] += term;                                      \
  }                                                        \
  for (size_t half = LANES / 2; half > 0; half /= 2) {     \
    for (size_t j = 0; j < half; j++) lanes[j] += lanes[j + half]; \
  }                                                        \
  return lanes[0];

CONVOY_CLONES
double convoy_sum_f32(const convoy_unaligned_float *values, size_t count) { REDUCE(x) }

CONVOY_CLONES
double convoy_squared_norm_f32(const convoy_unaligned_float *values, size_t count) { REDUCE(x *x) }
