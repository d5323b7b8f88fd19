#include "kernels/pointwise.h"

#include "kernels/lanes.h"
#include "kernels/pieces.h"

#include <math.h>
#include <string.h>

/* ---- activations ---- */

/* At most 2 ulp off. Polynomials of Cephes' tanhf and expf (S. Moshier). */
GV_INLINE float tanh_of(float x)
{
    float z = x * x;
    float near = -5.70498872745e-3f * z + 2.06390887954e-2f;
    near = near * z - 5.37397155531e-2f;
    near = near * z + 1.33314422036e-1f;
    near = near * z - 3.33332819422e-1f;
    near = near * z * x + x;

    /* 1 - 2 / (exp(2|x|) + 1), which is 1 beyond 9.1. Adding 1.5 * 2^23 rounds to the integer k
     * and leaves it in the low bits. */
    float t = fabsf(x);
    t = 2.0f * (t > 9.1f ? 9.1f : t);
    const float shift = 12582912.0f;
    float shifted = t * 1.44269504f + shift;
    float k = shifted - shift;
    float r = t - k * 0.693359375f - k * -2.12194440e-4f;
    float p = 1.9875691500e-4f * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 127u) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    float far = copysignf(1.0f - 2.0f / (p * power + 1.0f), x);
    return t < 1.25f ? near : far;
}

/* Written so that NaN stays NaN. */
GV_INLINE float activate(float v, gv_act act, float slope)
{
    switch (act) {
    case GV_ACT_RELU:
        return 0.0f > v ? 0.0f : v;
    case GV_ACT_LRELU:
        return v > 0.0f ? v : v * slope;
    case GV_ACT_TANH:
        return tanh_of(v);
    case GV_ACT_LINEAR:
        break;
    }
    return v;
}

GV_INLINE float clamp_to(float v, float limit)
{
    float low = limit < v ? limit : v;
    return -limit > low ? -limit : low;
}

/* The activation's derivative; at 0 that of the negative side, as in torch. */
GV_INLINE float derivative(float v, gv_act act, float slope)
{
    switch (act) {
    case GV_ACT_RELU:
        return v > 0.0f ? 1.0f : 0.0f;
    case GV_ACT_LRELU:
        return v > 0.0f ? 1.0f : slope;
    case GV_ACT_TANH: {
        float t = tanh_of(v);
        return (1.0f - t) * (1.0f + t);
    }
    case GV_ACT_LINEAR:
        break;
    }
    return 1.0f;
}

/* The same from the result y = act(v) * gain, which has the sign of v. */
GV_INLINE float derivative_from_y(float y, gv_act act, float slope, float gain)
{
    if (act == GV_ACT_TANH) {
        float t = y / gain;
        return (1.0f - t) * (1.0f + t);
    }
    return derivative(y, act, slope);
}

/* ---- bias_act ---- */

typedef struct bias_act {
    const gv_map *x, *y, *dx, *dy, *tx, *ty;
    const bool *add;
    const float *bias;
    const gv_bias_act *a;
} bias_act;

/* What the channels of one block of one sample share. */
typedef struct block_terms {
    float scale[GV_LANES], bias[GV_LANES];
    float strength, slope, gain, limit;
    int used; /* lanes */
} block_terms;

/* By value, so that the compiler sees that no store to a map changes it. */
static block_terms terms_of(const bias_act *c, int64_t n, int64_t b)
{
    const gv_map *scale = &c->x[1];
    block_terms k = {.used = gv_lanes_used(c->x->c, b),
                     .strength = c->a->noise_strength,
                     .slope = c->a->slope,
                     .gain = c->a->gain,
                     .limit = c->a->clamp > 0.0f ? c->a->clamp : INFINITY};
    for (int l = 0; l < GV_LANES; l++) {
        k.scale[l] = scale->data ? gv_at(scale, n, b, 0)[l] : 1.0f;
        k.bias[l] = c->bias ? c->bias[b * GV_LANES + l] * c->a->bias_gain : 0.0f;
    }
    return k;
}

/* strength * noise of a pixel, 0 without noise. */
GV_INLINE float noise_at(gv_walk noise, int64_t i, float strength)
{
    return noise.at ? strength * noise.at[i * noise.step] : 0.0f;
}

