/* Normalisation: forward, gradient, tangent. The arguments follow kernels/pointwise.h. */
#ifndef GV_KERNELS_NORM_H
#define GV_KERNELS_NORM_H

#include "kernels/isa.h"
#include "kernels/map.h"

typedef struct gv_norm_kernels {
    /* y = (x - mean) * r, r = 1 / sqrt(var + eps), over the pixels of each sample and channel, the
     * variance biased. y may be x.
     * r  C rounded up to 16 floats for each sample: written here, read by the others */
    void (*instance_fwd)(const gv_map *y, const gv_map *x, float eps, float *r);
    /* dx (+)= r * (dy - mean(dy) - y * mean(dy * y)); with dx = ty, dy = tx also the tangent: the
     * derivative is symmetric. */
    void (*instance_bwd)(const gv_map *dx, bool add, const gv_map *dy, const gv_map *y,
                         const float *r);
} gv_norm_kernels;

GV_ISA_FAMILY(norm);

#endif
