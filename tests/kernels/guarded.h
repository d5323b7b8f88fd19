/* Maps of random numbers between guards, for the tests of kernels. */
#ifndef GV_TESTS_KERNELS_GUARDED_H
#define GV_TESTS_KERNELS_GUARDED_H

#include "base/memory.h"
#include "base/rng.h"
#include "kernels/map.h"

#include "support.h"

#include <string.h>

enum { GUARD_FLOATS = 64 };
#define GUARD_BITS UINT32_C(0x7fa5a5a5) /* a NaN that no arithmetic makes */

/* How a map lies in memory. */
typedef enum layout { BLOCKED, NHWC, SHARED } layout;

/* A map with guards on both sides. */
typedef struct guarded {
    float *memory;
    int64_t floats;
    gv_map map;
} guarded;

static inline gv_map map_of(layout kind, int64_t n, int64_t c, int64_t h, int64_t w)
{
    gv_map m = gv_map_blocked(n, c, h, w);
    if (kind == NHWC) {
        m.pixel = gv_blocks(c) * GV_LANES;
        m.block = GV_LANES;
        m.sample = h * w * m.pixel;
    } else if (kind == SHARED) {
        m.sample = 0;
    }
    return m;
}

static inline guarded guarded_new(gv_map map)
{
    guarded g = {.floats = gv_map_floats(&map), .map = map};
    g.memory = gv_mem_alloc_array((size_t)(g.floats + 2 * GUARD_FLOATS), sizeof(float));
    assert_non_null(g.memory);
    const uint32_t bits = GUARD_BITS;
    for (int64_t i = 0; i < g.floats + 2 * GUARD_FLOATS; i++)
        memcpy(&g.memory[i], &bits, sizeof bits);
    g.map.data = g.memory + GUARD_FLOATS;
    return g;
}

static inline bool guards_are_whole(const guarded *g)
{
    const uint32_t bits = GUARD_BITS;
    for (int64_t i = 0; i < GUARD_FLOATS; i++)
        if (memcmp(&g->memory[i], &bits, sizeof bits) != 0 ||
            memcmp(&g->memory[GUARD_FLOATS + g->floats + i], &bits, sizeof bits) != 0)
            return false;
    return true;
}

static inline void guarded_free(guarded *g)
{
    gv_mem_free(g->memory);
}

/* Uniform in [-1,1). */
static inline float *random_floats(int64_t count, uint64_t seed)
{
    float *v = gv_mem_alloc_array((size_t)count, sizeof *v);
    assert_non_null(v);
    gv_mt19937 mt;
    gv_mt19937_seed(&mt, seed);
    for (int64_t i = 0; i < count; i++)
        v[i] = (float)(gv_mt19937_next(&mt) >> 8) * 0x1p-23f - 1.0f;
    return v;
}

#endif
