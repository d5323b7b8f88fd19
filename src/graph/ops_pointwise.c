/* bias_act, add, affine, concat. */
#include "graph/ops_common.h"
#include "kernels/pointwise.h"

static const gv_pointwise_kernels *kernels(void)
{
    return gv_pointwise(gv_isa_best());
}

/* ---- bias_act ---- */

typedef struct bias_act_attr {
    gv_bias_act a;
    const float *bias; /* of the model */
    bool from_y;       /* the derivative is taken from the result */
} bias_act_attr;

static void bias_act_fwd(const gv_step *s)
{
    const bias_act_attr *t = s->attr;
    kernels()->bias_act_fwd(&s->y, s->x, t->bias, &t->a);
}

static void bias_act_bwd(const gv_step *s)
{
    const bias_act_attr *t = s->attr;
    kernels()->bias_act_bwd(s->dx, s->add, &s->dy, s->x, t->from_y ? &s->y : NULL, t->bias, &t->a);
}

static void bias_act_jvp(const gv_step *s)
{
    const bias_act_attr *t = s->attr;
    kernels()->bias_act_jvp(&s->ty, s->tx, s->x, t->from_y ? &s->y : NULL, t->bias, &t->a);
}

/* Two kinds, as what is kept for the gradient differs: the result alone, which lets y take x's
 * memory, or all inputs where a scale's gradient needs x, or a clamp hides how far out y was. */
static const gv_op bias_act_op = {.name = "bias_act",
                                  .needs = GV_NEED_Y,
                                  .in_place = true,
                                  .fwd = bias_act_fwd,
                                  .bwd = bias_act_bwd,
                                  .jvp = bias_act_jvp};
static const gv_op scale_bias_act_op = {.name = "scale_bias_act",
                                        .needs = GV_NEED_X(0) | GV_NEED_X(1) | GV_NEED_X(2),
                                        .in_place = true,
                                        .fwd = bias_act_fwd,
                                        .bwd = bias_act_bwd,
                                        .jvp = bias_act_jvp};
/* Without activation the derivative is a constant. */
static const gv_op bias_op = {.name = "bias",
                              .needs = GV_NEED_NONE,
                              .in_place = true,
                              .fwd = bias_act_fwd,
                              .bwd = bias_act_bwd,
                              .jvp = bias_act_jvp};

static gv_status check_bias_act(gv_graph *g, gv_node x, gv_node scale, gv_node noise,
                                const gv_bias_act *a, gv_error *err)
{
    gv_map in = gv_graph_shape(g, x), s = gv_graph_shape_or_none(g, scale);
    gv_map plane = gv_graph_shape_or_none(g, noise);
    if (gv_map_is_plane(&in))
        return gv_graph_refuse(err, "bias_act", "x is a plane, expected a blocked map");
    if (gv_graph_has(scale) && (!gv_is_vector(&s) || s.n != in.n || s.c != in.c))
        return gv_graph_refuse(err, "bias_act",
                               "scale is " GV_DIMS ", expected a vector for " GV_DIMS,
                               GV_DIMS_OF(&s), GV_DIMS_OF(&in));
    if (gv_graph_has(noise) && (!gv_map_is_plane(&plane) || plane.h != in.h || plane.w != in.w ||
                                !gv_samples_fit(&in, &plane)))
        return gv_graph_refuse(err, "bias_act",
                               "noise is " GV_DIMS ", expected a plane for " GV_DIMS,
                               GV_DIMS_OF(&plane), GV_DIMS_OF(&in));
    if (!(a->gain > 0.0f) || !(a->clamp >= 0.0f) || (a->act == GV_ACT_LRELU && !(a->slope >= 0.0f)))
        return gv_graph_refuse(err, "bias_act",
                               "gain %g, clamp %g, slope %g, expected a positive gain and the "
                               "others not negative",
                               (double)a->gain, (double)a->clamp, (double)a->slope);
    return GV_OK;
}

gv_status gv_graph_bias_act(gv_graph *g, gv_node *y, gv_node x, gv_node scale, gv_node noise,
                            gv_param bias, const gv_bias_act *a, gv_error *err)
{
    *y = GV_NO_NODE;
    gv_status status = check_bias_act(g, x, scale, noise, a, err);
    if (status != GV_OK)
        return status;
    gv_map in = gv_graph_shape(g, x), out = gv_graph_like(&in);
    bool free_of_x = !gv_graph_has(scale) && a->clamp == 0.0f;
    bias_act_attr attr = {.a = *a, .from_y = free_of_x};
    status = gv_graph_channel_floats(&attr.bias, bias, in.c, err);
    if (status != GV_OK)
        return status;
    const gv_op *op = !free_of_x                ? &scale_bias_act_op
                      : a->act == GV_ACT_LINEAR ? &bias_op
                                                : &bias_act_op;
    return gv_graph_append(g, y, op, &out, (gv_node[]){x, scale, noise}, 3, &attr, sizeof attr, 0,
                           err);
}

/* ---- add ---- */

static void add_fwd(const gv_step *s)
{
    const float *gain = s->attr;
    kernels()->add_fwd(&s->y, &s->x[0], &s->x[1], *gain);
}

