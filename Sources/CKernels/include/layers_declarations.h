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
void NAME(max_pool_backward)(const REAL *dy, const int32_t *places, size_t outputs, size_t plane, size_t planes,
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

/// The same for windows that share a volume out: window i of m over n places is [i n / m, ceil((i + 1) n / m)).
void NAME(adaptive_max_pool)(const REAL *x, const convoy_window *window, size_t planes, REAL *y, int32_t *places);
void NAME(adaptive_average_pool)(const REAL *x, const convoy_window *window, size_t planes, REAL *y);
void NAME(adaptive_average_pool_backward)(const REAL *dy, const convoy_window *window, size_t planes, REAL *dx);

/// Mean and biased variance of `count` elements, `stride` apart.
void NAME(moments)(const REAL *x, size_t count, size_t stride, REAL *mean, REAL *variance);
/// y = x * scale + shift for elements `stride` apart.
void NAME(scale_shift)(const REAL *x, REAL scale, REAL shift, size_t count, size_t stride, REAL *y);
/// The gradients of y = weight * (x - mean) * inverse_deviation + bias, whose mean and deviation are those of x; dx may be
/// NULL.
void NAME(batch_norm_backward)(const REAL *x, const REAL *dy, REAL mean, REAL inverse_deviation, REAL weight,
                               size_t count, size_t stride, REAL *dx, REAL *dweight, REAL *dbias);
/// sums[i] = the sum, or the sum of squares, over the channels that are at most `reach` from this one; channels are `count`
/// apart.
void NAME(sum_neighbour_channels)(const REAL *x, int squares, size_t channels, size_t channel, size_t reach,
                                  size_t count, REAL *sums);
/// The same over the places of a volume that are at most `reach` away in each dimension; of the window only the volume's
/// extents are read.
void NAME(sum_neighbour_places)(const REAL *x, int squares, const convoy_window *window, size_t planes, size_t reach,
                                REAL *sums);
/// sums = k + alpha * sums; y = x / sums^beta.
void NAME(response_norm)(const REAL *x, REAL k, REAL alpha, REAL beta, size_t count, REAL *sums, REAL *y);
/// dx = dy / scales^beta; then scales = dy * y / scales.
void NAME(response_norm_backward)(const REAL *y, const REAL *dy, REAL beta, size_t count, REAL *scales, REAL *dx);
/// values[i] -= factor * a[i] * b[i].
void NAME(subtract_product)(REAL *values, REAL factor, const REAL *a, const REAL *b, size_t count);

/// y[i] = a[i] + b[i], a[i] * b[i]; in place where y is one of them.
void NAME(add_elements)(const REAL *a, const REAL *b, REAL *y, size_t count);
void NAME(multiply_elements)(const REAL *a, const REAL *b, REAL *y, size_t count);
void NAME(relu6)(const REAL *x, REAL *y, size_t count);
void NAME(relu6_backward)(const REAL *y, const REAL *dy, REAL *dx, size_t count);
/// x where it is positive, slope * x elsewhere, for elements `stride` apart; backward takes x, or y where slope >= 0.
void NAME(leaky_relu)(const REAL *x, REAL slope, size_t count, size_t stride, REAL *y);
void NAME(leaky_relu_backward)(const REAL *x, const REAL *dy, REAL slope, size_t count, size_t stride, REAL *dx);
/// The gradient of that slope: the sum of x * dy where x is not positive.
void NAME(sum_negative_products)(const REAL *x, const REAL *dy, size_t count, size_t stride, REAL *result);
/// exp(x) over its sum over the channels, at each of `places`.
void NAME(softmax)(const REAL *x, size_t channels, size_t channel_stride, size_t places, size_t place_stride, REAL *y);
void NAME(softmax_backward)(const REAL *y, const REAL *dy, size_t channels, size_t channel_stride, size_t places,
                            size_t place_stride, REAL *dx);

/// Sets the outermost places from first up to end of a region; what is not in `from` becomes `fill`.
void NAME(copy_region)(const REAL *from, const convoy_region *region, REAL fill, size_t first, size_t end, REAL *to);
/// Copies rows of `count`.
void NAME(copy_strided_rows)(const REAL *from, size_t from_stride, size_t rows, size_t count, REAL *to, size_t to_stride);
/// Linear interpolation in each dimension of volumes; of the window only input and output extents are read.
void NAME(upsample)(const REAL *input, const convoy_window *window, int aligned, size_t planes, REAL *output);
void NAME(upsample_backward)(const REAL *dy, const convoy_window *window, int aligned, size_t planes, REAL *dx);
/// y[feature][image][place] = the row of the table that the entry names, or zeros; returns how many entries name none.
size_t NAME(embed)(const REAL *entries, const REAL *table, size_t rows, size_t features, size_t images, size_t length,
                   REAL *y);
/// The table's gradient, for entries that all name a row.
void NAME(embed_backward)(const REAL *entries, const REAL *dy, size_t rows, size_t features, size_t images,
                          size_t length, REAL *dtable);

/// Losses add factor times each row's loss to *loss, row by row, and set the gradients that are not NULL. Rows are samples;
/// the logits of a sample are [classes][places]. Labels are a row's, or a place's among the row's targets where those are
/// not NULL, and are known to be classes or the ignored one.
void NAME(softmax_loss)(const REAL *logits, const convoy_softmax_loss *settings, const int32_t *labels,
                        const float *targets, size_t target_stride, size_t rows, REAL *gradient, double *loss,
                        size_t *correct);
void NAME(element_loss)(const REAL *x, int kind, double beta, double factor, const float *targets,
                        size_t target_stride, size_t rows, size_t count, REAL *gradient, double *loss);
void NAME(hinge_loss)(const REAL *x, double margin, double factor, const int32_t *labels, size_t rows, size_t classes,
                      REAL *gradient, double *loss, size_t *correct);
void NAME(contrastive_loss)(const REAL *a, const REAL *b, double margin, double factor, const int32_t *labels,
                            size_t rows, size_t count, REAL *da, REAL *db, double *loss);
