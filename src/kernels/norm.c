#include "kernels/norm.h"

#include "kernels/lanes.h"
#include "kernels/pieces.h"

#include <math.h>

typedef struct instance {
    const gv_map *y, *x, *dx, *dy;
    float eps;
    float *r_out;
    const float *r;
    bool add;
} instance;

/* mean = sum / pixels, in each lane */
static void take_mean(float *mean, gv_lane_sums *sums, int64_t pixels)
{
    gv_sums_flush(sums);
    for (int l = 0; l < GV_LANES; l++)
        mean[l] = (float)(sums->total[l] / (double)pixels);
}

static void instance_fwd_piece(void *ctx, const gv_piece *p)
{
    const instance *c = ctx;
    int64_t pixels = c->x->h * c->x->w;
    float mean[GV_LANES], r[GV_LANES];
    gv_lane_sums sums = {0}, squares = {0};
    for (int64_t i = 0; i < pixels; i++) {
        const float *x = gv_at(c->x, p->n, p->block, i);
#pragma omp simd
        for (int l = 0; l < GV_LANES; l++)
            sums.part[l] += x[l];
        if (i % GV_SUM_PIXELS == GV_SUM_PIXELS - 1)
            gv_sums_flush(&sums);
    }
    take_mean(mean, &sums, pixels);
    for (int64_t i = 0; i < pixels; i++) {
        const float *x = gv_at(c->x, p->n, p->block, i);
#pragma omp simd
        for (int l = 0; l < GV_LANES; l++) {
            float d = x[l] - mean[l];
            squares.part[l] += d * d;
        }
        if (i % GV_SUM_PIXELS == GV_SUM_PIXELS - 1)
            gv_sums_flush(&squares);
    }
    take_mean(r, &squares, pixels);
    for (int l = 0; l < GV_LANES; l++)
        r[l] = 1.0f / sqrtf(r[l] + c->eps);
    gv_lanes_put(c->r_out + (p->n * gv_blocks(c->x->c) + p->block) * GV_LANES, false, r);
    for (int64_t i = 0; i < pixels; i++) {
        const float *x = gv_at(c->x, p->n, p->block, i);
        float *y = gv_at(c->y, p->n, p->block, i);
#pragma omp simd
        for (int l = 0; l < GV_LANES; l++)
            y[l] = (x[l] - mean[l]) * r[l];
    }
}

static void instance_fwd(const gv_map *y, const gv_map *x, float eps, float *r)
{
    instance c = {.y = y, .x = x, .eps = eps, .r_out = r};
    gv_cut cut = gv_cut_blocks(x);
    gv_for_pieces(&cut, instance_fwd_piece, &c);
}

static void instance_bwd_piece(void *ctx, const gv_piece *p)
{
    const instance *c = ctx;
    int64_t pixels = c->y->h * c->y->w;
    float mean[GV_LANES], slope[GV_LANES], r[GV_LANES];
    gv_lane_sums sums = {0}, products = {0};
    for (int64_t i = 0; i < pixels; i++) {
        const float *y = gv_at(c->y, p->n, p->block, i);
        const float *dy = gv_at(c->dy, p->n, p->block, i);
#pragma omp simd
        for (int l = 0; l < GV_LANES; l++) {
            sums.part[l] += dy[l];
            products.part[l] += dy[l] * y[l];
        }
        if (i % GV_SUM_PIXELS == GV_SUM_PIXELS - 1) {
            gv_sums_flush(&sums);
            gv_sums_flush(&products);
        }
    }
    take_mean(mean, &sums, pixels);
    take_mean(slope, &products, pixels);
    gv_lanes_put(r, false, c->r + (p->n * gv_blocks(c->y->c) + p->block) * GV_LANES);
    for (int64_t i = 0; i < pixels; i++) {
        const float *y = gv_at(c->y, p->n, p->block, i);
        const float *dy = gv_at(c->dy, p->n, p->block, i);
        float v[GV_LANES];
#pragma omp simd
        for (int l = 0; l < GV_LANES; l++)
            v[l] = r[l] * (dy[l] - mean[l] - y[l] * slope[l]);
        gv_lanes_put(gv_at(c->dx, p->n, p->block, i), c->add, v);
    }
}

static void instance_bwd(const gv_map *dx, bool add, const gv_map *dy, const gv_map *y,
                         const float *r)
{
    instance c = {.dx = dx, .add = add, .dy = dy, .y = y, .r = r};
    gv_cut cut = gv_cut_blocks(y);
    gv_for_pieces(&cut, instance_bwd_piece, &c);
}

const gv_norm_kernels GV_ISA_NAME(gv_norm) = {
    .instance_fwd = instance_fwd,
    .instance_bwd = instance_bwd,
};
