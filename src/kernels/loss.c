#include "kernels/loss.h"

#include "kernels/lanes.h"
#include "kernels/pieces.h"

#include <math.h>

/* Number of sample n in a plane [N,1,1,1]. */
static float *number_at(const gv_map *m, int64_t n)
{
    return gv_at(m, n, 0, 0);
}

/* The mask of a pixel, 1 without mask. */
GV_INLINE float mask_at(const gv_map *mask, int64_t n, int64_t pixel)
{
    return mask->data ? *gv_at(mask, n, 0, pixel) : 1.0f;
}

/* The samples that contribute to sample n of a gradient: all if it is shared. */
typedef struct samples {
    int64_t begin, end;
} samples;

static samples samples_of(const gv_map *dx, int64_t n, int64_t all)
{
    return dx->n > 1 ? (samples){n, n + 1} : (samples){0, all};
}

static double total_of(gv_lane_sums *s)
{
    gv_sums_flush(s);
    double sum = 0.0;
    for (int l = 0; l < GV_LANES; l++)
        sum += s->total[l];
    return sum;
}

/* y[n] = weight * (sum of the parts of sample n), in order. */
static void sum_parts(const gv_map *y, const double *parts, int64_t count, double weight)
{
    for (int64_t n = 0; n < y->n; n++) {
        double sum = 0.0;
        for (int64_t i = 0; i < count; i++)
            sum += parts[n * count + i];
        *number_at(y, n) = (float)(weight * sum);
    }
}

/* ---- distance ---- */

typedef struct distance {
    const gv_map *x, *tx, *dx, *dy;
    int side; /* of x and t: which gradient */
    const bool *add;
    gv_distance kind;
    float weight;
    double *parts;
} distance;

static void distance_fwd_piece(void *ctx, const gv_piece *p)
{
    const distance *c = ctx;
    gv_lane_sums sums = {0};
    for (int64_t i = p->first; i < p->first + p->count; i++) {
        const float *x = gv_at(&c->x[0], p->n, p->block, i),
                    *t = gv_at(&c->x[1], p->n, p->block, i);
        float m = mask_at(&c->x[2], p->n, i);
        if (c->kind == GV_DISTANCE_L1) {
#pragma omp simd
            for (int l = 0; l < GV_LANES; l++)
                sums.part[l] += m * fabsf(x[l] - t[l]);
        } else {
#pragma omp simd
            for (int l = 0; l < GV_LANES; l++)
                sums.part[l] += m * ((x[l] - t[l]) * (x[l] - t[l]));
        }
        if (i % GV_SUM_PIXELS == GV_SUM_PIXELS - 1)
            gv_sums_flush(&sums);
    }
    c->parts[p->index] = total_of(&sums);
}

/* d|v|^k/dv */
GV_INLINE float distance_slope(float v, gv_distance kind)
{
    if (kind == GV_DISTANCE_L1)
        return (v > 0.0f ? 1.0f : 0.0f) - (v < 0.0f ? 1.0f : 0.0f);
    return 2.0f * v;
}

static void distance_jvp_piece(void *ctx, const gv_piece *p)
{
    const distance *c = ctx;
    const float zero[GV_LANES] = {0};
    gv_lane_sums sums = {0};
    for (int64_t i = p->first; i < p->first + p->count; i++) {
        const float *x = gv_at(&c->x[0], p->n, p->block, i),
                    *t = gv_at(&c->x[1], p->n, p->block, i);
        const float *dx = c->tx[0].data ? gv_at(&c->tx[0], p->n, p->block, i) : zero;
        const float *dt = c->tx[1].data ? gv_at(&c->tx[1], p->n, p->block, i) : zero;
        float m = mask_at(&c->x[2], p->n, i);
#pragma omp simd
        for (int l = 0; l < GV_LANES; l++)
            sums.part[l] += m * distance_slope(x[l] - t[l], c->kind) * (dx[l] - dt[l]);
        if (i % GV_SUM_PIXELS == GV_SUM_PIXELS - 1)
            gv_sums_flush(&sums);
    }
    c->parts[p->index] = total_of(&sums);
}

