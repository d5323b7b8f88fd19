/* Operations on each element: forward, gradient and tangent. Arguments are what a step of the graph
 * holds: x[i], tx[i] inputs and tangents (data NULL: absent, a zero tangent), dx[i] wanted
 * gradients (data NULL: not wanted) which are added to where add[i] is set and overwritten
 * elsewhere. Nothing allocates or fails. y may be x[0]. */
#ifndef GV_KERNELS_POINTWISE_H
#define GV_KERNELS_POINTWISE_H

#include "kernels/isa.h"
#include "kernels/kinds.h"
#include "kernels/map.h"

typedef struct gv_pointwise_kernels {
    /* y = clamp(act(scale*x + strength*noise + bias_gain*bias) * gain).
     * x[0]  blocked [N,C,H,W]
     * x[1]  scale [N,C,1,1] or absent
     * x[2]  noise, a plane [N or 1,1,H,W] or absent
     * bias  C floats and zeros up to a multiple of 16, or NULL */
    void (*bias_act_fwd)(const gv_map *y, const gv_map *x, const float *bias, const gv_bias_act *a);
    /* dx[0] (+)= scale*g, dx[1] (+)= sum_p g*x, dx[2] (+)= strength * sum_c g (and over n if the
     * noise is shared), where g = dy * d(clamp(act * gain)).
     * y  the result, from which the derivative is taken where there is neither scale nor clamp;
     *    NULL: it is computed again from x, so that clamped values are told from equal ones. */
    void (*bias_act_bwd)(const gv_map *dx, const bool *add, const gv_map *dy, const gv_map *x,
                         const gv_map *y, const float *bias, const gv_bias_act *a);
    void (*bias_act_jvp)(const gv_map *ty, const gv_map *tx, const gv_map *x, const gv_map *y,
                         const float *bias, const gv_bias_act *a);

    /* y = gain * (a + b) of equal shapes; b's data may be NULL (0): then also the gradient and the
     * tangent of one input. Blocked maps and planes. */
    void (*add_fwd)(const gv_map *y, const gv_map *a, const gv_map *b, float gain);
    /* dx (+)= gain * dy */
    void (*add_bwd)(const gv_map *dx, bool add, const gv_map *dy, float gain);

    /* y = scale[c]*x + shift[c]; zeros up to a multiple of 16; shift may be NULL (tangents). */
    void (*affine_fwd)(const gv_map *y, const gv_map *x, const float *scale, const float *shift);
    /* dx (+)= scale[c]*dy */
    void (*affine_bwd)(const gv_map *dx, bool add, const gv_map *dy, const float *scale);

    /* y = channels of a, then those of b. Data of a or b may be NULL: zeros (tangents). */
    void (*concat_fwd)(const gv_map *y, const gv_map *a, const gv_map *b);
    /* dx (+)= dx->c channels of dy from `first` on. */
    void (*concat_bwd)(const gv_map *dx, bool add, const gv_map *dy, int64_t first);
} gv_pointwise_kernels;

GV_ISA_FAMILY(pointwise);

#endif
