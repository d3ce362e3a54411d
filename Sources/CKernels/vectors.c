#include "vectors.h"

#pragma STDC FP_CONTRACT OFF

CONVOY_CLONES
void convoy_add_f32(float *sum, const convoy_unaligned_float *left, const convoy_unaligned_float *right, size_t count) {
  for (size_t i = 0; i < count; i++) sum[i] = left[i] + right[i];
}
