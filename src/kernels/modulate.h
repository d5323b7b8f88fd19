/* StyleGAN2's modulation of activations: forward, gradient, tangent. The arguments follow
 * kernels/pointwise.h. */
#ifndef GV_KERNELS_MODULATE_H
#define GV_KERNELS_MODULATE_H

#include "kernels/isa.h"
#include "kernels/map.h"

typedef struct gv_modulate_kernels {
    /* y[n,c,p] = x[n,c,p] * s[n,c]; x [N,C,H,W], s [N,C,1,1]. y may be x. */
    void (*modulate_fwd)(const gv_map *y, const gv_map *x, const gv_map *s);
    /* dx[0] (+)= dy * s, dx[1] (+)= sum_p dy * x */
    void (*modulate_bwd)(const gv_map *dx, const bool *add, const gv_map *dy, const gv_map *x);
    void (*modulate_jvp)(const gv_map *ty, const gv_map *tx, const gv_map *x);

    /* d[n,o] = 1 / sqrt(sum_i s[n,i]^2 Q[i][o] + 1e-8); s [N,C,1,1], d [N,K,1,1].
     * q  [C, K rounded up to 16], zero for o beyond K */
    void (*demodulate_fwd)(const gv_map *d, const gv_map *s, const float *q);
    /* ds_i (+)= -s_i sum_o d_o^3 dd_o Q[i][o]. scratch: K rounded up to 16 floats for each n. */
    void (*demodulate_bwd)(const gv_map *ds, bool add, const gv_map *dd, const gv_map *s,
                           const gv_map *d, const float *q, float *scratch);
    /* td_o = -d_o^3 sum_i s_i ts_i Q[i][o] */
    void (*demodulate_jvp)(const gv_map *td, const gv_map *ts, const gv_map *s, const gv_map *d,
                           const float *q);

    /* y = x / sqrt(mean_c x^2 + 1e-8) for each sample of [N,C,1,1]. y may be x. */
    void (*normalize_fwd)(const gv_map *y, const gv_map *x);
    /* dx (+)= r dy - r^3 mean(x dy) x with r the factor above; with dx = ty, dy = tx also the
     * tangent: the derivative is symmetric. */
    void (*normalize_bwd)(const gv_map *dx, bool add, const gv_map *dy, const gv_map *x);
} gv_modulate_kernels;

GV_ISA_FAMILY(modulate);

#endif
