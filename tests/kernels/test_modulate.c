/* modulate, demodulate, normalisation of vectors in every way of running them (kernelcheck.h);
 * --bench times them on shapes of StyleGAN2 at 64 pixels. */
#include "kernelcheck.h"

#include "kernels/modulate.h"

/* y; x, s */
static void run_modulate_fwd(gv_isa isa, gv_map *m, void *scratch, const kernel_call *c)
{
    (void)scratch;
    (void)c;
    gv_modulate(isa)->modulate_fwd(&m[0], &m[1], &m[2]);
}

/* dx, ds; x, s; dy */
static void run_modulate_bwd(gv_isa isa, gv_map *m, void *scratch, const kernel_call *c)
{
    (void)scratch;
    const bool add[2] = {adds(c, 0), adds(c, 1)};
    gv_modulate(isa)->modulate_bwd(&m[0], add, &m[4], &m[2]);
}

/* ty; tx, ts; x, s */
static void run_modulate_jvp(gv_isa isa, gv_map *m, void *scratch, const kernel_call *c)
{
    (void)scratch;
    (void)c;
    gv_modulate(isa)->modulate_jvp(&m[0], &m[1], &m[3]);
}

static void test_modulate(void **state)
{
    (void)state;
    for (int i = 0; i < check_shape_count; i++) {
        const int64_t *s = check_shapes[i];
        check_map x = blocked_map(CHECK_IN, s), v = vector_map(CHECK_IN, s[0], s[1]);
        kernel_call fwd = {.name = "modulate fwd", .run = run_modulate_fwd};
        fwd.maps[0] = blocked_map(CHECK_OUT, s), fwd.maps[1] = x, fwd.maps[2] = v;
        kernel_check(&fwd);
        for (int k = 0; k < 4; k++) { /* both gradients, one of them; added to or not */
            check_role role = k % 2 ? CHECK_ADDED : CHECK_OUT;
            kernel_call bwd = {.name = "modulate bwd", .run = run_modulate_bwd};
            bwd.maps[0] = blocked_map(k == 2 ? CHECK_ABSENT : role, s);
            bwd.maps[1] = vector_map(k == 3 ? CHECK_ABSENT : role, s[0], s[1]);
            bwd.maps[2] = x, bwd.maps[3] = v, bwd.maps[4] = x;
            kernel_check(&bwd);
        }
        for (int k = 0; k < 3; k++) {
            kernel_call jvp = {.name = "modulate jvp", .run = run_modulate_jvp};
            jvp.maps[0] = blocked_map(CHECK_OUT, s);
            jvp.maps[1] = x, jvp.maps[2] = v, jvp.maps[3] = x, jvp.maps[4] = v;
            if (k > 0)
                jvp.maps[k].role = CHECK_ABSENT;
            kernel_check(&jvp);
        }
    }
}

/* ---- demodulate: more = Q ---- */

/* d; s */
static void run_demodulate_fwd(gv_isa isa, gv_map *m, void *scratch, const kernel_call *c)
{
    (void)scratch;
    gv_modulate(isa)->demodulate_fwd(&m[0], &m[1], c->more);
}

/* ds; dd, s, d */
static void run_demodulate_bwd(gv_isa isa, gv_map *m, void *scratch, const kernel_call *c)
{
    gv_modulate(isa)->demodulate_bwd(&m[0], adds(c, 0), &m[1], &m[2], &m[3], c->more, scratch);
}

/* td; ts, s, d */
static void run_demodulate_jvp(gv_isa isa, gv_map *m, void *scratch, const kernel_call *c)
{
    (void)scratch;
    gv_modulate(isa)->demodulate_jvp(&m[0], &m[1], &m[2], &m[3], c->more);
}

/* Q [c][k rounded up], positive, zero beyond k. Returned owned (gv_mem_free). */
static float *squares_new(int64_t k, int64_t c)
{
    int64_t row = gv_blocks(k) * GV_LANES;
    float *q = random_floats(c * row, 7);
    for (int64_t i = 0; i < c * row; i++)
        q[i] = i % row < k ? q[i] * q[i] : 0.0f;
    return q;
}

