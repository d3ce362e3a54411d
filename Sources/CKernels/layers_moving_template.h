// No include guard: included by layers_moving.c once for each number format, with REAL, NAME and LOCAL defined.

void NAME(copy_region)(const REAL *from, const convoy_region *region, REAL fill, size_t first, size_t end, REAL *to) {
  const convoy_region r = *region;
  const size_t width = r.to[4];
  // The row's part that comes from the input; unsigned arithmetic wraps where a place is before the first.
  size_t begin = 0, stop = 0;
  for (size_t x = 0; x < width; x++) {
    if (x + (size_t)r.start[4] >= r.from[4]) continue;
    if (begin == stop) begin = x;
    stop = x + 1;
  }
  to += first * r.to[1] * r.to[2] * r.to[3] * width;
  for (size_t a = first; a < end; a++)
    for (size_t b = 0; b < r.to[1]; b++)
      for (size_t c = 0; c < r.to[2]; c++)
        for (size_t d = 0; d < r.to[3]; d++, to += width) {
          const size_t ia = a + (size_t)r.start[0], ib = b + (size_t)r.start[1];
          const size_t ic = c + (size_t)r.start[2], id = d + (size_t)r.start[3];
          if (ia >= r.from[0] || ib >= r.from[1] || ic >= r.from[2] || id >= r.from[3]) {
            for (size_t x = 0; x < width; x++) to[x] = fill;
            continue;
          }
          const REAL *row = from + (((ia * r.from[1] + ib) * r.from[2] + ic) * r.from[3] + id) * r.from[4];
          for (size_t x = 0; x < begin; x++) to[x] = fill;
          for (size_t x = begin; x < stop; x++) to[x] = row[x + (size_t)r.start[4]];
          for (size_t x = stop; x < width; x++) to[x] = fill;
        }
}

void NAME(copy_strided_rows)(const REAL *from, size_t from_stride, size_t rows, size_t count, REAL *to, size_t to_stride) {
  for (size_t r = 0; r < rows; r++) memcpy(to + r * to_stride, from + r * from_stride, count * sizeof(REAL));
}

// Where an output lies between two inputs, along one dimension.
typedef struct {
  size_t first, second;
  REAL weight;
} LOCAL(between);

static LOCAL(between) LOCAL(interpolation)(size_t output, size_t outputs, size_t inputs, int aligned) {
  double place;
  if (aligned)
    place = outputs > 1 ? (double)output * (double)(inputs - 1) / (double)(outputs - 1) : 0;
  else
    place = ((double)output + 0.5) * (double)inputs / (double)outputs - 0.5;
  if (place < 0) place = 0;
  const size_t first = (size_t)place < inputs - 1 ? (size_t)place : inputs - 1;
  const size_t second = first + 1 < inputs ? first + 1 : first;
  return (LOCAL(between)){first, second, (REAL)(place - (double)first)};
}

// Runs `each` with the eight inputs around every output and their weights.
#define INTERPOLATE(each)                                                                                      \
  for (size_t oz = 0; oz < w.output_depth; oz++) {                                                             \
    const LOCAL(between) z = LOCAL(interpolation)(oz, w.output_depth, w.depth, aligned);                       \
    for (size_t oy = 0; oy < w.output_height; oy++) {                                                          \
      const LOCAL(between) y = LOCAL(interpolation)(oy, w.output_height, w.height, aligned);                   \
      const size_t rows[4] = {(z.first * w.height + y.first) * w.width, (z.first * w.height + y.second) * w.width, \
                              (z.second * w.height + y.first) * w.width,                                       \
                              (z.second * w.height + y.second) * w.width};                                     \
      const REAL weights[4] = {(1 - z.weight) * (1 - y.weight), (1 - z.weight) * y.weight,                     \
                               z.weight * (1 - y.weight), z.weight * y.weight};                                \
      for (size_t ox = 0; ox < w.output_width; ox++) {                                                         \
        const LOCAL(between) x = LOCAL(interpolation)(ox, w.output_width, w.width, aligned);                   \
        each                                                                                                   \
      }                                                                                                        \
    }                                                                                                          \
  }

void NAME(upsample)(const REAL *input, const convoy_window *window, int aligned, size_t planes, REAL *output) {
  const convoy_window w = *window;
  for (size_t p = 0; p < planes; p++, input += w.depth * w.height * w.width)
    INTERPOLATE({
      REAL sum = 0;
      for (size_t r = 0; r < 4; r++)
        sum += weights[r] * ((1 - x.weight) * input[rows[r] + x.first] + x.weight * input[rows[r] + x.second]);
      *output++ = sum;
    })
}

void NAME(upsample_backward)(const REAL *dy, const convoy_window *window, int aligned, size_t planes, REAL *dx) {
  const convoy_window w = *window;
  const size_t plane = w.depth * w.height * w.width;
  memset(dx, 0, planes * plane * sizeof(REAL));
  for (size_t p = 0; p < planes; p++, dx += plane)
    INTERPOLATE({
      const REAL gradient = *dy++;
      for (size_t r = 0; r < 4; r++) {
        dx[rows[r] + x.first] += gradient * weights[r] * (1 - x.weight);
        dx[rows[r] + x.second] += gradient * weights[r] * x.weight;
      }
    })
}
#undef INTERPOLATE

size_t NAME(embed)(const REAL *entries, const REAL *table, size_t rows, size_t features, size_t images, size_t length,
                   REAL *y) {
  size_t wrong = 0;
  for (size_t image = 0; image < images; image++)
    for (size_t place = 0; place < length; place++) {
      const REAL entry = entries[image * length + place];
      // A comparison with what is no number is false.
      const int known = entry >= 0 && entry < (REAL)rows && entry == (REAL)(size_t)entry;
      wrong += !known;
      for (size_t f = 0; f < features; f++)
        y[(f * images + image) * length + place] = known ? table[(size_t)entry * features + f] : 0;
    }
  return wrong;
}

void NAME(embed_backward)(const REAL *entries, const REAL *dy, size_t rows, size_t features, size_t images,
                          size_t length, REAL *dtable) {
  memset(dtable, 0, rows * features * sizeof(REAL));
  for (size_t image = 0; image < images; image++)
    for (size_t place = 0; place < length; place++) {
      REAL *row = dtable + (size_t)entries[image * length + place] * features;
      for (size_t f = 0; f < features; f++) row[f] += dy[(f * images + image) * length + place];
    }
}
