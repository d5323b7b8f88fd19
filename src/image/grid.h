/* Labelled grids of pictures. */
#ifndef GV_IMAGE_GRID_H
#define GV_IMAGE_GRID_H

#include "image/image.h"

typedef struct gv_grid {
    const char *title;           /* one line above, may be NULL */
    const char *const *captions; /* one below each picture, may be NULL */
    int64_t columns;             /* 0: about as many as rows */
    int64_t scale;               /* of each pixel; 0: the smallest with cells of 128 or more */
} gv_grid;

/* ganvas_image_grid: cells in rows on white; alpha shows white. Captions that are wider than their
 * cell are cut and end in "..". */
gv_status gv_image_grid(gv_image *image, const gv_image *cells, int64_t count, const gv_grid *grid,
                        gv_error *err);

#endif
