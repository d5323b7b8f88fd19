/* FIR, nearest neighbour, pooling in every way of running them (kernelcheck.h); --bench times them
 * on shapes of StyleGAN2 and VGG at 64 pixels. */
#include "kernelcheck.h"

#include "kernels/resample.h"

/* m[0] is written, m[1] read, m[2] the x of max pooling; more = gv_fir */
static void run_fir(gv_isa isa, gv_map *m, void *scratch, const kernel_call *c)
{
    (void)scratch;
    gv_resample(isa)->fir(&m[0], adds(c, 0), &m[1], c->more);
}

static void run_upsample2_fwd(gv_isa isa, gv_map *m, void *scratch, const kernel_call *c)
{
    (void)scratch;
    (void)c;
    gv_resample(isa)->upsample2_fwd(&m[0], &m[1]);
}

static void run_upsample2_bwd(gv_isa isa, gv_map *m, void *scratch, const kernel_call *c)
{
    (void)scratch;
    gv_resample(isa)->upsample2_bwd(&m[0], adds(c, 0), &m[1]);
}

static void run_max_pool2_fwd(gv_isa isa, gv_map *m, void *scratch, const kernel_call *c)
{
    (void)scratch;
    (void)c;
    gv_resample(isa)->max_pool2_fwd(&m[0], &m[1]);
}

static void run_max_pool2_bwd(gv_isa isa, gv_map *m, void *scratch, const kernel_call *c)
{
    (void)scratch;
    gv_resample(isa)->max_pool2_bwd(&m[0], adds(c, 0), &m[1], &m[2]);
}

static void run_max_pool2_jvp(gv_isa isa, gv_map *m, void *scratch, const kernel_call *c)
{
    (void)scratch;
    (void)c;
    gv_resample(isa)->max_pool2_jvp(&m[0], &m[1], &m[2]);
}

static void run_avg_pool_fwd(gv_isa isa, gv_map *m, void *scratch, const kernel_call *c)
{
    (void)scratch;
    (void)c;
    gv_resample(isa)->avg_pool_fwd(&m[0], &m[1]);
}

static void run_avg_pool_bwd(gv_isa isa, gv_map *m, void *scratch, const kernel_call *c)
{
    (void)scratch;
    gv_resample(isa)->avg_pool_bwd(&m[0], adds(c, 0), &m[1]);
}

typedef void run_fn(gv_isa isa, gv_map *m, void *scratch, const kernel_call *c);

/* out from in, then added to out if `adding`; x (may be NULL): a third map. */
static void check(const char *name, run_fn *run, bool adding, const int64_t *out, const int64_t *in,
                  const int64_t *x, const void *more)
{
    for (int k = 0; k < 1 + adding; k++) {
        kernel_call c = {.name = name, .run = run, .more = more};
        c.maps[0] = blocked_map(k ? CHECK_ADDED : CHECK_OUT, out);
        c.maps[1] = blocked_map(CHECK_IN, in);
        if (x)
            c.maps[2] = blocked_map(CHECK_IN, x);
        kernel_check(&c);
    }
}

/* The filter and its adjoint, which goes down by 2 where the filter goes up. */
static void test_fir(void **state)
{
    (void)state;
    const int64_t pads[][3] = {/* up, before, after */ {1, 1, 1}, {2, 2, 1}, {1, 2, 2}, {2, 0, 3}};
    for (int i = 0; i < check_shape_count; i++)
        for (int k = 0; k < 4; k++) {
            const int64_t *s = check_shapes[i];
            int64_t grow = pads[k][1] + pads[k][2] - 3;
            const int64_t out[4] = {s[0], s[1], s[2] * pads[k][0] + grow, s[3] * pads[k][0] + grow};
            if (out[2] < 1 || out[3] < 1)
                continue;
            gv_fir f = {{0.1f, -0.7f, 0.4f, 0.9f}, pads[k][0], 1, pads[k][1]};
            gv_fir adjoint = gv_fir_adjoint(&f);
            check("fir", run_fir, true, out, s, NULL, &f);
            check("fir, adjoint", run_fir, true, s, out, NULL, &adjoint);
        }
}

static void test_upsample2(void **state)
{
    (void)state;
    for (int i = 0; i < check_shape_count; i++) {
        const int64_t *s = check_shapes[i], big[4] = {s[0], s[1], 2 * s[2], 2 * s[3]};
        check("upsample2 fwd", run_upsample2_fwd, false, big, s, NULL, NULL);
        check("upsample2 bwd", run_upsample2_bwd, true, s, big, NULL, NULL);
    }
}

