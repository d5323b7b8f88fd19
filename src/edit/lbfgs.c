/* torch.optim.LBFGS in double: direction from the history, strong Wolfe search by cubic
 * interpolation. Every comparison and its order matter: trajectories are compared evaluation by
 * evaluation with torch's. */
#include "edit/optimizer.h"

#include "base/memory.h"
#include "edit/history.h"
#include "edit/vector.h"

#include <math.h>
#include <string.h>

#define ARMIJO 1e-4
#define CURVATURE 0.9

/* A point on the search line x + t d. grad is one of the optimiser's buffers. */
typedef struct point {
    double t, f, slope; /* slope = grad . d */
    double *grad;
} point;

struct gv_lbfgs {
    gv_lbfgs_options opt;
    gv_history history;
    int64_t n, iterations, evaluations; /* over all steps */
    double t, loss;
    double *d, *x0, *g_prev;
    double *g[4]; /* three points of the search and one to evaluate into */
    int current;  /* g[current] is the gradient at x */
};

const char *gv_stop_text(gv_stop stop)
{
    switch (stop) {
    case GV_STOP_ITERATIONS:
        return "the evaluations are used up";
    case GV_STOP_GRADIENT:
        return "the gradient is zero";
    case GV_STOP_CHANGE:
        return "nothing changes any more";
    case GV_STOP_NO_DESCENT:
        return "no direction descends";
    case GV_STOP_LINE_SEARCH:
        return "the line search failed";
    }
    return "unknown";
}

gv_lbfgs_options gv_lbfgs_defaults(void)
{
    return (gv_lbfgs_options){.lr = 1.0,
                              .max_iter = 20,
                              .tolerance_grad = 1e-7,
                              .tolerance_change = 1e-9,
                              .history = 100,
                              .max_search = 25};
}

gv_status gv_lbfgs_new(gv_lbfgs **out, int64_t n, const gv_lbfgs_options *options, gv_error *err)
{
    *out = NULL;
    if (n < 1 || !(options->lr > 0.0) || options->max_iter < 1 || options->max_eval < 0 ||
        options->history < 1 || options->max_search < 1)
        return gv_fail(err, GV_E_ARG, "lbfgs: an option is out of range");
    gv_lbfgs *o = gv_mem_alloc(sizeof *o);
    if (!o)
        return gv_fail_memory(err, sizeof *o);
    o->opt = *options;
    o->n = n;
    if (o->opt.max_eval == 0)
        o->opt.max_eval = o->opt.max_iter * 5 / 4;
    gv_status status = gv_history_init(&o->history, n, options->history, err);
    double **vectors[] = {&o->d, &o->x0, &o->g_prev, &o->g[0], &o->g[1], &o->g[2], &o->g[3]};
    for (size_t i = 0; status == GV_OK && i < sizeof vectors / sizeof *vectors; i++) {
        *vectors[i] = gv_mem_alloc_array((size_t)n, sizeof(double));
        if (!*vectors[i])
            status = gv_fail_memory(err, (size_t)n * sizeof(double));
    }
    if (status != GV_OK) {
        gv_lbfgs_free(o);
        return status;
    }
    *out = o;
    return GV_OK;
}

void gv_lbfgs_free(gv_lbfgs *o)
{
    if (!o)
        return;
    gv_history_deinit(&o->history);
    gv_mem_free(o->d);
    gv_mem_free(o->x0);
    gv_mem_free(o->g_prev);
    for (int i = 0; i < 4; i++)
        gv_mem_free(o->g[i]);
    gv_mem_free(o);
}

void gv_lbfgs_set_budget(gv_lbfgs *o, int64_t max_eval)
{
    o->opt.max_eval = max_eval;
}

/* ---- evaluation ---- */

static gv_status evaluate(gv_lbfgs *o, double *f, double *grad, const double *x,
                          const gv_problem *p, gv_error *err)
{
    o->evaluations++;
    gv_status status = p->loss(p->ctx, f, x, err);
    if (status == GV_OK)
        status = gv_check_loss(*f, o->evaluations, err);
    if (status == GV_OK)
        status = p->gradient(p->ctx, grad, err);
    if (status == GV_OK)
        status = gv_check_gradient(grad, o->n, o->evaluations, err);
    return status;
}

/* The point at t: x is moved to x0 + t d, evaluated, and left there. */
static gv_status probe(gv_lbfgs *o, point *at, double *x, const gv_problem *p, gv_error *err)
{
    memcpy(x, o->x0, (size_t)o->n * sizeof *x);
    gv_vec_axpy(x, at->t, o->d, o->n);
    gv_status status = evaluate(o, &at->f, at->grad, x, p, err);
    if (status == GV_OK)
        at->slope = gv_vec_dot(at->grad, o->d, o->n);
    return status;
}

/* ---- strong Wolfe search ---- */

