#include "kernels/resample.h"

#include "kernels/lanes.h"
#include "kernels/pieces.h"

#include <assert.h>

/* What all kernels here need: the map that is written, the one that is read, and x where the
 * derivative depends on it. */
typedef struct resample {
    const gv_map *to, *from, *x;
    const gv_fir *fir;
    bool add;
} resample;

static const float *pixel_of(const gv_map *m, const gv_piece *p, int64_t row, int64_t column)
{
    return gv_at(m, p->n, p->block, row * m->w + column);
}

static void run_rows(gv_piece_fn *fn, resample *c)
{
    gv_cut cut = gv_cut_rows(c->to);
    gv_for_pieces(&cut, fn, c);
}

/* ---- FIR: columns of a tile first, then its rows ---- */

#define TILE 64                     /* outputs of a row */
#define TILE_COLUMNS (2 * TILE + 2) /* columns of x that a tile needs, with down == 2 */

/* The taps of one output that meet samples: taps[first + i*step] * x[at + i], i < count. */
typedef struct reach {
    int64_t at, first, step, count;
} reach;

static reach reach_of(const gv_fir *f, int64_t j)
{
    int64_t q = j * f->down - f->before; /* place of taps[0] among the samples and zeros */
    int64_t odd = f->up == 2 ? q & 1 : 0;
    return (reach){.at = (q + odd) / f->up, .first = odd, .step = f->up, .count = 4 / f->up};
}

/* sums[i] = sum_k taps[k] * pixel i of rows[k], for 4 rows or for 2. */
GV_INLINE void sum_rows(float *sums, const gv_walk *rows, const float *taps, bool four,
                        int64_t columns)
{
    const gv_walk a = rows[0], b = rows[1], c = rows[2], d = rows[3];
    const float t0 = taps[0], t1 = taps[1], t2 = taps[2], t3 = taps[3];
    for (int64_t i = 0; i < columns; i++) {
        const float *p = a.at + i * a.step, *q = b.at + i * b.step;
        const float *r = c.at + i * c.step, *s = d.at + i * d.step;
        float *sum = sums + i * GV_LANES;
        if (four) {
#pragma omp simd
            for (int l = 0; l < GV_LANES; l++)
                sum[l] = t0 * p[l] + t1 * q[l] + t2 * r[l] + t3 * s[l];
        } else {
#pragma omp simd
            for (int l = 0; l < GV_LANES; l++)
                sum[l] = t0 * p[l] + t1 * q[l];
        }
    }
}

/* Columns [begin, begin + count) of output row j, zero outside x. */
static void filter_columns(float *sums, const resample *c, const gv_piece *p, int64_t j,
                           int64_t begin, int64_t count)
{
    static float zeros[GV_LANES]; /* a row outside x, without end; never written */
    const gv_map *x = c->from;
    reach r = reach_of(c->fir, j);
    int64_t low = begin > 0 ? begin : 0;
    int64_t high = begin + count < x->w ? begin + count : x->w;
    if (high < low)
        low = high = begin;
    gv_walk rows[4];
    float taps[4];
    for (int64_t k = 0; k < 4; k++) {
        bool inside = k < r.count && r.at + k >= 0 && r.at + k < x->h && low < x->w;
        rows[k] =
            inside ? gv_walk_from(x, p->n, p->block, (r.at + k) * x->w + low) : (gv_walk){zeros, 0};
        taps[k] = k < r.count ? c->fir->taps[r.first + k * r.step] : 0.0f;
    }
    for (int64_t i = 0; i < (low - begin) * GV_LANES; i++)
        sums[i] = 0.0f;
    for (int64_t i = (high - begin) * GV_LANES; i < count * GV_LANES; i++)
        sums[i] = 0.0f;
    if (r.count == 4)
        sum_rows(sums + (low - begin) * GV_LANES, rows, taps, true, high - low);
    else
        sum_rows(sums + (low - begin) * GV_LANES, rows, taps, false, high - low);
}

/* Outputs of a row, `step` samples apart, each from the four sums before it. */
GV_INLINE void filter_row(gv_walk y, bool more, const float *sums, int64_t step, int64_t count,
                          const float *taps)
{
    const float t0 = taps[0], t1 = taps[1], t2 = taps[2], t3 = taps[3];
    for (int64_t i = 0; i < count; i++) {
        const float *s = sums + i * step * GV_LANES;
        float v[GV_LANES];
#pragma omp simd
        for (int l = 0; l < GV_LANES; l++)
            v[l] = t0 * s[l] + t1 * s[l + GV_LANES] + t2 * s[l + 2 * GV_LANES] +
                   t3 * s[l + 3 * GV_LANES];
        gv_lanes_put(y.at + i * y.step, more, v);
    }
}

