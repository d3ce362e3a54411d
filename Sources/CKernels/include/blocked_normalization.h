#ifndef CONVOY_KERNELS_BLOCKED_NORMALIZATION_H
#define CONVOY_KERNELS_BLOCKED_NORMALIZATION_H

#include <stddef.h>

// Batch normalisation of tensors whose channels lie in blocks: element (sample, block, place, lane) is at
// ((sample · blocks + block) · places + place) · lanes + lane, and channel block · lanes + lane has it. With 16 lanes
// that is oneDNN's nChw16c, with one block the channels-last layout. Lanes come in multiples of 16.
//
// Each function takes one block of a range of samples, so that threads may share a tensor by blocks or by samples.

typedef struct {
  size_t blocks, places, lanes;
  // The block, and the first sample and the one after the last.
  size_t block, first, end;
  // Whether results are stored past the caches; they then begin on a cache line.
  int is_streamed;
} convoy_block;

// Adds to `sums` each lane's x − shift, and to `squares` its square.
void convoy_blocked_moments(const float *x, const float *shift, convoy_block part, double *sums, double *squares);

// y = x · scale + offset, of each lane its own; plus the residual where there is one; ReLU where asked.
void convoy_blocked_normalize(
    const float *x, const float *residual, const float *scale, const float *offset, int has_relu, convoy_block part,
    float *y);

// What the gradient of a normalisation's output is made from.
typedef struct {
  // The output's gradient, and another that is added to it, or NULL.
  const float *gradient, *other;
  // Of the forward pass: where a residual was added and a ReLU followed, the output, whose zeros mask; else NULL.
  const float *output;
  // Of a ReLU without a residual: the forward pass's factors, from which the mask is computed again; else NULL.
  const float *scale, *offset;
} convoy_block_gradient;

// Adds to `sums` each lane's masked gradient m, and to `products` m · (x − mean); stores m in `masked` unless NULL.
void convoy_blocked_gradient_sums(
    const float *x, const float *mean, convoy_block_gradient given, convoy_block part, float *masked, double *sums,
    double *products);

// dx = factor · m + slope · (x − mean) + constant, with the masked gradient m, of each lane its own.
void convoy_blocked_gradient(
    const float *x, const float *mean, convoy_block_gradient given, const float *factor, const float *slope,
    const float *constant, convoy_block part, float *dx);

#endif
