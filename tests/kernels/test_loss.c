/* Losses in every way of running them (kernelcheck.h); --bench times them on shapes of StyleGAN2
 * and VGG at 64 pixels. */
#include "kernelcheck.h"

#include "kernels/loss.h"

typedef void run_fn(gv_isa isa, gv_map *m, void *scratch, const kernel_call *c);

/* Every loss: fwd  y; x, t, mask
 *             bwd  dx, dt; x, t, mask; dy
 *             jvp  ty; tx, tt; x, t, mask     p = {kind}, more = lin */

static void run_distance_fwd(gv_isa isa, gv_map *m, void *scratch, const kernel_call *c)
{
    gv_loss(isa)->distance_fwd(&m[0], &m[1], (gv_distance)c->p[0], 0.01f, scratch);
}

static void run_distance_bwd(gv_isa isa, gv_map *m, void *scratch, const kernel_call *c)
{
    (void)scratch;
    const bool add[2] = {adds(c, 0), adds(c, 1)};
    gv_loss(isa)->distance_bwd(&m[0], add, &m[5], &m[2], (gv_distance)c->p[0], 0.01f);
}

static void run_distance_jvp(gv_isa isa, gv_map *m, void *scratch, const kernel_call *c)
{
    gv_loss(isa)->distance_jvp(&m[0], &m[1], &m[3], (gv_distance)c->p[0], 0.01f, scratch);
}

static void run_lpips_fwd(gv_isa isa, gv_map *m, void *scratch, const kernel_call *c)
{
    gv_loss(isa)->lpips_fwd(&m[0], &m[1], c->more, scratch);
}

static void run_lpips_bwd(gv_isa isa, gv_map *m, void *scratch, const kernel_call *c)
{
    const bool add[2] = {adds(c, 0), adds(c, 1)};
    gv_loss(isa)->lpips_bwd(&m[0], add, &m[5], &m[2], c->more, scratch);
}

static void run_lpips_jvp(gv_isa isa, gv_map *m, void *scratch, const kernel_call *c)
{
    gv_loss(isa)->lpips_jvp(&m[0], &m[1], &m[3], c->more, scratch);
}

static void run_vector_norm_fwd(gv_isa isa, gv_map *m, void *scratch, const kernel_call *c)
{
    (void)scratch;
    (void)c;
    gv_loss(isa)->vector_norm_fwd(&m[0], &m[1], 0.3f);
}

static void run_vector_norm_bwd(gv_isa isa, gv_map *m, void *scratch, const kernel_call *c)
{
    (void)scratch;
    const bool add[2] = {adds(c, 0), adds(c, 1)};
    gv_loss(isa)->vector_norm_bwd(&m[0], add, &m[5], &m[2], 0.3f);
}

static void run_vector_norm_jvp(gv_isa isa, gv_map *m, void *scratch, const kernel_call *c)
{
    (void)scratch;
    (void)c;
    gv_loss(isa)->vector_norm_jvp(&m[0], &m[1], &m[3], 0.3f);
}

static size_t doubles(int64_t (*count)(const gv_map *x), const int64_t *s)
{
    gv_map x = gv_map_blocked(s[0], s[1], s[2], s[3]);
    return (size_t)count(&x) * sizeof(double);
}

/* The three calls, with t and mask for all or each and the mask present or not. */
static void check_pair(const char *name, run_fn *const *run, const int64_t *s, size_t scratch,
                       int64_t kind, const float *lin, bool masks)
{
    for (int with = 0; with < (masks ? 4 : 2); with++) {
        check_map x = blocked_map(CHECK_IN, s), t = x, y = plane_map(CHECK_IN, s[0], 1, 1);
        check_map mask =
            plane_map(with & 2 ? CHECK_IN : CHECK_ABSENT, with & 1 ? 1 : s[0], s[2], s[3]);
        check_map out = y, dx = blocked_map(with & 1 ? CHECK_ADDED : CHECK_OUT, s), dt = dx;
        t.n = dt.n = with & 1 ? 1 : s[0];
        out.role = CHECK_OUT;
        kernel_call c = {.name = name, .scratch_bytes = scratch, .p = {kind}, .more = lin};
        const check_map maps[3][6] = {
            {out, x, t, mask}, {dx, dt, x, t, mask, y}, {out, x, t, x, t, mask}};
        for (int i = 0; i < 3; i++) {
            c.run = run[i];
            memcpy(c.maps, maps[i], sizeof maps[i]);
            kernel_check(&c);
        }
        c.maps[1 + with % 2].role = CHECK_ABSENT; /* one tangent alone */
        kernel_check(&c);
    }
}

static void test_distance(void **state)
{
    (void)state;
    run_fn *const run[] = {run_distance_fwd, run_distance_bwd, run_distance_jvp};
    for (int i = 0; i < check_shape_count; i++) {
        const int64_t *s = check_shapes[i];
        size_t scratch = doubles(gv_distance_doubles, s);
        if (i % 2)
            check_pair("distance L1", run, s, scratch, GV_DISTANCE_L1, NULL, true);
        else
            check_pair("distance L2", run, s, scratch, GV_DISTANCE_L2, NULL, true);
    }
}

