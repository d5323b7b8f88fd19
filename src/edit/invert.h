/* The latent of a picture: starts, an optimiser, the best iterate, its history. */
#ifndef GV_EDIT_INVERT_H
#define GV_EDIT_INVERT_H

#include "base/memory.h"
#include "edit/objective.h"

typedef enum gv_init {
    GV_INIT_MEAN,   /* w_avg; in z the best of 16 random z (hw5: z = 0) */
    GV_INIT_RANDOM, /* seed, seed + 1, ...; w+ repeats one w */
    GV_INIT_GIVEN   /* rows of the caller */
} gv_init;

typedef enum gv_optimizer {
    GV_OPTIMIZER_LBFGS, /* strong Wolfe, history reset after a failed search */
    GV_OPTIMIZER_WOLFE, /* the course's */
    GV_OPTIMIZER_ADAM   /* NVlabs' schedule */
} gv_optimizer;

typedef struct gv_invert_progress {
    int64_t evaluations, total;
    double seconds, loss; /* lowest so far */
} gv_invert_progress;

typedef struct gv_invert_options {
    gv_init init;
    const float *given; /* for GV_INIT_GIVEN: rows; in z the z */
    int64_t label;      /* class of random w; -1: none */
    int64_t
        starts; /* more than one: ranked, halved round by round; the first is the mean if init is */
    uint64_t seed;
    gv_optimizer optimizer;
    int64_t history;          /* of L-BFGS; the course's is 10 */
    double lr;                /* Adam's plateau, the course's first step; 0: their defaults */
    int64_t evals;            /* values of the objective over all starts; 0: only the start */
    const int64_t *snapshots; /* evaluations, increasing */
    int64_t snapshot_count;
    bool hw5; /* in z the mean start is 0 */
    void (*progress)(void *ctx,
                     const gv_invert_progress *p); /* after each evaluation; may be NULL */
    void *ctx;
} gv_invert_options;

gv_invert_options gv_invert_defaults(void);

typedef struct gv_curve_point {
    int64_t evaluations, start; /* start: which one, 0 first */
    double seconds, loss;       /* of a completed iterate */
} gv_curve_point;

typedef struct gv_invert_start {
    double loss;      /* before optimising */
    int64_t seed;     /* -1: the mean or the caller's */
    float *thumbnail; /* [3,R,R] */
} gv_invert_start;

typedef struct gv_invert_snapshot {
    int64_t evaluations;
    double loss;
    double *x;
} gv_invert_snapshot;

/* All memory is in the arena. */
typedef struct gv_inversion {
    gv_arena arena;
    int64_t n;
    double *x;         /* unknowns of the best iterate */
    float *rows;       /* [rows,row_dim], what the generator takes */
    float *image;      /* [3,R,R] of it */
    gv_terms terms;    /* of it */
    double first_loss; /* at the start that was taken */
    int64_t evaluations;
    double seconds;
    gv_stop stop;
    gv_invert_start *starts;
    int64_t start_count, best_start;
    gv_invert_snapshot *snapshots;
    int64_t snapshot_count;
    gv_curve_point *curve;
    int64_t curve_count;
} gv_inversion;

/* Minimises o, whose target is set.
 * result  filled also with GV_E_CANCELLED and GV_E_NUMERIC if a start was evaluated (x is then not
 *         NULL): the best until then. Free with gv_inversion_deinit in every case.
 * Errors  GV_E_ARG, GV_E_MEMORY, GV_E_CANCELLED; GV_E_NUMERIC naming the evaluation. */
gv_status gv_invert(gv_inversion *result, gv_objective *o, gv_generator *gen,
                    const gv_invert_options *options, int threads, const gv_cancel *cancel,
                    gv_error *err);
void gv_inversion_deinit(gv_inversion *result);

#endif
