#include "nets/stylegan2.h"

#include <math.h>

#define LRELU_SLOPE 0.2f

/* ---- parts ---- */

static gv_status tap(gv_graph *g, gv_node x, const char *name, bool taps, gv_error *err)
{
    return taps ? gv_graph_output(g, x, name, err) : GV_OK;
}

/* gain multiplies the result of linear layers (toRGB's style). */
static gv_status dense(gv_graph *g, const gv_net *net, gv_node *y, gv_node x,
                       const gv_stylegan2_dense *d, float gain, gv_error *err)
{
    gv_bias_act act = {
        .act = d->act, .slope = LRELU_SLOPE, .gain = d->act_gain, .bias_gain = d->bias_gain * gain};
    gv_status status;
    GV_TRY(
        gv_graph_linear(g, y, x, gv_net_param(net, d->weight), d->out, d->weight_gain * gain, err));
    GV_TRY(
        gv_graph_bias_act(g, y, *y, GV_NO_NODE, GV_NO_NODE, gv_net_param(net, d->bias), &act, err));
done:
    return status;
}

/* The filter after zeros went between the samples: three of four are zeros, hence 4 times. */
static gv_status resample(gv_graph *g, gv_node *y, gv_node x, const float filter[4], int64_t up,
                          int64_t before, int64_t after, gv_error *err)
{
    const float taps[4] = {2 * filter[0], 2 * filter[1], 2 * filter[2], 2 * filter[3]};
    return gv_graph_fir(g, y, x, taps, up, before, after, err);
}

static gv_status upsample(gv_graph *g, gv_node *y, gv_node x, const float filter[4], gv_error *err)
{
    return resample(g, y, x, filter, 2, 2, 1, err);
}

/* conv0 and conv1. gain scales activation and clamp: sqrt(1/2) beside a residual, else 1. */
static gv_status layer(gv_graph *g, const gv_stylegan2 *m, gv_node *y, gv_node x, gv_node w,
                       gv_node noise, const gv_stylegan2_layer *l, const float filter[4],
                       float gain, bool taps, gv_error *err)
{
    gv_param weight = gv_net_param(m->net, l->weight);
    gv_conv2d conv = {.channels = l->out, .kernel = 3, .stride = 1, .pad = 1};
    gv_bias_act act = {.act = l->act,
                       .slope = LRELU_SLOPE,
                       .gain = l->act_gain * gain,
                       .clamp = l->clamp * gain,
                       .bias_gain = 1,
                       .noise_strength = l->noise_strength};
    gv_node style, demod;
    gv_status status;
    GV_TRY(dense(g, m->net, &style, w, &l->affine, 1, err));
    GV_TRY(tap(g, style, l->affine_tap, taps, err));
    GV_TRY(gv_graph_demodulate(g, &demod, style, weight, l->out, 3, err));
    GV_TRY(gv_graph_modulate(g, &x, x, style, err));
    if (l->up) {
        /* A stride of 2 inserts the zeros: 2H+1 pixels, of which the filter leaves 2H. */
        conv = (gv_conv2d){
            .channels = l->out, .kernel = 3, .stride = 2, .transposed = true, .out_first = true};
        GV_TRY(gv_graph_conv2d(g, &x, x, weight, &conv, err));
        GV_TRY(resample(g, &x, x, filter, 1, 1, 1, err));
    } else {
        GV_TRY(gv_graph_conv2d(g, &x, x, weight, &conv, err));
    }
    GV_TRY(gv_graph_bias_act(g, y, x, demod, noise, gv_net_param(m->net, l->bias), &act, err));
    GV_TRY(tap(g, *y, l->name, taps, err));
done:
    return status;
}