static void test_max_pool2(void **state)
{
    (void)state;
    for (int i = 0; i < check_shape_count; i++) {
        const int64_t *s = check_shapes[i], small[4] = {s[0], s[1], s[2] / 2, s[3] / 2};
        if (small[2] < 1 || small[3] < 1)
            continue;
        check("max_pool2 fwd", run_max_pool2_fwd, false, small, s, NULL, NULL);
        check("max_pool2 bwd", run_max_pool2_bwd, true, s, small, s, NULL);
        check("max_pool2 jvp", run_max_pool2_jvp, false, small, s, s, NULL);
    }
}

static void test_avg_pool(void **state)
{
    (void)state;
    const int64_t sizes[][2] = {{1, 1}, {3, 4}, {16, 8}, {9, 70}};
    for (int i = 0; i < check_shape_count; i++)
        for (int k = 0; k < 4; k++) {
            const int64_t *s = check_shapes[i], to[4] = {s[0], s[1], sizes[k][0], sizes[k][1]};
            check("avg_pool fwd", run_avg_pool_fwd, false, to, s, NULL, NULL);
            check("avg_pool bwd", run_avg_pool_bwd, true, s, to, NULL, NULL);
            kernel_call c = {.name = "avg_pool fwd, planes", .run = run_avg_pool_fwd};
            c.maps[0] = plane_map(CHECK_OUT, s[0], to[2], to[3]);
            c.maps[1] = plane_map(CHECK_IN, s[0], s[2], s[3]);
            kernel_check(&c);
            c.name = "avg_pool bwd, planes";
            c.run = run_avg_pool_bwd;
            c.maps[0] = plane_map(CHECK_ADDED, s[0], s[2], s[3]);
            c.maps[1] = plane_map(CHECK_IN, s[0], to[2], to[3]);
            kernel_check(&c);
        }
}

static void bench_one(const char *name, run_fn *run, const int64_t *out, const int64_t *in,
                      const int64_t *x, const void *more)
{
    kernel_call c = {.name = name, .run = run, .more = more};
    c.maps[0] = blocked_map(CHECK_OUT, out);
    c.maps[1] = blocked_map(CHECK_IN, in);
    if (x)
        c.maps[2] = blocked_map(CHECK_IN, x);
    kernel_bench(&c);
}

static int bench(void)
{
    const gv_fir after_conv0 = {{0.25f, 0.75f, 0.75f, 0.25f}, 1, 1, 1};
    const gv_fir skip = {{0.25f, 0.75f, 0.75f, 0.25f}, 2, 1, 2};
    gv_fir after_conv0_back = gv_fir_adjoint(&after_conv0), skip_back = gv_fir_adjoint(&skip);
    const int64_t shapes[][4] = {{1, 512, 8, 8}, {1, 512, 32, 32}, {1, 256, 64, 64}};
    const int64_t rgb[4] = {1, 3, 32, 32}, rgb2[4] = {1, 3, 64, 64};
    const int64_t vgg[4] = {1, 64, 64, 64}, vgg2[4] = {1, 64, 32, 32};
    kernel_bench_header();
    for (int i = 0; i < 3; i++) {
        const int64_t *s = shapes[i], in[4] = {1, s[1], s[2] + 1, s[3] + 1};
        bench_one("fir after conv0", run_fir, s, in, NULL, &after_conv0);
        bench_one("fir after conv0, adjoint", run_fir, in, s, NULL, &after_conv0_back);
    }
    bench_one("fir up 2 (skip)", run_fir, rgb2, rgb, NULL, &skip);
    bench_one("fir up 2 (skip), adjoint", run_fir, rgb, rgb2, NULL, &skip_back);
    bench_one("max_pool2 fwd", run_max_pool2_fwd, vgg2, vgg, NULL, NULL);
    bench_one("max_pool2 bwd", run_max_pool2_bwd, vgg, vgg2, vgg, NULL);
    bench_one("upsample2 fwd", run_upsample2_fwd, vgg, vgg2, NULL, NULL);
    bench_one("upsample2 bwd", run_upsample2_bwd, vgg2, vgg, NULL, NULL);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--bench") == 0)
        return bench();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fir),
        cmocka_unit_test(test_upsample2),
        cmocka_unit_test(test_max_pool2),
        cmocka_unit_test(test_avg_pool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
