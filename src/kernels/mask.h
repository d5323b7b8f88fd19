/* Weighting the pixels of a map by a plane. */
#ifndef GV_KERNELS_MASK_H
#define GV_KERNELS_MASK_H

#include "kernels/map.h"

/* y[n,c,p] = x[n,c,p] * mask[n or 0,p], added to y if add: forward, gradient and tangent alike.
 * y may be x. The plain loop is the kernel: it runs once an evaluation over three channels. */
void gv_mask_apply(const gv_map *y, bool add, const gv_map *x, const gv_map *mask);

#endif
