/* NumPy's .npy and .npz, read and written: latents, raw pictures, test vectors.
 * Read: versions 1 to 3, C and Fortran order, both byte orders, the types of gv_dtype that NumPy
 * has. npz members stored, or deflated through zlib. Written: version 1, C order, stored.
 * Source numpy.lib.format; PKWARE's APPNOTE. */
#ifndef GV_CHECKPOINT_NPY_H
#define GV_CHECKPOINT_NPY_H

#include "base/memory.h"
#include "checkpoint/view.h"

/* ---- .npy ---- */

/* v points into data, and its name is file. The header is parsed, never evaluated. The data must
 * have exactly the size that the header says.
 * Errors GV_E_FORMAT; GV_E_UNSUPPORTED naming the type: objects, text, structures, complex and
 *        unsigned numbers beyond 8 bits. */
gv_status gv_npy_read(gv_view *v, const void *data, size_t size, const char *file, gv_error *err);

/* Any strides and byte order. The file is renamed into place.
 * Errors GV_E_UNSUPPORTED for GV_BF16, which NumPy does not have; GV_E_IO. */
gv_status gv_npy_write(const char *path, const gv_view *v, gv_error *err);

/* What stands before the data in a file of v: at most GV_NPY_HEADER_MAX bytes. */
#define GV_NPY_HEADER_MAX 320
gv_status gv_npy_make_header(char header[GV_NPY_HEADER_MAX], size_t *size, const gv_view *v,
                             const char *path, gv_error *err);

/* ---- .npz ---- */

/* All members, sorted by name; names without ".npy", in the arena. Checksums are checked. Inflated
 * members live in the arena: its limit bounds them. */
gv_status gv_npz_read(gv_view **views, size_t *count, const void *data, size_t size,
                      const char *file, gv_arena *arena, gv_error *err);

/* views[i].name become the member names. The file is renamed into place; equal views give equal
 * bytes. Errors as gv_npy_write; GV_E_ARG if two names are equal; GV_E_UNSUPPORTED for more than
 * 4 GiB or 65535 members. */
gv_status gv_npz_write(const char *path, const gv_view *views, size_t count, gv_error *err);

/* A C-contiguous little-endian view of memory, for writing. */
gv_view gv_view_of(const char *name, gv_dtype type, int dims, const int64_t *shape,
                   const void *data);

#endif
