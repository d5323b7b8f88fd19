/* Compiled for AVX2 and for AVX-512: 12 and 28 accumulators, which leaves registers for the weights
 * and one broadcast pixel. */
#include "kernels/conv_tiles.h"

#include <immintrin.h>

#if defined(__AVX512F__)
#define VECTOR_LANES 16
typedef __m512 vector;
#define LOAD(p) _mm512_loadu_ps(p)
#define STORE(p, v) _mm512_storeu_ps(p, v)
#define BROADCAST(p) _mm512_set1_ps(*(p))
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define ZERO() _mm512_setzero_ps()
#else
#define VECTOR_LANES 8
typedef __m256 vector;
#define LOAD(p) _mm256_loadu_ps(p)
#define STORE(p, v) _mm256_storeu_ps(p, v)
#define BROADCAST(p) _mm256_broadcast_ss(p)
#define FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define ZERO() _mm256_setzero_ps()
#endif

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 28")
#endif

enum { BLOCK = 16, PARTS = BLOCK / VECTOR_LANES, MOST = VECTOR_LANES == 16 ? 28 : 12 };

/* Floats to output vector v from a pixel or weight, where blocks are `stride` floats apart. */
#define VECTOR(v, stride) ((v) / PARTS * (stride) + (v) % PARTS * VECTOR_LANES)

/* The formatter takes UNROLL for a statement. */
/* clang-format off */

/* rows, cols and outs (output blocks) are constants in every caller: all inner loops unroll and acc
 * lives in registers. */
static inline __attribute__((always_inline)) void tile(const gv_conv_tile *t, const int rows,
                                                       const int cols, const int outs)
{
    const int vectors = outs * PARTS;
    const int pixels = rows * cols;
    vector acc[MOST];
    UNROLL for (int p = 0; p < pixels; p++) {
        const float *y = t->y[p / cols] + p % cols * t->y_pixel;
        UNROLL for (int v = 0; v < vectors; v++)
            acc[p * vectors + v] = t->add ? LOAD(y + VECTOR(v, t->y_block)) : ZERO();
    }
    for (int64_t b = 0; b < t->blocks; b++) {
        int64_t lanes = b + 1 < t->blocks ? BLOCK : t->lanes;
        for (int64_t i = 0; i < t->tap_count; i++) {
            const float *x0 = t->x[0] + b * t->x_block + t->taps[i].x;
            const float *x1 = rows > 1 ? t->x[1] + b * t->x_block + t->taps[i].x : x0;
            const float *w = t->w + b * t->w_in + t->taps[i].w;
            for (int64_t c = 0; c < lanes; c++, x0++, x1++, w += BLOCK) {
                vector weights[8];
                UNROLL for (int v = 0; v < vectors; v++)
                    weights[v] = LOAD(w + VECTOR(v, t->w_out));
                UNROLL for (int p = 0; p < pixels; p++) {
                    const float *x = p < cols ? x0 : x1;
                    vector pixel = BROADCAST(x + p % cols * GV_CONV_X_PIXEL);
                    UNROLL for (int v = 0; v < vectors; v++)
                        acc[p * vectors + v] = FMA(weights[v], pixel, acc[p * vectors + v]);
                }
            }
        }
    }
    UNROLL for (int p = 0; p < pixels; p++) {
        float *y = t->y[p / cols] + p % cols * t->y_pixel;
        UNROLL for (int v = 0; v < vectors; v++)
            STORE(y + VECTOR(v, t->y_block), acc[p * vectors + v]);
    }
}