/* Zeros beyond the channels of a last block, in a pass of its own as few blocks need it. */
static void clear_beyond(gv_walk m, int64_t count, int used)
{
    for (int64_t i = 0; used < GV_LANES && i < count; i++)
        gv_lanes_clear(m.at + i * m.step, used);
}

GV_INLINE void fwd_run(const bias_act *c, const gv_piece *p, gv_act act)
{
    const block_terms k = terms_of(c, p->n, p->block);
    gv_walk xs = gv_walk_from(&c->x[0], p->n, p->block, p->first);
    gv_walk ys = gv_walk_from(c->y, p->n, p->block, p->first);
    gv_walk noises = gv_walk_from(&c->x[2], p->n, 0, p->first);
    for (int64_t i = 0; i < p->count; i++) {
        const float *x = xs.at + i * xs.step;
        float *y = ys.at + i * ys.step;
        float noise = noise_at(noises, i, k.strength);
#pragma omp simd
        for (int l = 0; l < GV_LANES; l++) {
            float v = x[l] * k.scale[l] + noise + k.bias[l];
            y[l] = clamp_to(activate(v, act, k.slope) * k.gain, k.limit);
        }
    }
    clear_beyond(ys, p->count, k.used); /* the noise went to all lanes */
}

/* What the derivative is taken from, from one pixel on: y, or x and noise. */
typedef struct sources {
    gv_walk y, x, noise;
} sources;

GV_INLINE sources sources_from(const bias_act *c, int64_t n, int64_t b, int64_t first)
{
    return (sources){c->y ? gv_walk_from(c->y, n, b, first) : (gv_walk){NULL, 0},
                     gv_walk_from(&c->x[0], n, b, first), gv_walk_from(&c->x[2], n, 0, first)};
}

/* g = dy * d(result)/d(value before the activation) of pixel i */
GV_INLINE void through_act(float *g, const float *dy, const block_terms *k, sources s, int64_t i,
                           gv_act act)
{
    if (s.y.at) {
        const float *y = s.y.at + i * s.y.step;
#pragma omp simd
        for (int l = 0; l < GV_LANES; l++)
            g[l] = dy[l] * (k->gain * derivative_from_y(y[l], act, k->slope, k->gain));
        return;
    }
    const float *x = s.x.at + i * s.x.step;
    float noise = noise_at(s.noise, i, k->strength);
#pragma omp simd
    for (int l = 0; l < GV_LANES; l++) {
        float v = x[l] * k->scale[l] + noise + k->bias[l];
        float y = activate(v, act, k->slope) * k->gain;
        float d = k->gain * derivative(v, act, k->slope);
        g[l] = dy[l] * (fabsf(y) > k->limit ? 0.0f : d);
    }
}

/* dx and dscale; with dscale the piece is a whole block. */
GV_INLINE void bwd_run(const bias_act *c, const gv_piece *p, gv_act act)
{
    const block_terms k = terms_of(c, p->n, p->block);
    const sources s = sources_from(c, p->n, p->block, p->first);
    gv_walk dys = gv_walk_from(c->dy, p->n, p->block, p->first);
    gv_walk dxs = gv_walk_from(&c->dx[0], p->n, p->block, p->first);
    const gv_map *dscale = &c->dx[1];
    bool want_dscale = dscale->data, more = c->add[0];
    gv_lane_sums sums = {0};
    for (int64_t i = 0; i < p->count; i++) {
        float g[GV_LANES];
        through_act(g, dys.at + i * dys.step, &k, s, i, act);
        if (want_dscale) {
            const float *x = s.x.at + i * s.x.step;
#pragma omp simd
            for (int l = 0; l < GV_LANES; l++)
                sums.part[l] += g[l] * x[l];
            if (i % GV_SUM_PIXELS == GV_SUM_PIXELS - 1)
                gv_sums_flush(&sums);
        }
        if (dxs.at) {
#pragma omp simd
            for (int l = 0; l < GV_LANES; l++)
                g[l] *= k.scale[l];
            gv_lanes_put(dxs.at + i * dxs.step, more, g);
        }
    }
    if (dxs.at)
        clear_beyond(dxs, p->count, k.used);
    if (want_dscale) {
        float sum[GV_LANES];
        gv_sums_take(sum, &sums);
        gv_lanes_clear(sum, k.used);
        gv_lanes_put(gv_at(dscale, p->n, p->block, 0), c->add[1], sum);
    }
}