static void distance_bwd_piece(void *ctx, const gv_piece *p)
{
    const distance *c = ctx;
    const gv_map *d = &c->dx[c->side];
    samples s = samples_of(d, p->n, c->dy->n);
    for (int64_t n = s.begin; n < s.end; n++) {
        float scale = *number_at(c->dy, n) * (c->side == 0 ? c->weight : -c->weight);
        bool more = c->add[c->side] || n > s.begin;
        for (int64_t i = p->first; i < p->first + p->count; i++) {
            const float *x = gv_at(&c->x[0], n, p->block, i), *t = gv_at(&c->x[1], n, p->block, i);
            float m = scale * mask_at(&c->x[2], n, i);
            float v[GV_LANES];
#pragma omp simd
            for (int l = 0; l < GV_LANES; l++)
                v[l] = m * distance_slope(x[l] - t[l], c->kind);
            gv_lanes_clear(v, gv_lanes_used(d->c, p->block));
            gv_lanes_put(gv_at(d, p->n, p->block, i), more, v);
        }
    }
}

static void distance_fwd(const gv_map *y, const gv_map *x, gv_distance kind, float weight,
                         double *scratch)
{
    distance c = {.x = x, .kind = kind, .parts = scratch};
    gv_cut cut = gv_cut_pixels(&x[0]);
    gv_for_pieces(&cut, distance_fwd_piece, &c);
    sum_parts(y, scratch, gv_cut_count(&cut) / x[0].n, (double)weight);
}

static void distance_bwd(const gv_map *dx, const bool *add, const gv_map *dy, const gv_map *x,
                         gv_distance kind, float weight)
{
    distance c = {.dx = dx, .add = add, .dy = dy, .x = x, .kind = kind, .weight = weight};
    for (c.side = 0; c.side < 2; c.side++) {
        if (!dx[c.side].data)
            continue;
        gv_cut cut = gv_cut_pixels(&dx[c.side]);
        gv_for_pieces(&cut, distance_bwd_piece, &c);
    }
}

static void distance_jvp(const gv_map *ty, const gv_map *tx, const gv_map *x, gv_distance kind,
                         float weight, double *scratch)
{
    distance c = {.tx = tx, .x = x, .kind = kind, .parts = scratch};
    gv_cut cut = gv_cut_pixels(&x[0]);
    gv_for_pieces(&cut, distance_jvp_piece, &c);
    sum_parts(ty, scratch, gv_cut_count(&cut) / x[0].n, (double)weight);
}

/* ---- LPIPS: tiles of a few pixels with all their channels ---- */

#define TILE GV_LPIPS_TILE
#define LPIPS_EPSILON 1e-10f

typedef struct lpips {
    const gv_map *x, *tx, *dx, *dy;
    const float *lin;
    int side;
    const bool *add;
    double *parts;
} lpips;

/* Of each pixel of a tile, for x and t: 1/|x|; 1/sqrt(sum x^2), or 0 where that has no
 * derivative. */
typedef struct lengths {
    float r[2][TILE], inverse[2][TILE];
} lengths;

/* out[i] = sum_c a_c b_c of the tile's pixels */
static void dots(float *out, const gv_map *a, const gv_map *b, int64_t n, const gv_piece *p)
{
    float sum[TILE][GV_LANES] = {{0}};
    for (int64_t block = 0; block < gv_blocks(a->c); block++) {
        for (int64_t i = 0; i < p->count; i++) {
            const float *u = gv_at(a, n, block, p->first + i),
                        *v = gv_at(b, n, block, p->first + i);
#pragma omp simd
            for (int l = 0; l < GV_LANES; l++)
                sum[i][l] += u[l] * v[l];
        }
    }
    for (int64_t i = 0; i < p->count; i++)
        out[i] = gv_lanes_sum(sum[i]);
}

static void measure(lengths *k, const lpips *c, int64_t n, const gv_piece *p)
{
    for (int side = 0; side < 2; side++) {
        float square[TILE];
        dots(square, &c->x[side], &c->x[side], n, p);
        for (int64_t i = 0; i < p->count; i++) {
            float s = sqrtf(square[i]);
            k->r[side][i] = 1.0f / (s + LPIPS_EPSILON);
            k->inverse[side][i] = s > 0.0f ? 1.0f / s : 0.0f;
        }
    }
}

