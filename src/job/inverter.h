/* Inverting one picture after the other with one objective. */
#ifndef GV_JOB_INVERTER_H
#define GV_JOB_INVERTER_H

#include "edit/invert.h"
#include "job/target.h"

typedef struct gv_inverter gv_inverter;

typedef struct gv_inverter_options {
    gv_objective_options objective; /* `masked` is set by the first picture that needs it */
    int threads;
    const gv_cancel *cancel; /* kept; may be NULL */
} gv_inverter_options;

/* *inv         returned owned (gv_inverter_free)
 * gen          kept, as the two below
 * perceptual   for the perceptual term; NULL if its weight is 0
 * lpips        VGG16 with LPIPS's layers, for the term and for measuring; never NULL
 * Errors       those of gv_objective_new */
gv_status gv_inverter_new(gv_inverter **inv, gv_generator *gen, const gv_vgg *perceptual,
                          const gv_vgg *lpips, const gv_inverter_options *options, gv_error *err);
void gv_inverter_free(gv_inverter *inv);

/* gv_invert towards a target.
 * result  as in gv_invert: free with gv_inversion_deinit in every case; after GV_E_CANCELLED and
 *         GV_E_NUMERIC it holds the best until then if result->x is not NULL */
gv_status gv_inverter_run(gv_inverter *inv, gv_inversion *result, const gv_target *target,
                          const gv_invert_options *options, gv_error *err);

/* Loads a picture and inverts it: gv_target_load and gv_inverter_run. target may be NULL if it is
 * not wanted; else free it with gv_target_deinit in every case. */
gv_status gv_job_invert_image(gv_inverter *inv, gv_inversion *result, gv_target *target,
                              const char *path, const gv_target_options *picture,
                              const gv_invert_options *options, gv_error *err);

/* The picture [3,R,R] of unknowns: a snapshot's. */
gv_status gv_inverter_render(gv_inverter *inv, float *image, const double *x, gv_error *err);

/* How near a picture is to the target; where the mask is 0 both count as equal. */
typedef struct gv_quality {
    double lpips, psnr; /* psnr in dB over the masked pixels of values in [0,1] */
    double mean_lpips;  /* of the model's mean picture: what one gets without looking */
    bool reached;       /* false: the model cannot show this picture */
} gv_quality;

/* image [3,R,R]; clamped to [-1,1] before it is compared.
 * Below 16 pixels there is no LPIPS: both are NaN then.
 * Errors GV_E_MEMORY. Not to be cancelled. */
gv_status gv_inverter_measure(gv_inverter *inv, gv_quality *q, const gv_target *target,
                              const float *image, gv_error *err);

/* The model's mean picture [3,R,R], clamped, borrowed: of w_avg, or for a DCGAN the mean over 64
 * pictures of RandomState seeds 0 to 63. Made once. */
gv_status gv_inverter_mean_picture(gv_inverter *inv, const float **image, gv_error *err);

#endif
