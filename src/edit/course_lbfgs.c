/* The course's FullBatchLBFGS: weak Wolfe search by halving, doubling and a quadratic, with its
 * quirks, because --compat hw5 promises its trajectories. */
#include "edit/optimizer.h"

#include "base/memory.h"
#include "edit/history.h"
#include "edit/vector.h"

#include <math.h>
#include <string.h>

#define ARMIJO 1e-4
#define CURVATURE 0.9
#define GROWTH 2.0
#define LEAST_CURVATURE 1e-2 /* of s.Bs: below it a pair is not kept */

struct gv_course {
    gv_course_options opt;
    gv_history history;
    int64_t n, steps, evaluations;
    double t;
    bool failed;
    double *d, *g, *g_prev;
};

gv_course_options gv_course_defaults(void)
{
    return (gv_course_options){.lr = 0.1, .history = 10, .max_search = 10};
}

gv_status gv_course_new(gv_course **out, int64_t n, const gv_course_options *options, gv_error *err)
{
    *out = NULL;
    if (n < 1 || !(options->lr > 0.0) || options->history < 1 || options->max_search < 1)
        return gv_fail(err, GV_E_ARG, "wolfe: an option is out of range");
    gv_course *o = gv_mem_alloc(sizeof *o);
    if (!o)
        return gv_fail_memory(err, sizeof *o);
    o->opt = *options;
    o->n = n;
    gv_status status = gv_history_init(&o->history, n, options->history, err);
    o->d = gv_mem_alloc_array((size_t)n, sizeof *o->d);
    o->g = gv_mem_alloc_array((size_t)n, sizeof *o->g);
    o->g_prev = gv_mem_alloc_array((size_t)n, sizeof *o->g_prev);
    if (status == GV_OK && (!o->d || !o->g || !o->g_prev))
        status = gv_fail_memory(err, (size_t)n * sizeof *o->d);
    if (status != GV_OK) {
        gv_course_free(o);
        return status;
    }
    *out = o;
    return GV_OK;
}

void gv_course_free(gv_course *o)
{
    if (!o)
        return;
    gv_history_deinit(&o->history);
    gv_mem_free(o->d);
    gv_mem_free(o->g);
    gv_mem_free(o->g_prev);
    gv_mem_free(o);
}

static gv_status loss_at(gv_course *o, double *f, const double *x, const gv_problem *p,
                         gv_course_report *r, gv_error *err)
{
    r->losses++;
    o->evaluations++;
    gv_status status = p->loss(p->ctx, f, x, err);
    return status == GV_OK ? gv_check_loss(*f, o->evaluations, err) : status;
}

static gv_status gradient_here(gv_course *o, const gv_problem *p, gv_course_report *r,
                               gv_error *err)
{
    r->grads++;
    gv_status status = p->gradient(p->ctx, o->g, err);
    return status == GV_OK ? gv_check_gradient(o->g, o->n, o->evaluations, err) : status;
}

/* y = g - g_prev, s = t d, Bs = -t g_prev. */
static void update_history(gv_course *o)
{
    double ys = 0.0, sbs = 0.0;
    for (int64_t i = 0; i < o->n; i++) {
        double s = o->t * o->d[i];
        ys += (o->g[i] - o->g_prev[i]) * s;
        sbs += s * (-o->t * o->g_prev[i]);
    }
    if (ys > LEAST_CURVATURE * sbs)
        gv_history_push(&o->history, o->g, o->g_prev, o->d, o->t, ys);
}

/* The lower end has value and slope, the upper end a value. */
typedef struct bracket {
    double alpha, f_alpha, slope_alpha;
    double beta, f_beta; /* beta infinite: none yet */
} bracket;

static double next_step(const bracket *b, double t)
{
    if (isinf(b->beta))
        return GROWTH * t;
    double width = b->beta - b->alpha;
    /* the parabola through (alpha, f, slope) and (beta, f) */
    double bend = (b->f_beta - b->f_alpha - b->slope_alpha * width) / (width * width);
    double next = b->alpha - b->slope_alpha / (2.0 * bend);
    next = fmin(fmax(next, b->alpha), b->beta);
    if (next < b->alpha + 0.2 * width)
        next = b->alpha + 0.2 * width;
    else if (next > width / 2.0)
        next = width / 2.0; /* not alpha + width/2: as the course has it */
    return next <= 0.0 ? width / 2.0 : next;
}

gv_status gv_course_step(gv_course *o, double *x, const gv_problem *p, gv_course_report *r,
                         gv_error *err)
{
    gv_status status;
    *r = (gv_course_report){0};
    double f_start, f;
    if (o->steps == 0) {
        GV_TRY(loss_at(o, &f, x, p, r, err));
        GV_TRY(gradient_here(o, p, r, err));
        *r = (gv_course_report){0}; /* the loop's own evaluation, outside the optimiser's step */
    } else if (!o->failed) {
        update_history(o);
    }
    o->steps++;
    gv_history_direction(&o->history, o->d, o->g);
    memcpy(o->g_prev, o->g, (size_t)o->n * sizeof *o->g);
    double slope = gv_vec_dot(o->g, o->d, o->n);
    r->descent = slope < 0.0;
    GV_TRY(loss_at(o, &f_start, x, p, r, err));

    double t = o->opt.lr, t_prev;
    bracket b = {.f_alpha = f_start, .slope_alpha = slope, .beta = INFINITY};
    gv_vec_axpy(x, t, o->d, o->n);
    GV_TRY(loss_at(o, &f, x, p, r, err));
    for (;;) {
        if (r->searches >= o->opt.max_search) {
            gv_vec_axpy(x, -t, o->d, o->n);
            t = 0.0;
            r->failed = true;
            GV_TRY(loss_at(o, &f, x, p, r, err));
            GV_TRY(gradient_here(o, p, r, err));
            break;
        }
        t_prev = t;
        if (f > f_start + ARMIJO * t * slope) {
            b.beta = t;
            b.f_beta = f;
        } else {
            GV_TRY(gradient_here(o, p, r, err));
            double slope_new = gv_vec_dot(o->g, o->d, o->n);
            if (!(slope_new < CURVATURE * slope))
                break;
            b.alpha = t;
            b.f_alpha = f;
            b.slope_alpha = slope_new;
        }
        t = next_step(&b, t);
        gv_vec_axpy(x, t - t_prev, o->d, o->n);
        r->searches++;
        GV_TRY(loss_at(o, &f, x, p, r, err));
    }
    o->t = r->t = t;
    o->failed = r->failed;
    r->loss = f;
    if (p->accepted && !r->failed)
        p->accepted(p->ctx, x, f);
done:
    return status;
}
