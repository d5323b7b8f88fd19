/* Runs one call of a kernel family in every way that must not change a bit: all instruction sets of
 * this CPU, nChw16c and NHWC, 1, 2 and 3 threads. Around each map lie guards, results are full of
 * NaN before, and zero beyond their channels after, also when an input is infinite.
 *
 * The loops of the families are plain C, so that the baseline table is the reference of the others;
 * that its values are right is checked against references in double by tests/graph/test_ops_*.c,
 * which call the kernels through the graph. */
#ifndef GV_TESTS_KERNELS_KERNELCHECK_H
#define GV_TESTS_KERNELS_KERNELCHECK_H

#include "guarded.h"

#include "kernels/isa.h"
#include "kernels/pieces.h"

enum { CHECK_MAPS = 8 };

typedef enum check_role {
    CHECK_ABSENT, /* data NULL */
    CHECK_IN,
    CHECK_OUT,   /* overwritten */
    CHECK_ADDED, /* added to */
} check_role;

typedef struct check_map {
    check_role role;
    bool plane;
    int64_t n, c, h, w;
} check_map;

typedef struct kernel_call kernel_call;

struct kernel_call {
    const char *name;
    check_map maps[CHECK_MAPS];
    /* m[i] is maps[i] in memory; scratch: scratch_bytes full of NaN, 64-byte aligned. */
    void (*run)(gv_isa isa, gv_map *m, void *scratch, const kernel_call *c);
    size_t scratch_bytes;
    int64_t p[4];
    const void *more;
};

void kernel_check(const kernel_call *c);

/* Prints one row: milliseconds and bytes moved a second, for each instruction set and 1, 2
 * threads. */
void kernel_bench_header(void);
void kernel_bench(const kernel_call *c);

/* Odd sizes with few and many channels: [n,c,h,w]. */
extern const int64_t check_shapes[][4];
extern const int check_shape_count;

/* Shorthands for maps. */
static inline check_map blocked_map(check_role role, const int64_t *s)
{
    return (check_map){role, false, s[0], s[1], s[2], s[3]};
}

static inline check_map vector_map(check_role role, int64_t n, int64_t c)
{
    return (check_map){role, false, n, c, 1, 1};
}

static inline check_map plane_map(check_role role, int64_t n, int64_t h, int64_t w)
{
    return (check_map){role, true, n, 1, h, w};
}

/* Whether gradients are added to in this call. */
static inline bool adds(const kernel_call *c, int i)
{
    return c->maps[i].role == CHECK_ADDED;
}

#endif