static void demodulate_calls(int64_t n, int64_t c, int64_t k, const float *q,
                             void (*each)(const kernel_call *))
{
    size_t scratch = (size_t)(n * gv_blocks(k) * GV_LANES) * sizeof(float);
    check_map s = vector_map(CHECK_IN, n, c), d = vector_map(CHECK_IN, n, k);
    kernel_call call = {.name = "demodulate fwd", .run = run_demodulate_fwd, .more = q};
    call.maps[0] = vector_map(CHECK_OUT, n, k), call.maps[1] = s;
    each(&call);
    call.name = "demodulate jvp";
    call.run = run_demodulate_jvp;
    call.maps[2] = s, call.maps[3] = d;
    each(&call);
    call.name = "demodulate bwd";
    call.run = run_demodulate_bwd;
    call.scratch_bytes = scratch;
    call.maps[0] = vector_map(CHECK_OUT, n, c), call.maps[1] = d;
    each(&call);
    call.maps[0].role = CHECK_ADDED;
    each(&call);
}

static void test_demodulate(void **state)
{
    (void)state;
    const int64_t cases[][3] = {{1, 3, 10}, {3, 17, 3}, {2, 100, 33}, {1, 65, 100}, {1, 512, 512}};
    for (int i = 0; i < 5; i++) {
        float *q = squares_new(cases[i][2], cases[i][1]);
        demodulate_calls(cases[i][0], cases[i][1], cases[i][2], q, kernel_check);
        gv_mem_free(q);
    }
}

/* ---- normalisation ---- */

static void run_normalize_fwd(gv_isa isa, gv_map *m, void *scratch, const kernel_call *c)
{
    (void)scratch;
    (void)c;
    gv_modulate(isa)->normalize_fwd(&m[0], &m[1]);
}

static void run_normalize_bwd(gv_isa isa, gv_map *m, void *scratch, const kernel_call *c)
{
    (void)scratch;
    gv_modulate(isa)->normalize_bwd(&m[0], adds(c, 0), &m[1], &m[2]);
}

static void test_normalize(void **state)
{
    (void)state;
    const int64_t channels[] = {3, 10, 17, 100, 512};
    for (int i = 0; i < 5; i++) {
        check_map x = vector_map(CHECK_IN, 3, channels[i]);
        kernel_call c = {.name = "normalize fwd", .run = run_normalize_fwd};
        c.maps[0] = vector_map(CHECK_OUT, 3, channels[i]), c.maps[1] = x;
        kernel_check(&c);
        c.name = "normalize bwd";
        c.run = run_normalize_bwd;
        c.maps[2] = x;
        kernel_check(&c);
        c.maps[0].role = CHECK_ADDED;
        kernel_check(&c);
    }
}

static int bench(void)
{
    const int64_t shapes[][4] = {{1, 512, 8, 8}, {1, 512, 32, 32}, {1, 256, 64, 64}};
    kernel_bench_header();
    for (int i = 0; i < 3; i++) {
        const int64_t *s = shapes[i];
        check_map x = blocked_map(CHECK_IN, s), v = vector_map(CHECK_IN, s[0], s[1]);
        check_map y = blocked_map(CHECK_OUT, s), dv = vector_map(CHECK_OUT, s[0], s[1]);
        kernel_call fwd = {.name = "modulate fwd", .run = run_modulate_fwd, .maps = {y, x, v}};
        kernel_bench(&fwd);
        kernel_call bwd = {
            .name = "modulate bwd", .run = run_modulate_bwd, .maps = {y, dv, x, v, x}};
        kernel_bench(&bwd);
    }
    float *q = squares_new(512, 512);
    demodulate_calls(1, 512, 512, q, kernel_bench);
    gv_mem_free(q);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--bench") == 0)
        return bench();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_modulate),
        cmocka_unit_test(test_demodulate),
        cmocka_unit_test(test_normalize),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
