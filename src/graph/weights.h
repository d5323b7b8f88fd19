/* Packed weights of one model: built once per (tensor, layout), shared by all its graphs. */
#ifndef GV_GRAPH_WEIGHTS_H
#define GV_GRAPH_WEIGHTS_H

#include "base/error.h"

typedef struct gv_weights gv_weights;

/* Reads tensor `name` of the model as contiguous float32 in PyTorch's order: count floats, as the
 * net checked at loading. */
typedef gv_status gv_weights_read_fn(void *model, const char *name, float *dst, int64_t count,
                                     gv_error *err);

/* model is kept and must outlive the weights. Returned owned (gv_weights_free). */
gv_status gv_weights_new(gv_weights **w, gv_weights_read_fn *read, void *model, gv_error *err);
void gv_weights_free(gv_weights *w);

/* One tensor of a model, as arguments name it: {g->weights, "synthesis.b4.conv1.weight"}.
 * name is kept until the graph is built. {NULL, NULL}: absent (no bias). */
typedef struct gv_param {
    gv_weights *weights;
    const char *name;
} gv_param;

#define GV_NO_PARAM ((gv_param){0, 0})

/* dst: bytes, 64-byte aligned, zeroed; src: the tensor, count floats. */
typedef void gv_pack_fn(void *dst, const float *src, int64_t count, const void *ctx);

/* The packed form; the same pointer for the same (name, layout). Valid until gv_weights_free; may
 * be called from several threads. layout  text that identifies what pack does (with its ctx) count
 * elements of the stored tensor pack    NULL: plain copy of the floats, bytes == count * 4 */
gv_status gv_weights_pack(const void **packed, gv_param p, int64_t count, const char *layout,
                          size_t bytes, gv_pack_fn *pack, const void *ctx, gv_error *err);

/* A scalar or short vector straight from the model. */
gv_status gv_weights_floats(float *dst, gv_param p, int64_t count, gv_error *err);

/* Bytes of packed weights held. */
size_t gv_weights_bytes(const gv_weights *w);

#endif
