// No include guard: included by layers_elementwise.c once for each number format, with REAL, NAME and LOCAL defined.

CONVOY_CLONES
void NAME(add_elements)(const REAL *a, const REAL *b, REAL *y, size_t count) {
  CONVOY_IN_PLACE
  for (size_t i = 0; i < count; i++) y[i] = a[i] + b[i];
}

CONVOY_CLONES
void NAME(multiply_elements)(const REAL *a, const REAL *b, REAL *y, size_t count) {
  CONVOY_IN_PLACE
  for (size_t i = 0; i < count; i++) y[i] = a[i] * b[i];
}

CONVOY_CLONES
void NAME(relu6)(const REAL *x, REAL *y, size_t count) {
  CONVOY_IN_PLACE
  for (size_t i = 0; i < count; i++) {
    const REAL positive = x[i] > 0 ? x[i] : 0;
    y[i] = positive < 6 ? positive : 6;
  }
}

CONVOY_CLONES
void NAME(relu6_backward)(const REAL *y, const REAL *dy, REAL *dx, size_t count) {
  CONVOY_IN_PLACE
  for (size_t i = 0; i < count; i++) {
    const REAL gradient = y[i] > 0 ? dy[i] : 0;
    dx[i] = y[i] < 6 ? gradient : 0;
  }
}

CONVOY_CLONES
void NAME(leaky_relu)(const REAL *x, REAL slope, size_t count, size_t stride, REAL *y) {
  if (stride == 1) {
    CONVOY_IN_PLACE
    for (size_t k = 0; k < count; k++) y[k] = x[k] > 0 ? x[k] : slope * x[k];
  } else {
    CONVOY_IN_PLACE
    for (size_t k = 0; k < count; k++) y[k * stride] = x[k * stride] > 0 ? x[k * stride] : slope * x[k * stride];
  }
}

CONVOY_CLONES
void NAME(leaky_relu_backward)(const REAL *x, const REAL *dy, REAL slope, size_t count, size_t stride, REAL *dx) {
  if (stride == 1) {
    CONVOY_IN_PLACE
    for (size_t k = 0; k < count; k++) dx[k] = x[k] > 0 ? dy[k] : slope * dy[k];
  } else {
    CONVOY_IN_PLACE
    for (size_t k = 0; k < count; k++) dx[k * stride] = x[k * stride] > 0 ? dy[k * stride] : slope * dy[k * stride];
  }
}

CONVOY_CLONES
void NAME(sum_negative_products)(const REAL *x, const REAL *dy, size_t count, size_t stride, REAL *result) {
  REAL lanes[16] = {0};
  size_t i = 0;
  for (; i + 16 <= count; i += 16)
    for (size_t j = 0; j < 16; j++) {
      const size_t k = (i + j) * stride;
      lanes[j] += x[k] > 0 ? 0 : x[k] * dy[k];
    }
  for (size_t j = 0; i < count; i++, j++) lanes[j] += x[i * stride] > 0 ? 0 : x[i * stride] * dy[i * stride];
  for (size_t half = 8; half > 0; half /= 2)
    for (size_t j = 0; j < half; j++) lanes[j] += lanes[j + half];
  *result = lanes[0];
}

void NAME(softmax)(const REAL *x, size_t channels, size_t channel_stride, size_t places, size_t place_stride, REAL *y) {
  for (size_t p = 0; p < places; p++, x += place_stride, y += place_stride) {
    REAL largest = x[0];
    for (size_t c = 1; c < channels; c++)
      if (x[c * channel_stride] > largest) largest = x[c * channel_stride];
    double sum = 0;
    for (size_t c = 0; c < channels; c++) sum += exp((double)x[c * channel_stride] - (double)largest);
    for (size_t c = 0; c < channels; c++)
      y[c * channel_stride] = (REAL)(exp((double)x[c * channel_stride] - (double)largest) / sum);
  }
}

void NAME(softmax_backward)(const REAL *y, const REAL *dy, size_t channels, size_t channel_stride, size_t places,
                            size_t place_stride, REAL *dx) {
  for (size_t p = 0; p < places; p++, y += place_stride, dy += place_stride, dx += place_stride) {
    REAL sum = 0;
    for (size_t c = 0; c < channels; c++) sum += y[c * channel_stride] * dy[c * channel_stride];
    for (size_t c = 0; c < channels; c++)
      dx[c * channel_stride] = y[c * channel_stride] * (dy[c * channel_stride] - sum);
  }
}
