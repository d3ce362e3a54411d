// No include guard: included by layers.c once for each number format, with REAL, NAME and LOCAL defined.

// Rows of an output plane are short: a copy of a length known to the compiler is a few instructions, a call is not.
static inline void LOCAL(copy_row)(REAL *to, const REAL *from, size_t count) {
  switch (count) {
    case 4: memcpy(to, from, 4 * sizeof(REAL)); break;
    case 8: memcpy(to, from, 8 * sizeof(REAL)); break;
    case 10: memcpy(to, from, 10 * sizeof(REAL)); break;
    case 16: memcpy(to, from, 16 * sizeof(REAL)); break;
    case 24: memcpy(to, from, 24 * sizeof(REAL)); break;
    case 28: memcpy(to, from, 28 * sizeof(REAL)); break;
    case 32: memcpy(to, from, 32 * sizeof(REAL)); break;
    default: memcpy(to, from, count * sizeof(REAL));
  }
}

// Copies rows of a plane. Their length is chosen once, outside of the loop, so that a row is a few vector moves.
static inline __attribute__((always_inline)) void LOCAL(copy_rows)(REAL *to, size_t to_stride, const REAL *from,
                                                                   size_t from_stride, size_t rows, size_t count) {
#define ROWS(n) \
  case n: \
    for (size_t y = 0; y < rows; y++) memcpy(to + y * to_stride, from + y * from_stride, n * sizeof(REAL)); \
    break;
  switch (count) {
    ROWS(4) ROWS(6) ROWS(7) ROWS(8) ROWS(10) ROWS(12) ROWS(14) ROWS(15) ROWS(16) ROWS(24) ROWS(28) ROWS(31) ROWS(32)
    default:
      for (size_t y = 0; y < rows; y++) memcpy(to + y * to_stride, from + y * from_stride, count * sizeof(REAL));
  }
#undef ROWS
}

// Adds rows to those of a plane; as above.
static inline __attribute__((always_inline)) void LOCAL(add_rows)(REAL *to, size_t to_stride, const REAL *from,
                                                                  size_t from_stride, size_t rows, size_t count) {
#define ROWS(n) \
  case n: \
    for (size_t y = 0; y < rows; y++) { \
      REAL *restrict sum = to + y * to_stride; \
      const REAL *restrict term = from + y * from_stride; \
      for (size_t i = 0; i < n; i++) sum[i] += term[i]; \
    } \
    break;
  switch (count) {
    ROWS(4) ROWS(7) ROWS(8) ROWS(10) ROWS(14) ROWS(15) ROWS(16) ROWS(24) ROWS(28) ROWS(32)
    default:
      for (size_t y = 0; y < rows; y++) {
        REAL *restrict sum = to + y * to_stride;
        const REAL *restrict term = from + y * from_stride;
        for (size_t i = 0; i < count; i++) sum[i] += term[i];
      }
  }
#undef ROWS
}

// The columns of one place of the kernel for one plane of outputs; `from` is the plane of inputs that it meets.
static inline __attribute__((always_inline)) void LOCAL(plane_to_columns)(const REAL *from, const convoy_window *window,
                                                                          const overlap *overlap, REAL *columns) {
  const convoy_window w = *window;
  const struct overlap o = *overlap;
  if (!o.is_whole) memset(columns, 0, w.output_height * w.output_width * sizeof(REAL));
  if (o.rows == 0 || o.count == 0) return;
  const REAL *first = from + o.input;
  if (w.stride_width == 1) {
    LOCAL(copy_rows)(columns + o.output, w.output_width, first, w.stride_height * w.width, o.rows, o.count);
    return;
  }
  for (size_t y = 0; y < o.rows; y++) {
    const REAL *row = first + y * w.stride_height * w.width;
    for (size_t x = 0; x < o.count; x++) columns[o.output + y * w.output_width + x] = row[x * w.stride_width];
  }
}

