/* What every test program shares. */
#ifndef GV_TESTS_SUPPORT_H
#define GV_TESTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"

/* ---- files ---- */

/* Path below the project's root; valid until the next eight calls. */
const char *gv_test_source(const char *path);

/* Path below ../shared, the reference vectors that are too large for the repository; valid until
 * the next eight calls. Where it is missing the running test is skipped, loudly; with
 * GANVAS_REQUIRE_SHARED=1 it fails. Call it before anything is allocated: skipping jumps out. */
const char *gv_test_shared(const char *path);

/* Path in a new folder of this process, which is removed with all it holds at exit; valid until the
 * next eight calls. */
const char *gv_test_scratch(const char *name);

/* ---- arrays of .npy files ---- */

typedef enum gv_test_dtype {
    GV_TEST_F32,
    GV_TEST_F64,
    GV_TEST_U8,
    GV_TEST_I32,
    GV_TEST_U32,
    GV_TEST_I64,
} gv_test_dtype;

typedef struct gv_test_array {
    gv_test_dtype dtype;
    int rank;
    int64_t shape[8];
    int64_t count;
    union {
        void *data; /* contiguous, C order */
        float *f32;
        double *f64;
        uint8_t *u8;
        int32_t *i32;
        uint32_t *u32;
        int64_t *i64;
    };
} gv_test_array;

/* Reads a little-endian C-order .npy file; fails the test otherwise. Returned owned. */
gv_test_array gv_test_npy(const char *path);
/* The same, failing unless the type is dtype. */
gv_test_array gv_test_npy_typed(const char *path, gv_test_dtype dtype);
/* A stored (uncompressed) member `name` (without .npy) of an .npz file. */
gv_test_array gv_test_npz(const char *path, const char *name);
void gv_test_array_free(gv_test_array *a);

/* ---- comparisons ---- */

/* max|a - b| / max|b|, infinity if a value is NaN. */
double gv_test_rel_error(const float *a, const float *b, int64_t n);
/* sqrt(sum (a-b)^2 / sum b^2). */
double gv_test_rms_error(const float *a, const float *b, int64_t n);
/* Fails, naming what, if gv_test_rel_error is above bound. */
void gv_test_close(const float *a, const float *b, int64_t n, double bound, const char *what);
/* Fails unless every bit is equal; names the first that is not. */
void gv_test_same_bits(const void *a, const void *b, size_t bytes, const char *what);

/* ---- failing allocations ---- */

/* Calls fn(ctx, &err) again and again with the 1st, 2nd, 3rd ... allocation failing, until a run
 * meets no failed allocation. A run with a failed one must return GV_E_MEMORY with a sentence, the
 * last GV_OK; and none may leave blocks behind. Returns how many allocations were failed. */
typedef gv_status gv_test_alloc_fn(void *ctx, gv_error *err);
int64_t gv_test_fail_each_allocation(gv_test_alloc_fn *fn, void *ctx);

#endif
