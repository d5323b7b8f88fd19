#include "edit/invert.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define Z_CANDIDATES 16 /* the mean start in z */
#define LEAST_ROUND 8   /* evaluations a start gets in a round of halving */

/* One start on its way down. */
typedef struct run {
    gv_lbfgs *lbfgs;
    gv_course *course;
    gv_adam *adam;
    double *x, *best, best_loss;
    int64_t index;
    bool ended; /* the optimiser has stopped by itself */
    gv_stop stop;
} run;

typedef struct session {
    gv_inversion *result;
    gv_objective *o;
    gv_generator *gen;
    const gv_invert_options *opt;
    gv_problem inner;
    int threads;
    const gv_cancel *cancel;
    double begun;
    run *runs;
    run *now;         /* the one that is evaluating */
    double best_loss; /* of all runs */
    const double *best;
    int64_t limit;  /* evaluations at which the current optimiser must end */
    bool exhausted; /* it was ended by the limit */
    int64_t curve_room;
    gv_status memory; /* of the recorder, which cannot fail by itself */
} session;

gv_invert_options gv_invert_defaults(void)
{
    return (gv_invert_options){.init = GV_INIT_MEAN,
                               .starts = 1,
                               .optimizer = GV_OPTIMIZER_LBFGS,
                               .history = 50,
                               .evals = 1000,
                               .label = -1};
}

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- watching the optimiser ---- */

static void take_snapshots(session *s)
{
    gv_inversion *r = s->result;
    while (r->snapshot_count < s->opt->snapshot_count &&
           s->opt->snapshots[r->snapshot_count] <= r->evaluations && s->best) {
        gv_invert_snapshot *shot = &r->snapshots[r->snapshot_count++];
        shot->evaluations = s->opt->snapshots[r->snapshot_count - 1];
        shot->loss = s->best_loss;
        memcpy(shot->x, s->best, (size_t)r->n * sizeof *shot->x);
    }
}

static gv_status watched_loss(void *ctx, double *loss, const double *x, gv_error *err)
{
    session *s = ctx;
    gv_inversion *r = s->result;
    take_snapshots(s);
    if (r->evaluations >= s->limit) {
        s->exhausted = true;
        return gv_fail(err, GV_E_CANCELLED, "the evaluations are used up");
    }
    gv_status status = s->inner.loss(s->inner.ctx, loss, x, err);
    if (status != GV_OK)
        return status;
    r->evaluations++;
    if (s->opt->progress) {
        gv_invert_progress p = {.evaluations = r->evaluations,
                                .total = s->opt->evals,
                                .seconds = seconds_now() - s->begun,
                                .loss = isfinite(s->best_loss) ? s->best_loss : *loss};
        s->opt->progress(s->opt->ctx, &p);
    }
    return GV_OK;
}

static gv_status watched_gradient(void *ctx, double *grad, gv_error *err)
{
    session *s = ctx;
    return s->inner.gradient(s->inner.ctx, grad, err);
}

static void add_to_curve(session *s, double loss)
{
    gv_inversion *r = s->result;
    if (r->curve_count == s->curve_room) /* sized for one point an evaluation and start */
        return;
    r->curve[r->curve_count++] = (gv_curve_point){.evaluations = r->evaluations,
                                                  .start = s->now->index,
                                                  .seconds = seconds_now() - s->begun,
                                                  .loss = loss};
}

static void watched_accepted(void *ctx, const double *x, double loss)
{
    session *s = ctx;
    run *now = s->now;
    add_to_curve(s, loss);
    if (loss < now->best_loss) {
        now->best_loss = loss;
        memcpy(now->best, x, (size_t)s->result->n * sizeof *x);
    }
    if (now->best_loss < s->best_loss) {
        s->best_loss = now->best_loss;
        s->best = now->best;
        s->result->best_start = now->index;
    }
}

static gv_problem watched(session *s)
{
    return (gv_problem){.n = s->result->n,
                        .loss = watched_loss,
                        .gradient = watched_gradient,
                        .accepted = watched_accepted,
                        .ctx = s};
}

/* ---- starts ---- */

