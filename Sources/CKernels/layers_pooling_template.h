// No include guard: included by layers_pooling.c once for each number format, with REAL, NAME and LOCAL defined.

// The most frequent window: two by two, side by side, within the plane.
CONVOY_CLONES
static void LOCAL(max_pool_halving)(const REAL *x, size_t width, size_t output_height, size_t output_width, REAL *y,
                                    int32_t *places) {
  for (size_t oy = 0; oy < output_height; oy++) {
    const REAL *top = x + 2 * oy * width, *bottom = top + width;
    const int32_t base = (int32_t)(2 * oy * width);
    for (size_t ox = 0; ox < output_width; ox++) {
      REAL best = top[2 * ox];
      int32_t place = base + (int32_t)(2 * ox);
      const REAL right = top[2 * ox + 1], below = bottom[2 * ox], across = bottom[2 * ox + 1];
      const int32_t first = place;
      place = right > best ? first + 1 : place;
      best = right > best ? right : best;
      place = below > best ? first + (int32_t)width : place;
      best = below > best ? below : best;
      place = across > best ? first + (int32_t)width + 1 : place;
      best = across > best ? across : best;
      y[oy * output_width + ox] = best;
      places[oy * output_width + ox] = place;
    }
  }
}

static int LOCAL(is_halving)(const convoy_window *w) {
  return w->depth == 1 && w->kernel_depth == 1 && w->output_depth == 1 && w->kernel_height == 2 && w->kernel_width == 2 && w->stride_height == 2 && w->stride_width == 2 &&
         w->padding_height == 0 && w->padding_width == 0 && w->dilation_height == 1 && w->dilation_width == 1 &&
         2 * w->output_height <= w->height && 2 * w->output_width <= w->width;
}

// Runs `each` for the places (iz, iy, ix) of a window that lie in the volume, in their order.
#define WINDOW_PLACES(each)                                                          \
  for (size_t kz = 0; kz < w.kernel_depth; kz++) {                                   \
    const size_t iz = oz * w.stride_depth + kz * w.dilation_depth - w.padding_depth; \
    if (iz >= w.depth) continue;                                                     \
    for (size_t ky = 0; ky < w.kernel_height; ky++) {                                \
      const size_t iy = oy * w.stride_height + ky - w.padding_height;                \
      if (iy >= w.height) continue;                                                  \
      for (size_t kx = 0; kx < w.kernel_width; kx++) {                               \
        const size_t ix = ox * w.stride_width + kx - w.padding_width;                \
        if (ix >= w.width) continue;                                                 \
        each;                                                                        \
      }                                                                              \
    }                                                                                \
  }

// Runs `each` for every output (oz, oy, ox).
#define OUTPUT_PLACES(each)                                \
  for (size_t oz = 0; oz < w.output_depth; oz++)           \
    for (size_t oy = 0; oy < w.output_height; oy++)        \
      for (size_t ox = 0; ox < w.output_width; ox++) each

void NAME(max_pool)(const REAL *x, const convoy_window *window, size_t planes, REAL *y, int32_t *places) {
  const convoy_window w = *window;
  const size_t plane = w.depth * w.height * w.width, outputs = w.output_depth * w.output_height * w.output_width;
  const int halving = LOCAL(is_halving)(window);
  for (size_t p = 0; p < planes; p++, x += plane, y += outputs, places += outputs) {
    if (halving) {
      LOCAL(max_pool_halving)(x, w.width, w.output_height, w.output_width, y, places);
      continue;
    }
    size_t output = 0;
    OUTPUT_PLACES({
      REAL best = -INFINITY;
      int32_t place = -1;
      WINDOW_PLACES({
        const size_t index = (iz * w.height + iy) * w.width + ix;
        if (place < 0 || x[index] > best) {
          best = x[index];
          place = (int32_t)index;
        }
      })
      y[output] = best;
      places[output++] = place;
    })
  }
}

void NAME(max_pool_backward)(const REAL *dy, const int32_t *places, size_t outputs, size_t plane, size_t planes,
                             REAL *dx) {
  memset(dx, 0, planes * plane * sizeof(REAL));
  for (size_t p = 0; p < planes; p++, dx += plane, dy += outputs, places += outputs)
    for (size_t i = 0; i < outputs; i++) dx[places[i]] += dy[i];
}

// Places of a window that lie in the volume or its padding, along one dimension.
static size_t LOCAL(counted)(size_t output, size_t stride, size_t kernel, size_t extent) {
  const size_t first = output * stride;
  return (first + kernel < extent ? first + kernel : extent) - first;
}

