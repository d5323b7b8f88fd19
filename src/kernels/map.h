/* A feature map in memory.
 *
 * Documents say [N,C,H,W]; memory is blocks of 16 channels:
 *     element (n, c, y, x) = data[n*sample + (c/16)*block + (y*w + x)*pixel + c%16]
 * nChw16c (GAN and VGG graphs): pixel = 16, block = H*W*16. NHWC (Stable Diffusion): pixel = C
 * rounded up, block = 16. One kernel serves both. Lanes beyond C are zero after every step, so that
 * no kernel needs a tail for channels.
 *
 * A *plane* is a map of one channel without lanes (noise, masks, scalars): pixel = 1.
 * Vectors (z, w, styles) are maps with H = W = 1. */
#ifndef GV_KERNELS_MAP_H
#define GV_KERNELS_MAP_H

#include <stdbool.h>
#include <stdint.h>

#define GV_LANES 16

typedef struct gv_map {
    float *data; /* aligned to 64 bytes */
    int64_t n, c, h, w;
    int64_t pixel, block, sample; /* strides in floats; sample is 0 for a map shared by all n */
} gv_map;

/* ceil(c / 16) */
static inline int64_t gv_blocks(int64_t c)
{
    return (c + GV_LANES - 1) / GV_LANES;
}

/* Strides for nChw16c; data NULL. */
gv_map gv_map_blocked(int64_t n, int64_t c, int64_t h, int64_t w);
/* Strides for a plane [n,1,h,w]; data NULL. */
gv_map gv_map_plane(int64_t n, int64_t h, int64_t w);
/* Floats that the map occupies, padding lanes included. */
int64_t gv_map_floats(const gv_map *m);
bool gv_map_is_plane(const gv_map *m);

/* Between contiguous [N,C,H,W] and a map; import writes zeros into the lanes beyond C. */
void gv_map_import(gv_map *y, const float *nchw);
void gv_map_export(float *nchw, const gv_map *x);
/* y = 0, lanes included. */
void gv_map_zero(gv_map *y);
/* Whether all lanes beyond C are zero (NaN is not). Debug builds call it after each step. */
bool gv_map_lanes_are_zero(const gv_map *x);

#endif