/* Unknowns of a seed: z itself, or its w. */
static gv_status from_seed(session *s, double *x, uint64_t seed, gv_error *err)
{
    gv_generator *gen = s->gen;
    gv_status status = GV_OK;
    float *z = gv_mem_alloc_array((size_t)gen->z_dim, sizeof *z);
    float *rows = gv_mem_alloc_array((size_t)(gen->rows * gen->row_dim), sizeof *rows);
    if (!z || !rows) {
        status = gv_fail_memory(err, (size_t)(gen->rows * gen->row_dim) * sizeof *rows);
        goto done;
    }
    gv_generator_seed_z(gen, z, seed);
    if (gv_objective_space(s->o) == GV_SPACE_Z) {
        for (int64_t i = 0; i < gen->z_dim; i++)
            x[i] = (double)z[i];
        goto done;
    }
    gv_truncation t = GV_TRUNCATION_NONE;
    t.label = s->opt->label;
    GV_TRY(gv_generator_map(gen, rows, z, 1, &t, s->threads, s->cancel, err));
    GV_TRY(gv_objective_from_rows(s->o, x, rows, err));
done:
    gv_mem_free(z);
    gv_mem_free(rows);
    return status;
}

/* In z there is no mean worth starting from: the best of a few random ones. */
static gv_status best_of_random(session *s, double *x, gv_error *err)
{
    int64_t n = s->result->n;
    double best = INFINITY, loss;
    gv_status status = GV_OK;
    double *trial = gv_mem_alloc_array((size_t)n, sizeof *trial);
    if (!trial)
        return gv_fail_memory(err, (size_t)n * sizeof *trial);
    for (uint64_t k = 0; k < Z_CANDIDATES && s->result->evaluations < s->limit; k++) {
        GV_TRY(from_seed(s, trial, s->opt->seed + k, err));
        GV_TRY(watched_loss(s, &loss, trial, err));
        if (loss < best) {
            best = loss;
            memcpy(x, trial, (size_t)n * sizeof *x);
        }
    }
    if (!isfinite(best)) /* no evaluation was allowed */
        status = from_seed(s, x, s->opt->seed, err);
done:
    gv_mem_free(trial);
    return status;
}

static gv_status mean_start(session *s, double *x, gv_error *err)
{
    gv_generator *gen = s->gen;
    bool z = gv_objective_space(s->o) == GV_SPACE_Z;
    if (z && s->opt->hw5) {
        memset(x, 0, (size_t)s->result->n * sizeof *x);
        return GV_OK;
    }
    if (z)
        return best_of_random(s, x, err);
    const float *w_avg;
    gv_status status = gv_generator_w_avg(gen, &w_avg, s->threads, s->cancel, err);
    if (status != GV_OK)
        return status;
    for (int64_t i = 0; i < s->result->n; i++)
        x[i] = (double)w_avg[i % gen->row_dim];
    return GV_OK;
}

static gv_status make_start(session *s, int64_t index, double *x, int64_t *seed, gv_error *err)
{
    const gv_invert_options *opt = s->opt;
    *seed = -1;
    if (opt->init == GV_INIT_GIVEN && index == 0 && gv_objective_space(s->o) == GV_SPACE_Z) {
        for (int64_t i = 0; i < s->result->n; i++)
            x[i] = (double)opt->given[i];
        return GV_OK;
    }
    if (opt->init == GV_INIT_GIVEN && index == 0)
        return gv_objective_from_rows(s->o, x, opt->given, err);
    if (opt->init == GV_INIT_MEAN && index == 0)
        return mean_start(s, x, err);
    *seed = (int64_t)opt->seed + index;
    return from_seed(s, x, (uint64_t)*seed, err);
}

/* Each start's own loss and picture, before anything moves. */
static gv_status look_at_start(session *s, run *r, gv_error *err)
{
    gv_invert_start *start = &s->result->starts[r->index];
    gv_status status = s->inner.loss(s->inner.ctx, &start->loss, r->x, err);
    s->result->evaluations++;
    if (status == GV_OK && !isfinite(start->loss))
        status =
            gv_fail(err, GV_E_NUMERIC, "start %lld: the loss is not finite", (long long)r->index);
    if (status != GV_OK)
        return status;
    gv_objective_image(s->o, start->thumbnail);
    s->result->start_count = r->index + 1;
    s->now = r;
    watched_accepted(s, r->x, start->loss);
    return GV_OK;
}

/* ---- descending ---- */

static gv_status make_optimizer(session *s, run *r, gv_error *err)
{
    const gv_invert_options *opt = s->opt;
    int64_t n = s->result->n;
    if (opt->optimizer == GV_OPTIMIZER_ADAM) {
        gv_adam_options a = gv_adam_defaults(opt->evals > 0 ? opt->evals : 1);
        a.lr = opt->lr > 0 ? opt->lr : a.lr;
        return gv_adam_new(&r->adam, n, &a, err);
    }
    if (opt->optimizer == GV_OPTIMIZER_WOLFE) {
        gv_course_options c = gv_course_defaults();
        c.lr = opt->lr > 0 ? opt->lr : c.lr;
        return gv_course_new(&r->course, n, &c, err);
    }
    gv_lbfgs_options l = gv_lbfgs_defaults();
    l.strong_wolfe = l.search_within_eval = l.reset_after_failure = true;
    l.max_iter = l.max_eval = INT64_MAX / 4;
    l.history = opt->history;
    return gv_lbfgs_new(&r->lbfgs, n, &l, err);
}

