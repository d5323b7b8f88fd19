/* From a picture file to what an objective takes: a square target of the model's size, and a mask.
 */
#ifndef GV_JOB_TARGET_H
#define GV_JOB_TARGET_H

#include "image/image.h"

/* Which part of the picture counts. */
typedef enum gv_mask_source {
    GV_MASK_PHOTO,  /* all of it; what is transparent is composited on white */
    GV_MASK_SKETCH, /* what is opaque; without alpha the border's colour is background */
    GV_MASK_FILE    /* white of another file, or its alpha if it has any */
} gv_mask_source;

typedef enum gv_frame {
    GV_FRAME_CENTRE, /* the largest centred square */
    GV_FRAME_CROP,
    GV_FRAME_EYES,
    GV_FRAME_SQUASH /* the whole picture, whatever its shape: the course */
} gv_frame;

/* Two points in pixels (of a picture) or in shares of the side (of a model). */
typedef struct gv_eyes {
    double x1, y1, x2, y2;
} gv_eyes;

typedef struct gv_target_options {
    gv_mask_source mask;
    const char *mask_file; /* for GV_MASK_FILE */
    gv_frame frame;
    gv_rect crop;       /* for GV_FRAME_CROP, in pixels of the upright picture */
    gv_eyes eyes;       /* for GV_FRAME_EYES, likewise: the eye on the left of the picture first */
    gv_eyes model_eyes; /* where the model has them, in shares of the side */
    bool hw5;           /* Pillow's bicubic filter with its 8 bits, instead of Lanczos */
} gv_target_options;

typedef struct gv_target {
    int64_t side;
    float *rgb;            /* [3,side,side] in [-1,1]; 0 where the mask is 0 */
    float *mask;           /* [side,side] in [0,1]; NULL: everything counts */
    int64_t width, height; /* of the upright picture */
    double corner[6];      /* x, y in it of the target's top left, top right and bottom left */
    char note[512];        /* what the user should know; empty: nothing */
} gv_target;

/* Photo, centred square, the eyes of gv_model_eyes_default. */
gv_target_options gv_target_defaults(void);

/* Where the aligned cats of the embedded models have their eyes. */
gv_eyes gv_model_eyes_default(void);

/* Reads path and, for GV_MASK_FILE, the mask, which goes through the same rotation and frame; one
 * of another size is stretched over the picture first. Colours where the mask is 0 leave no trace.
 * *t      filled; free with gv_target_deinit. Empty after an error.
 * side    1 to 4096
 * Errors  those of files and pictures; GV_E_ARG if the frame leaves the picture, the eyes coincide
 *         or the mask leaves nothing. */
gv_status gv_target_load(gv_target *t, const char *path, int64_t side,
                         const gv_target_options *options, gv_error *err);
void gv_target_deinit(gv_target *t);

#endif
