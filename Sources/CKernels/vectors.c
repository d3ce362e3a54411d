#include "vectors.h"

#pragma STDC FP_CONTRACT OFF

CONVOY_CLONES
void convoy_add_f32(float *sum, const convoy_unaligned_float *left, const convoy_unaligned_float *right, size_t count) {
  CONVOY_INDEPENDENT
  for (size_t i = 0; i < count; i++) sum[i] = left[i] + right[i];
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
