/* A turned square of a picture, upright. */
#ifndef GV_IMAGE_WARP_H
#define GV_IMAGE_WARP_H

#include "image/image.h"

/* rgb [3,side,side], alpha [side,side] (may be NULL) as in gv_image_resample, of a square that lies
 * anywhere on the picture in any direction; beyond the picture its edge is repeated. Lanczos, with
 * the filter's axes along the square's.
 * corner  x, y of the square's top left, top right and bottom left, in pixels; the three must
 *         span one
 * Errors  GV_E_ARG if the square is smaller than a pixel; GV_E_MEMORY. */
gv_status gv_image_warp(float *rgb, float *alpha, int64_t side, const gv_image *image,
                        const double corner[6], gv_error *err);

#endif
