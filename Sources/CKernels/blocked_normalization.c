#include "include/blocked_normalization.h"

#include "include/targets.h"

#pragma STDC FP_CONTRACT OFF

// Sixteen lanes of a place. Clang keeps them in registers as wide as the instruction set has.
typedef float lanes_t __attribute__((vector_size(64), aligned(4)));
typedef int32_t mask_t __attribute__((vector_size(64), aligned(4)));

// The same where a cache line begins.
typedef float line_t __attribute__((vector_size(64)));

#define LANES(pointer) (*(lanes_t *)(pointer))
#define CONST_LANES(pointer) (*(const lanes_t *)(pointer))

// Stores sixteen lanes, past the caches where asked: what is far larger than they are would only be read into them first
// and push out what is still needed.
#define STORE_LANES(pointer, value, is_streamed)                                       \
  do {                                                                                 \
    if (is_streamed)                                                                   \
      __builtin_nontemporal_store((line_t)(value), (line_t *)(void *)(pointer));       \
    else                                                                               \
      LANES(pointer) = (value);                                                        \
  } while (0)

// Places that are gone through at once: with a few hundred lanes they stay in the nearest cache.
enum { TILE = 32, WIDTH = 16 };

// For every tile of WIDTH lanes and at most TILE places of a part.
#define FOR_EACH_TILE                                              \
  for (size_t sample = part.first; sample < part.end; sample++)    \
    for (size_t place = 0; place < part.places; place += TILE)     \
      for (size_t lane = 0; lane < part.lanes; lane += WIDTH)

// Its places, and the index of its first element.
#define TILE_COUNT (part.places - place < TILE ? part.places - place : TILE)
#define TILE_START ((((sample * part.blocks + part.block) * part.places) + place) * part.lanes + lane)

// Macros, because a function that takes so wide a vector has another calling convention on each instruction set.
#define ADD_LANES(values, sums)                                                    \
  do {                                                                             \
    const lanes_t added = (values);                                                \
    for (size_t k = 0; k < WIDTH; k++) (sums)[k] += (double)added[k];              \
  } while (0)
#define WHERE_POSITIVE(condition, value) ((lanes_t)((mask_t)((condition) > 0) & (mask_t)(value)))

CONVOY_CLONES
void convoy_blocked_moments(const float *x, const float *shift, convoy_block part, double *sums, double *squares) {
  FOR_EACH_TILE {
    const size_t count = TILE_COUNT;
    const float *from = x + TILE_START;
    const lanes_t center = CONST_LANES(shift + lane);
    // Two of each, so that an addition need not wait for the one before.
    lanes_t sum0 = {0}, sum1 = {0}, square0 = {0}, square1 = {0};
    size_t i = 0;
    for (; i + 2 <= count; i += 2, from += 2 * part.lanes) {
      const lanes_t d0 = CONST_LANES(from) - center, d1 = CONST_LANES(from + part.lanes) - center;
      sum0 += d0;
      sum1 += d1;
      square0 += d0 * d0;
      square1 += d1 * d1;
    }
    if (i < count) {
      const lanes_t d = CONST_LANES(from) - center;
      sum0 += d;
      square0 += d * d;
    }
    ADD_LANES(sum0 + sum1, sums + lane);
    ADD_LANES(square0 + square1, squares + lane);
  }
}

// The flags are constants where it is inlined.
static inline __attribute__((always_inline)) void normalize(
    const float *x, const float *residual, const float *scale, const float *offset, int has_relu, int is_streamed,
    convoy_block part, float *y) {
  FOR_EACH_TILE {
    const size_t count = TILE_COUNT, start = TILE_START;
    const lanes_t factor = CONST_LANES(scale + lane), term = CONST_LANES(offset + lane);
    for (size_t i = 0, at = start; i < count; i++, at += part.lanes) {
      lanes_t v = CONST_LANES(x + at) * factor + term;
      if (residual) v += CONST_LANES(residual + at);
      if (has_relu) v = WHERE_POSITIVE(v, v);
      STORE_LANES(y + at, v, is_streamed);
    }
  }
}

// Calls with the flag as a constant.
#define FOR_EACH_STORE(call)         \
  if (part.is_streamed) {            \
    enum { is_streamed = 1 };        \
    call;                            \
  } else {                           \
    enum { is_streamed = 0 };        \
    call;                            \
  }

