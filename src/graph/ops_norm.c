/* instance_norm. */
#include "graph/ops_common.h"
#include "kernels/norm.h"

typedef struct norm_attr {
    float eps;
    float *r; /* 1 / deviation of each sample and channel, from the last fwd; in the arena */
} norm_attr;

static const gv_norm_kernels *kernels(void)
{
    return gv_norm(gv_isa_best());
}

static void instance_fwd(const gv_step *s)
{
    const norm_attr *t = s->attr;
    kernels()->instance_fwd(&s->y, &s->x[0], t->eps, t->r);
}

static void instance_bwd(const gv_step *s)
{
    const norm_attr *t = s->attr;
    if (s->dx[0].data)
        kernels()->instance_bwd(&s->dx[0], s->add[0], &s->dy, &s->y, t->r);
}

static void instance_jvp(const gv_step *s)
{
    const norm_attr *t = s->attr;
    kernels()->instance_bwd(&s->ty, false, &s->tx[0], &s->y, t->r);
}

static const gv_op instance_op = {.name = "instance_norm",
                                  .needs = GV_NEED_Y,
                                  .in_place = true,
                                  .fwd = instance_fwd,
                                  .bwd = instance_bwd,
                                  .jvp = instance_jvp};

gv_status gv_graph_instance_norm(gv_graph *g, gv_node *y, gv_node x, float eps, gv_error *err)
{
    *y = GV_NO_NODE;
    gv_map in = gv_graph_shape(g, x), out = gv_graph_like(&in);
    if (gv_map_is_plane(&in) || !(eps > 0.0f))
        return gv_graph_refuse(err, "instance_norm",
                               "x is " GV_DIMS
                               " and eps %g, expected a blocked map and eps above 0",
                               GV_DIMS_OF(&in), (double)eps);
    size_t bytes = (size_t)(in.n * gv_blocks(in.c) * GV_LANES) * sizeof(float);
    norm_attr attr = {.eps = eps, .r = gv_graph_alloc(g, bytes)};
    if (!attr.r)
        return gv_fail_memory(err, bytes);
    return gv_graph_append(g, y, &instance_op, &out, &x, 1, &attr, sizeof attr, 0, err);
}

const gv_op *const gv_ops_norm[] = {&instance_op, NULL};
