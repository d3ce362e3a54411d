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
  const size_t missing = offset >= padding ? 0 : padding - offset;
  const size_t reach = extent + padding > offset ? extent + padding - offset : 0;
  // Divisions are slow enough to be seen in a profile.
  *first = stride == 1 ? missing : (missing + stride - 1) / stride;
  *end = stride == 1 ? reach : (reach + stride - 1) / stride;
  if (*end > outputs) *end = outputs;
  if (*first > *end) *first = *end;
}

// Where one place of a kernel meets a plane: rows of inputs and of outputs, and where the first of each begins.
typedef struct overlap {
  size_t rows, count, input, output;
  int is_whole;
} overlap;

static overlap find_overlap(const convoy_window *w, size_t ky, size_t kx) {
  size_t y0, y1, x0, x1;
  valid_range(w->height, w->output_height, w->stride_height, w->padding_height, ky * w->dilation_height, &y0, &y1);
  valid_range(w->width, w->output_width, w->stride_width, w->padding_width, kx * w->dilation_width, &x0, &x1);
  const size_t row = y0 * w->stride_height + ky * w->dilation_height - w->padding_height;
  const size_t column = x0 * w->stride_width + kx * w->dilation_width - w->padding_width;
  return (overlap){.rows = y1 - y0,
                   .count = x1 - x0,
                   .input = row * w->width + column,
                   .output = y0 * w->output_width + x0,
                   .is_whole = x0 == 0 && x1 == w->output_width && y0 == 0 && y1 == w->output_height};
}

#define CONVOY_TEMPLATE "layers_template.h"
#include "layers_formats.h"
