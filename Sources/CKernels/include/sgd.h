// Stochastic gradient descent on a flat vector.
#ifndef CONVOY_KERNELS_SGD_H
#define CONVOY_KERNELS_SGD_H

#include "targets.h"

/// One update, in one pass, element by element:
///   g = gradient * scale + weight_decay * from;  v = momentum * v + g;  to = from - rate * (nesterov ? g + momentum * v : v)
/// velocity may be NULL, and then momentum is not read. from and to may be the same; gradient may lie at any address.
void convoy_sgd_f32(const convoy_unaligned_float *gradient, float scale, float rate, float momentum, int nesterov,
                    float weight_decay, const float *from, float *to, float *velocity, size_t count);

#endif
