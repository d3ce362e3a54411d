// oneDNN 2.x and 3.x behind one set of functions.
//
// 3.0 took operation descriptors away and made memory descriptors opaque. Here a memory descriptor, called a layout, is
// an untyped pointer in both, and a primitive descriptor is made in one call in both. Every function returns the
// library's status; what it makes is the caller's to destroy.
#ifndef CONVOY_ONEDNN_SHIM_H
#define CONVOY_ONEDNN_SHIM_H

#include <oneapi/dnnl/dnnl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t convoy_dnnl_md;
#else
typedef const dnnl_memory_desc_t *convoy_dnnl_md;
#endif

/// Where a window moves: strides, dilations (0 for none, as the library counts them), kernel, padding before and after.
typedef struct {
  int64_t strides[3], dilations[3], kernel[3], before[3], after[3];
} convoy_dnnl_window;

// MARK: layouts

/// A layout of the given strides in elements, or of any that a primitive prefers where strides is NULL.
static inline dnnl_status_t convoy_dnnl_layout_create(
    void **layout, int rank, const int64_t *extents, dnnl_data_type_t type, const int64_t *strides) {
#if DNNL_VERSION_MAJOR >= 3
  dnnl_memory_desc_t made = NULL;
  dnnl_status_t status = strides
      ? dnnl_memory_desc_create_with_strides(&made, rank, extents, type, strides)
      : dnnl_memory_desc_create_with_tag(&made, rank, extents, type, dnnl_format_tag_any);
  *layout = made;
  return status;
#else
  dnnl_memory_desc_t *made = (dnnl_memory_desc_t *)malloc(sizeof *made);
  if (!made) return dnnl_out_of_memory;
  dnnl_status_t status = strides ? dnnl_memory_desc_init_by_strides(made, rank, extents, type, strides)
                                 : dnnl_memory_desc_init_by_tag(made, rank, extents, type, dnnl_format_tag_any);
  if (status != dnnl_success) {
    free(made);
    made = NULL;
  }
  *layout = made;
  return status;
#endif
}

/// The layout of blocks of 16 channels: of a tensor of samples, channels, and one to three spatial dimensions.
static inline dnnl_status_t convoy_dnnl_layout_blocked(
    void **layout, int rank, const int64_t *extents, dnnl_data_type_t type) {
  const dnnl_format_tag_t tag = rank == 3 ? dnnl_aBc16b : rank == 4 ? dnnl_aBcd16b : dnnl_aBcde16b;
#if DNNL_VERSION_MAJOR >= 3
  dnnl_memory_desc_t made = NULL;
  dnnl_status_t status = dnnl_memory_desc_create_with_tag(&made, rank, extents, type, tag);
  *layout = made;
  return status;
#else
  dnnl_memory_desc_t *made = (dnnl_memory_desc_t *)malloc(sizeof *made);
  if (!made) return dnnl_out_of_memory;
  dnnl_status_t status = dnnl_memory_desc_init_by_tag(made, rank, extents, type, tag);
  if (status != dnnl_success) {
    free(made);
    made = NULL;
  }
  *layout = made;
  return status;
#endif
}

/// The layout of a part of a tensor, which begins at `offsets` and lies where the tensor lies.
static inline dnnl_status_t convoy_dnnl_layout_part(
    void **layout, const void *whole, int rank, const int64_t *extents, const int64_t *offsets) {
  (void)rank;
#if DNNL_VERSION_MAJOR >= 3
  dnnl_memory_desc_t made = NULL;
  dnnl_status_t status = dnnl_memory_desc_create_submemory(&made, (convoy_dnnl_md)whole, extents, offsets);
  *layout = made;
  return status;
#else
  dnnl_memory_desc_t *made = (dnnl_memory_desc_t *)malloc(sizeof *made);
  if (!made) return dnnl_out_of_memory;
  dnnl_status_t status = dnnl_memory_desc_init_submemory(made, (convoy_dnnl_md)whole, extents, offsets);
  if (status != dnnl_success) {
    free(made);
    made = NULL;
  }
  *layout = made;
  return status;
#endif
}