static void test_lpips(void **state)
{
    (void)state;
    run_fn *const run[] = {run_lpips_fwd, run_lpips_bwd, run_lpips_jvp};
    for (int i = 0; i < check_shape_count; i++) {
        const int64_t *s = check_shapes[i];
        float lin[128] = {0};
        for (int64_t c = 0; c < s[1]; c++)
            lin[c] = (float)(c % 5) * 0.25f;
        check_pair("lpips", run, s, doubles(gv_lpips_doubles, s), 0, lin, true);
    }
}

static void test_vector_norm(void **state)
{
    (void)state;
    run_fn *const run[] = {run_vector_norm_fwd, run_vector_norm_bwd, run_vector_norm_jvp};
    const int64_t shapes[][4] = {{1, 3, 1, 1}, {3, 17, 1, 1}, {10, 512, 1, 1}};
    for (int i = 0; i < 3; i++)
        check_pair("vector_norm", run, shapes[i], 0, 0, NULL, false);
}

/* ---- gram ---- */

static void run_gram_fwd(gv_isa isa, gv_map *m, void *scratch, const kernel_call *c)
{
    (void)scratch;
    (void)c;
    gv_loss(isa)->gram_fwd(&m[0], &m[1]);
}

static void run_gram_bwd(gv_isa isa, gv_map *m, void *scratch, const kernel_call *c)
{
    gv_loss(isa)->gram_bwd(&m[0], adds(c, 0), &m[1], &m[2], scratch);
}

static void run_gram_jvp(gv_isa isa, gv_map *m, void *scratch, const kernel_call *c)
{
    (void)scratch;
    (void)c;
    gv_loss(isa)->gram_jvp(&m[0], &m[1], &m[2]);
}

static void test_gram(void **state)
{
    (void)state;
    for (int i = 0; i < check_shape_count; i++) {
        const int64_t *s = check_shapes[i], square[4] = {s[0], s[1], s[1], 1};
        check_map x = blocked_map(CHECK_IN, s);
        kernel_call c = {.name = "gram fwd", .run = run_gram_fwd};
        c.maps[0] = blocked_map(CHECK_OUT, square), c.maps[1] = x;
        kernel_check(&c);
        c.name = "gram jvp";
        c.run = run_gram_jvp;
        c.maps[2] = x;
        kernel_check(&c);
        c.name = "gram bwd";
        c.run = run_gram_bwd;
        c.scratch_bytes = (size_t)gv_gram_floats(s[1]) * sizeof(float);
        c.maps[0] = blocked_map(i % 2 ? CHECK_OUT : CHECK_ADDED, s);
        c.maps[1] = blocked_map(CHECK_IN, square);
        kernel_check(&c);
    }
}

static int bench(void)
{
    const int64_t shapes[][4] = {{1, 3, 64, 64}, {1, 64, 64, 64}, {1, 256, 16, 16}, {1, 512, 4, 4}};
    float lin[512];
    for (int i = 0; i < 512; i++)
        lin[i] = 0.5f;
    kernel_bench_header();
    for (int i = 0; i < 4; i++) {
        const int64_t *s = shapes[i], square[4] = {1, s[1], s[1], 1};
        check_map x = blocked_map(CHECK_IN, s), dx = blocked_map(CHECK_OUT, s);
        check_map y = plane_map(CHECK_OUT, s[0], 1, 1), dy = plane_map(CHECK_IN, s[0], 1, 1);
        const kernel_call calls[] = {
            {.name = "distance L1 fwd",
             .run = run_distance_fwd,
             .scratch_bytes = doubles(gv_distance_doubles, s),
             .maps = {y, x, x}},
            {.name = "distance L1 bwd", .run = run_distance_bwd, .maps = {dx, {0}, x, x, {0}, dy}},
            {.name = "lpips fwd",
             .run = run_lpips_fwd,
             .scratch_bytes = doubles(gv_lpips_doubles, s),
             .more = lin,
             .maps = {y, x, x}},
            {.name = "lpips bwd",
             .run = run_lpips_bwd,
             .scratch_bytes = doubles(gv_lpips_doubles, s),
             .more = lin,
             .maps = {dx, {0}, x, x, {0}, dy}},
            {.name = "gram fwd", .run = run_gram_fwd, .maps = {blocked_map(CHECK_OUT, square), x}},
            {.name = "gram bwd",
             .run = run_gram_bwd,
             .scratch_bytes = (size_t)gv_gram_floats(s[1]) * sizeof(float),
             .maps = {dx, blocked_map(CHECK_IN, square), x}},
        };
        for (size_t k = 0; k < sizeof calls / sizeof *calls; k++)
            kernel_bench(&calls[k]);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--bench") == 0)
        return bench();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distance),
        cmocka_unit_test(test_lpips),
        cmocka_unit_test(test_vector_norm),
        cmocka_unit_test(test_gram),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