/* The same after zero insertion: two of the taps meet samples, by turns the even and the odd ones;
 * odd: those of the first output. */
GV_INLINE void filter_row_up(gv_walk y, bool more, const float *sums, int64_t odd, int64_t count,
                             const float *taps)
{
    for (int64_t i = 0; i < count; i++) {
        const float *s = sums + (i + 1 - odd) / 2 * GV_LANES;
        const float t0 = taps[(i + odd) % 2], t1 = taps[(i + odd) % 2 + 2];
        float v[GV_LANES];
#pragma omp simd
        for (int l = 0; l < GV_LANES; l++)
            v[l] = t0 * s[l] + t1 * s[l + GV_LANES];
        gv_lanes_put(y.at + i * y.step, more, v);
    }
}

static void fir_tile(const resample *c, const gv_piece *p, int64_t row, int64_t first, int64_t end)
{
    const gv_fir *f = c->fir;
    float sums[TILE_COLUMNS * GV_LANES];
    reach left = reach_of(f, first), right = reach_of(f, end - 1);
    int64_t columns = right.at + right.count - left.at;
    assert(columns <= TILE_COLUMNS);
    filter_columns(sums, c, p, row, left.at, columns);
    gv_walk y = gv_walk_from(c->to, p->n, p->block, row * c->to->w + first);
    if (f->up == 2)
        filter_row_up(y, c->add, sums, left.first, end - first, f->taps);
    else if (f->down == 2)
        filter_row(y, c->add, sums, 2, end - first, f->taps);
    else
        filter_row(y, c->add, sums, 1, end - first, f->taps);
}

static void fir_piece(void *ctx, const gv_piece *p)
{
    const resample *c = ctx;
    for (int64_t row = p->first; row < p->first + p->count; row++)
        for (int64_t j = 0; j < c->to->w; j += TILE)
            fir_tile(c, p, row, j, j + TILE < c->to->w ? j + TILE : c->to->w);
}

static void fir(const gv_map *y, bool add, const gv_map *x, const gv_fir *f)
{
    assert(f->up * f->down <= 2 && f->up >= 1 && f->down >= 1);
    resample c = {.to = y, .from = x, .fir = f, .add = add};
    run_rows(fir_piece, &c);
}

/* ---- nearest neighbour ---- */

static void upsample2_fwd_piece(void *ctx, const gv_piece *p)
{
    const resample *c = ctx;
    for (int64_t row = p->first; row < p->first + p->count; row++)
        for (int64_t j = 0; j < c->to->w; j++)
            gv_lanes_put(gv_at(c->to, p->n, p->block, row * c->to->w + j), false,
                         pixel_of(c->from, p, row / 2, j / 2));
}

static void upsample2_fwd(const gv_map *y, const gv_map *x)
{
    resample c = {.to = y, .from = x};
    run_rows(upsample2_fwd_piece, &c);
}

static void upsample2_bwd_piece(void *ctx, const gv_piece *p)
{
    const resample *c = ctx;
    for (int64_t row = p->first; row < p->first + p->count; row++) {
        for (int64_t j = 0; j < c->to->w; j++) {
            const float *g00 = pixel_of(c->from, p, 2 * row, 2 * j);
            const float *g01 = pixel_of(c->from, p, 2 * row, 2 * j + 1);
            const float *g10 = pixel_of(c->from, p, 2 * row + 1, 2 * j);
            const float *g11 = pixel_of(c->from, p, 2 * row + 1, 2 * j + 1);
            float v[GV_LANES];
#pragma omp simd
            for (int l = 0; l < GV_LANES; l++)
                v[l] = (g00[l] + g01[l]) + (g10[l] + g11[l]);
            gv_lanes_put(gv_at(c->to, p->n, p->block, row * c->to->w + j), c->add, v);
        }
    }
}

static void upsample2_bwd(const gv_map *dx, bool add, const gv_map *dy)
{
    resample c = {.to = dx, .from = dy, .add = add};
    run_rows(upsample2_bwd_piece, &c);
}