static inline void convoy_dnnl_layout_destroy(void *layout) {
#if DNNL_VERSION_MAJOR >= 3
  dnnl_memory_desc_destroy((dnnl_memory_desc_t)layout);
#else
  free(layout);
#endif
}

static inline size_t convoy_dnnl_layout_bytes(const void *layout) {
  return dnnl_memory_desc_get_size((convoy_dnnl_md)layout);
}

static inline int convoy_dnnl_layout_equal(const void *left, const void *right) {
  return dnnl_memory_desc_equal((convoy_dnnl_md)left, (convoy_dnnl_md)right);
}

/// A copy of a layout that a primitive descriptor has; NULL where it has none.
static inline dnnl_status_t convoy_dnnl_layout_of(
    void **layout, const_dnnl_primitive_desc_t primitive, dnnl_query_t what) {
  convoy_dnnl_md found = dnnl_primitive_desc_query_md(primitive, what, 0);
  *layout = NULL;
  if (!found || dnnl_memory_desc_get_size(found) == 0) return dnnl_success;
#if DNNL_VERSION_MAJOR >= 3
  dnnl_memory_desc_t made = NULL;
  dnnl_status_t status = dnnl_memory_desc_clone(&made, found);
  *layout = made;
  return status;
#else
  dnnl_memory_desc_t *made = (dnnl_memory_desc_t *)malloc(sizeof *made);
  if (!made) return dnnl_out_of_memory;
  *made = *found;
  *layout = made;
  return dnnl_success;
#endif
}

static inline dnnl_status_t convoy_dnnl_memory_create(
    dnnl_memory_t *memory, const void *layout, dnnl_engine_t engine, void *address) {
  return dnnl_memory_create(memory, (convoy_dnnl_md)layout, engine, address);
}

// MARK: attributes

/// Attributes with a scratchpad that the caller gives, and where asked a sum into the result and a ReLU after it.
static inline dnnl_status_t convoy_dnnl_attributes_create(dnnl_primitive_attr_t *attributes, int relu) {
  dnnl_status_t status = dnnl_primitive_attr_create(attributes);
  if (status != dnnl_success) return status;
  status = dnnl_primitive_attr_set_scratchpad_mode(*attributes, dnnl_scratchpad_mode_user);
  if (status == dnnl_success && relu) {
    dnnl_post_ops_t operations = NULL;
    status = dnnl_post_ops_create(&operations);
    if (status != dnnl_success) return status;
#if DNNL_VERSION_MAJOR >= 3
    status = dnnl_post_ops_append_eltwise(operations, dnnl_eltwise_relu, 0, 0);
#else
    status = dnnl_post_ops_append_eltwise(operations, 1, dnnl_eltwise_relu, 0, 0);
#endif
    if (status == dnnl_success) status = dnnl_primitive_attr_set_post_ops(*attributes, operations);
    dnnl_post_ops_destroy(operations);
  }
  return status;
}

// MARK: primitive descriptors

/// The name of the implementation that a primitive descriptor stands for.
static inline const char *convoy_dnnl_implementation(const_dnnl_primitive_desc_t primitive) {
  const char *name = NULL;
  return dnnl_primitive_desc_query(primitive, dnnl_query_impl_info_str, 0, (void *)&name) == dnnl_success && name
      ? name
      : "unknown";
}

/// Whether an implementation's name begins with a text that the caller would rather not have.
static inline int convoy_dnnl_is_avoided(const_dnnl_primitive_desc_t primitive, const char *avoided) {
  return avoided && strncmp(convoy_dnnl_implementation(primitive), avoided, strlen(avoided)) == 0;
}

