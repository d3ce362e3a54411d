#ifndef CONVOY_COPENBLAS_SHIM_H
#define CONVOY_COPENBLAS_SHIM_H

#include <cblas.h>

/// Makes products, small and large, of 96 × 96 floats: `numbers` has room for three such matrices.
static inline void convoy_openblas_try(void *numbers) {
  enum { n = 96 };
  float *matrices = (float *)numbers;
  for (int size = 4; size <= n; size += n - 4)
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, size, size, size, 1, matrices, n, matrices + n * n, n, 0,
                matrices + 2 * n * n, n);
}

#endif
