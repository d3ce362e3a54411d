// The optimisers with a state for each parameter beside SGD. Each is one pass, element by element, in the order of
// operations that its comment spells: the same bits on every instruction set and for any split of a vector.
//
// In all of them w is from[i], which becomes to[i]; from and to may be the same; gradient may lie at any address;
// g = gradient[i] * scale + weight_decay * w, but for AdamW, where g = gradient[i] * scale.
#ifndef CONVOY_KERNELS_OPTIMIZERS_H
#define CONVOY_KERNELS_OPTIMIZERS_H

#include "targets.h"

/// Duchi et al. 2011, as PyTorch has it: h = h + g * g;  w = w - rate * (g / (sqrt(h) + epsilon)).
void convoy_adagrad_f32(const convoy_unaligned_float *gradient, float scale, float rate, float weight_decay,
                        float epsilon, const float *from, float *to, float *squares, size_t count);

/// Zeiler 2012: s = rho * s + (1 - rho) * g * g;  d = sqrt(u + epsilon) / sqrt(s + epsilon) * g;
/// u = rho * u + (1 - rho) * d * d;  w = w - rate * d. `rest` is 1 - rho, rounded once.
void convoy_adadelta_f32(const convoy_unaligned_float *gradient, float scale, float rate, float weight_decay,
                         float rho, float rest, float epsilon, const float *from, float *to, float *squares,
                         float *updates, size_t count);

/// Hinton's lecture 6e, as PyTorch has it: s = rho * s + (1 - rho) * g * g;  d = g / (sqrt(s) + epsilon);
/// with a velocity v = momentum * v + d and w = w - rate * v, without (NULL) w = w - rate * d.
void convoy_rmsprop_f32(const convoy_unaligned_float *gradient, float scale, float rate, float weight_decay,
                        float rho, float rest, float epsilon, float momentum, const float *from, float *to,
                        float *squares, float *velocity, size_t count);

/// What Adam's update number t decides, rounded once from double precision by the caller.
typedef struct {
  float rest1;            // 1 - beta1
  float beta2, rest2;     // beta2, 1 - beta2
  float rate;             // the learning rate / (1 - beta1^t)
  float root_correction;  // 1 / sqrt(1 - beta2^t)
  float epsilon;
} convoy_adam_step;

/// Kingma and Ba 2015, as PyTorch has it: m = m + (g - m) * rest1;  v = beta2 * v + rest2 * g * g;
/// w = w - rate * (m / (sqrt(v) * root_correction + epsilon)).
void convoy_adam_f32(const convoy_unaligned_float *gradient, float scale, const convoy_adam_step *step,
                     float weight_decay, const float *from, float *to, float *mean, float *squares, size_t count);

/// Loshchilov and Hutter 2019: Adam's step from w * shrink, where shrink is 1 - learning rate * weight decay.
void convoy_adamw_f32(const convoy_unaligned_float *gradient, float scale, const convoy_adam_step *step, float shrink,
                      const float *from, float *to, float *mean, float *squares, size_t count);

/// You et al. 2017, for a range of one tensor: v = momentum * v + trust * g;  w = w - rate * v.
void convoy_lars_f32(const convoy_unaligned_float *gradient, float scale, float rate, float momentum,
                     float weight_decay, float trust, const float *from, float *to, float *velocity, size_t count);

#endif
