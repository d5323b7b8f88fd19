/* What interpolate and mix go between: latents that are saved, drawn from seeds, or found by
 * inverting pictures. */
#ifndef GV_API_ENDS_H
#define GV_API_ENDS_H

#include "api/invert_setup.h"

typedef enum gv_end_kind { GV_END_SAVED, GV_END_SEED, GV_END_PICTURE } gv_end_kind;

typedef struct gv_end {
    gv_end_kind kind;
    const char *file; /* NULL for seeds */
    const char *name; /* for captions: "cat.jpg", "seed 85" */
    int64_t number;   /* the seed, or the place in the file */
    float *latent;    /* z [z_dim] in the space z, else rows [num_ws,w_dim]; NULL before
                         gv_ends_finish for pictures, and in GV_ENDS_PIXEL after it, too */
    gv_target target; /* of pictures */
    json_t *json;     /* for the record */
} gv_end;

typedef enum gv_ends_space {
    GV_ENDS_Z,
    GV_ENDS_W,
    GV_ENDS_W_PLUS,
    GV_ENDS_PIXEL /* pictures stay pictures; saved latents are taken as in w+ (a DCGAN: z) */
} gv_ends_space;

typedef struct gv_ends {
    ganvas_engine *engine;
    ganvas_model *model;
    const ganvas_settings *settings;
    const ganvas_watch *watch;
    gv_ends_space space;
    gv_end *list;
    int64_t count;
    int64_t pictures;      /* among them */
    gv_invert_setup setup; /* open as soon as there is a picture */
    bool has_setup;
    gv_vgg *vgg; /* borrowed from the setup, or own_vgg; NULL before gv_ends_vgg */
    gv_vgg *own_vgg;
    int64_t inverted; /* pictures that are done */
    double start;
    gv_arena arena;
} gv_ends;

/* All are kept until gv_ends_deinit, which is right after an error, too. */
void gv_ends_init(gv_ends *ends, ganvas_engine *engine, ganvas_model *model,
                  const ganvas_settings *s, const ganvas_watch *watch, gv_ends_space space);
void gv_ends_deinit(gv_ends *ends);

/* How the generator takes the latents: GANVAS_SPACE_Z or GANVAS_SPACE_W_PLUS. */
ganvas_space gv_ends_latent_space(const gv_ends *ends);

/* Adds what a file holds: each latent of an .npz, or a picture, of which only the part that will be
 * inverted is kept.
 * path    kept
 * Errors  GV_E_ARG where a latent is not of the space; those of files and pictures. */
gv_status gv_ends_add_file(gv_ends *ends, const char *path, gv_error *err);

/* Adds a seed's latent, truncated by psi. */
gv_status gv_ends_add_seed(gv_ends *ends, int64_t seed, double psi, gv_error *err);

/* Inverts the pictures, one after the other, with the options of the settings; in GV_ENDS_PIXEL
 * there is nothing to do. Progress counts evaluations.
 * Errors GV_E_CANCELLED; those of inversion. */
gv_status gv_ends_finish(gv_ends *ends, gv_error *err);

/* *picture [3,R,R] of end i: the picture itself in GV_ENDS_PIXEL, else the latent's. */
gv_status gv_ends_render(gv_ends *ends, float *picture, int64_t i, const ganvas_render *render,
                         gv_error *err);

/* Opens the network of LPIPS, unless the setup has; ends->vgg. */
gv_status gv_ends_vgg(gv_ends *ends, gv_error *err);

/* [{"kind", "file", "seed", ...}], returned owned, or NULL without memory. */
json_t *gv_ends_to_json(const gv_ends *ends);

/* Rows of --layers; NULL and 0 for "all". *rows is owned (gv_mem_free).
 * Errors GV_E_ARG if the model has fewer. */
gv_status gv_ends_layers(const gv_ends *ends, int64_t **rows, int64_t *count, gv_error *err);

#endif
