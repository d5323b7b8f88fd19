#include "base/rng.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The rows of tests/base/data, made by tools/reference/make_rng.py. */
static const uint32_t seeds[] = {0, 85, UINT32_MAX};
enum { SEEDS = 3 };

static gv_test_array own(const char *name, gv_test_dtype dtype)
{
    char path[64];
    snprintf(path, sizeof path, "tests/base/data/%s.npy", name);
    gv_test_array a = gv_test_npy_typed(gv_test_source(path), dtype);
    return a;
}

static void *buffer(int64_t count, size_t size)
{
    void *data = calloc((size_t)count, size);
    assert_non_null(data);
    return data;
}

/* ---- one check for each kind of vector, used for the project's own and for ../shared ---- */

static void check_raw(uint32_t seed, const uint32_t *expected, int64_t count)
{
    gv_mt19937 mt;
    gv_mt19937_seed(&mt, seed);
    for (int64_t i = 0; i < count; i++)
        assert_int_equal(gv_mt19937_next(&mt), expected[i]);
}

static void check_numpy_rand(uint32_t seed, const double *expected, int64_t count)
{
    gv_numpy_rng rng;
    gv_numpy_seed(&rng, seed);
    for (int64_t i = 0; i < count; i++) {
        double value = gv_numpy_rand(&rng);
        gv_test_same_bits(&value, &expected[i], sizeof value, "RandomState.rand");
    }
}

static void check_numpy_randn(uint32_t seed, const double *expected, int64_t count)
{
    gv_numpy_rng rng;
    double *values = buffer(count, sizeof *values);
    /* In one call and in pieces: the second of a pair waits in the generator. */
    for (int64_t piece = 7; piece <= count; piece += count - 7) {
        gv_numpy_seed(&rng, seed);
        memset(values, 0, (size_t)count * sizeof *values);
        for (int64_t at = 0; at < count; at += piece)
            gv_numpy_randn(&rng, values + at, count - at < piece ? count - at : piece);
        gv_test_same_bits(values, expected, (size_t)count * sizeof *values, "RandomState.randn");
    }
    free(values);
}

static void check_torch_randn(uint32_t seed, const float *expected, int64_t count,
                              const gv_test_array *lengths)
{
    gv_torch_rng rng;
    gv_torch_seed(&rng, seed);
    float *values = buffer(count, sizeof *values);
    int64_t at = 0;
    for (int64_t i = 0; i < lengths->count; at += lengths->i32[i++]) {
        assert_true(at + lengths->i32[i] <= count);
        gv_torch_randn(&rng, values + at, lengths->i32[i]);
    }
    assert_int_equal(at, count);
    gv_test_same_bits(values, expected, (size_t)count * sizeof *values, "torch.randn");
    free(values);
}

/* ---- the project's own vectors ---- */

static void raw_words(void **state)
{
    (void)state;
    gv_test_array a = own("mt19937", GV_TEST_U32);
    for (int i = 0; i < SEEDS; i++)
        check_raw(seeds[i], a.u32 + i * a.shape[1], a.shape[1]);
    gv_test_array_free(&a);
}

static void numpy_uniform(void **state)
{
    (void)state;
    gv_test_array a = own("numpy_rand", GV_TEST_F64);
    for (int i = 0; i < SEEDS; i++)
        check_numpy_rand(seeds[i], a.f64 + i * a.shape[1], a.shape[1]);
    gv_test_array_free(&a);
}

static void numpy_normal(void **state)
{
    (void)state;
    gv_test_array a = own("numpy_randn", GV_TEST_F64);
    for (int i = 0; i < SEEDS; i++)
        check_numpy_randn(seeds[i], a.f64 + i * a.shape[1], a.shape[1]);
    gv_test_array_free(&a);
}

static void torch_normal(void **state)
{
    (void)state;
    gv_test_array lengths = own("torch_lengths", GV_TEST_I32);
    gv_test_array a = own("torch_randn_f32", GV_TEST_F32);
    for (int i = 0; i < SEEDS; i++)
        check_torch_randn(seeds[i], a.f32 + i * a.shape[1], a.shape[1], &lengths);
    gv_test_array_free(&a);
    gv_test_array_free(&lengths);
}

static void torch_normal_double(void **state)
{
    (void)state;
    gv_test_array lengths = own("torch_lengths", GV_TEST_I32);
    gv_test_array a = own("torch_randn_f64", GV_TEST_F64);
    double *values = buffer(a.shape[1], sizeof *values);
    for (int i = 0; i < SEEDS; i++) {
        gv_torch_rng rng;
        gv_torch_seed(&rng, seeds[i]);
        int64_t at = 0;
        for (int64_t j = 0; j < lengths.count; at += lengths.i32[j++])
            gv_torch_randn_double(&rng, values + at, lengths.i32[j]);
        assert_int_equal(at, a.shape[1]);
        gv_test_same_bits(values, a.f64 + i * at, (size_t)at * sizeof *values, "float64 randn");
    }
    free(values);
    gv_test_array_free(&a);
    gv_test_array_free(&lengths);
}

