/* Instance norm in every way of running it (kernelcheck.h); --bench times it on shapes of a
 * DCGAN. */
#include "kernelcheck.h"

#include "kernels/norm.h"

/* y, r; x */
static void run_fwd(gv_isa isa, gv_map *m, void *scratch, const kernel_call *c)
{
    (void)scratch;
    (void)c;
    gv_norm(isa)->instance_fwd(&m[0], &m[2], 1e-5f, m[1].data);
}

/* dx; dy, y; more = r */
static void run_bwd(gv_isa isa, gv_map *m, void *scratch, const kernel_call *c)
{
    (void)scratch;
    gv_norm(isa)->instance_bwd(&m[0], adds(c, 0), &m[1], &m[2], c->more);
}

/* r as a map: the kernel fills all lanes of it, so it has a multiple of 16 channels. */
static check_map factors(const int64_t *s)
{
    return vector_map(CHECK_OUT, s[0], gv_blocks(s[1]) * GV_LANES);
}

/* Any r for the gradient. Returned owned (gv_mem_free). */
static float *any_factors(const int64_t *s)
{
    return random_floats(s[0] * gv_blocks(s[1]) * GV_LANES, 9);
}

static void test_instance(void **state)
{
    (void)state;
    for (int i = 0; i < check_shape_count; i++) {
        const int64_t *s = check_shapes[i];
        check_map x = blocked_map(CHECK_IN, s);
        kernel_call c = {.name = "instance fwd", .run = run_fwd};
        c.maps[0] = blocked_map(CHECK_OUT, s), c.maps[1] = factors(s), c.maps[2] = x;
        kernel_check(&c);
        c = (kernel_call){.name = "instance bwd", .run = run_bwd};
        c.maps[0] = blocked_map(CHECK_OUT, s);
        c.maps[1] = x, c.maps[2] = x;
        float *r = any_factors(s);
        c.more = r;
        kernel_check(&c);
        c.maps[0].role = CHECK_ADDED;
        kernel_check(&c);
        gv_mem_free(r);
    }
}

static int bench(void)
{
    const int64_t shapes[][4] = {{1, 256, 4, 4}, {1, 64, 16, 16}, {16, 32, 32, 32}};
    kernel_bench_header();
    for (int i = 0; i < 3; i++) {
        const int64_t *s = shapes[i];
        check_map x = blocked_map(CHECK_IN, s), y = blocked_map(CHECK_OUT, s);
        kernel_call c = {.name = "instance fwd", .run = run_fwd};
        c.maps[0] = y, c.maps[1] = factors(s), c.maps[2] = x;
        kernel_bench(&c);
        c = (kernel_call){.name = "instance bwd", .run = run_bwd};
        c.maps[0] = y, c.maps[1] = x, c.maps[2] = x;
        float *r = any_factors(s);
        c.more = r;
        kernel_bench(&c);
        gv_mem_free(r);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--bench") == 0)
        return bench();
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_instance)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