/* e = d(distance of the pixel)/d(x/|x|) = 2 lin (x/|x| - t/|t|) */
GV_INLINE void lpips_slope(float *e, const lpips *c, const lengths *k, int64_t n, int64_t block,
                           int64_t pixel, int64_t i)
{
    const float *x = gv_at(&c->x[0], n, block, pixel), *t = gv_at(&c->x[1], n, block, pixel);
    const float *lin = c->lin + block * GV_LANES;
    float rx = k->r[0][i], rt = k->r[1][i];
#pragma omp simd
    for (int l = 0; l < GV_LANES; l++)
        e[l] = 2.0f * lin[l] * (x[l] * rx - t[l] * rt);
}

/* out[i] = sum_c e_c v_c */
static void slope_dots(float *out, const lpips *c, const lengths *k, const gv_map *v, int64_t n,
                       const gv_piece *p)
{
    float sum[TILE][GV_LANES] = {{0}};
    for (int64_t block = 0; block < gv_blocks(v->c); block++) {
        for (int64_t i = 0; i < p->count; i++) {
            float e[GV_LANES];
            const float *w = gv_at(v, n, block, p->first + i);
            lpips_slope(e, c, k, n, block, p->first + i, i);
#pragma omp simd
            for (int l = 0; l < GV_LANES; l++)
                sum[i][l] += e[l] * w[l];
        }
    }
    for (int64_t i = 0; i < p->count; i++)
        out[i] = gv_lanes_sum(sum[i]);
}

static void lpips_fwd_piece(void *ctx, const gv_piece *p)
{
    const lpips *c = ctx;
    float sum[TILE][GV_LANES] = {{0}};
    lengths k;
    measure(&k, c, p->n, p);
    for (int64_t block = 0; block < gv_blocks(c->x->c); block++) {
        const float *lin = c->lin + block * GV_LANES;
        for (int64_t i = 0; i < p->count; i++) {
            const float *x = gv_at(&c->x[0], p->n, block, p->first + i);
            const float *t = gv_at(&c->x[1], p->n, block, p->first + i);
            float rx = k.r[0][i], rt = k.r[1][i];
#pragma omp simd
            for (int l = 0; l < GV_LANES; l++) {
                float u = x[l] * rx - t[l] * rt;
                sum[i][l] += lin[l] * (u * u);
            }
        }
    }
    double total = 0.0;
    for (int64_t i = 0; i < p->count; i++)
        total += (double)(mask_at(&c->x[2], p->n, p->first + i) * gv_lanes_sum(sum[i]));
    c->parts[p->index] = total;
}

/* 1 / (sum of the mask) of sample n, 1/pixels without mask, 0 for an empty mask. */
static double pixel_weight(const gv_map *x, int64_t n)
{
    int64_t pixels = x[0].h * x[0].w;
    if (!x[2].data)
        return 1.0 / (double)pixels;
    double sum = 0.0;
    for (int64_t i = 0; i < pixels; i++)
        sum += (double)mask_at(&x[2], n, i);
    return sum > 0.0 ? 1.0 / sum : 0.0;
}

static gv_cut cut_tiles(const gv_map *m)
{
    return (gv_cut){m->n, 1, m->h * m->w, TILE, 2 * m->c};
}

static void lpips_fwd(const gv_map *y, const gv_map *x, const float *lin, double *scratch)
{
    lpips c = {.x = x, .lin = lin, .parts = scratch};
    gv_cut cut = cut_tiles(&x[0]);
    gv_for_pieces(&cut, lpips_fwd_piece, &c);
    sum_parts(y, scratch, gv_cut_count(&cut) / x[0].n, 1.0);
    for (int64_t n = 0; n < y->n; n++)
        *number_at(y, n) = (float)((double)*number_at(y, n) * pixel_weight(x, n));
}

