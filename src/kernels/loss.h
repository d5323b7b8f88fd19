/* Losses: one number a sample, forward, gradient, tangent. The arguments follow
 * kernels/pointwise.h; y, dy, ty are planes [N,1,1,1]. x[1] (the target) and x[2] (the mask, may be
 * absent) may have n == 1. Sums over many pixels end in double. scratch: as the inline
 * functions say. */
#ifndef GV_KERNELS_LOSS_H
#define GV_KERNELS_LOSS_H

#include "kernels/isa.h"
#include "kernels/kinds.h"
#include "kernels/pieces.h"

/* Pixels that LPIPS looks at together, with all their channels. */
#define GV_LPIPS_TILE 32

/* Doubles of scratch for the losses over pixels of x. */
static inline int64_t gv_distance_doubles(const gv_map *x)
{
    gv_cut cut = gv_cut_pixels(x);
    return gv_cut_count(&cut);
}

static inline int64_t gv_lpips_doubles(const gv_map *x)
{
    return x->n * ((x->h * x->w + GV_LPIPS_TILE - 1) / GV_LPIPS_TILE);
}

/* Floats of scratch for gram_bwd. */
static inline int64_t gv_gram_floats(int64_t c)
{
    return gv_blocks(c) * c * GV_LANES;
}

typedef struct gv_loss_kernels {
    /* y = weight * sum_{c,p} mask_p |x[0] - x[1]|^k */
    void (*distance_fwd)(const gv_map *y, const gv_map *x, gv_distance kind, float weight,
                         double *scratch);
    /* dx[0] and -dx[1] (+)= dy * weight * mask_p * d|.|^k; dx[1] summed over n if it is shared. */
    void (*distance_bwd)(const gv_map *dx, const bool *add, const gv_map *dy, const gv_map *x,
                         gv_distance kind, float weight);
    void (*distance_jvp)(const gv_map *ty, const gv_map *tx, const gv_map *x, gv_distance kind,
                         float weight, double *scratch);

    /* y = mean over pixels, weighted by the mask, of sum_c lin_c (x_c/|x| - t_c/|t|)^2 with
     * |x| = sqrt(sum_c x_c^2) + 1e-10. 0 if the mask is 0 everywhere. A pixel whose channels are
     * all 0 has no derivative: it gets the gradient 0, as torch gives it behind a ReLU.
     * lin  C floats and zeros up to a multiple of 16 */
    void (*lpips_fwd)(const gv_map *y, const gv_map *x, const float *lin, double *scratch);
    void (*lpips_bwd)(const gv_map *dx, const bool *add, const gv_map *dy, const gv_map *x,
                      const float *lin, double *scratch);
    void (*lpips_jvp)(const gv_map *ty, const gv_map *tx, const gv_map *x, const float *lin,
                      double *scratch);

    /* y[n] [C,C,1] = sum_p x_c x_k / (C H W): channel c in c, k in h. */
    void (*gram_fwd)(const gv_map *y, const gv_map *x);
    /* dx (+)= (dy + dy^T) x / (C H W) */
    void (*gram_bwd)(const gv_map *dx, bool add, const gv_map *dy, const gv_map *x, float *scratch);
    /* ty = (tx x^T + x tx^T) / (C H W) */
    void (*gram_jvp)(const gv_map *ty, const gv_map *tx, const gv_map *x);

    /* y = weight * sqrt(sum_c (x[0] - x[1])^2 + 1e-12) of vectors. */
    void (*vector_norm_fwd)(const gv_map *y, const gv_map *x, float weight);
    void (*vector_norm_bwd)(const gv_map *dx, const bool *add, const gv_map *dy, const gv_map *x,
                            float weight);
    void (*vector_norm_jvp)(const gv_map *ty, const gv_map *tx, const gv_map *x, float weight);
} gv_loss_kernels;

GV_ISA_FAMILY(loss);

#endif
