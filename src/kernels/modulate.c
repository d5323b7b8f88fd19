#include "kernels/modulate.h"

#include "kernels/lanes.h"
#include "kernels/pieces.h"

#include <math.h>

#define EPSILON 1e-8f

/* ---- modulate ---- */

typedef struct modulate {
    const gv_map *y, *x, *s;    /* fwd, and x, s of the others */
    const gv_map *dx, *dy;      /* bwd */
    const gv_map *ty, *tx, *ts; /* jvp */
    const bool *add;
} modulate;

static void modulate_fwd_piece(void *ctx, const gv_piece *p)
{
    const modulate *c = ctx;
    float scale[GV_LANES];
    gv_lanes_put(scale, false, gv_at(c->s, p->n, p->block, 0));
    for (int64_t i = p->first; i < p->first + p->count; i++) {
        const float *x = gv_at(c->x, p->n, p->block, i);
        float *y = gv_at(c->y, p->n, p->block, i);
#pragma omp simd
        for (int l = 0; l < GV_LANES; l++)
            y[l] = x[l] * scale[l];
    }
}

static void modulate_fwd(const gv_map *y, const gv_map *x, const gv_map *s)
{
    modulate c = {.y = y, .x = x, .s = s};
    gv_cut cut = gv_cut_pixels(y);
    gv_for_pieces(&cut, modulate_fwd_piece, &c);
}

/* With ds the piece is a whole block. */
static void modulate_bwd_piece(void *ctx, const gv_piece *p)
{
    const modulate *c = ctx;
    const gv_map *dx = &c->dx[0], *ds = &c->dx[1];
    float scale[GV_LANES];
    gv_lane_sums sums = {0};
    gv_lanes_put(scale, false, gv_at(c->s, p->n, p->block, 0));
    for (int64_t i = p->first; i < p->first + p->count; i++) {
        const float *dy = gv_at(c->dy, p->n, p->block, i);
        if (ds->data) {
            const float *x = gv_at(c->x, p->n, p->block, i);
#pragma omp simd
            for (int l = 0; l < GV_LANES; l++)
                sums.part[l] += dy[l] * x[l];
            if (i % GV_SUM_PIXELS == GV_SUM_PIXELS - 1)
                gv_sums_flush(&sums);
        }
        if (dx->data) {
            float v[GV_LANES];
#pragma omp simd
            for (int l = 0; l < GV_LANES; l++)
                v[l] = dy[l] * scale[l];
            gv_lanes_put(gv_at(dx, p->n, p->block, i), c->add[0], v);
        }
    }
    if (ds->data) {
        float sum[GV_LANES];
        gv_sums_take(sum, &sums);
        gv_lanes_put(gv_at(ds, p->n, p->block, 0), c->add[1], sum);
    }
}

static void modulate_bwd(const gv_map *dx, const bool *add, const gv_map *dy, const gv_map *x)
{
    modulate c = {.dx = dx, .add = add, .dy = dy, .x = &x[0], .s = &x[1]};
    gv_cut cut = gv_cut_pixels(dy);
    if (dx[1].data)
        cut.run = cut.items;
    gv_for_pieces(&cut, modulate_bwd_piece, &c);
}

/* ty = tx * s + x * ts with both tangents. */
static void modulate_jvp_piece(void *ctx, const gv_piece *p)
{
    const modulate *c = ctx;
    float scale[GV_LANES], tscale[GV_LANES];
    gv_lanes_put(scale, false, gv_at(c->s, p->n, p->block, 0));
    gv_lanes_put(tscale, false, gv_at(c->ts, p->n, p->block, 0));
    for (int64_t i = p->first; i < p->first + p->count; i++) {
        const float *x = gv_at(c->x, p->n, p->block, i);
        const float *tx = gv_at(c->tx, p->n, p->block, i);
        float *ty = gv_at(c->ty, p->n, p->block, i);
#pragma omp simd
        for (int l = 0; l < GV_LANES; l++)
            ty[l] = tx[l] * scale[l] + x[l] * tscale[l];
    }
}