/* One side's gradient from sample n: g (r e - (v / |v|) (e . v) r^2), negative for t. */
static void lpips_bwd_sample(const lpips *c, const gv_piece *p, int64_t n, bool more)
{
    const gv_map *v = &c->x[c->side], *d = &c->dx[c->side];
    double weight = c->parts[n] * (double)*number_at(c->dy, n) * (c->side == 0 ? 1.0 : -1.0);
    float along[TILE];
    lengths k;
    measure(&k, c, n, p);
    slope_dots(along, c, &k, v, n, p);
    for (int64_t block = 0; block < gv_blocks(d->c); block++) {
        for (int64_t i = 0; i < p->count; i++) {
            float g = (float)weight * mask_at(&c->x[2], n, p->first + i);
            float r = k.r[c->side][i], inverse = k.inverse[c->side][i];
            float straight = inverse > 0.0f ? g * r : 0.0f, back = g * along[i] * r * r;
            float e[GV_LANES];
            const float *x = gv_at(v, n, block, p->first + i);
            lpips_slope(e, c, &k, n, block, p->first + i, i);
#pragma omp simd
            for (int l = 0; l < GV_LANES; l++)
                e[l] = straight * e[l] - x[l] * inverse * back;
            gv_lanes_clear(e, gv_lanes_used(d->c, block));
            gv_lanes_put(gv_at(d, p->n, block, p->first + i), more, e);
        }
    }
}

static void lpips_bwd_piece(void *ctx, const gv_piece *p)
{
    const lpips *c = ctx;
    samples s = samples_of(&c->dx[c->side], p->n, c->dy->n);
    for (int64_t n = s.begin; n < s.end; n++)
        lpips_bwd_sample(c, p, n, c->add[c->side] || n > s.begin);
}

static void lpips_bwd(const gv_map *dx, const bool *add, const gv_map *dy, const gv_map *x,
                      const float *lin, double *scratch)
{
    lpips c = {.dx = dx, .add = add, .dy = dy, .x = x, .lin = lin, .parts = scratch};
    for (int64_t n = 0; n < dy->n; n++)
        scratch[n] = pixel_weight(x, n);
    for (c.side = 0; c.side < 2; c.side++) {
        if (!dx[c.side].data)
            continue;
        gv_cut cut = cut_tiles(&dx[c.side]);
        gv_for_pieces(&cut, lpips_bwd_piece, &c);
    }
}

static void lpips_jvp_piece(void *ctx, const gv_piece *p)
{
    const lpips *c = ctx;
    lengths k;
    double total = 0.0;
    measure(&k, c, p->n, p);
    for (int side = 0; side < 2; side++) {
        if (!c->tx[side].data)
            continue;
        float straight[TILE], along[TILE], turn[TILE];
        slope_dots(straight, c, &k, &c->tx[side], p->n, p);
        slope_dots(along, c, &k, &c->x[side], p->n, p);
        dots(turn, &c->x[side], &c->tx[side], p->n, p);
        for (int64_t i = 0; i < p->count; i++) {
            float r = k.r[side][i], inverse = k.inverse[side][i];
            float m = mask_at(&c->x[2], p->n, p->first + i) * (side == 0 ? 1.0f : -1.0f);
            float v = inverse > 0.0f ? r * straight[i] : 0.0f;
            total += (double)(m * (v - turn[i] * inverse * (along[i] * r * r)));
        }
    }
    c->parts[p->index] = total;
}

static void lpips_jvp(const gv_map *ty, const gv_map *tx, const gv_map *x, const float *lin,
                      double *scratch)
{
    lpips c = {.tx = tx, .x = x, .lin = lin, .parts = scratch};
    gv_cut cut = cut_tiles(&x[0]);
    gv_for_pieces(&cut, lpips_jvp_piece, &c);
    sum_parts(ty, scratch, gv_cut_count(&cut) / x[0].n, 1.0);
    for (int64_t n = 0; n < ty->n; n++)
        *number_at(ty, n) = (float)((double)*number_at(ty, n) * pixel_weight(x, n));
}

/* ---- Gram matrix: products of 16 x 16 tiles ---- */

typedef struct product {
    float part[GV_LANES][GV_LANES];
    double total[GV_LANES][GV_LANES];
} product;

