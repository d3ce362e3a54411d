#include "include/columns.h"

#include <string.h>

#include "include/targets.h"

#pragma STDC FP_CONTRACT OFF

// For every row of every window: `inside` numbers at `at` of the sample, which begin `skipped` numbers into the row's
// `length`. What lies outside the sample is not inside.
#define FOR_EACH_WINDOW_ROW                                                                                  \
  const size_t length = window.kernel_width * window.channels;                                               \
  for (size_t y = 0; y < window.output_height; y++)                                                          \
    for (size_t x = 0; x < window.output_width; x++)                                                         \
      for (size_t k = 0; k < window.kernel_height; k++, columns += length)

#define WINDOW_ROW                                                                                           \
  const size_t row = y * window.stride_height + k, column = x * window.stride_width;                         \
  const int is_outside = row < window.top || row - window.top >= window.height;                              \
  const size_t before = column < window.left ? window.left - column : 0;                                     \
  const size_t end = column + window.kernel_width, last = window.left + window.width;                        \
  const size_t after = end > last ? end - last : 0;                                                          \
  const int is_empty = is_outside || before + after >= window.kernel_width;                                  \
  const size_t skipped = before * window.channels;                                                           \
  const size_t inside = is_empty ? 0 : length - skipped - after * window.channels;                           \
  const size_t at =                                                                                          \
      is_empty ? 0 : ((row - window.top) * window.width + column + before - window.left) * window.channels

void convoy_windows_from_sample(const float *sample, convoy_sample_window window, float *columns) {
  FOR_EACH_WINDOW_ROW {
    WINDOW_ROW;
    if (inside < length) memset(columns, 0, length * sizeof(float));
    if (inside > 0) memcpy(columns + skipped, sample + at, inside * sizeof(float));
  }
}

CONVOY_CLONES
void convoy_sample_from_windows(const float *columns, convoy_sample_window window, float *sample) {
  memset(sample, 0, window.height * window.width * window.channels * sizeof(float));
  FOR_EACH_WINDOW_ROW {
    WINDOW_ROW;
    const float *from = columns + skipped;
    float *to = sample + at;
    CONVOY_INDEPENDENT
    for (size_t i = 0; i < inside; i++) to[i] += from[i];
  }
}
