// No include guard: included by layers_normalization.c once for each number format, with REAL, NAME and LOCAL defined.

// Sums `term`, an expression in the index k, over k < count, in sixteen lanes that are then added pairwise: one order,
// whatever the instruction set.
#define SUM_IN_LANES(result, term)                                      \
  REAL result;                                                          \
  {                                                                     \
    REAL lanes[16] = {0};                                               \
    size_t i = 0;                                                       \
    for (; i + 16 <= count; i += 16)                                    \
      for (size_t j = 0; j < 16; j++) {                                 \
        const size_t k = i + j;                                         \
        lanes[j] += (term);                                             \
      }                                                                 \
    for (size_t j = 0; i < count; i++, j++) {                           \
      const size_t k = i;                                               \
      lanes[j] += (term);                                               \
    }                                                                   \
    for (size_t half = 8; half > 0; half /= 2)                          \
      for (size_t j = 0; j < half; j++) lanes[j] += lanes[j + half];    \
    result = lanes[0];                                                  \
  }

static inline __attribute__((always_inline)) void LOCAL(moments)(const REAL *x, size_t count, size_t stride, REAL *mean,
                                                                 REAL *variance) {
  SUM_IN_LANES(sum, x[k * stride])
  const REAL m = sum / (REAL)count;
  SUM_IN_LANES(squares, (x[k * stride] - m) * (x[k * stride] - m))
  *mean = m;
  *variance = squares / (REAL)count;
}

CONVOY_CLONES
void NAME(moments)(const REAL *x, size_t count, size_t stride, REAL *mean, REAL *variance) {
  // A stride that the compiler knows lets it load whole vectors.
  if (stride == 1)
    LOCAL(moments)(x, count, 1, mean, variance);
  else
    LOCAL(moments)(x, count, stride, mean, variance);
}

CONVOY_CLONES
void NAME(scale_shift)(const REAL *x, REAL scale, REAL shift, size_t count, size_t stride, REAL *y) {
  if (stride == 1) {
    for (size_t k = 0; k < count; k++) y[k] = x[k] * scale + shift;
  } else {
    for (size_t k = 0; k < count; k++) y[k * stride] = x[k * stride] * scale + shift;
  }
}

static inline __attribute__((always_inline)) void LOCAL(batch_norm_backward)(const REAL *x, const REAL *dy, REAL mean,
                                                                             REAL inverse_deviation, REAL weight,
                                                                             size_t count, size_t stride, REAL *dx,
                                                                             REAL *dweight, REAL *dbias) {
  SUM_IN_LANES(sum, dy[k * stride])
  SUM_IN_LANES(products, dy[k * stride] * (x[k * stride] - mean))
  *dweight = products * inverse_deviation;
  *dbias = sum;
  if (!dx) return;
  const REAL scale = weight * inverse_deviation;
  const REAL mean_gradient = sum / (REAL)count;
  const REAL slope = products * inverse_deviation * inverse_deviation / (REAL)count;
  for (size_t k = 0; k < count; k++)
    dx[k * stride] = scale * (dy[k * stride] - mean_gradient - (x[k * stride] - mean) * slope);
}

CONVOY_CLONES
void NAME(batch_norm_backward)(const REAL *x, const REAL *dy, REAL mean, REAL inverse_deviation, REAL weight,
                               size_t count, size_t stride, REAL *dx, REAL *dweight, REAL *dbias) {
  if (stride == 1)
    LOCAL(batch_norm_backward)(x, dy, mean, inverse_deviation, weight, count, 1, dx, dweight, dbias);
  else
    LOCAL(batch_norm_backward)(x, dy, mean, inverse_deviation, weight, count, stride, dx, dweight, dbias);
}
#undef SUM_IN_LANES

CONVOY_CLONES
void NAME(sum_neighbour_channels)(const REAL *x, int squares, size_t channels, size_t channel, size_t reach,
                                  size_t count, REAL *sums) {
  const size_t first = channel > reach ? channel - reach : 0;
  const size_t end = channel + reach + 1 < channels ? channel + reach + 1 : channels;
  memset(sums, 0, count * sizeof(REAL));
  for (size_t c = first; c < end; c++) {
    const REAL *row = x + c * count;
    if (squares) {
      for (size_t i = 0; i < count; i++) sums[i] += row[i] * row[i];
    } else {
      for (size_t i = 0; i < count; i++) sums[i] += row[i];
    }
  }
}

void NAME(sum_neighbour_places)(const REAL *x, int squares, const convoy_window *window, size_t planes, size_t reach,
                                REAL *sums) {
  const convoy_window w = *window;
#define RANGE(name, index, extent)                          \
  const size_t name##0 = index > reach ? index - reach : 0; \
  const size_t name##1 = index + reach + 1 < extent ? index + reach + 1 : extent;
  for (size_t p = 0; p < planes; p++, x += w.depth * w.height * w.width)
    for (size_t z = 0; z < w.depth; z++) {
      RANGE(z, z, w.depth)
      for (size_t y = 0; y < w.height; y++) {
        RANGE(y, y, w.height)
        for (size_t column = 0; column < w.width; column++) {
          RANGE(x, column, w.width)
          REAL sum = 0;
          for (size_t iz = z0; iz < z1; iz++)
            for (size_t iy = y0; iy < y1; iy++)
              for (size_t ix = x0; ix < x1; ix++) {
                const REAL value = x[(iz * w.height + iy) * w.width + ix];
                sum += squares ? value * value : value;
              }
          *sums++ = sum;
        }
      }
    }
#undef RANGE
}

static inline REAL LOCAL(inverse_power)(REAL base, REAL exponent) {
  return sizeof(REAL) == 4 ? (REAL)powf((float)base, -(float)exponent) : (REAL)pow((double)base, -(double)exponent);
}

void NAME(response_norm)(const REAL *x, REAL k, REAL alpha, REAL beta, size_t count, REAL *sums, REAL *y) {
  for (size_t i = 0; i < count; i++) {
    sums[i] = k + alpha * sums[i];
    y[i] = x[i] * LOCAL(inverse_power)(sums[i], beta);
  }
}

void NAME(response_norm_backward)(const REAL *y, const REAL *dy, REAL beta, size_t count, REAL *scales, REAL *dx) {
  for (size_t i = 0; i < count; i++) {
    dx[i] = dy[i] * LOCAL(inverse_power)(scales[i], beta);
    scales[i] = dy[i] * y[i] / scales[i];
  }
}

CONVOY_CLONES
void NAME(subtract_product)(REAL *values, REAL factor, const REAL *a, const REAL *b, size_t count) {
  for (size_t i = 0; i < count; i++) values[i] -= factor * a[i] * b[i];
}