static void free_optimizer(run *r)
{
    gv_lbfgs_free(r->lbfgs);
    gv_course_free(r->course);
    gv_adam_free(r->adam);
    r->lbfgs = NULL;
    r->course = NULL;
    r->adam = NULL;
}

/* Until the limit, or until the optimiser ends by itself. */
static gv_status descend_once(session *s, run *r, gv_error *err)
{
    gv_problem p = watched(s);
    gv_status status = GV_OK;
    if (r->lbfgs) {
        gv_step_report report;
        int64_t left = s->limit - s->result->evaluations;
        gv_lbfgs_set_budget(r->lbfgs, left > 1 ? left : 1);
        status = gv_lbfgs_step(r->lbfgs, r->x, &p, &report, err);
        r->stop = report.stop;
        r->ended = status == GV_OK && report.stop != GV_STOP_ITERATIONS;
    } else if (r->course) {
        gv_course_report report;
        status = gv_course_step(r->course, r->x, &p, &report, err);
        r->stop = report.failed ? GV_STOP_LINE_SEARCH : GV_STOP_ITERATIONS;
        r->ended = status == GV_OK && report.failed; /* it would only repeat the failure */
    } else {
        gv_step_report report;
        status = gv_adam_step(r->adam, r->x, &p, &report, err);
        r->stop = GV_STOP_ITERATIONS;
    }
    return status;
}

static gv_status descend(session *s, run *r, int64_t evaluations, gv_error *err)
{
    s->now = r;
    s->limit = s->result->evaluations + evaluations;
    s->exhausted = false;
    while (!r->ended && s->result->evaluations < s->limit) {
        gv_status status = descend_once(s, r, err);
        if (s->exhausted) { /* the optimiser was told to end in the middle of a search */
            gv_error_clear(err);
            memcpy(r->x, r->best, (size_t)s->result->n * sizeof *r->x);
            r->stop = GV_STOP_ITERATIONS;
            break;
        }
        if (status != GV_OK)
            return status;
    }
    return GV_OK;
}