/* ---- max pooling ---- */

/* The four pixels of x under pixel (row, j) of the pooled map. */
typedef struct quad {
    const float *v[4];
} quad;

static quad quad_of(const gv_map *x, const gv_piece *p, int64_t row, int64_t j)
{
    return (quad){{pixel_of(x, p, 2 * row, 2 * j), pixel_of(x, p, 2 * row, 2 * j + 1),
                   pixel_of(x, p, 2 * row + 1, 2 * j), pixel_of(x, p, 2 * row + 1, 2 * j + 1)}};
}

/* best = the largest, at = which of the four it is (as a float, which keeps the lanes alike). */
GV_INLINE void first_maximum(float *best, float *at, quad q)
{
#pragma omp simd
    for (int l = 0; l < GV_LANES; l++) {
        float m = q.v[0][l], k = 0.0f;
        k = q.v[1][l] > m || q.v[1][l] != q.v[1][l] ? 1.0f : k;
        m = k == 1.0f ? q.v[1][l] : m;
        k = q.v[2][l] > m || q.v[2][l] != q.v[2][l] ? 2.0f : k;
        m = k == 2.0f ? q.v[2][l] : m;
        k = q.v[3][l] > m || q.v[3][l] != q.v[3][l] ? 3.0f : k;
        m = k == 3.0f ? q.v[3][l] : m;
        best[l] = m;
        at[l] = k;
    }
}

static void max_pool2_fwd_piece(void *ctx, const gv_piece *p)
{
    const resample *c = ctx;
    for (int64_t row = p->first; row < p->first + p->count; row++) {
        for (int64_t j = 0; j < c->to->w; j++) {
            float best[GV_LANES], at[GV_LANES];
            first_maximum(best, at, quad_of(c->from, p, row, j));
            gv_lanes_put(gv_at(c->to, p->n, p->block, row * c->to->w + j), false, best);
        }
    }
}

static void max_pool2_fwd(const gv_map *y, const gv_map *x)
{
    resample c = {.to = y, .from = x};
    run_rows(max_pool2_fwd_piece, &c);
}

/* Gradient 0 for the odd last row or column. */
static void not_pooled(const resample *c, const gv_piece *p, int64_t row, int64_t column)
{
    const float zero[GV_LANES] = {0};
    if (!c->add && row < c->to->h)
        gv_lanes_put(gv_at(c->to, p->n, p->block, row * c->to->w + column), false, zero);
}

/* Items are pairs of rows of dx; the last may be half a pair. */
static void max_pool2_bwd_piece(void *ctx, const gv_piece *p)
{
    const resample *c = ctx;
    const gv_map *dx = c->to, *dy = c->from;
    for (int64_t i = p->first; i < p->first + p->count; i++) {
        int64_t pooled = i < dy->h ? dy->w : 0;
        for (int64_t j = 0; j < pooled; j++) {
            float best[GV_LANES], at[GV_LANES], v[GV_LANES];
            const float *g = pixel_of(dy, p, i, j);
            first_maximum(best, at, quad_of(c->x, p, i, j));
            for (int k = 0; k < 4; k++) {
                float mine = (float)k;
#pragma omp simd
                for (int l = 0; l < GV_LANES; l++)
                    v[l] = at[l] == mine ? g[l] : 0.0f;
                int64_t pixel = (2 * i + k / 2) * dx->w + 2 * j + k % 2;
                gv_lanes_put(gv_at(dx, p->n, p->block, pixel), c->add, v);
            }
        }
        for (int64_t j = 2 * pooled; j < dx->w; j++) {
            not_pooled(c, p, 2 * i, j);
            not_pooled(c, p, 2 * i + 1, j);
        }
    }
}

static void max_pool2_bwd(const gv_map *dx, bool add, const gv_map *dy, const gv_map *x)
{
    resample c = {.to = dx, .from = dy, .x = x, .add = add};
    gv_cut cut = gv_cut_rows(dx);
    cut.items = (cut.items + 1) / 2;
    gv_for_pieces(&cut, max_pool2_bwd_piece, &c);
}

