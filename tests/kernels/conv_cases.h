/* Convolutions on random data in guarded memory, for test_conv.c and bench_conv.c. */
#ifndef GV_TESTS_KERNELS_CONV_CASES_H
#define GV_TESTS_KERNELS_CONV_CASES_H

#include "base/memory.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "kernels/conv.h"

#include "guarded.h"

#include <string.h>

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
