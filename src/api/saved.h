/* Latents in .npz files, as invert and NVlabs' projector leave them. */
#ifndef GV_API_SAVED_H
#define GV_API_SAVED_H

#include "api/api.h"
#include "base/memory.h"

typedef struct gv_saved {
    float *w; /* [w_count,num_ws,w_dim]; NULL: none, or the model has no w */
    float *z; /* [z_count,z_dim]; NULL: none */
    int64_t w_count, z_count;
} gv_saved;

/* Reads w [n,num_ws,w_dim], or [n,w_dim] for all rows of a latent, and z [n,z_dim].
 * arena   holds them
 * Errors  GV_E_FORMAT if the file has neither, or the model other sizes; GV_E_NUMERIC; GV_E_IO. */
gv_status gv_saved_read(gv_saved *saved, const ganvas_model *model, const char *path,
                        gv_arena *arena, gv_error *err);

#endif