static void max_pool2_jvp_piece(void *ctx, const gv_piece *p)
{
    const resample *c = ctx;
    for (int64_t row = p->first; row < p->first + p->count; row++) {
        for (int64_t j = 0; j < c->to->w; j++) {
            float best[GV_LANES], at[GV_LANES];
            first_maximum(best, at, quad_of(c->x, p, row, j));
            quad t = quad_of(c->from, p, row, j);
            float *ty = gv_at(c->to, p->n, p->block, row * c->to->w + j);
#pragma omp simd
            for (int l = 0; l < GV_LANES; l++) {
                float upper = at[l] == 0.0f ? t.v[0][l] : t.v[1][l];
                float lower = at[l] == 2.0f ? t.v[2][l] : t.v[3][l];
                ty[l] = at[l] < 2.0f ? upper : lower;
            }
        }
    }
}

static void max_pool2_jvp(const gv_map *ty, const gv_map *tx, const gv_map *x)
{
    resample c = {.to = ty, .from = tx, .x = x};
    run_rows(max_pool2_jvp_piece, &c);
}

/* ---- adaptive average pooling ---- */

/* The samples of an axis of length `in` that output i of `out` is the mean of. */
typedef struct window {
    int64_t begin, end;
} window;

static window window_of(int64_t i, int64_t in, int64_t out)
{
    return (window){i * in / out, ((i + 1) * in + out - 1) / out};
}

static void avg_pool_fwd_piece(void *ctx, const gv_piece *p)
{
    const resample *c = ctx;
    const gv_map *y = c->to, *x = c->from;
    int64_t lanes = gv_pixel_lanes(x);
    for (int64_t i = p->first * y->w; i < (p->first + p->count) * y->w; i++) {
        window wy = window_of(i / y->w, x->h, y->h), wx = window_of(i % y->w, x->w, y->w);
        float sum[GV_LANES] = {0};
        for (int64_t row = wy.begin; row < wy.end; row++) {
            for (int64_t column = wx.begin; column < wx.end; column++) {
                const float *v = pixel_of(x, p, row, column);
                for (int64_t l = 0; l < lanes; l++)
                    sum[l] += v[l];
            }
        }
        float *d = gv_at(y, p->n, p->block, i);
        for (int64_t l = 0; l < lanes; l++)
            d[l] = sum[l] / (float)(wy.end - wy.begin) / (float)(wx.end - wx.begin);
    }
}

static void avg_pool_fwd(const gv_map *y, const gv_map *x)
{
    resample c = {.to = y, .from = x};
    run_rows(avg_pool_fwd_piece, &c);
}

/* Windows may overlap, so that a whole block is one piece. */
static void avg_pool_bwd_piece(void *ctx, const gv_piece *p)
{
    const resample *c = ctx;
    const gv_map *dx = c->to, *dy = c->from;
    int64_t lanes = gv_pixel_lanes(dx);
    for (int64_t i = 0; !c->add && i < dx->h * dx->w; i++)
        for (int64_t l = 0; l < lanes; l++)
            gv_at(dx, p->n, p->block, i)[l] = 0.0f;
    for (int64_t i = 0; i < dy->h * dy->w; i++) {
        window wy = window_of(i / dy->w, dx->h, dy->h), wx = window_of(i % dy->w, dx->w, dy->w);
        const float *g = gv_at(dy, p->n, p->block, i);
        float share[GV_LANES];
        for (int64_t l = 0; l < lanes; l++)
            share[l] = g[l] / (float)(wy.end - wy.begin) / (float)(wx.end - wx.begin);
        for (int64_t row = wy.begin; row < wy.end; row++) {
            for (int64_t column = wx.begin; column < wx.end; column++) {
                float *d = gv_at(dx, p->n, p->block, row * dx->w + column);
                for (int64_t l = 0; l < lanes; l++)
                    d[l] += share[l];
            }
        }
    }
}

static void avg_pool_bwd(const gv_map *dx, bool add, const gv_map *dy)
{
    resample c = {.to = dx, .from = dy, .add = add};
    gv_cut cut = gv_cut_blocks(dx);
    gv_for_pieces(&cut, avg_pool_bwd_piece, &c);
}

const gv_resample_kernels GV_ISA_NAME(gv_resample) = {
    .fir = fir,
    .upsample2_fwd = upsample2_fwd,
    .upsample2_bwd = upsample2_bwd,
    .max_pool2_fwd = max_pool2_fwd,
    .max_pool2_bwd = max_pool2_bwd,
    .max_pool2_jvp = max_pool2_jvp,
    .avg_pool_fwd = avg_pool_fwd,
    .avg_pool_bwd = avg_pool_bwd,
};
