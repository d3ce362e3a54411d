#include "codecs.h"

#pragma STDC FP_CONTRACT OFF

static inline uint32_t bits_of(float value) {
  uint32_t bits;
  __builtin_memcpy(&bits, &value, sizeof bits);
  return bits;
}

static inline float float_of(uint32_t bits) {
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}

#define QUIET_F32 0x00400000u
#define INFINITY_F32 0x7f800000u

CONVOY_CLONES
void convoy_f32_to_bf16(const convoy_unaligned_float *from, convoy_unaligned_half *to, size_t count) {
  CONVOY_INDEPENDENT
  for (size_t i = 0; i < count; i++) {
    const uint32_t x = bits_of(from[i]);
    const uint32_t rounded = x + 0x7fff + ((x >> 16) & 1);
    to[i] = (uint16_t)(((x & 0x7fffffff) > INFINITY_F32 ? x | QUIET_F32 : rounded) >> 16);
  }
}

CONVOY_CLONES
void convoy_bf16_to_f32(const convoy_unaligned_half *from, convoy_unaligned_float *to, size_t count) {
  CONVOY_INDEPENDENT
  for (size_t i = 0; i < count; i++) to[i] = float_of((uint32_t)from[i] << 16);
}

CONVOY_CLONES
void convoy_f32_to_f16(const convoy_unaligned_float *from, convoy_unaligned_half *to, size_t count) {
  CONVOY_INDEPENDENT
  for (size_t i = 0; i < count; i++) {
    const uint32_t x = bits_of(from[i]);
    const uint32_t size = x & 0x7fffffff;
    // The exponent moves from bias 127 to 15; a carry out of the mantissa moves it on, up to infinity.
    const uint32_t normal = (size - (112u << 23) + 0xfff + ((size >> 13) & 1)) >> 13;
    // Numbers from 0.5 to 1 lie 2^-24 apart, as fp16's subnormals do: the addition rounds to them.
    const uint32_t subnormal = bits_of(float_of(size) + 0.5f) - bits_of(0.5f);
    const uint32_t not_a_number = 0x7e00 | ((size >> 13) & 0x3ff);
    uint32_t half = size < 0x38800000 ? subnormal : normal;
    half = size >= 0x47800000 ? 0x7c00 : half;
    half = size > INFINITY_F32 ? not_a_number : half;
    to[i] = (uint16_t)(half | ((x >> 16) & 0x8000));
  }
}

CONVOY_CLONES
void convoy_f16_to_f32(const convoy_unaligned_half *from, convoy_unaligned_float *to, size_t count) {
  CONVOY_INDEPENDENT
  for (size_t i = 0; i < count; i++) {
    const uint32_t x = from[i];
    const uint32_t size = x & 0x7fff;
    const uint32_t normal = (size << 13) + (112u << 23);
    const uint32_t subnormal = bits_of((float)(int32_t)size * 0x1p-24f);
    const uint32_t special = (size << 13) | INFINITY_F32 | (size > 0x7c00 ? QUIET_F32 : 0);
    uint32_t bits = size < 0x0400 ? subnormal : normal;
    bits = size >= 0x7c00 ? special : bits;
    to[i] = float_of(bits | ((x & 0x8000) << 16));
  }
}