/* Adds up the lanes: halves, quarters, pairs. */
static inline float sum_lanes(vector v)
{
#if defined(__AVX512F__)
    __m256 half = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
#else
    __m256 half = v;
#endif
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

static inline __attribute__((always_inline)) void narrow(const gv_conv_tile *t, const int cols)
{
    vector acc[8 * GV_CONV_NARROW];
    UNROLL for (int i = 0; i < cols * GV_CONV_NARROW; i++)
        acc[i] = ZERO();
    for (int64_t b = 0; b < t->blocks; b++) {
        for (int64_t i = 0; i < t->tap_count; i++) {
            const float *x = t->x[0] + b * t->x_block + t->taps[i].x;
            const float *w = t->w + b * t->w_in + t->taps[i].w;
            UNROLL for (int part = 0; part < PARTS; part++) {
                vector weights[GV_CONV_NARROW];
                UNROLL for (int k = 0; k < GV_CONV_NARROW; k++)
                    weights[k] = LOAD(w + k * BLOCK + part * VECTOR_LANES);
                UNROLL for (int p = 0; p < cols; p++) {
                    vector pixel = LOAD(x + p * GV_CONV_X_PIXEL + part * VECTOR_LANES);
                    UNROLL for (int k = 0; k < GV_CONV_NARROW; k++)
                        acc[p * GV_CONV_NARROW + k] =
                            FMA(weights[k], pixel, acc[p * GV_CONV_NARROW + k]);
                }
            }
        }
    }
    UNROLL for (int p = 0; p < cols; p++) {
        float *y = t->y[0] + p * t->y_pixel;
        UNROLL for (int part = 0; part < PARTS; part++)
            STORE(y + part * VECTOR_LANES, ZERO());
        UNROLL for (int k = 0; k < GV_CONV_NARROW; k++)
            y[k] = sum_lanes(acc[p * GV_CONV_NARROW + k]);
    }
}

#define NARROW(cols)                                                                               \
    static void narrow_##cols(const gv_conv_tile *t)                                               \
    {                                                                                              \
        narrow(t, cols);                                                                           \
    }

NARROW(1)
NARROW(2)
NARROW(4)

#define TILE(rows, cols, outs)                                                                     \
    static void tile_##rows##x##cols##x##outs(const gv_conv_tile *t)                               \
    {                                                                                              \
        tile(t, rows, cols, outs);                                                                 \
    }
#define NAME(rows, cols, outs) tile_##rows##x##cols##x##outs

#define TILES_1_TO_3(rows, outs) TILE(rows, 1, outs) TILE(rows, 2, outs) TILE(rows, 3, outs)
#define TILES_4_TO_6(rows, outs) TILE(rows, 4, outs) TILE(rows, 5, outs) TILE(rows, 6, outs)
#define TILES_8_TO_14(rows, outs)                                                                  \
    TILE(rows, 8, outs) TILE(rows, 9, outs) TILE(rows, 10, outs) TILE(rows, 11, outs)              \
    TILE(rows, 12, outs) TILE(rows, 13, outs) TILE(rows, 14, outs)
/* clang-format on */

#define NAMES_1_TO_3(rows, outs) NAME(rows, 1, outs), NAME(rows, 2, outs), NAME(rows, 3, outs)
#define NAMES_4_TO_6(rows, outs) NAME(rows, 4, outs), NAME(rows, 5, outs), NAME(rows, 6, outs)
#define NAMES_8_TO_14(rows, outs)                                                                  \
    NAME(rows, 8, outs), NAME(rows, 9, outs), NAME(rows, 10, outs), NAME(rows, 11, outs),          \
        NAME(rows, 12, outs), NAME(rows, 13, outs), NAME(rows, 14, outs)

TILES_1_TO_3(1, 1)
TILES_4_TO_6(1, 1)
TILES_1_TO_3(2, 1)
TILES_1_TO_3(1, 2)

#if defined(__AVX512F__)

TILE(1, 7, 1)
TILES_8_TO_14(1, 1)
TILES_4_TO_6(2, 1)
TILE(2, 7, 1)
TILES_4_TO_6(1, 2)
TILE(1, 7, 2)
TILES_8_TO_14(1, 2)
TILES_1_TO_3(2, 2)
TILES_4_TO_6(2, 2)
TILE(2, 7, 2)
TILES_1_TO_3(1, 4)
TILES_4_TO_6(1, 4)
TILES_1_TO_3(2, 4)
NARROW(8)

const gv_conv_tiles gv_conv_tiles_avx512 = {
    .pixels = {14, 14, 6},
    .run = {{{NAMES_1_TO_3(1, 1), NAMES_4_TO_6(1, 1), NAME(1, 7, 1), NAMES_8_TO_14(1, 1)},
             {NAMES_1_TO_3(2, 1), NAMES_4_TO_6(2, 1), NAME(2, 7, 1)}},
            {{NAMES_1_TO_3(1, 2), NAMES_4_TO_6(1, 2), NAME(1, 7, 2), NAMES_8_TO_14(1, 2)},
             {NAMES_1_TO_3(2, 2), NAMES_4_TO_6(2, 2), NAME(2, 7, 2)}},
            {{NAMES_1_TO_3(1, 4), NAMES_4_TO_6(1, 4)}, {NAMES_1_TO_3(2, 4)}}},
    .narrow_pixels = 8,
    .narrow = {narrow_1, narrow_2, narrow_4, narrow_8},
};

#else

TILE(2, 1, 2)

const gv_conv_tiles gv_conv_tiles_avx2 = {
    .pixels = {6, 3, 0},
    .run = {{{NAMES_1_TO_3(1, 1), NAMES_4_TO_6(1, 1)}, {NAMES_1_TO_3(2, 1)}},
            {{NAMES_1_TO_3(1, 2)}, {NAME(2, 1, 2)}}},
    .narrow_pixels = 4,
    .narrow = {narrow_1, narrow_2, narrow_4},
};

#endif
