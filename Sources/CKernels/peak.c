#include "peak.h"

#pragma STDC FP_CONTRACT OFF

typedef float wide __attribute__((vector_size(64)));
typedef float middle __attribute__((vector_size(32)));
typedef float narrow __attribute__((vector_size(16)));

// Twelve sums that do not wait for each other: two units with a latency of four to five cycles need eight to ten.
#define CONVOY_PEAK_LOOP(name, vector, fma)                                             \
  static size_t name(size_t rounds, float *sink) {                                      \
    const vector factor = (vector){} + *sink, addend = (vector){} + 0x1p-20f;           \
    vector sums[12];                                                                    \
    for (int i = 0; i < 12; i++) sums[i] = (vector){} + (float)i;                       \
    for (size_t round = 0; round < rounds; round++) {                                   \
      _Pragma("clang loop unroll(full)") for (int i = 0; i < 12; i++) sums[i] = fma;    \
    }                                                                                   \
    vector total = sums[0];                                                             \
    for (int i = 1; i < 12; i++) total += sums[i];                                      \
    *sink = total[0];                                                                   \
    return rounds * 12 * 2 * (sizeof(vector) / sizeof(float));                          \
  }

#if defined(__x86_64__)
// target_clones has no set with fused multiply-add between SSE2 and AVX-512, so the choice is spelled out.
__attribute__((target("avx512f")))
CONVOY_PEAK_LOOP(peak_avx512, wide, __builtin_elementwise_fma(sums[i], factor, addend))
__attribute__((target("avx2,fma")))
CONVOY_PEAK_LOOP(peak_avx2, middle, __builtin_elementwise_fma(sums[i], factor, addend))
#endif
CONVOY_PEAK_LOOP(peak_plain, narrow, sums[i] * factor + addend)

size_t convoy_peak_f32(size_t rounds, float *sink) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return peak_avx512(rounds, sink);
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return peak_avx2(rounds, sink);
#endif
  return peak_plain(rounds, sink);
}