/// The library's first choice whose name does not begin with `avoided`; its very first where all do, or avoided is NULL.
static inline dnnl_status_t convoy_dnnl_convolution_forward(
    dnnl_primitive_desc_t *made, dnnl_engine_t engine, dnnl_prop_kind_t kind, dnnl_alg_kind_t algorithm,
    const void *source, const void *weights, const void *bias, const void *destination,
    const convoy_dnnl_window *window, dnnl_primitive_attr_t attributes, const char *avoided) {
#if DNNL_VERSION_MAJOR >= 3
  dnnl_status_t status = dnnl_convolution_forward_primitive_desc_create(
      made, engine, kind, algorithm, (convoy_dnnl_md)source, (convoy_dnnl_md)weights, (convoy_dnnl_md)bias,
      (convoy_dnnl_md)destination, window->strides, window->dilations, window->before, window->after, attributes);
  if (status != dnnl_success || !convoy_dnnl_is_avoided(*made, avoided)) return status;
  dnnl_primitive_desc_t other = NULL;
  if (dnnl_primitive_desc_clone(&other, *made) != dnnl_success) return dnnl_success;
  while (dnnl_primitive_desc_next_impl(other) == dnnl_success) {
    if (convoy_dnnl_is_avoided(other, avoided)) continue;
    dnnl_primitive_desc_destroy(*made);
    *made = other;
    return dnnl_success;
  }
  dnnl_primitive_desc_destroy(other);
  return dnnl_success;
#else
  dnnl_convolution_desc_t operation;
  dnnl_status_t status = dnnl_dilated_convolution_forward_desc_init(
      &operation, kind, algorithm, (convoy_dnnl_md)source, (convoy_dnnl_md)weights, (convoy_dnnl_md)bias,
      (convoy_dnnl_md)destination, window->strides, window->dilations, window->before, window->after);
  if (status != dnnl_success) return status;
  status = dnnl_primitive_desc_create(made, &operation, attributes, engine, NULL);
  if (status != dnnl_success || !convoy_dnnl_is_avoided(*made, avoided)) return status;
  dnnl_primitive_desc_iterator_t choices = NULL;
  if (dnnl_primitive_desc_iterator_create(&choices, &operation, attributes, engine, NULL) != dnnl_success)
    return dnnl_success;
  while (dnnl_primitive_desc_iterator_next(choices) == dnnl_success) {
    dnnl_primitive_desc_t other = dnnl_primitive_desc_iterator_fetch(choices);
    if (other && !convoy_dnnl_is_avoided(other, avoided)) {
      dnnl_primitive_desc_destroy(*made);
      *made = other;
      break;
    }
    dnnl_primitive_desc_destroy(other);
  }
  dnnl_primitive_desc_iterator_destroy(choices);
  return dnnl_success;
#endif
}

static inline dnnl_status_t convoy_dnnl_convolution_backward_data(
    dnnl_primitive_desc_t *made, dnnl_engine_t engine, dnnl_alg_kind_t algorithm, const void *source_gradient,
    const void *weights, const void *destination_gradient, const convoy_dnnl_window *window,
    const_dnnl_primitive_desc_t forward, dnnl_primitive_attr_t attributes) {
#if DNNL_VERSION_MAJOR >= 3
  return dnnl_convolution_backward_data_primitive_desc_create(
      made, engine, algorithm, (convoy_dnnl_md)source_gradient, (convoy_dnnl_md)weights,
      (convoy_dnnl_md)destination_gradient, window->strides, window->dilations, window->before, window->after, forward,
      attributes);
#else
  dnnl_convolution_desc_t operation;
  dnnl_status_t status = dnnl_dilated_convolution_backward_data_desc_init(
      &operation, algorithm, (convoy_dnnl_md)source_gradient, (convoy_dnnl_md)weights,
      (convoy_dnnl_md)destination_gradient, window->strides, window->dilations, window->before, window->after);
  return status != dnnl_success ? status : dnnl_primitive_desc_create(made, &operation, attributes, engine, forward);
#endif
}

