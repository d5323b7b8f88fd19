/* distance, lpips_layer, gram, vector_norm, weighted_sum. */
#include "graph/ops_common.h"
#include "kernels/loss.h"

#include <string.h>

static const gv_loss_kernels *kernels(void)
{
    return gv_loss(gv_isa_best());
}

/* One number for each of n samples. */
static gv_map numbers(int64_t n)
{
    return gv_map_plane(n, 1, 1);
}

/* GV_E_ARG unless x and t are blocked maps of the same channels and pixels. */
static gv_status check_pair(const gv_graph *g, const char *op, gv_node x, gv_node t, gv_error *err)
{
    gv_map a = gv_graph_shape(g, x), b = gv_graph_shape(g, t);
    if (gv_map_is_plane(&a) || !gv_same_layout(&a, &b) || !gv_samples_fit(&a, &b))
        return gv_graph_refuse(err, op,
                               "x is " GV_DIMS ", t is " GV_DIMS
                               ", expected blocked maps of equal size, t for all samples or each",
                               GV_DIMS_OF(&a), GV_DIMS_OF(&b));
    return GV_OK;
}

/* ---- distance ---- */

typedef struct distance_attr {
    gv_distance kind;
    float weight;
} distance_attr;

static void distance_fwd(const gv_step *s)
{
    const distance_attr *t = s->attr;
    kernels()->distance_fwd(&s->y, s->x, t->kind, t->weight, s->scratch);
}

static void distance_bwd(const gv_step *s)
{
    const distance_attr *t = s->attr;
    kernels()->distance_bwd(s->dx, s->add, &s->dy, s->x, t->kind, t->weight);
}

static void distance_jvp(const gv_step *s)
{
    const distance_attr *t = s->attr;
    kernels()->distance_jvp(&s->ty, s->tx, s->x, t->kind, t->weight, s->scratch);
}

static const gv_op distance_op = {.name = "distance",
                                  .needs = GV_NEED_X(0) | GV_NEED_X(1) | GV_NEED_X(2),
                                  .fwd = distance_fwd,
                                  .bwd = distance_bwd,
                                  .jvp = distance_jvp};

gv_status gv_graph_distance(gv_graph *g, gv_node *y, gv_node x, gv_node t, gv_node mask,
                            gv_distance kind, float weight, gv_error *err)
{
    *y = GV_NO_NODE;
    gv_status status = check_pair(g, "distance", x, t, err);
    if (status == GV_OK)
        status = gv_graph_check_mask(g, "distance", x, mask, err);
    if (status != GV_OK)
        return status;
    gv_map in = gv_graph_shape(g, x), out = numbers(in.n);
    distance_attr attr = {kind, weight};
    return gv_graph_append(g, y, &distance_op, &out, (gv_node[]){x, t, mask}, 3, &attr, sizeof attr,
                           (size_t)gv_distance_doubles(&in) * sizeof(double), err);
}

/* ---- lpips_layer ---- */

typedef struct lpips_attr {
    const float *lin; /* of the model */
} lpips_attr;

static void lpips_fwd(const gv_step *s)
{
    const lpips_attr *t = s->attr;
    kernels()->lpips_fwd(&s->y, s->x, t->lin, s->scratch);
}

static void lpips_bwd(const gv_step *s)
{
    const lpips_attr *t = s->attr;
    kernels()->lpips_bwd(s->dx, s->add, &s->dy, s->x, t->lin, s->scratch);
}

static void lpips_jvp(const gv_step *s)
{
    const lpips_attr *t = s->attr;
    kernels()->lpips_jvp(&s->ty, s->tx, s->x, t->lin, s->scratch);
}

static const gv_op lpips_op = {.name = "lpips_layer",
                               .needs = GV_NEED_X(0) | GV_NEED_X(1) | GV_NEED_X(2),
                               .fwd = lpips_fwd,
                               .bwd = lpips_bwd,
                               .jvp = lpips_jvp};

gv_status gv_graph_lpips_layer(gv_graph *g, gv_node *y, gv_node x, gv_node t, gv_node mask,
                               gv_param lin, gv_error *err)
{
    *y = GV_NO_NODE;
    gv_status status = check_pair(g, "lpips_layer", x, t, err);
    if (status == GV_OK)
        status = gv_graph_check_mask(g, "lpips_layer", x, mask, err);
    if (status != GV_OK)
        return status;
    gv_map in = gv_graph_shape(g, x), out = numbers(in.n);
    lpips_attr attr = {NULL};
    status = gv_graph_channel_floats(&attr.lin, lin, in.c, err);
    if (status != GV_OK)
        return status;
    return gv_graph_append(g, y, &lpips_op, &out, (gv_node[]){x, t, mask}, 3, &attr, sizeof attr,
                           (size_t)gv_lpips_doubles(&in) * sizeof(double), err);
}

/* ---- gram ---- */

static void gram_fwd(const gv_step *s)
{
    kernels()->gram_fwd(&s->y, &s->x[0]);
}

static void gram_bwd(const gv_step *s)
{
    if (s->dx[0].data)
        kernels()->gram_bwd(&s->dx[0], s->add[0], &s->dy, &s->x[0], s->scratch);
}

static void gram_jvp(const gv_step *s)
{
    kernels()->gram_jvp(&s->ty, &s->tx[0], &s->x[0]);
}