/* part[q][l] += sum_k a[k*a_step + l] * b[k*b_step + q*q_step] for q < columns, k < count <= 64. */
static void multiply(product *t, const float *a, int64_t a_step, const float *b, int64_t b_step,
                     int64_t q_step, int64_t columns, int64_t count)
{
    for (int64_t k = 0; k < count; k++) {
        for (int64_t q = 0; q < columns; q++) {
            float v = b[k * b_step + q * q_step];
#pragma omp simd
            for (int l = 0; l < GV_LANES; l++)
                t->part[q][l] += v * a[k * a_step + l];
        }
    }
}

static void flush_product(product *t)
{
    for (int q = 0; q < GV_LANES; q++) {
#pragma omp simd
        for (int l = 0; l < GV_LANES; l++) {
            t->total[q][l] += (double)t->part[q][l];
            t->part[q][l] = 0.0f;
        }
    }
}

typedef struct gram {
    const gv_map *y, *a, *b; /* y = a b^T, plus the same with x where jvp has two products */
    const gv_map *x, *dx;
    const float *both; /* bwd: dy + dy^T as [block][k][16] */
    bool add, twice;
    double scale;
} gram;

/* part += rows of block p->block of a times channels of block p->first of b */
static void gram_product(product *t, const gv_map *a, const gv_map *b, const gv_piece *p)
{
    int64_t pixels = a->h * a->w;
    for (int64_t i = 0; i < pixels; i += GV_SUM_PIXELS) {
        int64_t left = pixels - i;
        multiply(t, gv_at(a, p->n, p->block, i), a->pixel, gv_at(b, p->n, p->first, i), b->pixel, 1,
                 GV_LANES, left < GV_SUM_PIXELS ? left : GV_SUM_PIXELS);
        flush_product(t);
    }
}

static void gram_fwd_piece(void *ctx, const gv_piece *p)
{
    const gram *c = ctx;
    product t = {0};
    gram_product(&t, c->a, c->b, p);
    if (c->twice)
        gram_product(&t, c->b, c->a, p);
    for (int64_t q = 0; q < GV_LANES && p->first * GV_LANES + q < c->y->h; q++) {
        float *y = gv_at(c->y, p->n, p->block, p->first * GV_LANES + q);
        for (int l = 0; l < GV_LANES; l++)
            y[l] = (float)(c->scale * t.total[q][l]);
        gv_lanes_clear(y, gv_lanes_used(c->y->c, p->block));
    }
}

static double gram_scale(const gv_map *x)
{
    return 1.0 / ((double)x->c * (double)x->h * (double)x->w);
}

static void run_gram(gram *c)
{
    const gv_map *m = c->a;
    gv_cut cut = {m->n, gv_blocks(m->c), gv_blocks(m->c), 1, 2 * GV_LANES * m->h * m->w};
    c->scale = gram_scale(m);
    gv_for_pieces(&cut, gram_fwd_piece, c);
}

static void gram_fwd(const gv_map *y, const gv_map *x)
{
    gram c = {.y = y, .a = x, .b = x};
    run_gram(&c);
}

static void gram_jvp(const gv_map *ty, const gv_map *tx, const gv_map *x)
{
    gram c = {.y = ty, .a = tx, .b = x, .twice = true};
    run_gram(&c);
}

/* 16 pixels of 16 channels. */
static void gram_bwd_piece(void *ctx, const gv_piece *p)
{
    const gram *c = ctx;
    const gv_map *x = c->x;
    const float *both = c->both + p->block * x->c * GV_LANES;
    product t = {0};
    for (int64_t block = 0; block < gv_blocks(x->c); block++) {
        int64_t left = x->c - block * GV_LANES;
        multiply(&t, both + block * GV_LANES * GV_LANES, GV_LANES, gv_at(x, p->n, block, p->first),
                 1, x->pixel, p->count, left < GV_LANES ? left : GV_LANES);
        if (block % 4 == 3)
            flush_product(&t);
    }
    flush_product(&t);
    for (int64_t q = 0; q < p->count; q++) {
        float v[GV_LANES];
        for (int l = 0; l < GV_LANES; l++)
            v[l] = (float)(c->scale * t.total[q][l]);
        gv_lanes_clear(v, gv_lanes_used(x->c, p->block));
        gv_lanes_put(gv_at(c->dx, p->n, p->block, p->first + q), c->add, v);
    }
}