/* Minimum of the cubic through two points with slopes, clamped to [low, high]; the middle where the
 * cubic has none. */
static double cubic_minimum(const point *a, const point *b, double low, double high)
{
    double d1 = a->slope + b->slope - 3.0 * (a->f - b->f) / (a->t - b->t);
    double square = d1 * d1 - a->slope * b->slope;
    if (!(square >= 0.0))
        return (low + high) / 2.0;
    double d2 = sqrt(square), t;
    if (a->t <= b->t)
        t = b->t - (b->t - a->t) * ((b->slope + d2 - d1) / (b->slope - a->slope + 2.0 * d2));
    else
        t = a->t - (a->t - b->t) * ((a->slope + d2 - d1) / (a->slope - b->slope + 2.0 * d2));
    return fmin(fmax(t, low), high);
}

typedef struct search {
    point start, bracket[2];
    int points;     /* in bracket: 1 when the first phase ended at an acceptable point */
    int spare;      /* index into g of the buffer to evaluate into next */
    int used, most; /* trial points after the first */
    bool done;      /* the strong Wolfe conditions hold */
} search;

/* A gradient buffer that neither start nor the two given points own. */
static double *free_buffer(gv_lbfgs *o, const double *a, const double *b)
{
    for (int i = 0; i < 4; i++)
        if (i != o->current && o->g[i] != a && o->g[i] != b)
            return o->g[i];
    return NULL; /* four buffers, three owners */
}

static bool too_high(const point *start, const point *at)
{
    return at->f > start->f + ARMIJO * at->t * start->slope;
}

static bool flat_enough(const point *start, const point *at)
{
    return fabs(at->slope) <= -CURVATURE * start->slope;
}

/* Phase one: grow t until a minimum lies between two points, or a point is acceptable. */
static gv_status find_bracket(gv_lbfgs *o, search *s, double t, double *x, const gv_problem *p,
                              gv_error *err)
{
    point prev = s->start;
    point now = {.t = t, .grad = free_buffer(o, NULL, NULL)};
    gv_status status = probe(o, &now, x, p, err);
    if (status != GV_OK)
        return status;
    while (s->used < s->most) {
        bool past = too_high(&s->start, &now) || (s->used > 1 && now.f >= prev.f);
        s->done = !past && flat_enough(&s->start, &now);
        if (past || s->done || now.slope >= 0.0)
            break;
        point next = {.t =
                          cubic_minimum(&prev, &now, now.t + 0.01 * (now.t - prev.t), now.t * 10.0),
                      .grad = free_buffer(o, now.grad, NULL)};
        status = probe(o, &next, x, p, err);
        if (status != GV_OK)
            return status;
        prev = now;
        now = next;
        s->used++;
    }
    if (s->used >= s->most) /* out of trials: between the start and the last point */
        prev = s->start;
    s->bracket[0] = s->done ? now : prev;
    s->bracket[1] = now;
    s->points = s->done ? 1 : 2;
    return GV_OK;
}

/* Phase two: shrink the bracket around the minimum. low is the index of its better end. */
static gv_status zoom(gv_lbfgs *o, search *s, int *low, double *x, const gv_problem *p,
                      gv_error *err)
{
    point *b = s->bracket;
    double size = gv_vec_max_abs(o->d, o->n);
    bool stuck = false;
    while (!s->done && s->used < s->most) {
        double left = fmin(b[0].t, b[1].t), right = fmax(b[0].t, b[1].t);
        if ((right - left) * size < o->opt.tolerance_change)
            break;
        double t = cubic_minimum(&b[0], &b[1], left, right);
        double margin = 0.1 * (right - left);
        if (fmin(right - t, t - left) < margin) {
            /* Twice in a row near an end, or on it: 10 % away from that end instead. */
            bool leave = stuck || t >= right || t <= left;
            if (leave)
                t = fabs(t - right) < fabs(t - left) ? right - margin : left + margin;
            stuck = !leave;
        } else {
            stuck = false;
        }
        point now = {.t = t, .grad = free_buffer(o, b[0].grad, b[1].grad)};
        gv_status status = probe(o, &now, x, p, err);
        if (status != GV_OK)
            return status;
        s->used++;
        int high = 1 - *low;
        if (too_high(&s->start, &now) || now.f >= b[*low].f) {
            b[high] = now;
            *low = b[0].f <= b[1].f ? 0 : 1;
        } else {
            s->done = flat_enough(&s->start, &now);
            if (!s->done && now.slope * (b[high].t - b[*low].t) >= 0.0)
                b[high] = b[*low];
            b[*low] = now;
        }
    }
    return GV_OK;
}