/* dnoise of at most GV_SUM_PIXELS pixels: sums over channels, and over samples that share it. */
GV_INLINE void bwd_noise_run(const bias_act *c, const gv_piece *p, gv_act act)
{
    const gv_map *dnoise = &c->dx[2];
    float sum[GV_SUM_PIXELS][GV_LANES] = {{0}};
    int64_t from = dnoise->n > 1 ? p->n : 0, to = dnoise->n > 1 ? p->n + 1 : c->dy->n;
    for (int64_t n = from; n < to; n++) {
        for (int64_t b = 0; b < gv_blocks(c->dy->c); b++) {
            const block_terms k = terms_of(c, n, b);
            const sources s = sources_from(c, n, b, p->first);
            gv_walk dys = gv_walk_from(c->dy, n, b, p->first);
            for (int64_t i = 0; i < p->count; i++) {
                float g[GV_LANES];
                through_act(g, dys.at + i * dys.step, &k, s, i, act);
#pragma omp simd
                for (int l = 0; l < GV_LANES; l++)
                    sum[i][l] += g[l] * k.strength;
            }
        }
    }
    for (int64_t i = 0; i < p->count; i++) {
        float *d = gv_at(dnoise, p->n, 0, p->first + i);
        *d = (c->add[2] ? *d : 0.0f) + gv_lanes_sum(sum[i]);
    }
}

GV_INLINE void jvp_run(const bias_act *c, const gv_piece *p, gv_act act)
{
    const block_terms k = terms_of(c, p->n, p->block);
    const sources s = sources_from(c, p->n, p->block, p->first);
    gv_walk tys = gv_walk_from(c->ty, p->n, p->block, p->first);
    gv_walk txs = gv_walk_from(&c->tx[0], p->n, p->block, p->first);
    gv_walk tscale = gv_walk_from(&c->tx[1], p->n, p->block, 0);
    gv_walk tnoises = gv_walk_from(&c->tx[2], p->n, 0, p->first);
    for (int64_t i = 0; i < p->count; i++) {
        float t[GV_LANES];
        float noise = noise_at(tnoises, i, k.strength);
        float *ty = tys.at + i * tys.step;
#pragma omp simd
        for (int l = 0; l < GV_LANES; l++)
            t[l] = noise;
        if (txs.at) {
            const float *tx = txs.at + i * txs.step;
#pragma omp simd
            for (int l = 0; l < GV_LANES; l++)
                t[l] += tx[l] * k.scale[l];
        }
        if (tscale.at) {
            const float *x = s.x.at + i * s.x.step;
#pragma omp simd
            for (int l = 0; l < GV_LANES; l++)
                t[l] += tscale.at[l] * x[l];
        }
        through_act(ty, t, &k, s, i, act);
    }
    clear_beyond(tys, p->count, k.used);
}

/* One copy of `run` for each activation, so that its loops hold no switch. */
#define BY_ACT(name, run)                                                                          \
    static void name(void *ctx, const gv_piece *p)                                                 \
    {                                                                                              \
        const bias_act *c = ctx;                                                                   \
        switch (c->a->act) {                                                                       \
        case GV_ACT_LINEAR:                                                                        \
            run(c, p, GV_ACT_LINEAR);                                                              \
            break;                                                                                 \
        case GV_ACT_RELU:                                                                          \
            run(c, p, GV_ACT_RELU);                                                                \
            break;                                                                                 \
        case GV_ACT_LRELU:                                                                         \
            run(c, p, GV_ACT_LRELU);                                                               \
            break;                                                                                 \
        case GV_ACT_TANH:                                                                          \
            run(c, p, GV_ACT_TANH);                                                                \
            break;                                                                                 \
        }                                                                                          \
    }

BY_ACT(fwd_piece, fwd_run)
BY_ACT(bwd_piece, bwd_run)
BY_ACT(bwd_noise_piece, bwd_noise_run)
BY_ACT(jvp_piece, jvp_run)

