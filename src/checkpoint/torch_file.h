/* Files of torch.save, both forms, and the tensors in their pickles. Source FORMATS section 2. */
#ifndef GV_CHECKPOINT_TORCH_FILE_H
#define GV_CHECKPOINT_TORCH_FILE_H

#include "checkpoint/pickle.h"
#include "checkpoint/view_list.h"

/* The bytes of one storage of the file. */
typedef struct gv_torch_blob {
    const char *key; /* not terminated */
    size_t key_size;
    const uint8_t *data;
    uint64_t size;
} gv_torch_blob;

typedef struct gv_torch_file {
    const char *file; /* for messages */
    size_t file_size;
    gv_pickle pickle;           /* the object that was saved */
    const gv_torch_blob *blobs; /* sorted by key, in the arena */
    size_t blob_count;
} gv_torch_file;

/* The two forms. t points into the data and the arena.
 * Errors GV_E_FORMAT; GV_E_UNSUPPORTED for big-endian files, TorchScript and other ZIP archives;
 *        GV_E_MEMORY. */
gv_status gv_torch_zip_read(gv_torch_file *t, const uint8_t *data, size_t size, const char *file,
                            gv_arena *arena, gv_error *err);
gv_status gv_torch_legacy_read(gv_torch_file *t, const uint8_t *data, size_t size, const char *file,
                               gv_arena *arena, gv_error *err);
bool gv_torch_is_legacy(const uint8_t *data, size_t size);

/* A tensor or parameter, of a kind that gv_torch_view reads or refuses. */
bool gv_torch_is_tensor(const gv_pickle_value *v);

/* The tensor as a view, checked against its storage: in the file, or in a torch file within the
 * pickle (_load_from_bytes).
 * name   kept in the view
 * Errors GV_E_FORMAT naming the tensor; GV_E_UNSUPPORTED for sparse, quantised and other kinds and
 *        types; GV_E_MEMORY. */
gv_status gv_torch_view(gv_view *v, const gv_torch_file *t, const gv_pickle_value *value,
                        const char *name, gv_error *err);

#endif
