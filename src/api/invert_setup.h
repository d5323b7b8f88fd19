/* What `invert` and `scribble`, and the commands that invert their inputs first, share: from
 * settings to an inverter. Options that a command does not have take their defaults. */
#ifndef GV_API_INVERT_SETUP_H
#define GV_API_INVERT_SETUP_H

#include "api/api.h"
#include "base/memory.h"
#include "job/inverter.h"

/* Of one picture: each is a file, a record and a picture in the report. */
#define GV_SNAPSHOTS_MAX 200

typedef struct gv_invert_setup {
    gv_invert_options invert;
    gv_target_options picture;
    gv_objective_options objective;
    gv_inverter *inverter;
    gv_vgg *perceptual, *vgg16; /* perceptual is NULL where VGG16 serves both */
    int64_t *snapshots;
    gv_arena arena;
} gv_invert_setup;

/* Reads the options --latent --init --starts --optimizer --evals --history --lr --snapshots --l1
 * --mse --perc --layer --lpips --reg --perceptual --mask --mask-on --crop --eyes --noise --class
 * --seed --compat, and opens the networks. threads are the model's.
 * setup   free with gv_invert_setup_deinit in every case
 * model   kept
 * cancel  kept; may be NULL
 * Errors  GV_E_ARG naming the option; GV_E_IO if the VGG is not found. */
gv_status gv_invert_setup_init(gv_invert_setup *setup, ganvas_engine *engine, ganvas_model *model,
                               const ganvas_settings *s, const gv_cancel *cancel, gv_error *err);
void gv_invert_setup_deinit(gv_invert_setup *setup);

#endif