static inline dnnl_status_t convoy_dnnl_convolution_backward_weights(
    dnnl_primitive_desc_t *made, dnnl_engine_t engine, dnnl_alg_kind_t algorithm, const void *source,
    const void *weights_gradient, const void *bias_gradient, const void *destination_gradient,
    const convoy_dnnl_window *window, const_dnnl_primitive_desc_t forward, dnnl_primitive_attr_t attributes) {
#if DNNL_VERSION_MAJOR >= 3
  return dnnl_convolution_backward_weights_primitive_desc_create(
      made, engine, algorithm, (convoy_dnnl_md)source, (convoy_dnnl_md)weights_gradient, (convoy_dnnl_md)bias_gradient,
      (convoy_dnnl_md)destination_gradient, window->strides, window->dilations, window->before, window->after, forward,
      attributes);
#else
  dnnl_convolution_desc_t operation;
  dnnl_status_t status = dnnl_dilated_convolution_backward_weights_desc_init(
      &operation, algorithm, (convoy_dnnl_md)source, (convoy_dnnl_md)weights_gradient, (convoy_dnnl_md)bias_gradient,
      (convoy_dnnl_md)destination_gradient, window->strides, window->dilations, window->before, window->after);
  return status != dnnl_success ? status : dnnl_primitive_desc_create(made, &operation, attributes, engine, forward);
#endif
}

static inline dnnl_status_t convoy_dnnl_pooling_forward(
    dnnl_primitive_desc_t *made, dnnl_engine_t engine, dnnl_prop_kind_t kind, dnnl_alg_kind_t algorithm,
    const void *source, const void *destination, const convoy_dnnl_window *window, dnnl_primitive_attr_t attributes) {
#if DNNL_VERSION_MAJOR >= 3
  return dnnl_pooling_forward_primitive_desc_create(
      made, engine, kind, algorithm, (convoy_dnnl_md)source, (convoy_dnnl_md)destination, window->strides,
      window->kernel, window->dilations, window->before, window->after, attributes);
#else
  dnnl_pooling_desc_t operation;
  dnnl_status_t status = dnnl_pooling_forward_desc_init(
      &operation, kind, algorithm, (convoy_dnnl_md)source, (convoy_dnnl_md)destination, window->strides,
      window->kernel, window->before, window->after);
  return status != dnnl_success ? status : dnnl_primitive_desc_create(made, &operation, attributes, engine, NULL);
#endif
}

static inline dnnl_status_t convoy_dnnl_pooling_backward(
    dnnl_primitive_desc_t *made, dnnl_engine_t engine, dnnl_alg_kind_t algorithm, const void *source_gradient,
    const void *destination_gradient, const convoy_dnnl_window *window, const_dnnl_primitive_desc_t forward,
    dnnl_primitive_attr_t attributes) {
#if DNNL_VERSION_MAJOR >= 3
  return dnnl_pooling_backward_primitive_desc_create(
      made, engine, algorithm, (convoy_dnnl_md)source_gradient, (convoy_dnnl_md)destination_gradient, window->strides,
      window->kernel, window->dilations, window->before, window->after, forward, attributes);
#else
  dnnl_pooling_desc_t operation;
  dnnl_status_t status = dnnl_pooling_backward_desc_init(
      &operation, algorithm, (convoy_dnnl_md)source_gradient, (convoy_dnnl_md)destination_gradient, window->strides,
      window->kernel, window->before, window->after);
  return status != dnnl_success ? status : dnnl_primitive_desc_create(made, &operation, attributes, engine, forward);
#endif
}

static inline dnnl_status_t convoy_dnnl_elementwise_forward(
    dnnl_primitive_desc_t *made, dnnl_engine_t engine, dnnl_prop_kind_t kind, dnnl_alg_kind_t algorithm,
    const void *data, float alpha, dnnl_primitive_attr_t attributes) {
#if DNNL_VERSION_MAJOR >= 3
  return dnnl_eltwise_forward_primitive_desc_create(
      made, engine, kind, algorithm, (convoy_dnnl_md)data, (convoy_dnnl_md)data, alpha, 0, attributes);
#else
  dnnl_eltwise_desc_t operation;
  dnnl_status_t status =
      dnnl_eltwise_forward_desc_init(&operation, kind, algorithm, (convoy_dnnl_md)data, alpha, 0);
  return status != dnnl_success ? status : dnnl_primitive_desc_create(made, &operation, attributes, engine, NULL);
#endif
}