static int lower_first(const void *a, const void *b)
{
    const run *x = a, *y = b;
    if (x->best_loss != y->best_loss)
        return x->best_loss < y->best_loss ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* Successive halving: every round the better half goes on, and every round has the same share of
 * the budget, so that the longer a start lives the more it gets. */
static gv_status halve(session *s, gv_error *err)
{
    int64_t alive = s->opt->starts, rounds = 0;
    for (int64_t k = alive; k > 1; k = (k + 1) / 2)
        rounds++;
    int64_t share = (s->opt->evals - s->result->evaluations) / (rounds + 1);
    for (; alive > 1; alive = (alive + 1) / 2) {
        qsort(s->runs, (size_t)alive, sizeof *s->runs, lower_first);
        for (int64_t i = 0; i < alive && share / alive >= LEAST_ROUND; i++) {
            gv_status status = descend(s, &s->runs[i], share / alive, err);
            if (status != GV_OK)
                return status;
        }
        qsort(s->runs, (size_t)alive, sizeof *s->runs, lower_first);
        for (int64_t i = (alive + 1) / 2; i < alive; i++)
            free_optimizer(&s->runs[i]);
    }
    return GV_OK;
}

/* ---- */

static gv_status make_memory(session *s, gv_error *err)
{
    gv_inversion *r = s->result;
    const gv_invert_options *opt = s->opt;
    size_t n = (size_t)r->n, side = (size_t)s->gen->resolution;
    size_t picture = 3 * side * side;
    s->curve_room = opt->evals + opt->starts + 1;
    r->x = NULL; /* until there is a result */
    r->rows =
        gv_arena_alloc_array(&r->arena, (size_t)(s->gen->rows * s->gen->row_dim), sizeof *r->rows);
    r->image = gv_arena_alloc_array(&r->arena, picture, sizeof *r->image);
    r->starts = gv_arena_alloc_array(&r->arena, (size_t)opt->starts, sizeof *r->starts);
    r->snapshots =
        gv_arena_alloc_array(&r->arena, (size_t)opt->snapshot_count + 1, sizeof *r->snapshots);
    r->curve = gv_arena_alloc_array(&r->arena, (size_t)s->curve_room, sizeof *r->curve);
    s->runs = gv_arena_alloc_array(&r->arena, (size_t)opt->starts, sizeof *s->runs);
    if (!r->rows || !r->image || !r->starts || !r->snapshots || !r->curve || !s->runs)
        return gv_fail_memory(err, picture * sizeof(float));
    for (int64_t i = 0; i < opt->starts; i++) {
        run *w = &s->runs[i];
        w->index = i;
        w->best_loss = INFINITY;
        w->x = gv_arena_alloc_array(&r->arena, n, sizeof *w->x);
        w->best = gv_arena_alloc_array(&r->arena, n, sizeof *w->best);
        r->starts[i].thumbnail = gv_arena_alloc_array(&r->arena, picture, sizeof(float));
        if (!w->x || !w->best || !r->starts[i].thumbnail)
            return gv_fail_memory(err, picture * sizeof(float));
    }
    for (int64_t i = 0; i < opt->snapshot_count; i++) {
        r->snapshots[i].x = gv_arena_alloc_array(&r->arena, n, sizeof(double));
        if (!r->snapshots[i].x)
            return gv_fail_memory(err, n * sizeof(double));
    }
    return GV_OK;
}

/* The best iterate's picture, rows and terms: one more forward pass, not counted. It is not to be
 * cancelled: what was reached is kept. */
static gv_status finish(session *s, gv_error *err)
{
    gv_inversion *r = s->result;
    double loss;
    r->x = gv_arena_alloc_array(&r->arena, (size_t)r->n, sizeof *r->x);
    if (!r->x)
        return gv_fail_memory(err, (size_t)r->n * sizeof *r->x);
    memcpy(r->x, s->best, (size_t)r->n * sizeof *r->x);
    take_snapshots(s);
    r->first_loss = r->starts[r->best_start].loss;
    gv_objective_set_cancel(s->o, NULL);
    gv_status status = s->inner.loss(s->inner.ctx, &loss, r->x, err);
    if (status == GV_OK) {
        r->terms = gv_objective_terms(s->o);
        gv_objective_image(s->o, r->image);
        status = gv_objective_rows(s->o, r->rows, r->x, err);
    }
    gv_objective_set_cancel(s->o, s->cancel);
    r->seconds = seconds_now() - s->begun;
    return status;
}

static gv_status run_all(session *s, gv_error *err)
{
    const gv_invert_options *opt = s->opt;
    gv_status status = GV_OK;
    s->limit = opt->evals;
    for (int64_t i = 0; i < opt->starts; i++) {
        GV_TRY(make_start(s, i, s->runs[i].x, &s->result->starts[i].seed, err));
        if (i == 0)
            gv_objective_set_start(s->o, s->runs[0].x);
        GV_TRY(look_at_start(s, &s->runs[i], err));
        GV_TRY(make_optimizer(s, &s->runs[i], err));
    }
    if (opt->evals == 0)
        goto done;
    GV_TRY(halve(s, err));
    GV_TRY(descend(s, &s->runs[0], opt->evals - s->result->evaluations, err));
    s->result->stop = s->runs[0].stop;
done:
    return status;
}

gv_status gv_invert(gv_inversion *result, gv_objective *o, gv_generator *gen,
                    const gv_invert_options *options, int threads, const gv_cancel *cancel,
                    gv_error *err)
{
    *result = (gv_inversion){.n = gv_objective_size(o)};
    gv_arena_init(&result->arena, 0);
    if (options->starts < 1 || options->starts > 4096 || options->evals < 0 ||
        options->snapshot_count < 0 || options->history < 1)
        return gv_fail(err, GV_E_ARG, "invert: an option is out of range");
    session s = {.result = result,
                 .o = o,
                 .gen = gen,
                 .opt = options,
                 .inner = gv_objective_problem(o),
                 .threads = threads,
                 .cancel = cancel,
                 .begun = seconds_now(),
                 .best_loss = INFINITY};
    gv_status status = make_memory(&s, err);
    if (status == GV_OK)
        status = run_all(&s, err);
    if (s.best) { /* also after Ctrl-C and NaN */
        gv_status last = finish(&s, status == GV_OK ? err : NULL);
        status = status == GV_OK ? last : status;
    }
    for (int64_t i = 0; s.runs && i < options->starts; i++)
        free_optimizer(&s.runs[i]);
    return status;
}

void gv_inversion_deinit(gv_inversion *result)
{
    gv_arena_deinit(&result->arena);
    *result = (gv_inversion){0};
}
