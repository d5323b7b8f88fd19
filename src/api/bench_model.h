/* Generators with random weights, for measuring: exact architectures whose files nobody may pass
 * on. */
#ifndef GV_API_BENCH_MODEL_H
#define GV_API_BENCH_MODEL_H

#include "base/error.h"

typedef struct gv_bench_model {
    const char *name; /* "stylegan2-64" */
    const char *what; /* one line */
    int64_t resolution;
    int64_t channel_base; /* of StyleGAN2: min(channel_base / resolution, 512) channels; 0: DCGAN */
    int mapping_layers;
} gv_bench_model;

extern const gv_bench_model gv_bench_models[];
extern const int gv_bench_models_count;

/* NULL if there is none. */
const gv_bench_model *gv_bench_model_find(const char *name);

/* A whole safetensors file in memory, the same bytes at every call.
 * *data returned owned (gv_mem_free) */
gv_status gv_bench_model_make(const gv_bench_model *model, void **data, size_t *size,
                              gv_error *err);

#endif
