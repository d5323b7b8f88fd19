/* modulate, demodulate, normalize_2nd_moment. */
#include "graph/ops_common.h"
#include "kernels/modulate.h"

#include <stdio.h>

static const gv_modulate_kernels *kernels(void)
{
    return gv_modulate(gv_isa_best());
}

/* ---- modulate ---- */

static void modulate_fwd(const gv_step *s)
{
    kernels()->modulate_fwd(&s->y, &s->x[0], &s->x[1]);
}

static void modulate_bwd(const gv_step *s)
{
    kernels()->modulate_bwd(s->dx, s->add, &s->dy, s->x);
}

static void modulate_jvp(const gv_step *s)
{
    kernels()->modulate_jvp(&s->ty, s->tx, s->x);
}

static const gv_op modulate_op = {.name = "modulate",
                                  .needs = GV_NEED_X(0) | GV_NEED_X(1),
                                  .in_place = true,
                                  .fwd = modulate_fwd,
                                  .bwd = modulate_bwd,
                                  .jvp = modulate_jvp};

gv_status gv_graph_modulate(gv_graph *g, gv_node *y, gv_node x, gv_node s, gv_error *err)
{
    *y = GV_NO_NODE;
    gv_map in = gv_graph_shape(g, x), style = gv_graph_shape(g, s), out = gv_graph_like(&in);
    if (gv_map_is_plane(&in) || !gv_is_vector(&style) || style.n != in.n || style.c != in.c)
        return gv_graph_refuse(err, "modulate",
                               "x is " GV_DIMS ", s is " GV_DIMS ", expected one factor a channel",
                               GV_DIMS_OF(&in), GV_DIMS_OF(&style));
    return gv_graph_append(g, y, &modulate_op, &out, (gv_node[]){x, s}, 2, NULL, 0, 0, err);
}

/* ---- demodulate ---- */

typedef struct demodulate_attr {
    const float *q; /* of the model */
} demodulate_attr;

static void demodulate_fwd(const gv_step *s)
{
    const demodulate_attr *t = s->attr;
    kernels()->demodulate_fwd(&s->y, &s->x[0], t->q);
}

static void demodulate_bwd(const gv_step *s)
{
    const demodulate_attr *t = s->attr;
    if (s->dx[0].data)
        kernels()->demodulate_bwd(&s->dx[0], s->add[0], &s->dy, &s->x[0], &s->y, t->q, s->scratch);
}

static void demodulate_jvp(const gv_step *s)
{
    const demodulate_attr *t = s->attr;
    kernels()->demodulate_jvp(&s->ty, &s->tx[0], &s->x[0], &s->y, t->q);
}

static double demodulate_flops(const gv_step *s)
{
    return 2.0 * (double)s->y.n * (double)s->y.c * (double)s->x[0].c;
}

static const gv_op demodulate_op = {.name = "demodulate",
                                    .needs = GV_NEED_X(0) | GV_NEED_Y,
                                    .fwd = demodulate_fwd,
                                    .bwd = demodulate_bwd,
                                    .jvp = demodulate_jvp,
                                    .flops = demodulate_flops};

typedef struct filter_dims {
    int64_t k, c, pixels;
} filter_dims;

/* dst[i][o] = sum_p w[o][i][p]^2; dst is zero beyond the last o. */
static void pack_squares(void *dst, const float *w, int64_t count, const void *ctx)
{
    (void)count;
    const filter_dims *d = ctx;
    float *q = dst;
    int64_t row = gv_blocks(d->k) * GV_LANES;
    for (int64_t o = 0; o < d->k; o++) {
        for (int64_t i = 0; i < d->c; i++) {
            double sum = 0.0;
            for (int64_t p = 0; p < d->pixels; p++) {
                double v = (double)w[(o * d->c + i) * d->pixels + p];
                sum += v * v;
            }
            q[i * row + o] = (float)sum;
        }
    }
}

gv_status gv_graph_demodulate(gv_graph *g, gv_node *d, gv_node s, gv_param w, int64_t channels,
                              int64_t kernel, gv_error *err)
{
    *d = GV_NO_NODE;
    gv_map style = gv_graph_shape(g, s);
    if (!gv_is_vector(&style) || channels < 1 || kernel < 1)
        return gv_graph_refuse(err, "demodulate",
                               "s of %s is " GV_DIMS " for %lld channels and kernel %lld, expected "
                               "a vector",
                               w.name, GV_DIMS_OF(&style), (long long)channels, (long long)kernel);
    filter_dims dims = {channels, style.c, kernel * kernel};
    size_t row = (size_t)(gv_blocks(channels) * GV_LANES) * sizeof(float);
    char layout[96];
    snprintf(layout, sizeof layout, "squares k%lld c%lld", (long long)channels, (long long)style.c);
    const void *packed = NULL;
    gv_status status = gv_weights_pack(&packed, w, channels * style.c * dims.pixels, layout,
                                       row * (size_t)style.c, pack_squares, &dims, err);
    if (status != GV_OK)
        return status;
    demodulate_attr attr = {packed};
    gv_map out = gv_map_blocked(style.n, channels, 1, 1);
    return gv_graph_append(g, d, &demodulate_op, &out, &s, 1, &attr, sizeof attr,
                           row * (size_t)style.n, err);
}

/* ---- normalize_2nd_moment ---- */

static void normalize_fwd(const gv_step *s)
{
    kernels()->normalize_fwd(&s->y, &s->x[0]);
}

static void normalize_bwd(const gv_step *s)
{
    if (s->dx[0].data)
        kernels()->normalize_bwd(&s->dx[0], s->add[0], &s->dy, &s->x[0]);
}

static void normalize_jvp(const gv_step *s)
{
    kernels()->normalize_bwd(&s->ty, false, &s->tx[0], &s->x[0]);
}

static const gv_op normalize_op = {.name = "normalize_2nd_moment",
                                   .needs = GV_NEED_X(0),
                                   .in_place = true,
                                   .fwd = normalize_fwd,
                                   .bwd = normalize_bwd,
                                   .jvp = normalize_jvp};

gv_status gv_graph_normalize_2nd_moment(gv_graph *g, gv_node *y, gv_node x, gv_error *err)
{
    *y = GV_NO_NODE;
    gv_map in = gv_graph_shape(g, x), out = gv_graph_like(&in);
    if (!gv_is_vector(&in))
        return gv_graph_refuse(err, "normalize_2nd_moment", "x is " GV_DIMS ", expected a vector",
                               GV_DIMS_OF(&in));
    return gv_graph_append(g, y, &normalize_op, &out, &x, 1, NULL, 0, 0, err);
}

const gv_op *const gv_ops_modulate[] = {&modulate_op, &demodulate_op, &normalize_op, NULL};
