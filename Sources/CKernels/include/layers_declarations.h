// No include guard: included once for each number format, with REAL and NAME defined.

/// Columns of a convolution: row (channel, ky, kx), column (image, y, x); `input` is the first of `channels` channels at
/// the first of `images` images, `channel_stride` apart; columns are `images * output places` wide.
void NAME(im2col)(const REAL *input, size_t channel_stride, const convoy_window *window, size_t channels,
                  size_t images, REAL *columns);

/// The transpose of im2col: sets the planes of `channels` channels and `images` images to the sums of their columns.
void NAME(col2im)(const REAL *columns, const convoy_window *window, size_t channels, size_t images, REAL *output,
                  size_t channel_stride);

/// row[i] += bias for rows of `count`, `stride` apart; then negative values become zero where relu is not 0.
void NAME(add_bias)(REAL *rows, const REAL *bias, int relu, size_t row_count, size_t count, size_t stride);
/// values[i] += bias[i % columns] for `rows` rows of `columns`; then ReLU where asked.
void NAME(add_bias_columns)(REAL *values, const REAL *bias, int relu, size_t rows, size_t columns);
/// sums[r] = the sum of row r, in sixteen lanes and then pairwise.
void NAME(sum_rows)(const REAL *rows, size_t row_count, size_t count, REAL *sums);
/// sums[c] = the sum of column c, from the first row to the last.
void NAME(sum_columns)(const REAL *rows, size_t row_count, size_t columns, REAL *sums);
/// sum[i] += term[i].
void NAME(accumulate)(REAL *sum, const REAL *term, size_t count);

/// y[i] = the function of x[i]; in place where y is x.
void NAME(relu)(const REAL *x, REAL *y, size_t count);
void NAME(tanh)(const REAL *x, REAL *y, size_t count);
void NAME(sigmoid)(const REAL *x, REAL *y, size_t count);
/// dx[i] = dy[i] times the derivative, from the output y; in place where dx is dy.
void NAME(relu_backward)(const REAL *y, const REAL *dy, REAL *dx, size_t count);
void NAME(tanh_backward)(const REAL *y, const REAL *dy, REAL *dx, size_t count);
void NAME(sigmoid_backward)(const REAL *y, const REAL *dy, REAL *dx, size_t count);

/// The largest of each window, the first of equal ones, and where it is in its plane.
void NAME(max_pool)(const REAL *x, const convoy_window *window, size_t planes, REAL *y, int32_t *places);
void NAME(max_pool_backward)(const REAL *dy, const int32_t *places, const convoy_window *window, size_t planes,
                             REAL *dx);
/// The mean of each window, padding counted, but not what lies beyond it.
void NAME(average_pool)(const REAL *x, const convoy_window *window, size_t planes, REAL *y);
void NAME(average_pool_backward)(const REAL *dy, const convoy_window *window, size_t planes, REAL *dx);

/// to[j][i][:] = from[i][j][:] for i < outer, j < inner, blocks of `count`.
void NAME(swap_outer)(const REAL *from, size_t outer, size_t inner, size_t count, REAL *to);

/// Softmax and cross-entropy of `rows` logits: adds losses to *loss row by row, counts rows whose first largest logit is
/// the label's, and where gradient is not NULL sets it to probability minus one-hot.
void NAME(softmax_cross_entropy)(const REAL *logits, const int32_t *labels, size_t rows, size_t classes,
                                 REAL *gradient, double *loss, size_t *correct);
