/* Running a graph on the compute thread: forward, backward, tangents; values in and out. */
#include "graph/internal.h"

#include <assert.h>
#include <string.h>
#include <time.h>

typedef enum pass_kind { PASS_FWD, PASS_BWD, PASS_JVP } pass_kind;

typedef struct job {
    gv_graph *g;
    pass_kind pass;
    const gv_cancel *cancel;
    bool cancelled;
} job;

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void run_step(gv_step_info *s, pass_kind pass)
{
    switch (pass) {
    case PASS_FWD:
        s->op->fwd(&s->run);
        assert(gv_map_lanes_are_zero(&s->run.y));
        break;
    case PASS_BWD:
        s->op->bwd(&s->run);
        break;
    case PASS_JVP:
        s->op->jvp(&s->run);
        assert(gv_map_lanes_are_zero(&s->run.ty));
        break;
    }
}

static void run_profiled(gv_step_info *s, pass_kind pass)
{
    double start = seconds_now();
    run_step(s, pass);
    double spent = seconds_now() - start;
    switch (pass) {
    case PASS_FWD:
        s->fwd_seconds += spent;
        s->calls++;
        break;
    case PASS_BWD:
        s->bwd_seconds += spent;
        break;
    case PASS_JVP:
        s->jvp_seconds += spent;
        break;
    }
}

/* Outputs that other steps read as well start their gradient with the seed. */
static void copy_seeds(gv_graph *g)
{
    for (int32_t i = 1; i < g->node_count; i++) {
        gv_node_info *n = &g->nodes[i];
        if (n->seed.data && n->grad.data && n->seed.data != n->grad.data)
            memcpy(n->grad.data, n->seed.data, (size_t)gv_map_floats(&n->seed) * sizeof(float));
    }
}

static void run_pass(void *arg)
{
    job *j = arg;
    gv_graph *g = j->g;
    int32_t first = j->pass == PASS_FWD && !g->static_done ? 0 : g->first_varying;
    if (j->pass == PASS_FWD)
        g->static_done = false; /* until this pass is through */
    if (j->pass == PASS_BWD)
        copy_seeds(g);
    for (int32_t i = first; i < g->order_count; i++) {
        int32_t at = j->pass == PASS_BWD ? g->order_count - 1 - (i - first) : i;
        gv_step_info *s = &g->steps[g->order[at]];
        if (gv_cancel_requested(j->cancel)) {
            j->cancelled = true;
            return;
        }
        if (g->profiling)
            run_profiled(s, j->pass);
        else
            run_step(s, j->pass);
        gv_job_yield();
    }
    if (j->pass == PASS_FWD)
        g->static_done = true;
}

static gv_status run(gv_graph *g, pass_kind pass, int threads, const gv_cancel *cancel,
                     gv_error *err)
{
    assert(g->built);
    job j = {.g = g, .pass = pass, .cancel = cancel};
    gv_status status = gv_job_run(run_pass, &j, threads, err);
    if (status == GV_OK && j.cancelled)
        status = gv_fail(err, GV_E_CANCELLED, "cancelled");
    return status;
}

gv_status gv_graph_fwd(gv_graph *g, int threads, const gv_cancel *cancel, gv_error *err)
{
    return run(g, PASS_FWD, threads, cancel, err);
}

gv_status gv_graph_bwd(gv_graph *g, int threads, const gv_cancel *cancel, gv_error *err)
{
    assert(g->modes & GV_GRAPH_BWD);
    return run(g, PASS_BWD, threads, cancel, err);
}

gv_status gv_graph_jvp(gv_graph *g, int threads, const gv_cancel *cancel, gv_error *err)
{
    assert(g->modes & GV_GRAPH_JVP);
    return run(g, PASS_JVP, threads, cancel, err);
}

/* ---- values in and out ---- */

void gv_graph_set(gv_graph *g, gv_node input, const float *nchw)
{
    gv_node_info *n = gv_node_of(g, input);
    assert(g->built && n->role == GV_ROLE_INPUT);
    gv_map_import(&n->value, nchw);
    if (!n->varies)
        g->static_done = false;
}

void gv_graph_get(const gv_graph *g, gv_node output, float *nchw)
{
    const gv_node_info *n = gv_node_of(g, output);
    assert(g->built && (n->output || n->role != GV_ROLE_RESULT));
    gv_map_export(nchw, &n->value);
}

void gv_graph_set_seed(gv_graph *g, gv_node output, const float *nchw)
{
    gv_node_info *n = gv_node_of(g, output);
    assert(g->built && n->output);
    if (!n->seed.data)
        return; /* does not vary: its gradient goes nowhere */
    if (nchw)
        gv_map_import(&n->seed, nchw);
    else
        gv_map_zero(&n->seed);
}

void gv_graph_get_grad(const gv_graph *g, gv_node input, float *nchw)
{
    const gv_node_info *n = gv_node_of(g, input);
    assert(g->built && n->role == GV_ROLE_INPUT && n->grad.data);
    gv_map_export(nchw, &n->grad);
}

void gv_graph_set_tangent(gv_graph *g, gv_node input, const float *nchw)
{
    gv_node_info *n = gv_node_of(g, input);
    assert(g->built && n->role == GV_ROLE_INPUT && n->tangent.data);
    gv_map_import(&n->tangent, nchw);
}

void gv_graph_get_tangent(const gv_graph *g, gv_node output, float *nchw)
{
    const gv_node_info *n = gv_node_of(g, output);
    assert(g->built && n->output && n->tangent.data);
    gv_map_export(nchw, &n->tangent);
}

/* ---- looking inside ---- */

size_t gv_graph_bytes(const gv_graph *g)
{
    return g->memory_bytes;
}

static double step_flops(const gv_step_info *s)
{
    return s->op->flops ? s->op->flops(&s->run) : 0.0;
}

double gv_graph_flops(const gv_graph *g)
{
    double sum = 0.0;
    for (int32_t o = 0; o < g->order_count; o++)
        sum += step_flops(&g->steps[g->order[o]]);
    return sum;
}

void gv_graph_profile_start(gv_graph *g)
{
    g->profiling = true;
    for (int32_t i = 0; i < g->step_count; i++) {
        gv_step_info *s = &g->steps[i];
        s->fwd_seconds = s->bwd_seconds = s->jvp_seconds = 0.0;
        s->calls = 0;
    }
}

size_t gv_graph_steps(const gv_graph *g)
{
    return (size_t)g->order_count;
}

gv_profile_row gv_graph_profile(const gv_graph *g, size_t step)
{
    assert(step < (size_t)g->order_count);
    const gv_step_info *s = &g->steps[g->order[step]];
    gv_profile_row row = {.op = s->op->name,
                          .detail = s->op->detail ? s->op->detail(s->run.attr) : "",
                          .output = gv_node_of(g, s->y)->name,
                          .fwd_seconds = s->fwd_seconds,
                          .bwd_seconds = s->bwd_seconds,
                          .jvp_seconds = s->jvp_seconds,
                          .flops = step_flops(s),
                          .calls = s->calls};
    if (!row.output)
        row.output = "";
    gv_graph_dims(g, s->y, row.dims);
    return row;
}
