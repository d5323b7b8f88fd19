/* Convolutions on random data in guarded memory, for test_conv.c and bench_conv.c. */
#ifndef GV_TESTS_KERNELS_CONV_CASES_H
#define GV_TESTS_KERNELS_CONV_CASES_H

#include "base/memory.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "kernels/conv.h"

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

/* A kernel made ready for a shape: packed weights, state, scratch. */
typedef struct prepared {
    const gv_conv_kernel *kernel;
    gv_conv_shape shape;
    void *packed, *state, *scratch;
} prepared;

static inline prepared prepared_new(const gv_conv_kernel *kernel, const gv_conv_shape *s,
                                    const float *w)
{
    prepared p = {.kernel = kernel, .shape = *s};
    gv_error err = {0};
    size_t scratch_bytes;
    p.packed = gv_mem_alloc(kernel->packed_bytes(s));
    assert_non_null(p.packed);
    kernel->pack(p.packed, w, s);
    if (kernel->prepare(&p.state, &scratch_bytes, s, &err) != GV_OK)
        fail_msg("%s: %s", kernel->name, err.message);
    p.scratch = gv_mem_alloc(scratch_bytes);
    assert_non_null(p.scratch);
    memset(p.scratch, 0xff, scratch_bytes); /* NaN: what run needs it must write */
    return p;
}

static inline void prepared_run(const prepared *p, const gv_map *y, const gv_map *x)
{
    p->kernel->run(p->state, &p->shape, y, x, p->packed, p->scratch);
}

static inline void prepared_free(prepared *p)
{
    p->kernel->release(p->state);
    gv_mem_free(p->packed);
    gv_mem_free(p->scratch);
}

static inline int64_t weight_count(const gv_conv_shape *s)
{
    return s->k * s->c * s->kh * s->kw;
}

#endif
