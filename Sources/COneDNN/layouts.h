// What a layout is called: the library has the names of its formats, but no function that tells a layout's.
#ifndef CONVOY_ONEDNN_LAYOUTS_H
#define CONVOY_ONEDNN_LAYOUTS_H

#include "shim.h"

#include <stdio.h>

/// What decides a layout's name: strides of the outer dimensions, and the blocks that lie inside of them.
typedef struct {
  int rank, blocks;
  const dnnl_dim_t *extents, *strides, *block_sizes, *block_dimensions;
} convoy_dnnl_blocking;

/// Reads it; returns 0 where the layout is none of strides and blocks.
static inline int convoy_dnnl_read_blocking(const void *layout, convoy_dnnl_blocking *read) {
  convoy_dnnl_md md = (convoy_dnnl_md)layout;
#if DNNL_VERSION_MAJOR >= 3
  dnnl_format_kind_t kind = dnnl_format_kind_undef;
  return dnnl_memory_desc_query(md, dnnl_query_format_kind, &kind) == dnnl_success && kind == dnnl_blocked &&
         dnnl_memory_desc_query(md, dnnl_query_ndims_s32, &read->rank) == dnnl_success &&
         dnnl_memory_desc_query(md, dnnl_query_dims, (void *)&read->extents) == dnnl_success &&
         dnnl_memory_desc_query(md, dnnl_query_strides, (void *)&read->strides) == dnnl_success &&
         dnnl_memory_desc_query(md, dnnl_query_inner_nblks_s32, &read->blocks) == dnnl_success &&
         dnnl_memory_desc_query(md, dnnl_query_inner_blks, (void *)&read->block_sizes) == dnnl_success &&
         dnnl_memory_desc_query(md, dnnl_query_inner_idxs, (void *)&read->block_dimensions) == dnnl_success;
#else
  if (md->format_kind != dnnl_blocked) return 0;
  read->rank = md->ndims;
  read->extents = md->dims;
  read->strides = md->format_desc.blocking.strides;
  read->blocks = md->format_desc.blocking.inner_nblks;
  read->block_sizes = md->format_desc.blocking.inner_blks;
  read->block_dimensions = md->format_desc.blocking.inner_idxs;
  return 1;
#endif
}

/// Writes a layout's name as the library's formats have it, as in `aBcd16b`: dimensions from the outermost to the
/// innermost, those that are blocked in capitals, then the blocks; `opaque` where there is no such name.
static inline void convoy_dnnl_layout_name(const void *layout, char *name, size_t size) {
  convoy_dnnl_blocking read;
  if (!convoy_dnnl_read_blocking(layout, &read) || read.rank > DNNL_MAX_NDIMS) {
    snprintf(name, size, "opaque");
    return;
  }
  int order[DNNL_MAX_NDIMS], blocked[DNNL_MAX_NDIMS] = {0};
  for (int i = 0; i < read.blocks; i++) blocked[read.block_dimensions[i]] = 1;
  for (int i = 0; i < read.rank; i++) {
    // The larger stride lies outside; of the same strides, which an extent of 1 makes, the larger extent does.
    int place = i;
    while (place > 0) {
      const int other = order[place - 1];
      const int64_t mine = read.strides[i], theirs = read.strides[other];
      if (theirs > mine || (theirs == mine && read.extents[other] >= read.extents[i])) break;
      order[place] = other;
      place--;
    }
    order[place] = i;
  }
  size_t length = 0;
  for (int i = 0; i < read.rank && length + 1 < size; i++)
    name[length++] = (char)((blocked[order[i]] ? 'A' : 'a') + order[i]);
  name[length < size ? length : size - 1] = 0;
  for (int i = 0; i < read.blocks && length < size; i++)
    length += (size_t)snprintf(name + length, size - length, "%d%c", (int)read.block_sizes[i],
                               (char)('a' + read.block_dimensions[i]));
}

#endif