static gv_status torgb(gv_graph *g, const gv_stylegan2 *m, gv_node *rgb, gv_node x, gv_node w,
                       const gv_stylegan2_torgb *t, bool taps, gv_error *err)
{
    gv_conv2d conv = {.channels = m->channels, .kernel = 1, .stride = 1};
    gv_bias_act act = {.act = GV_ACT_LINEAR, .gain = 1, .clamp = t->clamp, .bias_gain = 1};
    gv_node style;
    gv_status status;
    GV_TRY(dense(g, m->net, &style, w, &t->affine, t->weight_gain, err));
    GV_TRY(tap(g, style, t->affine_tap, taps, err));
    GV_TRY(gv_graph_modulate(g, &x, x, style, err));
    GV_TRY(gv_graph_conv2d(g, &x, x, gv_net_param(m->net, t->weight), &conv, err));
    GV_TRY(gv_graph_bias_act(g, rgb, x, GV_NO_NODE, GV_NO_NODE, gv_net_param(m->net, t->bias), &act,
                             err));
    GV_TRY(tap(g, *rgb, t->name, taps, err));
done:
    return status;
}

/* The residual path: 1 x 1 convolution, then twice the size. */
static gv_status residual(gv_graph *g, const gv_stylegan2 *m, gv_node *y, gv_node x,
                          const gv_stylegan2_block *b, gv_error *err)
{
    const float half = 0.707106781f;
    gv_conv2d conv = {.channels = b->out, .kernel = 1, .stride = 1};
    float filter[4];
    gv_status status;
    /* The gains of both axes are one factor: its root goes into the filter. */
    float gain = sqrtf(b->skip_gain * half);
    for (int i = 0; i < 4; ++i)
        filter[i] = b->taps[i] * gain;
    GV_TRY(gv_graph_conv2d(g, y, x, gv_net_param(m->net, b->skip), &conv, err));
    GV_TRY(upsample(g, y, *y, filter, err));
done:
    return status;
}

/* ---- mapping ---- */

gv_status gv_stylegan2_mapping(gv_graph *g, const gv_stylegan2 *m, gv_node *w, gv_node z, gv_node c,
                               gv_error *err)
{
    gv_node x, y;
    gv_status status;
    *w = GV_NO_NODE;
    GV_TRY(gv_graph_normalize_2nd_moment(g, &x, z, err));
    if (m->c_dim > 0) {
        GV_TRY(dense(g, m->net, &y, c, &m->embed, 1, err));
        GV_TRY(gv_graph_normalize_2nd_moment(g, &y, y, err));
        GV_TRY(gv_graph_concat(g, &x, x, y, err));
    }
    for (int i = 0; i < m->num_fc; ++i)
        GV_TRY(dense(g, m->net, &x, x, &m->fc[i], 1, err));
    *w = x;
done:
    return status;
}

gv_status gv_stylegan2_truncate(gv_graph *g, const gv_stylegan2 *m, gv_node *y, gv_node w,
                                const float *w_avg, float psi, gv_error *err)
{
    *y = w;
    if (psi == 1)
        return GV_OK;
    float *scale = gv_mem_alloc_array((size_t)m->w_dim, 2 * sizeof(float));
    if (!scale)
        return gv_fail_memory(err, (size_t)m->w_dim * 2 * sizeof(float));
    float *shift = scale + m->w_dim;
    for (int64_t i = 0; i < m->w_dim; ++i) {
        scale[i] = psi;
        shift[i] = (1 - psi) * w_avg[i];
    }
    gv_status status = gv_graph_affine(g, y, w, scale, shift, err);
    gv_mem_free(scale);
    return status;
}

/* ---- synthesis ---- */

/* x and img of the block before become those of this one. */
static gv_status block(gv_graph *g, const gv_stylegan2 *m, int i, gv_node *x, gv_node *img,
                       const gv_node *ws, const gv_node *noise, bool taps, gv_error *err)
{
    const gv_stylegan2_block *b = &m->block[i];
    int conv0 = 2 * i - 1, conv1 = 2 * i;
    float gain = b->skip ? 0.707106781f : 1;
    gv_node beside = GV_NO_NODE, rgb;
    gv_status status = GV_OK;
    if (b->skip)
        GV_TRY(residual(g, m, &beside, *x, b, err));
    if (i > 0)
        GV_TRY(layer(g, m, x, *x, ws[conv0], noise ? noise[conv0] : GV_NO_NODE, &m->layer[conv0],
                     b->taps, 1, taps, err));
    GV_TRY(layer(g, m, x, *x, ws[conv1], noise ? noise[conv1] : GV_NO_NODE, &m->layer[conv1],
                 b->taps, gain, taps, err));
    if (b->skip) {
        GV_TRY(gv_graph_add(g, x, *x, beside, 1, err));
        GV_TRY(tap(g, *x, b->x_tap, taps, err));
    }
    if (b->torgb.present) {
        GV_TRY(torgb(g, m, &rgb, *x, ws[conv1 + 1], &b->torgb, taps, err));
        if (img->id) {
            GV_TRY(upsample(g, img, *img, b->taps, err));
            GV_TRY(gv_graph_add(g, img, *img, rgb, 1, err));
            GV_TRY(tap(g, *img, b->img_tap, taps, err));
        } else {
            *img = rgb;
        }
    }
done:
    return status;
}

