/* Cutting a map into pieces for threads. The cut depends on the shape alone, so that sums over
 * pieces have the same bits for any number of threads. */
#ifndef GV_KERNELS_PIECES_H
#define GV_KERNELS_PIECES_H

#include "kernels/map.h"

#include <stddef.h>

/* Items (pixels, rows, blocks: the kernel knows) first <= i < first + count of one channel block
 * of one sample. */
typedef struct gv_piece {
    int64_t n, block, first, count;
    int64_t index; /* of the piece: 0, 1, 2 ... in the order n, block, first */
} gv_piece;

typedef struct gv_cut {
    int64_t samples, blocks, items; /* what is cut */
    int64_t run;                    /* most items in a piece */
    int64_t cost;                   /* floats that an item touches: small pieces share a task */
} gv_cut;

/* Pixels of a map in runs of GV_RUN: 64 KiB of a blocked map. */
#define GV_RUN 1024
gv_cut gv_cut_pixels(const gv_map *m);
/* Whole channel blocks of a map, for sums over all pixels: one item of all pixels. */
gv_cut gv_cut_blocks(const gv_map *m);
/* Rows of a map. */
gv_cut gv_cut_rows(const gv_map *m);

int64_t gv_cut_count(const gv_cut *cut);

typedef void gv_piece_fn(void *ctx, const gv_piece *piece);
/* Calls fn once for each piece, on the threads of gv_parallel_for. */
void gv_for_pieces(const gv_cut *cut, gv_piece_fn *fn, void *ctx);

/* Where a pixel of a channel block starts; a map with n == 1 serves all samples. */
static inline float *gv_at(const gv_map *m, int64_t n, int64_t block, int64_t pixel)
{
    return m->data + (m->n > 1 ? n * m->sample : 0) + block * m->block + pixel * m->pixel;
}

/* Pixels from one on: pixel i lies at at + i*step. Loops that step through several maps this way
 * keep addresses in registers. at NULL: the map is absent. */
typedef struct gv_walk {
    float *at;
    int64_t step;
} gv_walk;

static inline gv_walk gv_walk_from(const gv_map *m, int64_t n, int64_t block, int64_t pixel)
{
    return (gv_walk){m->data ? gv_at(m, n, block, pixel) : NULL, m->pixel};
}

/* Floats in a pixel of one block: 16, or 1 in a plane. */
static inline int64_t gv_pixel_lanes(const gv_map *m)
{
    return m->pixel == 1 ? 1 : GV_LANES;
}

/* Floats of `lanes` lanes that lie together, for kernels that treat all floats alike: pixels of
 * nChw16c and of planes form one long run, those of NHWC do not. */
static inline bool gv_is_dense(const gv_map *m)
{
    return m->pixel == gv_pixel_lanes(m);
}

#endif
