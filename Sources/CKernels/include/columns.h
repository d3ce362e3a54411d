#ifndef CONVOY_KERNELS_COLUMNS_H
#define CONVOY_KERNELS_COLUMNS_H

#include <stddef.h>

// What a convolution's window reads of one sample whose places lie row by row, a place's channels next to each other.
typedef struct {
  size_t height, width, channels, kernel_height, kernel_width, stride_height, stride_width;
  // Padding before the first row and column.
  size_t top, left;
  size_t output_height, output_width;
} convoy_sample_window;

// The windows of all places of the output, one after the other: each kernel row by row, zeros outside the sample.
void convoy_windows_from_sample(const float *sample, convoy_sample_window window, float *columns);

// Sets the sample to what the windows of all places add up to.
void convoy_sample_from_windows(const float *columns, convoy_sample_window window, float *sample);

#endif