gv_status gv_stylegan2_synthesis(gv_graph *g, const gv_stylegan2 *m, gv_node *img,
                                 const gv_node *ws, const gv_node *noise, bool taps, gv_error *err)
{
    int64_t dims[4], channels = m->block[0].out;
    gv_node x;
    gv_status status;
    *img = GV_NO_NODE;
    gv_graph_dims(g, ws[0], dims);
    GV_TRY(gv_graph_weight(g, &x, gv_net_param(m->net, m->constant), dims[0], channels, 4, 4, false,
                           err));
    for (int i = 0; i < m->num_blocks; ++i)
        GV_TRY(block(g, m, i, &x, img, ws, noise, taps, err));
done:
    return status;
}

/* ---- noise ---- */

gv_status gv_stylegan2_noise_const(gv_graph *g, const gv_stylegan2 *m, gv_node *noise,
                                   gv_error *err)
{
    gv_status status = GV_OK;
    for (int k = 0; k < m->num_layers; ++k) {
        const gv_stylegan2_layer *l = &m->layer[k];
        noise[k] = GV_NO_NODE;
        if (l->noise_const)
            GV_TRY(gv_graph_weight(g, &noise[k], gv_net_param(m->net, l->noise_const), 1, 1,
                                   l->resolution, l->resolution, true, err));
    }
done:
    return status;
}

gv_status gv_stylegan2_noise_inputs(gv_graph *g, const gv_stylegan2 *m, gv_node *noise, int64_t n,
                                    bool varies, gv_error *err)
{
    gv_status status = GV_OK;
    for (int k = 0; k < m->num_layers; ++k) {
        const gv_stylegan2_layer *l = &m->layer[k];
        noise[k] = GV_NO_NODE;
        if (l->noise_const)
            GV_TRY(gv_graph_input_plane(g, &noise[k], l->noise_input, n, l->resolution,
                                        l->resolution, varies, err));
    }
done:
    return status;
}

static int64_t map_floats(const gv_stylegan2_layer *l)
{
    return l->noise_const ? l->resolution * l->resolution : 0;
}

int64_t gv_stylegan2_noise_floats(const gv_stylegan2 *m)
{
    int64_t sum = 0;
    for (int k = 0; k < m->num_layers; ++k)
        sum += map_floats(&m->layer[k]);
    return sum;
}

void gv_stylegan2_noise_draw(const gv_stylegan2 *m, float *noise, int64_t n, gv_torch_rng *rng)
{
    for (int k = 0; k < m->num_layers; ++k) {
        int64_t count = n * map_floats(&m->layer[k]);
        if (count > 0)
            gv_torch_randn(rng, noise, count);
        noise += count;
    }
}

gv_status gv_stylegan2_noise_stored(const gv_stylegan2 *m, float *noise, gv_error *err)
{
    gv_status status = GV_OK;
    for (int k = 0; k < m->num_layers; ++k) {
        int64_t count = map_floats(&m->layer[k]);
        if (count > 0)
            GV_TRY(gv_weights_floats(noise, gv_net_param(m->net, m->layer[k].noise_const), count,
                                     err));
        noise += count;
    }
done:
    return status;
}

void gv_stylegan2_noise_set(gv_graph *g, const gv_stylegan2 *m, const gv_node *nodes,
                            const float *noise, int64_t n)
{
    for (int k = 0; k < m->num_layers; ++k) {
        int64_t count = n * map_floats(&m->layer[k]);
        if (count > 0)
            gv_graph_set(g, nodes[k], noise);
        noise += count;
    }
}
