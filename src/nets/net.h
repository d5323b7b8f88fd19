/* What all networks share: a checkpoint, its packed weights, and loading that checks every tensor.
 */
#ifndef GV_NETS_NET_H
#define GV_NETS_NET_H

#include "base/memory.h"
#include "checkpoint/checkpoint.h"
#include "graph/weights.h"

typedef enum gv_net_type {
    GV_NET_UNKNOWN,
    GV_NET_DCGAN,
    GV_NET_STYLEGAN2,
    GV_NET_VGG /* VGG16 or VGG19 features, with or without LPIPS's linear layers */
} gv_net_type;

/* Which network the tensors' names belong to; shapes and values are not looked at. */
gv_net_type gv_net_type_of(const gv_checkpoint *ck);

/* The same with one line for `inspect`: "StyleGAN2 generator, 64 px, z 512, w 512, ...". A file
 * that is recognised and cannot be loaded says why in that line. text    size bytes, always
 * terminated Errors  GV_E_MEMORY only */
gv_status gv_net_identify(const gv_checkpoint *ck, gv_net_type *type, char *text, size_t size,
                          gv_error *err);

/* ---- for the networks of this layer ---- */

typedef struct gv_net {
    const gv_checkpoint *ck;
    gv_checkpoint *owned; /* ck, or NULL while a file is only described */
    gv_weights *weights;  /* NULL then too */
    gv_arena arena;       /* tensor names and small arrays */
    float *scratch;       /* for gv_net_need, until gv_net_loaded */
    int64_t scratch_count;
} gv_net;

/* Describes only: ck is borrowed, values are not checked. Ends with gv_net_deinit. */
void gv_net_init_borrowed(gv_net *net, const gv_checkpoint *ck);
/* Takes ck over in every case, after an error too. net must not move afterwards. */
gv_status gv_net_init(gv_net *net, gv_checkpoint *ck, gv_error *err);
/* All tensors are checked: frees the scratch and gives the file's pages back. */
void gv_net_loaded(gv_net *net);
void gv_net_deinit(gv_net *net);

/* The tensor is there, has this shape, and (unless borrowed) all its values are finite.
 * shape  dims entries; -1 accepts any size there, and found (may be NULL) gets the sizes
 * Errors GV_E_FORMAT naming file, tensor, found and expected; GV_E_NUMERIC naming the element */
gv_status gv_net_need(gv_net *net, const char *name, int dims, const int64_t *shape, int64_t *found,
                      gv_error *err);
bool gv_net_has(const gv_net *net, const char *name);
/* count floats of a tensor that gv_net_need has seen. */
gv_status gv_net_read(const gv_net *net, const char *name, float *dst, int64_t count,
                      gv_error *err);

/* printf into the arena; the text lives as long as the net. */
#if defined(__GNUC__)
__attribute__((format(printf, 4, 5)))
#endif
gv_status
gv_net_name(gv_net *net, const char **name, gv_error *err, const char *format, ...);
/* count floats in the arena. */
gv_status gv_net_floats(gv_net *net, float **floats, int64_t count, gv_error *err);

gv_param gv_net_param(const gv_net *net, const char *name);

#endif
