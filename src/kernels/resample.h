/* Resampling and pooling: forward and gradient; linear ones are their own tangent. The arguments
 * follow kernels/pointwise.h; y never shares x's memory. */
#ifndef GV_KERNELS_RESAMPLE_H
#define GV_KERNELS_RESAMPLE_H

#include "kernels/isa.h"
#include "kernels/map.h"

/* In each axis y[j] = sum_t taps[t] u[j*down + t - before], where u is x with up - 1 zeros after
 * each sample, and zero outside. up and down are 1 or 2, not both 2. */
typedef struct gv_fir {
    float taps[4];
    int64_t up, down, before;
} gv_fir;

/* The filter that maps dy to dx. */
static inline gv_fir gv_fir_adjoint(const gv_fir *f)
{
    return (gv_fir){.taps = {f->taps[3], f->taps[2], f->taps[1], f->taps[0]},
                    .up = f->down,
                    .down = f->up,
                    .before = 3 - f->before};
}

typedef struct gv_resample_kernels {
    /* y (+)= the filtered x; the sizes of y say where it ends. */
    void (*fir)(const gv_map *y, bool add, const gv_map *x, const gv_fir *f);

    /* y[2H,2W] = each sample four times. */
    void (*upsample2_fwd)(const gv_map *y, const gv_map *x);
    void (*upsample2_bwd)(const gv_map *dx, bool add, const gv_map *dy);

    /* y[H/2,W/2] = the largest of each 2 x 2; NaN wins. An odd last row or column is not read. */
    void (*max_pool2_fwd)(const gv_map *y, const gv_map *x);
    /* dy goes to the first maximum in row order. */
    void (*max_pool2_bwd)(const gv_map *dx, bool add, const gv_map *dy, const gv_map *x);
    /* The tangent of the first maximum. */
    void (*max_pool2_jvp)(const gv_map *ty, const gv_map *tx, const gv_map *x);

    /* y[i] = mean of x[floor(i H/OH) .. ceil((i+1) H/OH)), in each axis. Blocked maps and planes.
     */
    void (*avg_pool_fwd)(const gv_map *y, const gv_map *x);
    void (*avg_pool_bwd)(const gv_map *dx, bool add, const gv_map *dy);
} gv_resample_kernels;

GV_ISA_FAMILY(resample);

#endif