static void torch_uniform_and_integers(void **state)
{
    (void)state;
    gv_test_array a = own("torch_mixed", GV_TEST_F64);
    for (int i = 0; i < SEEDS; i++) {
        const double *expected = a.f64 + i * a.shape[1];
        int64_t perm[100];
        gv_torch_rng rng;
        gv_torch_seed(&rng, seeds[i]);
        for (int j = 0; j < 9; j++)
            assert_true((double)gv_torch_rand(&rng) == *expected++);
        for (int j = 0; j < 9; j++)
            assert_true(gv_torch_rand_double(&rng) == *expected++);
        for (int j = 0; j < 9; j++)
            assert_true((double)gv_torch_randint(&rng, 1000) == *expected++);
        for (int j = 0; j < 9; j++)
            assert_true((double)gv_torch_randint(&rng, (1u << 28) - 1) == *expected++);
        gv_torch_randperm(&rng, perm, 100);
        for (int j = 0; j < 100; j++)
            assert_true((double)perm[j] == *expected++);
        /* The permutation drew exactly 99 words. */
        assert_true((double)gv_torch_rand(&rng) == *expected++);
        assert_ptr_equal(expected, a.f64 + (i + 1) * a.shape[1]);
    }
    gv_test_array_free(&a);
}

static void a_seed_is_taken_modulo_2_32(void **state)
{
    (void)state;
    gv_torch_rng a, b;
    gv_torch_seed(&a, 85);
    gv_torch_seed(&b, 85 + (UINT64_C(7) << 32));
    assert_true(gv_torch_rand_double(&a) == gv_torch_rand_double(&b));
}

/* ---- vectors of the official libraries in ../shared ---- */

static const uint32_t shared_seeds[] = {0, 42, 123, 10};

static gv_test_array shared(const char *kind, uint32_t seed, gv_test_dtype dtype)
{
    char path[96];
    snprintf(path, sizeof path, "reference/rng/%s_seed%u.npy", kind, seed);
    return gv_test_npy_typed(gv_test_shared(path), dtype);
}

static void shared_numpy(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        uint32_t seed = shared_seeds[i];
        gv_test_array raw = shared("mt19937_u32_1300", seed, GV_TEST_U32);
        gv_test_array uniform = shared("np_rand100", seed, GV_TEST_F64);
        gv_test_array normal = shared("np_randn1025", seed, GV_TEST_F64);
        check_raw(seed, raw.u32, raw.count);
        check_numpy_rand(seed, uniform.f64, uniform.count);
        check_numpy_randn(seed, normal.f64, normal.count);
        gv_test_array_free(&raw);
        gv_test_array_free(&uniform);
        gv_test_array_free(&normal);
    }
}

static void shared_torch(void **state)
{
    (void)state;
    gv_test_array lengths =
        gv_test_npy_typed(gv_test_shared("reference/rng/torch_seq_lengths.npy"), GV_TEST_I32);
    for (int i = 0; i < 4; i++) {
        uint32_t seed = shared_seeds[i];
        gv_test_array sequence = shared("torch_randn_seq", seed, GV_TEST_F32);
        gv_test_array uniform = shared("torch_rand100", seed, GV_TEST_F32);
        gv_test_array wide = shared("torch_randn_f64_17", seed, GV_TEST_F64);
        gv_torch_rng rng;
        double values[17];

        check_torch_randn(seed, sequence.f32, sequence.count, &lengths);
        gv_torch_seed(&rng, seed);
        for (int64_t j = 0; j < uniform.count; j++)
            assert_true(gv_torch_rand(&rng) == uniform.f32[j]);
        gv_torch_seed(&rng, seed);
        gv_torch_randn_double(&rng, values, wide.count);
        gv_test_same_bits(values, wide.f64, sizeof values, "float64 randn");
        gv_test_array_free(&sequence);
        gv_test_array_free(&uniform);
        gv_test_array_free(&wide);
    }
    gv_test_array_free(&lengths);
}

static void shared_torch_noise(void **state)
{
    (void)state;
    enum { COUNT = 4 * 64 * 64, END = 64 };
    for (int i = 0; i < 4; i++) {
        gv_test_array ends =
            shared("torch_randn_1x4x64x64_head_tail", shared_seeds[i], GV_TEST_F32);
        float *values = buffer(COUNT, sizeof *values);
        gv_torch_rng rng;
        gv_torch_seed(&rng, shared_seeds[i]);
        gv_torch_randn(&rng, values, COUNT);
        gv_test_same_bits(values, ends.f32, END * sizeof *values, "head");
        gv_test_same_bits(values + COUNT - END, ends.f32 + END, END * sizeof *values, "tail");
        gv_test_array_free(&ends);
        free(values);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(raw_words),
        cmocka_unit_test(numpy_uniform),
        cmocka_unit_test(numpy_normal),
        cmocka_unit_test(torch_normal),
        cmocka_unit_test(torch_normal_double),
        cmocka_unit_test(torch_uniform_and_integers),
        cmocka_unit_test(a_seed_is_taken_modulo_2_32),
        cmocka_unit_test(shared_numpy),
        cmocka_unit_test(shared_torch),
        cmocka_unit_test(shared_torch_noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