static void bias_act_fwd(const gv_map *y, const gv_map *x, const float *bias, const gv_bias_act *a)
{
    bias_act c = {.y = y, .x = x, .bias = bias, .a = a};
    gv_cut cut = gv_cut_pixels(y);
    gv_for_pieces(&cut, fwd_piece, &c);
}

static void bias_act_bwd(const gv_map *dx, const bool *add, const gv_map *dy, const gv_map *x,
                         const gv_map *y, const float *bias, const gv_bias_act *a)
{
    bias_act c = {.dx = dx, .add = add, .dy = dy, .x = x, .y = y, .bias = bias, .a = a};
    if (dx[0].data || dx[1].data) {
        gv_cut cut = gv_cut_pixels(dy);
        if (dx[1].data)
            cut.run = cut.items;
        gv_for_pieces(&cut, bwd_piece, &c);
    }
    if (dx[2].data) {
        gv_cut cut = {dx[2].n, 1, dy->h * dy->w, GV_SUM_PIXELS, dy->c * dy->n};
        gv_for_pieces(&cut, bwd_noise_piece, &c);
    }
}

static void bias_act_jvp(const gv_map *ty, const gv_map *tx, const gv_map *x, const gv_map *y,
                         const float *bias, const gv_bias_act *a)
{
    bias_act c = {.ty = ty, .tx = tx, .x = x, .y = y, .bias = bias, .a = a};
    gv_cut cut = gv_cut_pixels(ty);
    gv_for_pieces(&cut, jvp_piece, &c);
}

/* ---- add ---- */

typedef struct add_args {
    const gv_map *y, *a, *b;
    float gain;
    bool more; /* y += */
} add_args;

GV_INLINE void add_floats(float *y, const float *a, const float *b, int64_t n, const add_args *c)
{
    float gain = c->gain;
    if (b) {
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            y[i] = gain * (a[i] + b[i]);
    } else if (c->more) {
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            y[i] += gain * a[i];
    } else {
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            y[i] = gain * a[i];
    }
}

static void add_piece(void *ctx, const gv_piece *p)
{
    const add_args *c = ctx;
    int64_t lanes = gv_pixel_lanes(c->y);
    bool dense = gv_is_dense(c->y) && gv_is_dense(c->a) && (!c->b || gv_is_dense(c->b));
    int64_t step = dense ? p->count : 1;
    for (int64_t i = p->first; i < p->first + p->count; i += step)
        add_floats(gv_at(c->y, p->n, p->block, i), gv_at(c->a, p->n, p->block, i),
                   c->b ? gv_at(c->b, p->n, p->block, i) : NULL, step * lanes, c);
}

static void add_fwd(const gv_map *y, const gv_map *a, const gv_map *b, float gain)
{
    /* A tangent may be absent on either side. */
    add_args c = {.y = y, .a = a->data ? a : b, .gain = gain};
    c.b = a->data && b->data ? b : NULL;
    gv_cut cut = gv_cut_pixels(y);
    gv_for_pieces(&cut, add_piece, &c);
}

static void add_bwd(const gv_map *dx, bool add, const gv_map *dy, float gain)
{
    add_args c = {.y = dx, .a = dy, .gain = gain, .more = add};
    gv_cut cut = gv_cut_pixels(dx);
    gv_for_pieces(&cut, add_piece, &c);
}

/* ---- affine ---- */

typedef struct affine_args {
    const gv_map *y, *x;
    const float *scale, *shift;
    bool more;
} affine_args;

static void affine_piece(void *ctx, const gv_piece *p)
{
    const affine_args *c = ctx;
    float scale[GV_LANES], shift[GV_LANES];
    for (int l = 0; l < GV_LANES; l++) {
        scale[l] = c->scale[p->block * GV_LANES + l];
        shift[l] = c->shift ? c->shift[p->block * GV_LANES + l] : 0.0f;
    }
    for (int64_t i = p->first; i < p->first + p->count; i++) {
        const float *x = gv_at(c->x, p->n, p->block, i);
        float v[GV_LANES];
#pragma omp simd
        for (int l = 0; l < GV_LANES; l++)
            v[l] = scale[l] * x[l] + shift[l];
        gv_lanes_put(gv_at(c->y, p->n, p->block, i), c->more, v);
    }
}