static void gram_bwd(const gv_map *dx, bool add, const gv_map *dy, const gv_map *x, float *scratch)
{
    gram c = {.dx = dx, .add = add, .x = x, .both = scratch, .scale = gram_scale(x)};
    for (int64_t n = 0; n < x->n; n++) {
        for (int64_t b = 0; b < gv_blocks(x->c); b++)
            for (int64_t k = 0; k < x->c; k++)
                for (int64_t l = 0; l < GV_LANES; l++) {
                    int64_t i = b * GV_LANES + l;
                    float *v = scratch + (b * x->c + k) * GV_LANES + l;
                    *v = i >= x->c
                             ? 0.0f
                             : gv_at(dy, n, b, k)[l] + gv_at(dy, n, k / GV_LANES, i)[k % GV_LANES];
                }
        gv_map one = *x, out = *dx;
        one.n = out.n = 1;
        one.data = gv_at(x, n, 0, 0);
        out.data = gv_at(dx, n, 0, 0);
        c.x = &one;
        c.dx = &out;
        gv_cut cut = {1, gv_blocks(x->c), x->h * x->w, GV_LANES, x->c};
        gv_for_pieces(&cut, gram_bwd_piece, &c);
    }
}

/* ---- norm of a vector ---- */

static double vector_at(const gv_map *m, int64_t n, int64_t c)
{
    return (double)gv_at(m, n, c / GV_LANES, 0)[c % GV_LANES];
}

static double difference(const gv_map *x, int64_t n, int64_t c)
{
    return vector_at(&x[0], n, c) - vector_at(&x[1], n, c);
}

static double length_of(const gv_map *x, int64_t n)
{
    double sum = 1e-12;
    for (int64_t c = 0; c < x->c; c++)
        sum += difference(x, n, c) * difference(x, n, c);
    return sqrt(sum);
}

static void vector_norm_fwd(const gv_map *y, const gv_map *x, float weight)
{
    for (int64_t n = 0; n < y->n; n++)
        *number_at(y, n) = (float)((double)weight * length_of(x, n));
}

static void vector_norm_bwd(const gv_map *dx, const bool *add, const gv_map *dy, const gv_map *x,
                            float weight)
{
    for (int side = 0; side < 2; side++) {
        const gv_map *d = &dx[side];
        for (int64_t n = 0; d->data && n < dy->n; n++) {
            double scale = (double)weight * (double)*number_at(dy, n) / length_of(x, n);
            bool more = add[side] || (d->n == 1 && n > 0);
            for (int64_t b = 0; b < gv_blocks(d->c); b++) {
                float v[GV_LANES] = {0};
                for (int64_t l = 0; l < GV_LANES && b * GV_LANES + l < d->c; l++)
                    v[l] =
                        (float)((side == 0 ? scale : -scale) * difference(x, n, b * GV_LANES + l));
                gv_lanes_put(gv_at(d, n, b, 0), more, v);
            }
        }
    }
}

static void vector_norm_jvp(const gv_map *ty, const gv_map *tx, const gv_map *x, float weight)
{
    for (int64_t n = 0; n < ty->n; n++) {
        double sum = 0.0;
        for (int64_t c = 0; c < x->c; c++) {
            double t = (tx[0].data ? vector_at(&tx[0], n, c) : 0.0) -
                       (tx[1].data ? vector_at(&tx[1], n, c) : 0.0);
            sum += t * difference(x, n, c);
        }
        *number_at(ty, n) = (float)((double)weight * sum / length_of(x, n));
    }
}

const gv_loss_kernels GV_ISA_NAME(gv_loss) = {
    .distance_fwd = distance_fwd,
    .distance_bwd = distance_bwd,
    .distance_jvp = distance_jvp,
    .lpips_fwd = lpips_fwd,
    .lpips_bwd = lpips_bwd,
    .lpips_jvp = lpips_jvp,
    .gram_fwd = gram_fwd,
    .gram_bwd = gram_bwd,
    .gram_jvp = gram_jvp,
    .vector_norm_fwd = vector_norm_fwd,
    .vector_norm_bwd = vector_norm_bwd,
    .vector_norm_jvp = vector_norm_jvp,
};
