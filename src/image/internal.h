/* What the two ways of resampling share. */
#ifndef GV_IMAGE_INTERNAL_H
#define GV_IMAGE_INTERNAL_H

#include "image/image.h"

/* The filter at x, whose lobes are one wide. */
double gv_filter_at(gv_filter filter, double x);

/* Pixel i of rgb [3,count] and alpha [count] (may be NULL) from premultiplied colour and alpha. */
void gv_store_pixel(float *rgb, float *alpha, int64_t count, int64_t i, const float sum[4]);

#endif