static void affine_fwd(const gv_map *y, const gv_map *x, const float *scale, const float *shift)
{
    affine_args c = {.y = y, .x = x, .scale = scale, .shift = shift};
    gv_cut cut = gv_cut_pixels(y);
    gv_for_pieces(&cut, affine_piece, &c);
}

static void affine_bwd(const gv_map *dx, bool add, const gv_map *dy, const float *scale)
{
    affine_args c = {.y = dx, .x = dy, .scale = scale, .more = add};
    gv_cut cut = gv_cut_pixels(dx);
    gv_for_pieces(&cut, affine_piece, &c);
}

/* ---- concat ---- */

/* Lanes [to, to + count) of a block of y (+)= channels of x from `from` on, which lie in at most
 * two of its blocks; x NULL: zeros. */
static void copy_channels(const gv_map *y, bool more, const gv_piece *p, int64_t to, int64_t count,
                          const gv_map *x, int64_t from)
{
    while (count > 0) {
        int64_t lane = from % GV_LANES;
        int64_t run = count < GV_LANES - lane ? count : GV_LANES - lane;
        for (int64_t i = p->first; i < p->first + p->count; i++) {
            float *d = gv_at(y, p->n, p->block, i) + to;
            const float *s = x ? gv_at(x, p->n, from / GV_LANES, i) + lane : NULL;
            for (int64_t l = 0; l < run; l++)
                d[l] = (more ? d[l] : 0.0f) + (s ? s[l] : 0.0f);
        }
        to += run;
        from += run;
        count -= run;
    }
}

/* The part of channels [first, first + c) that lies in a block: *to is its first lane, the result
 * its count (0 or less: none). */
static int64_t overlap(int64_t block, int64_t first, int64_t c, int64_t *to)
{
    int64_t begin = block * GV_LANES, end = begin + GV_LANES;
    int64_t from = first > begin ? first : begin;
    *to = from - begin;
    return (first + c < end ? first + c : end) - from;
}

typedef struct concat_args {
    const gv_map *y, *a, *b; /* fwd: y = a, b. bwd: y (+)= channels of a from `first` on */
    int64_t first;
    bool more;
} concat_args;

static void concat_piece(void *ctx, const gv_piece *p)
{
    const concat_args *c = ctx;
    int64_t ca = c->a->c, cb = c->b->c, to;
    int64_t count = overlap(p->block, 0, ca, &to);
    if (count > 0)
        copy_channels(c->y, false, p, to, count, c->a->data ? c->a : NULL, p->block * GV_LANES);
    count = overlap(p->block, ca, cb, &to);
    if (count > 0)
        copy_channels(c->y, false, p, to, count, c->b->data ? c->b : NULL,
                      p->block * GV_LANES + to - ca);
    int64_t beyond = (p->block + 1) * GV_LANES - ca - cb;
    if (beyond > 0)
        copy_channels(c->y, false, p, GV_LANES - beyond, beyond, NULL, 0);
}

static void split_piece(void *ctx, const gv_piece *p)
{
    const concat_args *c = ctx;
    int64_t to, count = overlap(p->block, 0, c->y->c, &to);
    copy_channels(c->y, c->more, p, 0, count, c->a, c->first + p->block * GV_LANES);
    copy_channels(c->y, false, p, count, GV_LANES - count, NULL, 0);
}

static void concat_fwd(const gv_map *y, const gv_map *a, const gv_map *b)
{
    concat_args c = {.y = y, .a = a, .b = b};
    gv_cut cut = gv_cut_pixels(y);
    gv_for_pieces(&cut, concat_piece, &c);
}

static void concat_bwd(const gv_map *dx, bool add, const gv_map *dy, int64_t first)
{
    concat_args c = {.y = dx, .a = dy, .first = first, .more = add};
    gv_cut cut = gv_cut_pixels(dx);
    gv_for_pieces(&cut, split_piece, &c);
}

const gv_pointwise_kernels GV_ISA_NAME(gv_pointwise) = {
    .bias_act_fwd = bias_act_fwd,
    .bias_act_bwd = bias_act_bwd,
    .bias_act_jvp = bias_act_jvp,
    .add_fwd = add_fwd,
    .add_bwd = add_bwd,
    .affine_fwd = affine_fwd,
    .affine_bwd = affine_bwd,
    .concat_fwd = concat_fwd,
    .concat_bwd = concat_bwd,
};