/* Moves x to the point found and makes its gradient the current one. */
static gv_status search_line(gv_lbfgs *o, double *x, const gv_problem *p, double slope, int most,
                             bool *met, gv_error *err)
{
    search s = {.start = {0.0, o->loss, slope, o->g[o->current]}, .most = most};
    memcpy(o->x0, x, (size_t)o->n * sizeof *x);
    gv_status status = find_bracket(o, &s, o->t, x, p, err);
    int low = s.points == 2 && s.bracket[1].f < s.bracket[0].f ? 1 : 0;
    if (status == GV_OK && !s.done)
        status = zoom(o, &s, &low, x, p, err);
    memcpy(x, o->x0, (size_t)o->n * sizeof *x); /* also after a failure: x is the last iterate */
    if (status != GV_OK)
        return status;
    const point *best = &s.bracket[low];
    gv_vec_axpy(x, best->t, o->d, o->n);
    o->t = best->t;
    o->loss = best->f;
    for (int i = 0; i < 4; i++)
        if (o->g[i] == best->grad)
            o->current = i;
    *met = s.done;
    return GV_OK;
}

/* ---- one iteration ---- */

static void find_direction(gv_lbfgs *o)
{
    const double *g = o->g[o->current];
    if (o->iterations == 1) {
        gv_vec_scale(o->d, -1.0, g, o->n);
        return;
    }
    double ys = 0.0;
    for (int64_t i = 0; i < o->n; i++)
        ys += (g[i] - o->g_prev[i]) * (o->t * o->d[i]);
    if (ys > 1e-10)
        gv_history_push(&o->history, g, o->g_prev, o->d, o->t, ys);
    gv_history_direction(&o->history, o->d, g);
}

static double first_step(const gv_lbfgs *o)
{
    double sum = 0.0;
    for (int64_t i = 0; i < o->n; i++)
        sum += fabs(o->g[o->current][i]);
    return fmin(1.0, 1.0 / sum) * o->opt.lr;
}

/* Moves by the fixed step; the last move of a step() is not evaluated, as in torch. */
static gv_status move_fixed(gv_lbfgs *o, double *x, const gv_problem *p, bool last, gv_error *err)
{
    gv_vec_axpy(x, o->t, o->d, o->n);
    if (last)
        return GV_OK;
    return evaluate(o, &o->loss, o->g[o->current], x, p, err);
}

static bool small_change(const gv_lbfgs *o, double before)
{
    return gv_vec_max_abs(o->d, o->n) * fabs(o->t) <= o->opt.tolerance_change ||
           fabs(o->loss - before) < o->opt.tolerance_change;
}

gv_status gv_lbfgs_step(gv_lbfgs *o, double *x, const gv_problem *p, gv_step_report *report,
                        gv_error *err)
{
    const gv_lbfgs_options *opt = &o->opt;
    int64_t begun = o->evaluations, iter = 0;
    *report = (gv_step_report){.stop = GV_STOP_ITERATIONS};
    gv_status status;
    GV_TRY(evaluate(o, &o->loss, o->g[o->current], x, p, err));
    if (p->accepted)
        p->accepted(p->ctx, x, o->loss);
    bool flat = gv_vec_max_abs(o->g[o->current], o->n) <= opt->tolerance_grad;
    while (!flat) {
        iter++;
        o->iterations++;
        find_direction(o);
        memcpy(o->g_prev, o->g[o->current], (size_t)o->n * sizeof *o->g_prev);
        double before = o->loss;
        o->t = o->iterations == 1 ? first_step(o) : opt->lr;
        double slope = gv_vec_dot(o->g[o->current], o->d, o->n);
        if (slope > -opt->tolerance_change) {
            report->stop = GV_STOP_NO_DESCENT;
            break;
        }
        bool met = true;
        if (opt->strong_wolfe) {
            int64_t left = opt->max_eval - (o->evaluations - begun);
            int64_t most =
                opt->search_within_eval && left < opt->max_search ? left : opt->max_search;
            GV_TRY(search_line(o, x, p, slope, (int)most, &met, err));
        } else {
            GV_TRY(move_fixed(o, x, p, iter == opt->max_iter, err));
        }
        bool evaluated = opt->strong_wolfe || iter < opt->max_iter;
        if (p->accepted && evaluated)
            p->accepted(p->ctx, x, o->loss);
        flat = gv_vec_max_abs(o->g[o->current], o->n) <= opt->tolerance_grad;
        if (iter == opt->max_iter || o->evaluations - begun >= opt->max_eval)
            break;
        bool restarted = o->iterations == 1;
        if (!flat && !met && opt->reset_after_failure && !restarted) {
            gv_history_clear(&o->history);
            o->iterations = 0; /* the next direction is the gradient, with a careful first step */
        } else if (!flat && small_change(o, before)) {
            report->stop = GV_STOP_CHANGE;
            break;
        }
    }
    if (flat)
        report->stop = GV_STOP_GRADIENT;
done:
    report->loss = o->loss;
    report->evaluations = o->evaluations - begun;
    report->iterations = iter;
    return status;
}
