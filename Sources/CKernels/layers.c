#include "layers.h"

#include <math.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#pragma STDC FP_CONTRACT OFF

unsigned convoy_flush_denormals(void) {
#if defined(__x86_64__)
  unsigned mode = _mm_getcsr();
  _mm_setcsr(mode | 0x8040);
  return mode;
#else
  return 0;
#endif
}

void convoy_restore_denormals(unsigned mode) {
#if defined(__x86_64__)
  _mm_setcsr(mode);
#else
  (void)mode;
#endif
}

// The outputs whose window meets the input at one place of the kernel: those from *first up to *end.
static void valid_range(size_t extent, size_t outputs, size_t stride, size_t padding, size_t offset, size_t *first,
                        size_t *end) {
  *first = offset >= padding ? 0 : (padding - offset + stride - 1) / stride;
  *end = extent + padding > offset ? (extent + padding - offset - 1) / stride + 1 : 0;
  if (*end > outputs) *end = outputs;
  if (*first > *end) *first = *end;
}

#define CONVOY_TEMPLATE "layers_template.h"
#include "layers_formats.h"
