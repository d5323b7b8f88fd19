/* fir, upsample2, max_pool2, adaptive_avg_pool. */
#include "graph/ops_common.h"
#include "kernels/resample.h"

#include <string.h>

static const gv_resample_kernels *kernels(void)
{
    return gv_resample(gv_isa_best());
}

/* ---- fir ---- */

static void fir_fwd(const gv_step *s)
{
    kernels()->fir(&s->y, false, &s->x[0], s->attr);
}

static void fir_bwd(const gv_step *s)
{
    gv_fir adjoint = gv_fir_adjoint(s->attr);
    if (s->dx[0].data)
        kernels()->fir(&s->dx[0], s->add[0], &s->dy, &adjoint);
}

static void fir_jvp(const gv_step *s)
{
    kernels()->fir(&s->ty, false, &s->tx[0], s->attr);
}

static const gv_op fir_op = {
    .name = "fir", .needs = GV_NEED_NONE, .fwd = fir_fwd, .bwd = fir_bwd, .jvp = fir_jvp};

gv_status gv_graph_fir(gv_graph *g, gv_node *y, gv_node x, const float taps[4], int64_t up,
                       int64_t before, int64_t after, gv_error *err)
{
    *y = GV_NO_NODE;
    gv_map in = gv_graph_shape(g, x);
    if (gv_map_is_plane(&in))
        return gv_graph_refuse(err, "fir", "x is a plane, expected a blocked map");
    if (up < 1 || up > 2 || before < 0 || after < 0 || before > 3 || after > 3)
        return gv_graph_refuse(
            err, "fir",
            "up %lld, padding %lld before and %lld after, expected up 1 or 2 and "
            "padding 0 to 3",
            (long long)up, (long long)before, (long long)after);
    int64_t h = in.h * up + before + after - 3, w = in.w * up + before + after - 3;
    if (h < 1 || w < 1)
        return gv_graph_refuse(err, "fir", "x is " GV_DIMS ", too small for 4 taps",
                               GV_DIMS_OF(&in));
    gv_fir attr = {.up = up, .down = 1, .before = before};
    memcpy(attr.taps, taps, sizeof attr.taps);
    gv_map out = gv_map_blocked(in.n, in.c, h, w);
    return gv_graph_append(g, y, &fir_op, &out, &x, 1, &attr, sizeof attr, 0, err);
}

/* ---- upsample2 ---- */

static void upsample2_fwd(const gv_step *s)
{
    kernels()->upsample2_fwd(&s->y, &s->x[0]);
}

static void upsample2_bwd(const gv_step *s)
{
    if (s->dx[0].data)
        kernels()->upsample2_bwd(&s->dx[0], s->add[0], &s->dy);
}

static void upsample2_jvp(const gv_step *s)
{
    kernels()->upsample2_fwd(&s->ty, &s->tx[0]);
}

static const gv_op upsample2_op = {.name = "upsample2",
                                   .needs = GV_NEED_NONE,
                                   .fwd = upsample2_fwd,
                                   .bwd = upsample2_bwd,
                                   .jvp = upsample2_jvp};

gv_status gv_graph_upsample2(gv_graph *g, gv_node *y, gv_node x, gv_error *err)
{
    *y = GV_NO_NODE;
    gv_map in = gv_graph_shape(g, x);
    if (gv_map_is_plane(&in))
        return gv_graph_refuse(err, "upsample2", "x is a plane, expected a blocked map");
    gv_map out = gv_map_blocked(in.n, in.c, 2 * in.h, 2 * in.w);
    return gv_graph_append(g, y, &upsample2_op, &out, &x, 1, NULL, 0, 0, err);
}

/* ---- max_pool2 ---- */

static void max_pool2_fwd(const gv_step *s)
{
    kernels()->max_pool2_fwd(&s->y, &s->x[0]);
}

static void max_pool2_bwd(const gv_step *s)
{
    if (s->dx[0].data)
        kernels()->max_pool2_bwd(&s->dx[0], s->add[0], &s->dy, &s->x[0]);
}

static void max_pool2_jvp(const gv_step *s)
{
    kernels()->max_pool2_jvp(&s->ty, &s->tx[0], &s->x[0]);
}

static const gv_op max_pool2_op = {.name = "max_pool2",
                                   .needs = GV_NEED_X(0),
                                   .fwd = max_pool2_fwd,
                                   .bwd = max_pool2_bwd,
                                   .jvp = max_pool2_jvp};

gv_status gv_graph_max_pool2(gv_graph *g, gv_node *y, gv_node x, gv_error *err)
{
    *y = GV_NO_NODE;
    gv_map in = gv_graph_shape(g, x);
    if (gv_map_is_plane(&in) || in.h < 2 || in.w < 2)
        return gv_graph_refuse(err, "max_pool2",
                               "x is " GV_DIMS ", expected a blocked map of 2 x 2 or more",
                               GV_DIMS_OF(&in));
    gv_map out = gv_map_blocked(in.n, in.c, in.h / 2, in.w / 2);
    return gv_graph_append(g, y, &max_pool2_op, &out, &x, 1, NULL, 0, 0, err);
}

/* ---- adaptive_avg_pool ---- */

static void avg_pool_fwd(const gv_step *s)
{
    kernels()->avg_pool_fwd(&s->y, &s->x[0]);
}

static void avg_pool_bwd(const gv_step *s)
{
    if (s->dx[0].data)
        kernels()->avg_pool_bwd(&s->dx[0], s->add[0], &s->dy);
}

static void avg_pool_jvp(const gv_step *s)
{
    kernels()->avg_pool_fwd(&s->ty, &s->tx[0]);
}

static const gv_op avg_pool_op = {.name = "adaptive_avg_pool",
                                  .needs = GV_NEED_NONE,
                                  .fwd = avg_pool_fwd,
                                  .bwd = avg_pool_bwd,
                                  .jvp = avg_pool_jvp};

gv_status gv_graph_adaptive_avg_pool(gv_graph *g, gv_node *y, gv_node x, int64_t h, int64_t w,
                                     gv_error *err)
{
    *y = GV_NO_NODE;
    gv_map in = gv_graph_shape(g, x);
    if (h < 1 || w < 1)
        return gv_graph_refuse(err, "adaptive_avg_pool", "to %lld x %lld, expected at least 1 x 1",
                               (long long)h, (long long)w);
    gv_map out = gv_map_is_plane(&in) ? gv_map_plane(in.n, h, w) : gv_map_blocked(in.n, in.c, h, w);
    return gv_graph_append(g, y, &avg_pool_op, &out, &x, 1, NULL, 0, 0, err);
}

const gv_op *const gv_ops_resample[] = {&fir_op, &upsample2_op, &max_pool2_op, &avg_pool_op, NULL};
