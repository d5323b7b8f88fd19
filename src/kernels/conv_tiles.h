/* The innermost loops of the direct convolution: a few output pixels times a few blocks of output
 * channels, kept in registers while all taps and input channels go by. */
#ifndef GV_KERNELS_CONV_TILES_H
#define GV_KERNELS_CONV_TILES_H

#include <stdbool.h>
#include <stdint.h>

/* Pixels of x are 16 floats apart here. */
enum { GV_CONV_X_PIXEL = 16 };

typedef struct gv_conv_tap {
    int64_t x; /* floats from the tile's x to the pixel that the tap reads */
    int64_t w; /* floats from the weights of an input block to the tap's 16 x 16 */
} gv_conv_tap;

/* y (+)= sum over blocks, taps and channels c of x * w, in this order, one FMA each. */
typedef struct gv_conv_tile {
    float *y[2];       /* first pixel of each row of the tile */
    const float *x[2]; /* what it reads with a tap at 0 */
    const float *w;
    const gv_conv_tap *taps;
    int64_t tap_count;
    int64_t y_pixel, y_block; /* strides in floats: pixels, blocks of output channels */
    int64_t w_out, w_in;      /* from one block of output, input channels to the next */
    int64_t x_block;          /* from one block of input channels to the next */
    int64_t blocks, lanes;    /* input blocks; channels in the last of them */
    bool add;                 /* y holds the sum so far */
} gv_conv_tile;

typedef void gv_conv_tile_fn(const gv_conv_tile *t);

enum { GV_CONV_TILE_COLS = 14, GV_CONV_TILE_SIZES = 3 };

/* Up to GV_CONV_NARROW output channels (pictures) instead of blocks of 16: the lanes are input
 * channels, w is [tap][GV_CONV_NARROW][16] for an input block, sums run over blocks, taps and at
 * last the lanes. One row, all input blocks at once; y is overwritten. */
enum { GV_CONV_NARROW = 3, GV_CONV_NARROW_SIZES = 4 };

typedef struct gv_conv_tiles {
    /* At most so many pixels for 1, 2, 4 output blocks at a time; 0: not with this many. */
    int pixels[GV_CONV_TILE_SIZES];
    /* [log2 of output blocks][rows - 1][cols - 1]; NULL beyond `pixels`. */
    gv_conv_tile_fn *run[GV_CONV_TILE_SIZES][2][GV_CONV_TILE_COLS];
    int narrow_pixels;
    gv_conv_tile_fn *narrow[GV_CONV_NARROW_SIZES]; /* [log2 of the columns] */
} gv_conv_tiles;

extern const gv_conv_tiles gv_conv_tiles_avx2, gv_conv_tiles_avx512;

#endif
