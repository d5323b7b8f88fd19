/* Small pieces of the inner loops: 16 lanes at a time, for files compiled per instruction set. */
#ifndef GV_KERNELS_LANES_H
#define GV_KERNELS_LANES_H

#include "kernels/map.h"

#define GV_INLINE static inline __attribute__((always_inline))

/* d (+)= s */
GV_INLINE void gv_lanes_put(float *d, bool add, const float *s)
{
    if (add) {
#pragma omp simd
        for (int l = 0; l < GV_LANES; l++)
            d[l] += s[l];
    } else {
#pragma omp simd
        for (int l = 0; l < GV_LANES; l++)
            d[l] = s[l];
    }
}

/* Channels in a block: 16, fewer in the last. */
GV_INLINE int gv_lanes_used(int64_t c, int64_t block)
{
    int64_t left = c - block * GV_LANES;
    return left < GV_LANES ? (int)left : GV_LANES;
}

/* Zeros beyond the channels, also where an infinite factor has made a NaN of a zero there. */
GV_INLINE void gv_lanes_clear(float *v, int used)
{
    if (used == GV_LANES)
        return;
    for (int l = used; l < GV_LANES; l++)
        v[l] = 0.0f;
}

/* Sum of the lanes, pairs first: the same tree on every CPU. */
GV_INLINE float gv_lanes_sum(const float *v)
{
    float a[8], b[4];
#pragma omp simd
    for (int l = 0; l < 8; l++)
        a[l] = v[l] + v[l + 8];
#pragma omp simd
    for (int l = 0; l < 4; l++)
        b[l] = a[l] + a[l + 4];
    return (b[0] + b[2]) + (b[1] + b[3]);
}

/* ---- long sums ----
 * A few pixels are added in float lanes, these sums in double lanes. */

#define GV_SUM_PIXELS 64

typedef struct gv_lane_sums {
    float part[GV_LANES];
    double total[GV_LANES];
} gv_lane_sums;

GV_INLINE void gv_sums_flush(gv_lane_sums *s)
{
#pragma omp simd
    for (int l = 0; l < GV_LANES; l++) {
        s->total[l] += (double)s->part[l];
        s->part[l] = 0.0f;
    }
}

/* The rounded totals. */
GV_INLINE void gv_sums_take(float *sum, gv_lane_sums *s)
{
    gv_sums_flush(s);
    for (int l = 0; l < GV_LANES; l++)
        sum[l] = (float)s->total[l];
}

#endif
