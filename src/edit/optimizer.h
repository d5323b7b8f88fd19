/* Minimisers over n doubles: torch's L-BFGS, the course's L-BFGS, Adam with NVlabs' schedule.
 *
 * State and dot products are in double; the objective behind the callback may be float32. Every
 * call of the callback is one evaluation. The iterate is x between calls of step; a line search
 * moves x and the callback sees trial points, of which only the accepted ones are reported. */
#ifndef GV_EDIT_OPTIMIZER_H
#define GV_EDIT_OPTIMIZER_H

#include "base/error.h"

typedef struct gv_problem {
    int64_t n;
    /* *loss at x; a failure ends the optimiser with that status. */
    gv_status (*loss)(void *ctx, double *loss, const double *x, gv_error *err);
    /* grad[n] at the point of the last call of loss. */
    gv_status (*gradient)(void *ctx, double *grad, gv_error *err);
    /* A new iterate: a completed evaluation, never a trial point. May be NULL. */
    void (*accepted)(void *ctx, const double *x, double loss);
    void *ctx;
} gv_problem;

typedef enum gv_stop {
    GV_STOP_ITERATIONS, /* max_iter or max_eval is used up */
    GV_STOP_GRADIENT,   /* max |g| <= tolerance_grad */
    GV_STOP_CHANGE,     /* the step or the loss changes less than tolerance_change */
    GV_STOP_NO_DESCENT, /* the direction does not descend */
    GV_STOP_LINE_SEARCH /* the line search found nothing (course) */
} gv_stop;

const char *gv_stop_text(gv_stop stop);

/* ---- torch.optim.LBFGS ---- */

typedef struct gv_lbfgs_options {
    double lr;               /* 1 */
    int64_t max_iter;        /* of one step: 20 */
    int64_t max_eval;        /* of one step; 0: max_iter * 5 / 4 */
    double tolerance_grad;   /* 1e-7 */
    double tolerance_change; /* 1e-9 */
    int64_t history;         /* 100 */
    bool strong_wolfe;       /* false: fixed step lr */
    int64_t max_search;      /* evaluations of one line search: 25 */
    bool search_within_eval; /* a search also ends at max_eval, as torch 2.15 has it */
    bool
        reset_after_failure; /* forget the history when a line search did not meet its conditions */
} gv_lbfgs_options;

gv_lbfgs_options gv_lbfgs_defaults(void);

typedef struct gv_lbfgs gv_lbfgs;

/* Returned owned (gv_lbfgs_free). Errors GV_E_ARG for options out of range, GV_E_MEMORY. */
gv_status gv_lbfgs_new(gv_lbfgs **o, int64_t n, const gv_lbfgs_options *options, gv_error *err);
void gv_lbfgs_free(gv_lbfgs *o);

/* max_eval of the next steps, at least 1. */
void gv_lbfgs_set_budget(gv_lbfgs *o, int64_t max_eval);

typedef struct gv_step_report {
    double loss; /* at x */
    int64_t evaluations, iterations;
    gv_stop stop;
} gv_step_report;

/* One torch step(): evaluates at x, then iterates until a stop. Direction, step length and history
 * live on from call to call.
 * x       start and result
 * Errors  those of the callbacks; GV_E_NUMERIC naming the evaluation whose loss or gradient is not
 * finite. Source  torch/optim/lbfgs.py; FORMATS section 8. */
gv_status gv_lbfgs_step(gv_lbfgs *o, double *x, const gv_problem *p, gv_step_report *report,
                        gv_error *err);

/* ---- the course's FullBatchLBFGS with its weak Wolfe search ---- */

typedef struct gv_course_options {
    double lr;          /* first trial step of every search: 0.1 */
    int64_t history;    /* 10 */
    int64_t max_search; /* 10 */
} gv_course_options;

typedef struct gv_course gv_course;

gv_course_options gv_course_defaults(void);
gv_status gv_course_new(gv_course **o, int64_t n, const gv_course_options *options, gv_error *err);
void gv_course_free(gv_course *o);

typedef struct gv_course_report {
    double loss, t;        /* t 0: the search failed and x is where it was */
    int64_t searches;      /* trial steps */
    int64_t losses, grads; /* evaluations of the loss; of the gradient */
    bool descent, failed;
} gv_course_report;

/* One step of the course's loop: the loss at x again, a search, the gradient where it ended.
 * After a failed search the history and the direction are as before, so that the next step fails
 * alike: the course's behaviour, kept on purpose.
 * Source H.-J. M. Shi's LBFGS.py as the course ships it; FORMATS section 8. */
gv_status gv_course_step(gv_course *o, double *x, const gv_problem *p, gv_course_report *report,
                         gv_error *err);

/* ---- Adam with the schedule of NVlabs' projector ---- */

typedef struct gv_adam_options {
    double lr;           /* 0.1, the height of the plateau */
    double beta1, beta2; /* 0.9, 0.999 */
    double eps;          /* 1e-8 */
    int64_t steps;       /* length of the whole run */
    double ramp_up;      /* share of the run: 0.05 */
    double ramp_down;    /* share of the run, a half cosine: 0.25 */
} gv_adam_options;

typedef struct gv_adam gv_adam;

gv_adam_options gv_adam_defaults(int64_t steps);
gv_status gv_adam_new(gv_adam **o, int64_t n, const gv_adam_options *options, gv_error *err);
void gv_adam_free(gv_adam *o);
/* One evaluation and one move; report->loss is the loss before the move. */
gv_status gv_adam_step(gv_adam *o, double *x, const gv_problem *p, gv_step_report *report,
                       gv_error *err);

#endif