static REAL LOCAL(divisor)(const convoy_window *w, size_t oz, size_t oy, size_t ox) {
  return (REAL)(LOCAL(counted)(oz, w->stride_depth, w->kernel_depth,
                               w->depth + w->padding_depth + w->end_padding_depth) *
                LOCAL(counted)(oy, w->stride_height, w->kernel_height,
                               w->height + w->padding_height + w->end_padding_height) *
                LOCAL(counted)(ox, w->stride_width, w->kernel_width,
                               w->width + w->padding_width + w->end_padding_width));
}

void NAME(average_pool)(const REAL *x, const convoy_window *window, size_t planes, REAL *y) {
  const convoy_window w = *window;
  for (size_t p = 0; p < planes; p++, x += w.depth * w.height * w.width) {
    OUTPUT_PLACES({
      REAL sum = 0;
      WINDOW_PLACES(sum += x[(iz * w.height + iy) * w.width + ix])
      *y++ = sum / LOCAL(divisor)(window, oz, oy, ox);
    })
  }
}

void NAME(average_pool_backward)(const REAL *dy, const convoy_window *window, size_t planes, REAL *dx) {
  const convoy_window w = *window;
  const size_t plane = w.depth * w.height * w.width;
  memset(dx, 0, planes * plane * sizeof(REAL));
  for (size_t p = 0; p < planes; p++, dx += plane) {
    OUTPUT_PLACES({
      const REAL gradient = *dy++ / LOCAL(divisor)(window, oz, oy, ox);
      WINDOW_PLACES(dx[(iz * w.height + iy) * w.width + ix] += gradient)
    })
  }
}
#undef WINDOW_PLACES

// The places of an adaptive window, from `first` up to `end`, along one dimension.
#define ADAPTIVE_RANGE(name, output, outputs, extent) \
  const size_t name##0 = (output) * (extent) / (outputs), name##1 = (((output) + 1) * (extent) + (outputs) - 1) / (outputs)

#define ADAPTIVE_WINDOW                                   \
  ADAPTIVE_RANGE(z, oz, w.output_depth, w.depth);         \
  ADAPTIVE_RANGE(y, oy, w.output_height, w.height);       \
  ADAPTIVE_RANGE(x, ox, w.output_width, w.width);

#define ADAPTIVE_PLACES(each)              \
  for (size_t iz = z0; iz < z1; iz++)      \
    for (size_t iy = y0; iy < y1; iy++)    \
      for (size_t ix = x0; ix < x1; ix++) each

void NAME(adaptive_max_pool)(const REAL *x, const convoy_window *window, size_t planes, REAL *y, int32_t *places) {
  const convoy_window w = *window;
  for (size_t p = 0; p < planes; p++, x += w.depth * w.height * w.width) {
    OUTPUT_PLACES({
      ADAPTIVE_WINDOW
      size_t best = (z0 * w.height + y0) * w.width + x0;
      ADAPTIVE_PLACES({
        const size_t index = (iz * w.height + iy) * w.width + ix;
        if (x[index] > x[best]) best = index;
      })
      *y++ = x[best];
      *places++ = (int32_t)best;
    })
  }
}

void NAME(adaptive_average_pool)(const REAL *x, const convoy_window *window, size_t planes, REAL *y) {
  const convoy_window w = *window;
  for (size_t p = 0; p < planes; p++, x += w.depth * w.height * w.width) {
    OUTPUT_PLACES({
      ADAPTIVE_WINDOW
      REAL sum = 0;
      ADAPTIVE_PLACES(sum += x[(iz * w.height + iy) * w.width + ix];)
      *y++ = sum / (REAL)((z1 - z0) * (y1 - y0) * (x1 - x0));
    })
  }
}

void NAME(adaptive_average_pool_backward)(const REAL *dy, const convoy_window *window, size_t planes, REAL *dx) {
  const convoy_window w = *window;
  const size_t plane = w.depth * w.height * w.width;
  memset(dx, 0, planes * plane * sizeof(REAL));
  for (size_t p = 0; p < planes; p++, dx += plane) {
    OUTPUT_PLACES({
      ADAPTIVE_WINDOW
      const REAL gradient = *dy++ / (REAL)((z1 - z0) * (y1 - y0) * (x1 - x0));
      ADAPTIVE_PLACES(dx[(iz * w.height + iy) * w.width + ix] += gradient;)
    })
  }
}
#undef OUTPUT_PLACES
#undef ADAPTIVE_RANGE
#undef ADAPTIVE_WINDOW
#undef ADAPTIVE_PLACES
