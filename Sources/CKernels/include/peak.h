// What this processor computes at most: a measure for benchmarks.
#ifndef CONVOY_KERNELS_PEAK_H
#define CONVOY_KERNELS_PEAK_H

#include "targets.h"

/// Multiplies and adds floats in registers, `rounds` times a dozen vectors, with the widest instructions that there are;
/// `sink` takes a number that depends on all of it. Returns the floating-point operations that it took: 2 for each
/// element of a fused multiply-add.
size_t convoy_peak_f32(size_t rounds, float *sink);

#endif
