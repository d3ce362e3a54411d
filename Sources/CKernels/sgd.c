#include "sgd.h"

// The same bits on every instruction set: no operation may be fused with another.
#pragma STDC FP_CONTRACT OFF

CONVOY_CLONES
static void sgd_plain(const convoy_unaligned_float *gradient, float scale, float rate, float weight_decay,
                      const float *from, float *to, size_t count) {
  CONVOY_INDEPENDENT
  for (size_t i = 0; i < count; i++) {
    float g = gradient[i] * scale + weight_decay * from[i];
    to[i] = from[i] - rate * g;
  }
}

CONVOY_CLONES
static void sgd_momentum(const convoy_unaligned_float *gradient, float scale, float rate, float momentum,
                         float weight_decay, const float *from, float *to, float *velocity, size_t count) {
  CONVOY_INDEPENDENT
  for (size_t i = 0; i < count; i++) {
    float g = gradient[i] * scale + weight_decay * from[i];
    float v = momentum * velocity[i] + g;
    velocity[i] = v;
    to[i] = from[i] - rate * v;
  }
}

CONVOY_CLONES
static void sgd_nesterov(const convoy_unaligned_float *gradient, float scale, float rate, float momentum,
                         float weight_decay, const float *from, float *to, float *velocity, size_t count) {
  CONVOY_INDEPENDENT
  for (size_t i = 0; i < count; i++) {
    float g = gradient[i] * scale + weight_decay * from[i];
    float v = momentum * velocity[i] + g;
    velocity[i] = v;
    to[i] = from[i] - rate * (g + momentum * v);
  }
}

void convoy_sgd_f32(const convoy_unaligned_float *gradient, float scale, float rate, float momentum, int nesterov,
                    float weight_decay, const float *from, float *to, float *velocity, size_t count) {
  if (!velocity) {
    sgd_plain(gradient, scale, rate, weight_decay, from, to, count);
  } else if (nesterov) {
    sgd_nesterov(gradient, scale, rate, momentum, weight_decay, from, to, velocity, count);
  } else {
    sgd_momentum(gradient, scale, rate, momentum, weight_decay, from, to, velocity, count);
  }
}
