// 16-bit forms of fp32 numbers. Both sides may lie at any address and must not overlap. Integer arithmetic decides all
// but fp16's subnormals: the same bits on every instruction set, and with denormals flushed to zero or not.
#ifndef CONVOY_KERNELS_CODECS_H
#define CONVOY_KERNELS_CODECS_H

#include "targets.h"

/// fp32 to bf16, rounded to nearest, ties to even. A NaN stays one, quiet, with the upper bits of its payload.
void convoy_f32_to_bf16(const convoy_unaligned_float *from, convoy_unaligned_half *to, size_t count);

/// bf16 to fp32, exact.
void convoy_bf16_to_f32(const convoy_unaligned_half *from, convoy_unaligned_float *to, size_t count);

/// fp32 to IEEE 754 binary16, rounded to nearest, ties to even, subnormals included; from 65520 on it is infinity. A NaN
/// stays one, quiet, with the upper bits of its payload: what VCVTPS2PH gives.
void convoy_f32_to_f16(const convoy_unaligned_float *from, convoy_unaligned_half *to, size_t count);

/// IEEE 754 binary16 to fp32, exact; a NaN becomes quiet.
void convoy_f16_to_f32(const convoy_unaligned_half *from, convoy_unaligned_float *to, size_t count);

#endif
