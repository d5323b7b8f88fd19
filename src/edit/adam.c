/* Adam with the learning-rate schedule of NVlabs' projector. */
#include "edit/optimizer.h"

#include "base/memory.h"
#include "edit/vector.h"

#include <math.h>

#define PI 3.14159265358979323846

struct gv_adam {
    gv_adam_options opt;
    int64_t n, step;
    double *m, *v, *g;
};

gv_adam_options gv_adam_defaults(int64_t steps)
{
    return (gv_adam_options){.lr = 0.1,
                             .beta1 = 0.9,
                             .beta2 = 0.999,
                             .eps = 1e-8,
                             .steps = steps,
                             .ramp_up = 0.05,
                             .ramp_down = 0.25};
}

gv_status gv_adam_new(gv_adam **out, int64_t n, const gv_adam_options *options, gv_error *err)
{
    *out = NULL;
    if (n < 1 || !(options->lr > 0.0) || options->steps < 1 || !(options->ramp_up >= 0.0) ||
        !(options->ramp_down >= 0.0))
        return gv_fail(err, GV_E_ARG, "adam: an option is out of range");
    gv_adam *o = gv_mem_alloc(sizeof *o);
    if (!o)
        return gv_fail_memory(err, sizeof *o);
    o->opt = *options;
    o->n = n;
    o->m = gv_mem_alloc_array((size_t)n, sizeof *o->m);
    o->v = gv_mem_alloc_array((size_t)n, sizeof *o->v);
    o->g = gv_mem_alloc_array((size_t)n, sizeof *o->g);
    if (!o->m || !o->v || !o->g) {
        gv_adam_free(o);
        return gv_fail_memory(err, (size_t)n * sizeof *o->m);
    }
    *out = o;
    return GV_OK;
}

void gv_adam_free(gv_adam *o)
{
    if (!o)
        return;
    gv_mem_free(o->m);
    gv_mem_free(o->v);
    gv_mem_free(o->g);
    gv_mem_free(o);
}

/* A linear ramp up, a plateau, half a cosine down; share in [0,1) of the run. */
static double scheduled_rate(const gv_adam_options *a, double share)
{
    double down = a->ramp_down > 0.0 ? fmin(1.0, (1.0 - share) / a->ramp_down) : 1.0;
    double up = a->ramp_up > 0.0 ? fmin(1.0, share / a->ramp_up) : 1.0;
    return a->lr * (0.5 - 0.5 * cos(down * PI)) * up;
}

gv_status gv_adam_step(gv_adam *o, double *x, const gv_problem *p, gv_step_report *report,
                       gv_error *err)
{
    const gv_adam_options *a = &o->opt;
    gv_status status;
    *report = (gv_step_report){.stop = GV_STOP_ITERATIONS, .evaluations = 1, .iterations = 1};
    GV_TRY(p->loss(p->ctx, &report->loss, x, err));
    GV_TRY(gv_check_loss(report->loss, o->step + 1, err));
    GV_TRY(p->gradient(p->ctx, o->g, err));
    GV_TRY(gv_check_gradient(o->g, o->n, o->step + 1, err));
    if (p->accepted)
        p->accepted(p->ctx, x, report->loss);

    double rate = scheduled_rate(a, (double)o->step / (double)a->steps);
    o->step++;
    double unbias_m = 1.0 - pow(a->beta1, (double)o->step);
    double unbias_v = 1.0 - pow(a->beta2, (double)o->step);
    for (int64_t i = 0; i < o->n; i++) {
        o->m[i] = a->beta1 * o->m[i] + (1.0 - a->beta1) * o->g[i];
        o->v[i] = a->beta2 * o->v[i] + (1.0 - a->beta2) * o->g[i] * o->g[i];
        x[i] -= rate / unbias_m * o->m[i] / (sqrt(o->v[i] / unbias_v) + a->eps);
    }
done:
    return status;
}