static inline dnnl_status_t convoy_dnnl_elementwise_backward(
    dnnl_primitive_desc_t *made, dnnl_engine_t engine, dnnl_alg_kind_t algorithm, const void *gradient,
    const void *data, float alpha, const_dnnl_primitive_desc_t forward, dnnl_primitive_attr_t attributes) {
#if DNNL_VERSION_MAJOR >= 3
  return dnnl_eltwise_backward_primitive_desc_create(
      made, engine, algorithm, (convoy_dnnl_md)gradient, (convoy_dnnl_md)gradient, (convoy_dnnl_md)data, alpha, 0,
      forward, attributes);
#else
  dnnl_eltwise_desc_t operation;
  dnnl_status_t status = dnnl_eltwise_backward_desc_init(
      &operation, algorithm, (convoy_dnnl_md)gradient, (convoy_dnnl_md)data, alpha, 0);
  return status != dnnl_success ? status : dnnl_primitive_desc_create(made, &operation, attributes, engine, forward);
#endif
}

static inline dnnl_status_t convoy_dnnl_batch_normalization_forward(
    dnnl_primitive_desc_t *made, dnnl_engine_t engine, dnnl_prop_kind_t kind, const void *data, float epsilon,
    unsigned flags, dnnl_primitive_attr_t attributes) {
#if DNNL_VERSION_MAJOR >= 3
  return dnnl_batch_normalization_forward_primitive_desc_create(
      made, engine, kind, (convoy_dnnl_md)data, (convoy_dnnl_md)data, epsilon, flags, attributes);
#else
  dnnl_batch_normalization_desc_t operation;
  dnnl_status_t status =
      dnnl_batch_normalization_forward_desc_init(&operation, kind, (convoy_dnnl_md)data, epsilon, flags);
  return status != dnnl_success ? status : dnnl_primitive_desc_create(made, &operation, attributes, engine, NULL);
#endif
}

static inline dnnl_status_t convoy_dnnl_batch_normalization_backward(
    dnnl_primitive_desc_t *made, dnnl_engine_t engine, const void *gradient, const void *data, float epsilon,
    unsigned flags, const_dnnl_primitive_desc_t forward, dnnl_primitive_attr_t attributes) {
#if DNNL_VERSION_MAJOR >= 3
  return dnnl_batch_normalization_backward_primitive_desc_create(
      made, engine, dnnl_backward, (convoy_dnnl_md)gradient, (convoy_dnnl_md)gradient, (convoy_dnnl_md)data, epsilon,
      flags, forward, attributes);
#else
  dnnl_batch_normalization_desc_t operation;
  dnnl_status_t status = dnnl_batch_normalization_backward_desc_init(
      &operation, dnnl_backward, (convoy_dnnl_md)gradient, (convoy_dnnl_md)data, epsilon, flags);
  return status != dnnl_success ? status : dnnl_primitive_desc_create(made, &operation, attributes, engine, forward);
#endif
}

static inline dnnl_status_t convoy_dnnl_binary(
    dnnl_primitive_desc_t *made, dnnl_engine_t engine, dnnl_alg_kind_t algorithm, const void *left, const void *right,
    const void *destination, dnnl_primitive_attr_t attributes) {
#if DNNL_VERSION_MAJOR >= 3
  return dnnl_binary_primitive_desc_create(
      made, engine, algorithm, (convoy_dnnl_md)left, (convoy_dnnl_md)right, (convoy_dnnl_md)destination, attributes);
#else
  dnnl_binary_desc_t operation;
  dnnl_status_t status = dnnl_binary_desc_init(
      &operation, algorithm, (convoy_dnnl_md)left, (convoy_dnnl_md)right, (convoy_dnnl_md)destination);
  return status != dnnl_success ? status : dnnl_primitive_desc_create(made, &operation, attributes, engine, NULL);
#endif
}

static inline dnnl_status_t convoy_dnnl_reorder(
    dnnl_primitive_desc_t *made, dnnl_engine_t engine, const void *source, const void *destination,
    dnnl_primitive_attr_t attributes) {
  return dnnl_reorder_primitive_desc_create(
      made, (convoy_dnnl_md)source, engine, (convoy_dnnl_md)destination, engine, attributes);
}

#endif
