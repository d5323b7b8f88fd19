/* One face for all generators: load, map latents, render. */
#ifndef GV_NETS_GENERATOR_H
#define GV_NETS_GENERATOR_H

#include "nets/dcgan.h"
#include "nets/stylegan2.h"

/* A latent is rows of numbers: StyleGAN2 num_ws rows of w, DCGAN one row, z. */
typedef struct gv_generator {
    gv_net net;
    gv_net_type type; /* GV_NET_DCGAN or GV_NET_STYLEGAN2: which of the two below is valid */
    gv_dcgan dcgan;
    gv_stylegan2 stylegan2;
    int64_t z_dim, c_dim; /* c_dim 0: no classes */
    int64_t rows, row_dim;
    int64_t resolution, channels;
    float *w_avg; /* w_dim floats in the net's arena; NULL until gv_generator_w_avg made it */
} gv_generator;

/* Recognises the file, checks every tensor (presence, shape, finite values) and gives its pages
 * back. *gen    returned owned (gv_generator_free); empty after an error ck      taken over in
 * every case, after an error too Errors  GV_E_FORMAT naming tensor, found and expected, or what the
 * file is instead of a generator; GV_E_NUMERIC naming the tensor that holds NaN or infinity;
 * GV_E_UNSUPPORTED; GV_E_MEMORY */
gv_status gv_generator_load(gv_generator **gen, gv_checkpoint *ck, gv_error *err);
/* gen may be NULL. Graphs built with it must be gone. */
void gv_generator_free(gv_generator *gen);

/* ---- latents ---- */

/* z of NVlabs' scripts: float64 RandomState(seed).randn(1, z_dim), rounded to float32. */
void gv_generator_seed_z(const gv_generator *gen, float *z, uint64_t seed);

/* *w_avg (w_dim floats, borrowed): the file's, or the mean of 10,000 w of RandomState(123), classes
 * in turn, computed once, where the file has none. Not for two threads at once.
 * Errors GV_E_ARG for a DCGAN; those of running a graph */
gv_status gv_generator_w_avg(gv_generator *gen, const float **w_avg, int threads,
                             const gv_cancel *cancel, gv_error *err);

typedef struct gv_truncation {
    float psi;      /* 1: none */
    int64_t cutoff; /* rows 0 to cutoff-1 are truncated; -1: all */
    int64_t label;  /* the class; -1: none. Needed if c_dim > 0 */
} gv_truncation;

#define GV_TRUNCATION_NONE ((gv_truncation){.psi = 1, .cutoff = -1, .label = -1})

/* Rows of n latents from n z, one sample at a time, so that a seed gives the same bits in any
 * company. A DCGAN's latent is z itself, and it knows no truncation.
 * latents [n,rows,row_dim]; z [n,z_dim]
 * Errors  GV_E_ARG if the class is missing, superfluous or out of range, or for truncation of a
 * DCGAN */
gv_status gv_generator_map(gv_generator *gen, float *latents, const float *z, int64_t n,
                           const gv_truncation *t, int threads, const gv_cancel *cancel,
                           gv_error *err);

/* w+ samples: every row of each of n latents gets the w of a z of its own; z [n,rows,z_dim]. */
gv_status gv_generator_map_rows(gv_generator *gen, float *latents, const float *z, int64_t n,
                                const gv_truncation *t, int threads, const gv_cancel *cancel,
                                gv_error *err);

/* ---- as a graph ---- */

/* img [N,3,R,R] from rows nodes [N,row_dim,1,1]; noise and taps as in gv_stylegan2_synthesis, noise
 * is ignored by a DCGAN. */
gv_status gv_generator_build(gv_graph *g, const gv_generator *gen, gv_node *img,
                             const gv_node *latent, const gv_node *noise, bool taps, gv_error *err);

/* ---- rendering ---- */

typedef enum gv_noise_mode {
    GV_NOISE_CONST,  /* the maps in the file */
    GV_NOISE_RANDOM, /* drawn anew for each picture, as the official code draws them */
    GV_NOISE_NONE,
    GV_NOISE_GIVEN /* the caller's maps */
} gv_noise_mode;

/* Latents -> pictures, many times: graphs are built once per batch size and noise mode. */
typedef struct gv_renderer gv_renderer;

/* gen is kept and must outlive the renderer. batch: samples that run together, at least 1; results
 * of different batch sizes may differ in the last bits.
 * Returned owned (gv_renderer_free). */
gv_status gv_renderer_new(gv_renderer **r, gv_generator *gen, int64_t batch, gv_error *err);
/* r may be NULL. */
void gv_renderer_free(gv_renderer *r);

/* img      [n,3,R,R] float32, in [-1,1] but not clamped
 * latents  [n,rows,row_dim]
 * rng      for GV_NOISE_RANDOM: map by map, `batch` samples at once; else NULL
 * noise    for GV_NOISE_GIVEN: gv_stylegan2_noise_floats of one sample, used for all; else NULL
 * Errors   GV_E_CANCELLED, GV_E_MEMORY */
gv_status gv_renderer_run(gv_renderer *r, float *img, const float *latents, int64_t n,
                          gv_noise_mode mode, gv_torch_rng *rng, const float *noise, int threads,
                          const gv_cancel *cancel, gv_error *err);

#endif
