// No include guard: included by layers_losses.c once for each number format, with REAL, NAME and LOCAL defined.

// The label of a place: of its row, or among its targets.
static int32_t LOCAL(label)(const int32_t *labels, const float *targets, size_t target_stride, size_t row,
                            size_t place) {
  return targets ? (int32_t)targets[row * target_stride + place] : labels[row];
}

void NAME(softmax_loss)(const REAL *logits, const convoy_softmax_loss *settings, const int32_t *labels,
                        const float *targets, size_t target_stride, size_t rows, REAL *gradient, double *loss,
                        size_t *correct) {
  const convoy_softmax_loss s = *settings;
  const size_t classes = s.classes, places = s.places;
  const double uniform = s.smoothing / (double)classes;
  double weight_sum = 0;
  for (size_t c = 0; c < classes; c++) weight_sum += s.class_weights ? (double)s.class_weights[c] : 1;
  for (size_t r = 0; r < rows; r++, logits += classes * places) {
    double row_loss = 0;
    for (size_t p = 0; p < places; p++) {
      const REAL *x = logits + p;
      REAL *dx = gradient ? gradient + r * classes * places + p : NULL;
      const int32_t label = LOCAL(label)(labels, targets, target_stride, r, p);
      if (s.has_ignored && label == s.ignored) {
        for (size_t c = 0; dx && c < classes; c++) dx[c * places] = 0;
        continue;
      }
      size_t best = 0;
      for (size_t c = 1; c < classes; c++)
        if (x[c * places] > x[best * places]) best = c;
      const double largest = (double)x[best * places];
      double sum = 0;
      for (size_t c = 0; c < classes; c++) sum += exp((double)x[c * places] - largest);
      const double normalizer = log(sum) + largest;
      const double own = (1 - s.smoothing) * (s.class_weights ? (double)s.class_weights[label] : 1);
      *correct += best == (size_t)label;
      row_loss += own * (normalizer - (double)x[(size_t)label * places]);
      for (size_t c = 0; uniform > 0 && c < classes; c++)
        row_loss += uniform * (s.class_weights ? (double)s.class_weights[c] : 1) * (normalizer - (double)x[c * places]);
      for (size_t c = 0; dx && c < classes; c++) {
        const double share = exp((double)x[c * places] - normalizer);
        const double target =
            uniform * (s.class_weights ? (double)s.class_weights[c] : 1) + (c == (size_t)label ? own : 0);
        dx[c * places] = (REAL)(s.factor * (share * (own + uniform * weight_sum) - target));
      }
    }
    *loss += s.factor * row_loss;
  }
}

// One element's loss; sets the derivative.
static double LOCAL(element_loss)(int kind, double x, double target, double beta, double *derivative) {
  const double difference = x - target;
  const double sign = (double)(difference > 0) - (double)(difference < 0);
  switch (kind) {
    case CONVOY_LOSS_SIGMOID: {
      const double e = exp(-fabs(x));
      *derivative = (x > 0 ? 1 : e) / (1 + e) - target;
      return (x > 0 ? x : 0) - x * target + log1p(e);
    }
    case CONVOY_LOSS_L2: *derivative = difference; return difference * difference / 2;
    case CONVOY_LOSS_L1: *derivative = sign; return fabs(difference);
    default:
      if (fabs(difference) < beta) {
        *derivative = difference / beta;
        return difference * difference / (2 * beta);
      }
      *derivative = sign;
      return fabs(difference) - beta / 2;
  }
}

void NAME(element_loss)(const REAL *x, int kind, double beta, double factor, const float *targets,
                        size_t target_stride, size_t rows, size_t count, REAL *gradient, double *loss) {
  for (size_t r = 0; r < rows; r++) {
    double row_loss = 0;
    for (size_t i = 0; i < count; i++) {
      double derivative;
      row_loss +=
          LOCAL(element_loss)(kind, (double)x[r * count + i], (double)targets[r * target_stride + i], beta, &derivative);
      if (gradient) gradient[r * count + i] = (REAL)(factor * derivative);
    }
    *loss += factor * row_loss;
  }
}

void NAME(hinge_loss)(const REAL *x, double margin, double factor, const int32_t *labels, size_t rows, size_t classes,
                      REAL *gradient, double *loss, size_t *correct) {
  for (size_t r = 0; r < rows; r++, x += classes) {
    const size_t label = (size_t)labels[r];
    size_t best = 0, within = 0;
    double row_loss = 0;
    for (size_t c = 0; c < classes; c++) {
      if (x[c] > x[best]) best = c;
      const double excess = (double)x[c] - (double)x[label] + margin;
      const int counts = c != label && excess > 0;
      row_loss += counts ? excess : 0;
      within += (size_t)counts;
      if (gradient) gradient[r * classes + c] = (REAL)(counts ? factor : 0);
    }
    if (gradient) gradient[r * classes + label] = (REAL)(-factor * (double)within);
    *correct += best == label;
    *loss += factor * row_loss;
  }
}

void NAME(contrastive_loss)(const REAL *a, const REAL *b, double margin, double factor, const int32_t *labels,
                            size_t rows, size_t count, REAL *da, REAL *db, double *loss) {
  for (size_t r = 0; r < rows; r++) {
    const REAL *x = a + r * count, *y = b + r * count;
    double square = 0;
    for (size_t i = 0; i < count; i++) square += ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
    const double distance = sqrt(square), missing = margin - distance;
    // The loss's derivative for a component of the difference, divided by that component.
    double slope = 1;
    if (labels[r] == 1) {
      *loss += factor * square / 2;
    } else {
      *loss += missing > 0 ? factor * missing * missing / 2 : 0;
      // At distance 0 there is no direction to push in.
      slope = missing > 0 && distance > 0 ? -missing / distance : 0;
    }
    for (size_t i = 0; i < count; i++) {
      const double gradient = factor * slope * ((double)x[i] - (double)y[i]);
      if (da) da[r * count + i] = (REAL)gradient;
      if (db) db[r * count + i] = (REAL)-gradient;
    }
  }
}