// The transpose: adds the columns of one place of the kernel to the plane that they were taken from.
static inline __attribute__((always_inline)) void LOCAL(columns_to_plane)(const REAL *columns,
                                                                          const convoy_window *window,
                                                                          const overlap *overlap, REAL *to) {
  const convoy_window w = *window;
  const struct overlap o = *overlap;
  if (o.rows == 0 || o.count == 0) return;
  REAL *first = to + o.input;
  if (w.stride_width == 1) {
    LOCAL(add_rows)(first, w.stride_height * w.width, columns + o.output, w.output_width, o.rows, o.count);
    return;
  }
  for (size_t y = 0; y < o.rows; y++) {
    REAL *row = first + y * w.stride_height * w.width;
    for (size_t x = 0; x < o.count; x++) row[x * w.stride_width] += columns[o.output + y * w.output_width + x];
  }
}

CONVOY_CLONES
void NAME(im2col)(const REAL *input, size_t channel_stride, const convoy_window *window, size_t channels,
                  size_t images, REAL *columns) {
  const convoy_window w = *window;
  const size_t plane = w.height * w.width, places = w.output_height * w.output_width;
  for (size_t channel = 0; channel < channels; channel++)
    for (size_t kz = 0; kz < w.kernel_depth; kz++)
      for (size_t ky = 0; ky < w.kernel_height; ky++)
        for (size_t kx = 0; kx < w.kernel_width; kx++) {
          const overlap o = find_overlap(window, ky, kx);
          for (size_t image = 0; image < images; image++) {
            const REAL *volume = input + channel * channel_stride + image * w.depth * plane;
            for (size_t z = 0; z < w.output_depth; z++, columns += places) {
              // Wraps around to a large number before the first plane.
              const size_t iz = z * w.stride_depth + kz * w.dilation_depth - w.padding_depth;
              if (iz < w.depth)
                LOCAL(plane_to_columns)(volume + iz * plane, window, &o, columns);
              else
                memset(columns, 0, places * sizeof(REAL));
            }
          }
        }
}

CONVOY_CLONES
void NAME(col2im)(const REAL *columns, const convoy_window *window, size_t channels, size_t images, REAL *output,
                  size_t channel_stride) {
  const convoy_window w = *window;
  const size_t plane = w.height * w.width, places = w.output_height * w.output_width;
  for (size_t channel = 0; channel < channels; channel++) {
    REAL *volumes = output + channel * channel_stride;
    memset(volumes, 0, images * w.depth * plane * sizeof(REAL));
    for (size_t kz = 0; kz < w.kernel_depth; kz++)
      for (size_t ky = 0; ky < w.kernel_height; ky++)
        for (size_t kx = 0; kx < w.kernel_width; kx++) {
          const overlap o = find_overlap(window, ky, kx);
          for (size_t image = 0; image < images; image++)
            for (size_t z = 0; z < w.output_depth; z++, columns += places) {
              const size_t iz = z * w.stride_depth + kz * w.dilation_depth - w.padding_depth;
              if (iz < w.depth)
                LOCAL(columns_to_plane)(columns, window, &o, volumes + (image * w.depth + iz) * plane);
            }
        }
  }
}

CONVOY_CLONES
void NAME(add_bias)(REAL *rows, const REAL *bias, int relu, size_t row_count, size_t count, size_t stride) {
  for (size_t r = 0; r < row_count; r++) {
    REAL *row = rows + r * stride;
    const REAL b = bias ? bias[r] : 0;
    if (relu) {
      for (size_t i = 0; i < count; i++) row[i] = row[i] + b > 0 ? row[i] + b : 0;
    } else {
      for (size_t i = 0; i < count; i++) row[i] += b;
    }
  }
}

CONVOY_CLONES
void NAME(add_bias_columns)(REAL *values, const REAL *bias, int relu, size_t rows, size_t columns) {
  for (size_t r = 0; r < rows; r++) {
    REAL *row = values + r * columns;
    if (bias) {
      for (size_t i = 0; i < columns; i++) row[i] += bias[i];
    }
    if (relu) {
      for (size_t i = 0; i < columns; i++) row[i] = row[i] > 0 ? row[i] : 0;
    }
  }
}

CONVOY_CLONES
void NAME(sum_rows)(const REAL *rows, size_t row_count, size_t count, REAL *sums) {
  for (size_t r = 0; r < row_count; r++) {
    const REAL *row = rows + r * count;
    REAL lanes[16] = {0};
    size_t i = 0;
    for (; i + 16 <= count; i += 16)
      for (size_t j = 0; j < 16; j++) lanes[j] += row[i + j];
    for (size_t j = 0; i < count; i++, j++) lanes[j] += row[i];
    for (size_t half = 8; half > 0; half /= 2)
      for (size_t j = 0; j < half; j++) lanes[j] += lanes[j + half];
    sums[r] = lanes[0];
  }
}