static double gram_flops(const gv_step *s)
{
    const gv_map *x = &s->x[0];
    return 2.0 * (double)x->n * (double)x->c * (double)x->c * (double)(x->h * x->w);
}

static const gv_op gram_op = {.name = "gram",
                              .needs = GV_NEED_X(0),
                              .fwd = gram_fwd,
                              .bwd = gram_bwd,
                              .jvp = gram_jvp,
                              .flops = gram_flops};

gv_status gv_graph_gram(gv_graph *g, gv_node *y, gv_node x, gv_error *err)
{
    *y = GV_NO_NODE;
    gv_map in = gv_graph_shape(g, x), out = gv_map_blocked(in.n, in.c, in.c, 1);
    if (gv_map_is_plane(&in))
        return gv_graph_refuse(err, "gram", "x is a plane, expected a blocked map");
    return gv_graph_append(g, y, &gram_op, &out, &x, 1, NULL, 0,
                           (size_t)gv_gram_floats(in.c) * sizeof(float), err);
}

/* ---- vector_norm ---- */

static void vector_norm_fwd(const gv_step *s)
{
    const float *weight = s->attr;
    kernels()->vector_norm_fwd(&s->y, s->x, *weight);
}

static void vector_norm_bwd(const gv_step *s)
{
    const float *weight = s->attr;
    kernels()->vector_norm_bwd(s->dx, s->add, &s->dy, s->x, *weight);
}

static void vector_norm_jvp(const gv_step *s)
{
    const float *weight = s->attr;
    kernels()->vector_norm_jvp(&s->ty, s->tx, s->x, *weight);
}

static const gv_op vector_norm_op = {.name = "vector_norm",
                                     .needs = GV_NEED_X(0) | GV_NEED_X(1),
                                     .fwd = vector_norm_fwd,
                                     .bwd = vector_norm_bwd,
                                     .jvp = vector_norm_jvp};

gv_status gv_graph_vector_norm(gv_graph *g, gv_node *y, gv_node x, gv_node t, float weight,
                               gv_error *err)
{
    *y = GV_NO_NODE;
    gv_map in = gv_graph_shape(g, x), out = numbers(in.n);
    gv_status status = check_pair(g, "vector_norm", x, t, err);
    if (status != GV_OK)
        return status;
    if (!gv_is_vector(&in))
        return gv_graph_refuse(err, "vector_norm", "x is " GV_DIMS ", expected a vector",
                               GV_DIMS_OF(&in));
    return gv_graph_append(g, y, &vector_norm_op, &out, (gv_node[]){x, t}, 2, &weight,
                           sizeof weight, 0, err);
}

/* ---- weighted_sum: a number a sample, too little for a kernel ---- */

typedef struct sum_attr {
    float weights[GV_MAX_INPUTS];
} sum_attr;

static void sum_terms(const gv_step *s, const gv_map *y, const gv_map *terms)
{
    const sum_attr *t = s->attr;
    for (int64_t n = 0; n < y->n; n++) {
        double sum = 0.0;
        for (int i = 0; i < s->inputs; i++)
            if (terms[i].data)
                sum += (double)t->weights[i] * (double)terms[i].data[n];
        y->data[n] = (float)sum;
    }
}

static void weighted_sum_fwd(const gv_step *s)
{
    sum_terms(s, &s->y, s->x);
}

static void weighted_sum_bwd(const gv_step *s)
{
    const sum_attr *t = s->attr;
    for (int i = 0; i < s->inputs; i++) {
        float *d = s->dx[i].data;
        for (int64_t n = 0; d && n < s->dy.n; n++)
            d[n] = (s->add[i] ? d[n] : 0.0f) + t->weights[i] * s->dy.data[n];
    }
}

static void weighted_sum_jvp(const gv_step *s)
{
    sum_terms(s, &s->ty, s->tx);
}

static const gv_op weighted_sum_op = {.name = "weighted_sum",
                                      .needs = GV_NEED_NONE,
                                      .fwd = weighted_sum_fwd,
                                      .bwd = weighted_sum_bwd,
                                      .jvp = weighted_sum_jvp};

gv_status gv_graph_weighted_sum(gv_graph *g, gv_node *y, const gv_node *terms, const float *weights,
                                int count, gv_error *err)
{
    *y = GV_NO_NODE;
    if (count < 1 || count > GV_MAX_INPUTS)
        return gv_graph_refuse(err, "weighted_sum", "%d terms, expected 1 to %d", count,
                               GV_MAX_INPUTS);
    sum_attr attr = {{0}};
    memcpy(attr.weights, weights, (size_t)count * sizeof *weights);
    gv_map first = gv_graph_shape(g, terms[0]), out = numbers(first.n);
    for (int i = 0; i < count; i++) {
        gv_map m = gv_graph_shape(g, terms[i]);
        if (!gv_map_is_plane(&m) || m.h != 1 || m.w != 1 || m.n != first.n)
            return gv_graph_refuse(err, "weighted_sum",
                                   "term %d is " GV_DIMS ", expected the plane [%lld,1,1,1]", i,
                                   GV_DIMS_OF(&m), (long long)first.n);
    }
    return gv_graph_append(g, y, &weighted_sum_op, &out, terms, count, &attr, sizeof attr, 0, err);
}

const gv_op *const gv_ops_loss[] = {&distance_op,    &lpips_op,        &gram_op,
                                    &vector_norm_op, &weighted_sum_op, NULL};
