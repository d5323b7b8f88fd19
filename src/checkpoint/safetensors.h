/* safetensors: reader (used by checkpoint.c) and writer. Source FORMATS section 2.3. */
#ifndef GV_CHECKPOINT_SAFETENSORS_H
#define GV_CHECKPOINT_SAFETENSORS_H

#include "base/memory.h"
#include "checkpoint/view.h"

#include <jansson.h>

/* The header may be at most 16 MiB, its JSON at most 16 levels deep, keys must not repeat.
 * data     the whole file
 * views    *count entries in the arena, in file order
 * metadata the __metadata__ object, returned owned (json_decref), or NULL */
gv_status gv_safetensors_read(const uint8_t *data, size_t size, const char *file, gv_arena *arena,
                              gv_view **views, size_t *count, json_t **metadata, gv_error *err);

/* Writes views (any strides) in the order given, C-contiguous, in their own types; data starts
 * aligned to 8 bytes. metadata: string -> string, may be NULL. The file is renamed into place. */
gv_status gv_safetensors_write(const char *path, const gv_view *views, size_t count,
                               const json_t *metadata, gv_error *err);

#endif
