#include "optimizers.h"

// The same bits on every instruction set: no operation may be fused with another.
#pragma STDC FP_CONTRACT OFF

// The square root as one correctly rounded instruction, without errno, which would keep a loop from being vectorised.
#define ROOT(x) __builtin_elementwise_sqrt(x)

CONVOY_CLONES
void convoy_adagrad_f32(const convoy_unaligned_float *gradient, float scale, float rate, float weight_decay,
                        float epsilon, const float *from, float *to, float *squares, size_t count) {
  CONVOY_INDEPENDENT
  for (size_t i = 0; i < count; i++) {
    const float w = from[i];
    const float g = gradient[i] * scale + weight_decay * w;
    const float h = squares[i] + g * g;
    squares[i] = h;
    to[i] = w - rate * (g / (ROOT(h) + epsilon));
  }
}

CONVOY_CLONES
void convoy_adadelta_f32(const convoy_unaligned_float *gradient, float scale, float rate, float weight_decay,
                         float rho, float rest, float epsilon, const float *from, float *to, float *squares,
                         float *updates, size_t count) {
  CONVOY_INDEPENDENT
  for (size_t i = 0; i < count; i++) {
    const float w = from[i];
    const float g = gradient[i] * scale + weight_decay * w;
    const float s = rho * squares[i] + rest * g * g;
    const float u = updates[i];
    const float d = ROOT(u + epsilon) / ROOT(s + epsilon) * g;
    squares[i] = s;
    updates[i] = rho * u + rest * d * d;
    to[i] = w - rate * d;
  }
}

CONVOY_CLONES
static void rmsprop_plain(const convoy_unaligned_float *gradient, float scale, float rate, float weight_decay,
                          float rho, float rest, float epsilon, const float *from, float *to, float *squares,
                          size_t count) {
  CONVOY_INDEPENDENT
  for (size_t i = 0; i < count; i++) {
    const float w = from[i];
    const float g = gradient[i] * scale + weight_decay * w;
    const float s = rho * squares[i] + rest * g * g;
    squares[i] = s;
    to[i] = w - rate * (g / (ROOT(s) + epsilon));
  }
}

CONVOY_CLONES
static void rmsprop_momentum(const convoy_unaligned_float *gradient, float scale, float rate, float weight_decay,
                             float rho, float rest, float epsilon, float momentum, const float *from, float *to,
                             float *squares, float *velocity, size_t count) {
  CONVOY_INDEPENDENT
  for (size_t i = 0; i < count; i++) {
    const float w = from[i];
    const float g = gradient[i] * scale + weight_decay * w;
    const float s = rho * squares[i] + rest * g * g;
    const float v = momentum * velocity[i] + g / (ROOT(s) + epsilon);
    squares[i] = s;
    velocity[i] = v;
    to[i] = w - rate * v;
  }
}

void convoy_rmsprop_f32(const convoy_unaligned_float *gradient, float scale, float rate, float weight_decay,
                        float rho, float rest, float epsilon, float momentum, const float *from, float *to,
                        float *squares, float *velocity, size_t count) {
  if (velocity) {
    rmsprop_momentum(gradient, scale, rate, weight_decay, rho, rest, epsilon, momentum, from, to, squares, velocity,
                     count);
  } else {
    rmsprop_plain(gradient, scale, rate, weight_decay, rho, rest, epsilon, from, to, squares, count);
  }
}

CONVOY_CLONES
void convoy_adam_f32(const convoy_unaligned_float *gradient, float scale, const convoy_adam_step *step,
                     float weight_decay, const float *from, float *to, float *mean, float *squares, size_t count) {
  const convoy_adam_step s = *step;
  CONVOY_INDEPENDENT
  for (size_t i = 0; i < count; i++) {
    const float w = from[i];
    const float g = gradient[i] * scale + weight_decay * w;
    const float m = mean[i] + (g - mean[i]) * s.rest1;
    const float v = s.beta2 * squares[i] + s.rest2 * g * g;
    mean[i] = m;
    squares[i] = v;
    to[i] = w - s.rate * (m / (ROOT(v) * s.root_correction + s.epsilon));
  }
}

CONVOY_CLONES
void convoy_adamw_f32(const convoy_unaligned_float *gradient, float scale, const convoy_adam_step *step, float shrink,
                      const float *from, float *to, float *mean, float *squares, size_t count) {
  const convoy_adam_step s = *step;
  CONVOY_INDEPENDENT
  for (size_t i = 0; i < count; i++) {
    const float w = from[i];
    const float g = gradient[i] * scale;
    const float m = mean[i] + (g - mean[i]) * s.rest1;
    const float v = s.beta2 * squares[i] + s.rest2 * g * g;
    mean[i] = m;
    squares[i] = v;
    to[i] = w * shrink - s.rate * (m / (ROOT(v) * s.root_correction + s.epsilon));
  }
}

CONVOY_CLONES
void convoy_lars_f32(const convoy_unaligned_float *gradient, float scale, float rate, float momentum,
                     float weight_decay, float trust, const float *from, float *to, float *velocity, size_t count) {
  CONVOY_INDEPENDENT
  for (size_t i = 0; i < count; i++) {
    const float w = from[i];
    const float g = gradient[i] * scale + weight_decay * w;
    const float v = momentum * velocity[i] + trust * g;
    velocity[i] = v;
    to[i] = w - rate * v;
  }
}
