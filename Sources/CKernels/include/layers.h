// The loops of layers, for float (f32) and double (f64). Spatial activations are channel-major: element
// (channel, image, place) of n images with planes of P places lies at (channel * n + image) * P + place.
#ifndef CONVOY_KERNELS_LAYERS_H
#define CONVOY_KERNELS_LAYERS_H

#include "targets.h"

// Before a loop over elements that may work in place: what overlaps is the same element, so vectors are safe. Without it
// the compiler's own check for overlap sends every call in place to a loop over single elements.
#define CONVOY_IN_PLACE _Pragma("clang loop vectorize(assume_safety)")

/// A window that moves over a volume (a plane is a volume of depth 1, a line one of height 1 too): extents, strides,
/// places before and after the volume, dilation, and what it gives.
typedef struct {
  size_t depth, height, width;
  size_t kernel_depth, kernel_height, kernel_width;
  size_t stride_depth, stride_height, stride_width;
  size_t padding_depth, padding_height, padding_width;
  size_t end_padding_depth, end_padding_height, end_padding_width;
  size_t dilation_depth, dilation_height, dilation_width;
  size_t output_depth, output_height, output_width;
} convoy_window;

/// A part of a tensor of five dimensions: element i of `to` is element i + start of `from`, where there is one.
typedef struct {
  size_t from[5], to[5];
  ptrdiff_t start[5];
} convoy_region;

/// What a softmax cross-entropy takes into account besides the logits: class_weights is NULL for all 1.
typedef struct {
  size_t classes, places;
  const float *class_weights;
  double smoothing, factor;
  int has_ignored;
  int32_t ignored;
} convoy_softmax_loss;

/// Which function of an element and its target element_loss computes.
enum { CONVOY_LOSS_SIGMOID, CONVOY_LOSS_L2, CONVOY_LOSS_L1, CONVOY_LOSS_SMOOTH_L1 };

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
