/* NVlabs' StyleGAN2 pickles: G_ema's tensors and the attributes of its modules. Source FORMATS
 * section 3.1. */
#ifndef GV_CHECKPOINT_NVLABS_H
#define GV_CHECKPOINT_NVLABS_H

#include "checkpoint/torch_file.h"

#include <jansson.h>

/* A pickle that is not inside a torch file; t as for gv_torch_zip_read, without storages. */
gv_status gv_nvlabs_pickle_read(gv_torch_file *t, const uint8_t *data, size_t size,
                                const char *file, gv_arena *arena, gv_error *err);

/* Adds the tensors of G_ema and describes it as in checkpoint.h.
 * config  returned owned (json_decref); NULL after an error
 * Errors  GV_E_UNSUPPORTED for StyleGAN3, TensorFlow pickles and others, by name; GV_E_FORMAT for
 *         missing attributes; as gv_torch_view; GV_E_MEMORY. */
gv_status gv_nvlabs_read(gv_view_list *list, json_t **config, const gv_torch_file *t,
                         gv_error *err);

#endif
