/* A tensor inside a file: bytes, type, shape and strides. Never a float pointer: offsets inside
 * pickles are unaligned. */
#ifndef GV_CHECKPOINT_VIEW_H
#define GV_CHECKPOINT_VIEW_H

#include "base/error.h"

#define GV_MAX_DIMS 8

typedef enum gv_dtype {
    GV_F32,
    GV_F16,
    GV_BF16,
    GV_F64,
    GV_I64,
    GV_I32,
    GV_I16,
    GV_I8,
    GV_U8,
    GV_BOOL
} gv_dtype;

size_t gv_dtype_size(gv_dtype type);
const char *gv_dtype_name(gv_dtype type); /* as in safetensors: "F32" */

typedef struct gv_view {
    const char *name; /* borrowed from the checkpoint, as gv_checkpoint canonicalised it */
    gv_dtype type;
    int dims;
    int64_t shape[GV_MAX_DIMS];
    int64_t stride[GV_MAX_DIMS]; /* in elements; 0 for expanded dimensions; never negative */
    const uint8_t *data;         /* first element; every reachable byte is inside the file */
    bool big_endian;             /* NumPy only; torch and safetensors are little-endian */
} gv_view;

/* Sets C-order strides from type and shape; *bytes = the tensor's size. False, and *bytes = 0, if a
 * size is negative or the byte count passes INT64_MAX. */
bool gv_view_set_contiguous(gv_view *v, size_t *bytes);

/* Product of the shape; the reader that made the view has checked that it fits. */
int64_t gv_view_count(const gv_view *v);

/* Writes "[64,3,3,3]" (at most size - 1 bytes; negative sizes as '*') and returns text. */
char *gv_view_shape_text(char *text, size_t size, const gv_view *v);

/* Copies the tensor in C order as float32; every type converts (F64 rounds, integers to nearest).
 * dst    gv_view_count(v) floats
 * file   for messages
 * Errors GV_E_NUMERIC "<file>: tensor '<name>' holds NaN at element 17" (or infinity). */
gv_status gv_view_read_f32(float *dst, const gv_view *v, const char *file, gv_error *err);

/* Copies the tensor's bytes in C order in its own type, little-endian: what convert writes.
 * dst    gv_view_count(v) * gv_dtype_size(v->type) bytes */
void gv_view_read_raw(void *dst, const gv_view *v);

#endif