static void add_bwd(const gv_step *s)
{
    const float *gain = s->attr;
    for (int i = 0; i < 2; i++)
        if (s->dx[i].data)
            kernels()->add_bwd(&s->dx[i], s->add[i], &s->dy, *gain);
}

static void add_jvp(const gv_step *s)
{
    const float *gain = s->attr;
    kernels()->add_fwd(&s->ty, &s->tx[0], &s->tx[1], *gain);
}

static const gv_op add_op = {.name = "add",
                             .needs = GV_NEED_NONE,
                             .in_place = true,
                             .fwd = add_fwd,
                             .bwd = add_bwd,
                             .jvp = add_jvp};

gv_status gv_graph_add(gv_graph *g, gv_node *y, gv_node a, gv_node b, float gain, gv_error *err)
{
    *y = GV_NO_NODE;
    gv_map ma = gv_graph_shape(g, a), mb = gv_graph_shape(g, b), out = gv_graph_like(&ma);
    if (!gv_same_layout(&ma, &mb) || ma.n != mb.n)
        return gv_graph_refuse(err, "add", "a is " GV_DIMS ", b is " GV_DIMS ", expected the same",
                               GV_DIMS_OF(&ma), GV_DIMS_OF(&mb));
    return gv_graph_append(g, y, &add_op, &out, (gv_node[]){a, b}, 2, &gain, sizeof gain, 0, err);
}

/* ---- affine ---- */

typedef struct affine_attr {
    const float *scale, *shift;
} affine_attr;

static void affine_fwd(const gv_step *s)
{
    const affine_attr *t = s->attr;
    kernels()->affine_fwd(&s->y, &s->x[0], t->scale, t->shift);
}

static void affine_bwd(const gv_step *s)
{
    const affine_attr *t = s->attr;
    if (s->dx[0].data)
        kernels()->affine_bwd(&s->dx[0], s->add[0], &s->dy, t->scale);
}

static void affine_jvp(const gv_step *s)
{
    const affine_attr *t = s->attr;
    kernels()->affine_fwd(&s->ty, &s->tx[0], t->scale, NULL);
}

static const gv_op affine_op = {.name = "affine",
                                .needs = GV_NEED_NONE,
                                .in_place = true,
                                .fwd = affine_fwd,
                                .bwd = affine_bwd,
                                .jvp = affine_jvp};

gv_status gv_graph_affine(gv_graph *g, gv_node *y, gv_node x, const float *scale,
                          const float *shift, gv_error *err)
{
    *y = GV_NO_NODE;
    gv_map in = gv_graph_shape(g, x), out = gv_graph_like(&in);
    if (gv_map_is_plane(&in))
        return gv_graph_refuse(err, "affine", "x is a plane, expected a blocked map");
    size_t floats = (size_t)(gv_blocks(in.c) * GV_LANES);
    float *both = gv_graph_alloc(g, 2 * floats * sizeof *both);
    if (!both)
        return gv_fail_memory(err, 2 * floats * sizeof *both);
    for (int64_t c = 0; c < in.c; c++) {
        both[c] = scale[c];
        both[(int64_t)floats + c] = shift[c];
    }
    affine_attr attr = {both, both + floats};
    return gv_graph_append(g, y, &affine_op, &out, &x, 1, &attr, sizeof attr, 0, err);
}

/* ---- concat ---- */

static void concat_fwd(const gv_step *s)
{
    kernels()->concat_fwd(&s->y, &s->x[0], &s->x[1]);
}

static void concat_bwd(const gv_step *s)
{
    if (s->dx[0].data)
        kernels()->concat_bwd(&s->dx[0], s->add[0], &s->dy, 0);
    if (s->dx[1].data)
        kernels()->concat_bwd(&s->dx[1], s->add[1], &s->dy, s->x[0].c);
}

static void concat_jvp(const gv_step *s)
{
    kernels()->concat_fwd(&s->ty, &s->tx[0], &s->tx[1]);
}

static const gv_op concat_op = {.name = "concat",
                                .needs = GV_NEED_NONE,
                                .fwd = concat_fwd,
                                .bwd = concat_bwd,
                                .jvp = concat_jvp};

gv_status gv_graph_concat(gv_graph *g, gv_node *y, gv_node a, gv_node b, gv_error *err)
{
    *y = GV_NO_NODE;
    gv_map ma = gv_graph_shape(g, a), mb = gv_graph_shape(g, b);
    if (gv_map_is_plane(&ma) || gv_map_is_plane(&mb) || ma.n != mb.n || ma.h != mb.h ||
        ma.w != mb.w)
        return gv_graph_refuse(err, "concat",
                               "a is " GV_DIMS ", b is " GV_DIMS
                               ", expected blocked maps of equal size",
                               GV_DIMS_OF(&ma), GV_DIMS_OF(&mb));
    gv_map out = gv_map_blocked(ma.n, ma.c + mb.c, ma.h, ma.w);
    return gv_graph_append(g, y, &concat_op, &out, (gv_node[]){a, b}, 2, NULL, 0, 0, err);
}

const gv_op *const gv_ops_pointwise[] = {&bias_act_op, &scale_bias_act_op, &bias_op, &add_op,
                                         &affine_op,   &concat_op,         NULL};