CONVOY_CLONES
void convoy_blocked_normalize(
    const float *x, const float *residual, const float *scale, const float *offset, int has_relu, convoy_block part,
    float *y) {
  if (residual && has_relu) {
    FOR_EACH_STORE(normalize(x, residual, scale, offset, 1, is_streamed, part, y))
  } else if (residual) {
    FOR_EACH_STORE(normalize(x, residual, scale, offset, 0, is_streamed, part, y))
  } else if (has_relu) {
    FOR_EACH_STORE(normalize(x, NULL, scale, offset, 1, is_streamed, part, y))
  } else {
    FOR_EACH_STORE(normalize(x, NULL, scale, offset, 0, is_streamed, part, y))
  }
}

// The gradient before the ReLU of sixteen lanes; which pointers are NULL is a constant where it is used.
#define MASKED_GRADIENT(result, value, multiplier, term)                                                   \
  lanes_t result = CONST_LANES(given.gradient + at);                                                  \
  if (given.other) result += CONST_LANES(given.other + at);                                           \
  if (given.output)                                                                                   \
    result = WHERE_POSITIVE(CONST_LANES(given.output + at), result);                                  \
  else if (given.scale)                                                                               \
    result = WHERE_POSITIVE((value) * (multiplier) + (term), result)

static inline __attribute__((always_inline)) void gradient_sums(
    const float *x, const float *mean, convoy_block_gradient given, convoy_block part, float *masked, double *sums,
    double *products) {
  FOR_EACH_TILE {
    const size_t count = TILE_COUNT, start = TILE_START;
    const lanes_t center = CONST_LANES(mean + lane), zero = {0};
    const lanes_t factor = given.scale ? CONST_LANES(given.scale + lane) : zero;
    const lanes_t term = given.scale ? CONST_LANES(given.offset + lane) : zero;
    lanes_t sum = {0}, product = {0};
    for (size_t i = 0, at = start; i < count; i++, at += part.lanes) {
      const lanes_t value = CONST_LANES(x + at);
      MASKED_GRADIENT(m, value, factor, term);
      if (masked) LANES(masked + at) = m;
      sum += m;
      product += m * (value - center);
    }
    ADD_LANES(sum, sums + lane);
    ADD_LANES(product, products + lane);
  }
}

static inline __attribute__((always_inline)) void gradient(
    const float *x, const float *mean, convoy_block_gradient given, const float *factors, const float *slopes,
    const float *constants, int is_streamed, convoy_block part, float *dx) {
  FOR_EACH_TILE {
    const size_t count = TILE_COUNT, start = TILE_START;
    const lanes_t center = CONST_LANES(mean + lane), zero = {0};
    const lanes_t scale = given.scale ? CONST_LANES(given.scale + lane) : zero;
    const lanes_t term = given.scale ? CONST_LANES(given.offset + lane) : zero;
    const lanes_t factor = CONST_LANES(factors + lane), slope = CONST_LANES(slopes + lane);
    const lanes_t constant = CONST_LANES(constants + lane);
    for (size_t i = 0, at = start; i < count; i++, at += part.lanes) {
      const lanes_t value = CONST_LANES(x + at);
      MASKED_GRADIENT(m, value, scale, term);
      const lanes_t result = factor * m + slope * (value - center) + constant;
      STORE_LANES(dx + at, result, is_streamed);
    }
  }
}

// Calls with what is NULL as a constant, so that loops are made for each kind of gradient.
#define FOR_EACH_KIND(call)                               \
  convoy_block_gradient kind = given;                     \
  if (given.output) {                                     \
    kind.scale = kind.offset = NULL;                      \
    if (given.other) {                                    \
      call;                                               \
    } else {                                              \
      kind.other = NULL;                                  \
      call;                                               \
    }                                                     \
  } else {                                                \
    kind.output = kind.other = NULL;                      \
    if (given.scale) {                                    \
      call;                                               \
    } else {                                              \
      kind.scale = kind.offset = NULL;                    \
      call;                                               \
    }                                                     \
  }

CONVOY_CLONES
void convoy_blocked_gradient_sums(
    const float *x, const float *mean, convoy_block_gradient given, convoy_block part, float *masked, double *sums,
    double *products) {
  if (masked) {
    FOR_EACH_KIND(gradient_sums(x, mean, kind, part, masked, sums, products))
  } else {
    FOR_EACH_KIND(gradient_sums(x, mean, kind, part, NULL, sums, products))
  }
}

CONVOY_CLONES
void convoy_blocked_gradient(
    const float *x, const float *mean, convoy_block_gradient given, const float *factor, const float *slope,
    const float *constant, convoy_block part, float *dx) {
  FOR_EACH_STORE(FOR_EACH_KIND(gradient(x, mean, kind, factor, slope, constant, is_streamed, part, dx)))
}