CONVOY_CLONES
void NAME(sum_columns)(const REAL *rows, size_t row_count, size_t columns, REAL *sums) {
  // Eight rows at once where they are short: otherwise each addition waits for the store of the one before.
  enum { FOLD = 8, LONGEST = 64 };
  REAL folded[FOLD * LONGEST] = {0};
  const size_t width = FOLD * columns;
  size_t r = 0;
  if (columns <= LONGEST)
    for (; r + FOLD <= row_count; r += FOLD)
      for (size_t i = 0; i < width; i++) folded[i] += rows[r * columns + i];
  memset(sums, 0, columns * sizeof(REAL));
  if (r > 0)
    for (size_t k = 0; k < FOLD; k++)
      for (size_t i = 0; i < columns; i++) sums[i] += folded[k * columns + i];
  for (; r < row_count; r++)
    for (size_t i = 0; i < columns; i++) sums[i] += rows[r * columns + i];
}

CONVOY_CLONES
void NAME(accumulate)(REAL *sum, const REAL *term, size_t count) {
  for (size_t i = 0; i < count; i++) sum[i] += term[i];
}

CONVOY_CLONES
void NAME(relu)(const REAL *x, REAL *y, size_t count) {
  CONVOY_IN_PLACE
  for (size_t i = 0; i < count; i++) y[i] = x[i] > 0 ? x[i] : 0;
}

void NAME(tanh)(const REAL *x, REAL *y, size_t count) {
  for (size_t i = 0; i < count; i++) y[i] = sizeof(REAL) == 4 ? (REAL)tanhf((float)x[i]) : (REAL)tanh((double)x[i]);
}

void NAME(sigmoid)(const REAL *x, REAL *y, size_t count) {
  for (size_t i = 0; i < count; i++) {
    const REAL e = sizeof(REAL) == 4 ? (REAL)expf(-(float)x[i]) : (REAL)exp(-(double)x[i]);
    y[i] = 1 / (1 + e);
  }
}

CONVOY_CLONES
void NAME(relu_backward)(const REAL *y, const REAL *dy, REAL *dx, size_t count) {
  CONVOY_IN_PLACE
  for (size_t i = 0; i < count; i++) dx[i] = y[i] > 0 ? dy[i] : 0;
}

CONVOY_CLONES
void NAME(tanh_backward)(const REAL *y, const REAL *dy, REAL *dx, size_t count) {
  CONVOY_IN_PLACE
  for (size_t i = 0; i < count; i++) dx[i] = dy[i] * (1 - y[i] * y[i]);
}

CONVOY_CLONES
void NAME(sigmoid_backward)(const REAL *y, const REAL *dy, REAL *dx, size_t count) {
  CONVOY_IN_PLACE
  for (size_t i = 0; i < count; i++) dx[i] = dy[i] * (y[i] * (1 - y[i]));
}

void NAME(swap_outer)(const REAL *from, size_t outer, size_t inner, size_t count, REAL *to) {
  for (size_t j = 0; j < inner; j++)
    for (size_t i = 0; i < outer; i++) {
      LOCAL(copy_row)(to, from + (i * inner + j) * count, count);
      to += count;
    }
}

void NAME(softmax_cross_entropy)(const REAL *logits, const int32_t *labels, size_t rows, size_t classes,
                                 REAL *gradient, double *loss, size_t *correct) {
  for (size_t r = 0; r < rows; r++, logits += classes) {
    size_t best = 0;
    for (size_t c = 1; c < classes; c++)
      if (logits[c] > logits[best]) best = c;
    const double largest = (double)logits[best];
    double sum = 0;
    for (size_t c = 0; c < classes; c++) sum += exp((double)logits[c] - largest);
    const size_t label = (size_t)labels[r];
    *loss += log(sum) + largest - (double)logits[label];
    *correct += best == label;
    if (!gradient) continue;
    for (size_t c = 0; c < classes; c++) gradient[c] = (REAL)(exp((double)logits[c] - largest) / sum - (c == label));
    gradient += classes;
  }
}
