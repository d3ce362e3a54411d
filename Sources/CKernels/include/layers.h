// The loops of layers, for float (f32) and double (f64). Spatial activations are channel-major: element
// (channel, image, place) of n images with planes of P places lies at (channel * n + image) * P + place.
#ifndef CONVOY_KERNELS_LAYERS_H
#define CONVOY_KERNELS_LAYERS_H

#include "targets.h"

/// A window that moves over a plane: extents, strides, padding on both sides, dilation, and what it gives.
typedef struct {
  size_t height, width;
  size_t kernel_height, kernel_width;
  size_t stride_height, stride_width;
  size_t padding_height, padding_width;
  size_t dilation_height, dilation_width;
  size_t output_height, output_width;
} convoy_window;

#define REAL float
#define NAME(name) convoy_##name##_f32
#include "layers_declarations.h"
#undef REAL
#undef NAME

#define REAL double
#define NAME(name) convoy_##name##_f64
#include "layers_declarations.h"
#undef REAL
#undef NAME

/// Makes this thread treat denormal numbers as zero, which convolutions are 40 times faster with; returns the mode
/// before, for convoy_restore_denormals.
unsigned convoy_flush_denormals(void);
void convoy_restore_denormals(unsigned mode);

#endif