static void modulate_jvp(const gv_map *ty, const gv_map *tx, const gv_map *x)
{
    if (!tx[1].data) {
        modulate_fwd(ty, &tx[0], &x[1]);
    } else if (!tx[0].data) {
        modulate_fwd(ty, &x[0], &tx[1]);
    } else {
        modulate c = {.ty = ty, .tx = &tx[0], .ts = &tx[1], .x = &x[0], .s = &x[1]};
        gv_cut cut = gv_cut_pixels(ty);
        gv_for_pieces(&cut, modulate_jvp_piece, &c);
    }
}

/* ---- demodulate ---- */

typedef struct demodulate {
    const gv_map *d, *s, *ts, *td, *ds;
    const float *q;
    const float *h; /* -d^3 dd */
    bool add;
} demodulate;

/* sum_i a_i b_i Q[i][o] for the 16 outputs of a block: 64 terms in float, their sums in double. */
static void column_sums(float *sum, const demodulate *c, int64_t n, int64_t block, const gv_map *a,
                        const gv_map *b)
{
    int64_t row = gv_blocks(c->d->c) * GV_LANES;
    gv_lane_sums sums = {0};
    for (int64_t i = 0; i < c->s->c; i++) {
        const float *q = c->q + i * row + block * GV_LANES;
        float v =
            gv_at(a, n, i / GV_LANES, 0)[i % GV_LANES] * gv_at(b, n, i / GV_LANES, 0)[i % GV_LANES];
#pragma omp simd
        for (int l = 0; l < GV_LANES; l++)
            sums.part[l] += v * q[l];
        if (i % GV_SUM_PIXELS == GV_SUM_PIXELS - 1)
            gv_sums_flush(&sums);
    }
    gv_sums_take(sum, &sums);
}

static void demodulate_fwd_piece(void *ctx, const gv_piece *p)
{
    const demodulate *c = ctx;
    float sum[GV_LANES];
    column_sums(sum, c, p->n, p->block, c->s, c->s);
    float *d = gv_at(c->d, p->n, p->block, 0);
#pragma omp simd
    for (int l = 0; l < GV_LANES; l++)
        d[l] = 1.0f / sqrtf(sum[l] + EPSILON);
    gv_lanes_clear(d, gv_lanes_used(c->d->c, p->block));
}

/* Blocks of outputs; each reads a whole column of Q. */
static gv_cut cut_columns(const gv_map *d, const gv_map *s)
{
    return (gv_cut){d->n, gv_blocks(d->c), 1, 1, s->c * GV_LANES};
}

static void demodulate_fwd(const gv_map *d, const gv_map *s, const float *q)
{
    demodulate c = {.d = d, .s = s, .q = q};
    gv_cut cut = cut_columns(d, s);
    gv_for_pieces(&cut, demodulate_fwd_piece, &c);
}

static void demodulate_jvp_piece(void *ctx, const gv_piece *p)
{
    const demodulate *c = ctx;
    float sum[GV_LANES];
    column_sums(sum, c, p->n, p->block, c->s, c->ts);
    const float *d = gv_at(c->d, p->n, p->block, 0);
    float *td = gv_at(c->td, p->n, p->block, 0);
#pragma omp simd
    for (int l = 0; l < GV_LANES; l++)
        td[l] = -(d[l] * d[l] * d[l]) * sum[l];
    gv_lanes_clear(td, gv_lanes_used(c->d->c, p->block));
}

static void demodulate_jvp(const gv_map *td, const gv_map *ts, const gv_map *s, const gv_map *d,
                           const float *q)
{
    demodulate c = {.td = td, .ts = ts, .s = s, .d = d, .q = q};
    gv_cut cut = cut_columns(d, s);
    gv_for_pieces(&cut, demodulate_jvp_piece, &c);
}

