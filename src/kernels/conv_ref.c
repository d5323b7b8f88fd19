/* Convolution in plain C, one output pixel of 16 channels at a time: the meaning of all the others.
 * Sums run over c/16, ky, kx, c%16 in this order, in double, and are rounded once. */
#include "kernels/conv_internal.h"

#include "base/parallel.h"

#include <string.h>

typedef struct job {
    const gv_conv_shape *s;
    const gv_map *y, *x;
    const float *packed;
} job;

/* Input coordinate that tap k of output o reads; false if there is none within [0,size). */
static bool source(int64_t *i, int64_t o, int64_t k, int64_t size, const gv_conv_shape *s)
{
    if (!s->transposed) {
        *i = o * s->stride + k - s->pad;
    } else {
        int64_t times_stride = o + s->pad - k;
        if (times_stride % s->stride != 0)
            return false;
        *i = times_stride / s->stride;
    }
    return *i >= 0 && *i < size;
}

/* sum[j] += sum over lanes i of pixel[i] * w[i][j]. */
static void add_tap(double sum[GV_LANES], const float *pixel, const float *w, int64_t lanes)
{
    for (int64_t i = 0; i < lanes; i++)
        for (int64_t j = 0; j < GV_LANES; j++)
            sum[j] += (double)pixel[i] * (double)w[i * GV_LANES + j];
}

static void one_pixel(const job *t, int64_t n, int64_t kb, int64_t oy, int64_t ox)
{
    const gv_conv_shape *s = t->s;
    const gv_map *x = t->x, *y = t->y;
    double sum[GV_LANES] = {0};
    for (int64_t cb = 0; cb < gv_blocks(s->c); cb++) {
        int64_t lanes = s->c - cb * GV_LANES < GV_LANES ? s->c - cb * GV_LANES : GV_LANES;
        for (int64_t ky = 0; ky < s->kh; ky++) {
            for (int64_t kx = 0; kx < s->kw; kx++) {
                int64_t iy, ix;
                if (!source(&iy, oy, ky, s->h, s) || !source(&ix, ox, kx, s->w, s))
                    continue;
                int64_t tap = ((kb * gv_blocks(s->c) + cb) * s->kh + ky) * s->kw + kx;
                add_tap(sum, x->data + n * x->sample + cb * x->block + (iy * s->w + ix) * x->pixel,
                        t->packed + tap * GV_LANES * GV_LANES, lanes);
            }
        }
    }
    float *to = y->data + n * y->sample + kb * y->block + (oy * s->ow + ox) * y->pixel;
    for (int64_t j = 0; j < GV_LANES; j++)
        to[j] = kb * GV_LANES + j < s->k ? (float)sum[j] : 0.0f;
}

static void one_row(void *ctx, int64_t i)
{
    const job *t = ctx;
    int64_t oy = i % t->s->oh, kb = i / t->s->oh % gv_blocks(t->s->k);
    int64_t n = i / t->s->oh / gv_blocks(t->s->k);
    for (int64_t ox = 0; ox < t->s->ow; ox++)
        one_pixel(t, n, kb, oy, ox);
}

static void run(void *state, const gv_conv_shape *s, const gv_map *y, const gv_map *x,
                const void *packed, void *scratch)
{
    (void)state;
    (void)scratch;
    gv_conv_count(GV_CONV_REF);
    job t = {s, y, x, packed};
    gv_parallel_for(s->n * gv_blocks(s->k) * s->oh, one_row, &t);
}

static bool supports(const gv_conv_shape *s)
{
    (void)s;
    return true;
}

static gv_status prepare(void **state, size_t *scratch_bytes, const gv_conv_shape *s, gv_error *err)
{
    (void)s;
    (void)err;
    *state = NULL;
    *scratch_bytes = 0;
    return GV_OK;
}

static void release(void *state)
{
    (void)state;
}

static const char *detail(const void *state)
{
    (void)state;
    return "plain C";
}

const gv_conv_kernel gv_conv_ref = {
    .name = "ref",
    .layout = gv_conv_blocked_layout,
    .supports = supports,
    .packed_bytes = gv_conv_blocked_bytes,
    .pack = gv_conv_blocked_pack,
    .prepare = prepare,
    .run = run,
    .release = release,
    .detail = detail,
};
