/* NumPy's .npy and .npz, read and written: latents, raw pictures, test vectors.
 * Read: versions 1 to 3, C and Fortran order, both byte orders, the types of gv_dtype. npz members
 * stored, or deflated through zlib. Written: version 1, C order, stored. */
#ifndef GV_CHECKPOINT_NPY_H
#define GV_CHECKPOINT_NPY_H

#include "base/memory.h"
#include "checkpoint/view.h"

/* v points into data. Header dictionaries are parsed, never evaluated. */
gv_status gv_npy_read(gv_view *v, const void *data, size_t size, const char *file, gv_error *err);

/* All members of an npz; names without ".npy". Inflated members live in the arena: its limit bounds
 * them. */
gv_status gv_npz_read(gv_view **views, size_t *count, const void *data, size_t size,
                      const char *file, gv_arena *arena, gv_error *err);

/* views[i].name become the member names. Renamed into place. */
gv_status gv_npy_write(const char *path, const gv_view *v, gv_error *err);
gv_status gv_npz_write(const char *path, const gv_view *views, size_t count, gv_error *err);

/* A C-contiguous little-endian view of memory, for writing. */
gv_view gv_view_of(const char *name, gv_dtype type, int dims, const int64_t *shape,
                   const void *data);

#endif