/* Sixteen inputs i: rows of Q times h. */
static void demodulate_bwd_piece(void *ctx, const gv_piece *p)
{
    const demodulate *c = ctx;
    int64_t blocks = gv_blocks(c->d->c), row = blocks * GV_LANES;
    const float *h = c->h + p->n * row;
    const float *s = gv_at(c->s, p->n, p->block, 0);
    float v[GV_LANES] = {0};
    for (int64_t l = 0; l < GV_LANES && p->block * GV_LANES + l < c->s->c; l++) {
        const float *q = c->q + (p->block * GV_LANES + l) * row;
        float sum[GV_LANES] = {0};
        for (int64_t b = 0; b < blocks; b++) {
#pragma omp simd
            for (int o = 0; o < GV_LANES; o++)
                sum[o] += h[b * GV_LANES + o] * q[b * GV_LANES + o];
        }
        v[l] = s[l] * gv_lanes_sum(sum);
    }
    gv_lanes_put(gv_at(c->ds, p->n, p->block, 0), c->add, v);
}

static void demodulate_bwd(const gv_map *ds, bool add, const gv_map *dd, const gv_map *s,
                           const gv_map *d, const float *q, float *scratch)
{
    int64_t blocks = gv_blocks(d->c);
    for (int64_t n = 0; n < d->n; n++) {
        for (int64_t b = 0; b < blocks; b++) {
            const float *v = gv_at(d, n, b, 0), *dv = gv_at(dd, n, b, 0);
            float *h = scratch + (n * blocks + b) * GV_LANES;
#pragma omp simd
            for (int l = 0; l < GV_LANES; l++)
                h[l] = -(v[l] * v[l] * v[l]) * dv[l];
        }
    }
    demodulate c = {.ds = ds, .add = add, .s = s, .d = d, .q = q, .h = scratch};
    gv_cut cut = {s->n, gv_blocks(s->c), 1, 1, d->c * GV_LANES};
    gv_for_pieces(&cut, demodulate_bwd_piece, &c);
}

/* ---- normalisation of the second moment ---- */

/* Of two vectors of C channels of sample n. */
static double dot(const gv_map *a, const gv_map *b, int64_t n)
{
    double sum = 0.0;
    for (int64_t i = 0; i < a->c; i++)
        sum += (double)gv_at(a, n, i / GV_LANES, 0)[i % GV_LANES] *
               (double)gv_at(b, n, i / GV_LANES, 0)[i % GV_LANES];
    return sum;
}

static double factor(const gv_map *x, int64_t n)
{
    return 1.0 / sqrt(dot(x, x, n) / (double)x->c + (double)EPSILON);
}

static void normalize_fwd(const gv_map *y, const gv_map *x)
{
    for (int64_t n = 0; n < x->n; n++) {
        float r = (float)factor(x, n);
        for (int64_t b = 0; b < gv_blocks(x->c); b++) {
            const float *v = gv_at(x, n, b, 0);
            float *d = gv_at(y, n, b, 0);
#pragma omp simd
            for (int l = 0; l < GV_LANES; l++)
                d[l] = r * v[l];
            gv_lanes_clear(d, gv_lanes_used(x->c, b));
        }
    }
}

static void normalize_bwd(const gv_map *dx, bool add, const gv_map *dy, const gv_map *x)
{
    for (int64_t n = 0; n < x->n; n++) {
        double r = factor(x, n);
        double back = r * r * r * dot(x, dy, n) / (double)x->c;
        for (int64_t b = 0; b < gv_blocks(x->c); b++) {
            const float *v = gv_at(x, n, b, 0), *g = gv_at(dy, n, b, 0);
            float d[GV_LANES];
            for (int l = 0; l < GV_LANES; l++)
                d[l] = (float)(r * (double)g[l] - back * (double)v[l]);
            gv_lanes_clear(d, gv_lanes_used(x->c, b));
            gv_lanes_put(gv_at(dx, n, b, 0), add, d);
        }
    }
}

const gv_modulate_kernels GV_ISA_NAME(gv_modulate) = {
    .modulate_fwd = modulate_fwd,
    .modulate_bwd = modulate_bwd,
    .modulate_jvp = modulate_jvp,
    .demodulate_fwd = demodulate_fwd,
    .demodulate_bwd = demodulate_bwd,
    .demodulate_jvp = demodulate_jvp,
    .normalize_fwd = normalize_fwd,
    .normalize_bwd = normalize_bwd,
};
