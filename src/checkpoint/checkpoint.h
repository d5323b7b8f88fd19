/* One store for every file kind: name -> tensor view, and the architecture as JSON.
 *
 * Files are read as data and nothing in them is ever executed. The kind is told from the content,
 * never from the name. */
#ifndef GV_CHECKPOINT_CHECKPOINT_H
#define GV_CHECKPOINT_CHECKPOINT_H

#include "checkpoint/view.h"

#include <jansson.h>

typedef enum gv_checkpoint_kind {
    GV_CHECKPOINT_SAFETENSORS,
    GV_CHECKPOINT_TORCH_ZIP,
    GV_CHECKPOINT_TORCH_LEGACY,
    GV_CHECKPOINT_NVLABS_PICKLE
} gv_checkpoint_kind;

typedef struct gv_checkpoint gv_checkpoint;

/* Opens and checks a file: structure, bounds, shapes; not the values.
 * Canonical names: NVlabs pickles give G_ema's parameters and buffers ("synthesis.b8.conv0.weight",
 * "mapping.w_avg"); torch files the state dict, found at the root, under 'state_dict', 'G_ema',
 * 'g_ema', 'generator' or 'G'; a prefix `module.`, `G.`, `generator.` that all tensors share is
 * removed.
 * *ck     returned owned (gv_checkpoint_close); empty after an error
 * Errors  GV_E_IO; GV_E_FORMAT naming file and tensor or byte; GV_E_UNSUPPORTED for kinds that are
 *         recognised and not loaded: TensorFlow StyleGAN pickles, StyleGAN3, rosinality's files;
 *         GV_E_MEMORY also when the description of the file (pickle, JSON) would take more than 24
 *         times its own size. */
gv_status gv_checkpoint_open(gv_checkpoint **ck, const char *path, gv_error *err);

/* The same from memory, which must outlive the checkpoint. name is for messages. */
gv_status gv_checkpoint_open_memory(gv_checkpoint **ck, const void *data, size_t size,
                                    const char *name, gv_error *err);
void gv_checkpoint_close(gv_checkpoint *ck);

gv_checkpoint_kind gv_checkpoint_get_kind(const gv_checkpoint *ck);
const char *gv_checkpoint_kind_text(gv_checkpoint_kind kind); /* "torch zip file" */
const char *gv_checkpoint_path(const gv_checkpoint *ck);

/* Tensors sorted by name; NULL if there is none of that name. */
size_t gv_checkpoint_count(const gv_checkpoint *ck);
const gv_view *gv_checkpoint_at(const gv_checkpoint *ck, size_t i);
const gv_view *gv_checkpoint_find(const gv_checkpoint *ck, const char *name);

/* The architecture, a JSON object (borrowed), or NULL where the file says nothing: from NVlabs
 * pickles the attributes of the modules, from safetensors the metadata key `ganvas`. Both have the
 * same form, which convert writes:
 *   {"type": "stylegan2", "z_dim": 512, "c_dim": 0, "w_dim": 512, "img_resolution": 64,
 *    "img_channels": 3, "num_ws": 10, "mapping_kwargs": {"num_layers": 2, ...},
 *    "synthesis_kwargs": {"channel_base": 16384, ..., "architecture": "skip"},
 *    "modules": {"synthesis.b8.conv0": {"up": 2, "conv_clamp": 256, "act_gain": 1.41421...}, ...}}
 * Only "type" and, for stylegan2, z_dim, c_dim, w_dim, img_resolution, img_channels are certain. */
const json_t *gv_checkpoint_config(const gv_checkpoint *ck);

/* The whole tree of the file as text for `inspect`: one line per entry, indented, opaque calls
 * named, what is shared shown once, at most max_lines lines (0: all).
 * Returns owned text (gv_mem_free), NULL without memory. */
char *gv_checkpoint_tree_text(gv_checkpoint *ck, int64_t max_lines);

/* GV_OK and *v, or GV_E_FORMAT naming file, tensor, found and expected.
 * shape   dims entries; -1 accepts any size there */
gv_status gv_checkpoint_need(const gv_checkpoint *ck, const gv_view **v, const char *name, int dims,
                             const int64_t *shape, gv_error *err);

/* Gives the mapped pages back to the system; views stay valid. */
void gv_checkpoint_release_pages(const gv_checkpoint *ck);

/* sha256 is not needed to load; this is a fast 64-bit content hash for records ("model hash"). */
uint64_t gv_checkpoint_hash(const gv_checkpoint *ck);

#endif
