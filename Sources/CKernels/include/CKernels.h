// The loops over numbers that the compiler vectorises. No function here allocates, keeps state or checks its
// arguments: the Swift side does that, once for a whole tensor.
#ifndef CONVOY_KERNELS_H
#define CONVOY_KERNELS_H

#include "blocked_normalization.h"
#include "codecs.h"
#include "columns.h"
#include "crc32c.h"
#include "illegal.h"
#include "layers.h"
#include "optimizers.h"
#include "peak.h"
#include "sgd.h"
#include "vectors.h"

#endif
