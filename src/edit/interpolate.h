/* Between latents, and between pictures: where the frames of a journey lie, and how far apart they
 * look. */
#ifndef GV_EDIT_INTERPOLATE_H
#define GV_EDIT_INTERPOLATE_H

#include "nets/lpips.h"

/* ---- between two ---- */

/* out = a + t (b - a), n numbers, summed in double; a itself at t = 0 and b at t = 1.
 * out  may be a or b */
void gv_lerp(float *out, const float *a, const float *b, int64_t n, double t);

/* On the great circle from a to b: the direction turns evenly, the length changes evenly. Where no
 * such circle exists (a is 0, or the directions are the same or opposite) it is gv_lerp.
 * out  may be a or b
 * Source Shoemake 1985; White 2016 (arXiv 1609.04468) for latents. */
void gv_slerp(float *out, const float *a, const float *b, int64_t n, double t);

/* Copies rows out of src into dst, both [..,row_dim]. Style mixing, and rows that do not move. */
void gv_rows_copy(float *dst, const float *src, int64_t row_dim, const int64_t *rows,
                  int64_t count);

/* ---- a journey over several ends ---- */

typedef struct gv_path {
    int64_t ends;   /* 2 or more */
    int64_t frames; /* from one end to the next, 2 or more */
    bool loop;      /* back to the first end */
    bool closed;    /* every pair begins and ends on its ends: the rows of a strip */
} gv_path;

/* Frames of the whole path: `frames` for each pair. */
int64_t gv_path_count(const gv_path *path);

typedef struct gv_path_place {
    int64_t from, to; /* ends */
    double t;         /* in [0,1] between them */
} gv_path_place;

/* Unless closed, every end is one frame and no frame comes twice: a pair leaves out its second end,
 * where the next begins, and the last pair of a path that does not loop ends on it. */
gv_path_place gv_path_at(const gv_path *path, int64_t frame);

/* ---- how evenly it goes ---- */

/* LPIPS of each picture to the one before it; every picture passes the network once. */
typedef struct gv_neighbours gv_neighbours;

/* *n    returned owned (gv_neighbours_free)
 * vgg   with LPIPS's layers; kept
 * side  of the pictures, 16 or more */
gv_status gv_neighbours_new(gv_neighbours **n, const gv_vgg *vgg, int64_t side, gv_error *err);
void gv_neighbours_free(gv_neighbours *n);
/* The next picture has none before it. */
void gv_neighbours_restart(gv_neighbours *n);

/* image [3,side,side], clamped to [-1,1] here. *distance is to the image of the call before, and
 * -1 at the first call.
 * Errors GV_E_CANCELLED, GV_E_MEMORY; the next call then counts as the first */
gv_status gv_neighbours_next(gv_neighbours *n, double *distance, const float *image, int threads,
                             const gv_cancel *cancel, gv_error *err);

#endif
