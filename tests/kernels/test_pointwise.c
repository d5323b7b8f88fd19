/* bias_act, add, affine, concat in every way of running them (kernelcheck.h); the accuracy of tanh;
 * --bench times them on shapes of StyleGAN2 at 64 pixels. */
#include "kernelcheck.h"

#include "kernels/pointwise.h"

#include <math.h>
#include <stdio.h>

static const float constants[128] = {0.3f, -0.8f, 1.1f, 0.2f, -1.5f}; /* biases, scales */

/* ---- bias_act: p = {with bias, from y}; more = gv_bias_act ---- */

static const float *bias_of(const kernel_call *c)
{
    return c->p[0] ? constants : NULL;
}

/* y; x, scale, noise */
static void run_bias_act_fwd(gv_isa isa, gv_map *m, void *scratch, const kernel_call *c)
{
    (void)scratch;
    gv_pointwise(isa)->bias_act_fwd(&m[0], &m[1], bias_of(c), c->more);
}

/* dx, dscale, dnoise; x, scale, noise; dy; y */
static void run_bias_act_bwd(gv_isa isa, gv_map *m, void *scratch, const kernel_call *c)
{
    (void)scratch;
    const bool add[3] = {adds(c, 0), adds(c, 1), adds(c, 2)};
    gv_pointwise(isa)->bias_act_bwd(&m[0], add, &m[6], &m[3], c->p[1] ? &m[7] : NULL, bias_of(c),
                                    c->more);
}

/* ty; tx, tscale, tnoise; x, scale, noise; y */
static void run_bias_act_jvp(gv_isa isa, gv_map *m, void *scratch, const kernel_call *c)
{
    (void)scratch;
    gv_pointwise(isa)->bias_act_jvp(&m[0], &m[1], &m[4], c->p[1] ? &m[7] : NULL, bias_of(c),
                                    c->more);
}

static const gv_bias_act acts[] = {{GV_ACT_LINEAR, 0, 0.7f, 0.4f, 0.5f, 0.3f},
                                   {GV_ACT_RELU, 0, 1.5f, 0, 1, 0.7f},
                                   {GV_ACT_LRELU, 0.2f, 1.4142135f, 0.6f, 1, -0.9f},
                                   {GV_ACT_TANH, 0, 1, 0, 1, 0.5f}};

static void check_bias_act(const int64_t *s, const gv_bias_act *a, int with)
{
    check_role scale = with & 1 ? CHECK_IN : CHECK_ABSENT;
    check_role noise = with & 2 ? CHECK_IN : CHECK_ABSENT;
    check_role grad = with & 4 ? CHECK_ADDED : CHECK_OUT;
    int64_t planes = with & 4 ? 1 : s[0];
    check_map x = blocked_map(CHECK_IN, s), sc = vector_map(scale, s[0], s[1]);
    check_map no = plane_map(noise, planes, s[2], s[3]);
    kernel_call c = {.name = "bias_act fwd",
                     .maps = {blocked_map(CHECK_OUT, s), x, sc, no},
                     .run = run_bias_act_fwd,
                     .p = {with & 4, 0},
                     .more = a};
    kernel_check(&c);
    /* The result is any numbers within what tanh allows. */
    c.p[1] = !(with & 1) && a->clamp == 0.0f;
    c.name = "bias_act bwd";
    c.run = run_bias_act_bwd;
    kernel_call bwd = c;
    const check_map maps[] = {blocked_map(grad, s),
                              vector_map(with & 1 ? grad : CHECK_ABSENT, s[0], s[1]),
                              plane_map(with & 2 ? grad : CHECK_ABSENT, planes, s[2], s[3]),
                              x,
                              sc,
                              no,
                              x,
                              x};
    memcpy(bwd.maps, maps, sizeof maps);
    kernel_check(&bwd);
    c.name = "bias_act jvp";
    c.run = run_bias_act_jvp;
    const check_map tangents[] = {blocked_map(CHECK_OUT, s), x, sc, no, x, sc, no, x};
    memcpy(c.maps, tangents, sizeof tangents);
    if (with & 4 && with & 3)
        c.maps[1].role = CHECK_ABSENT;
    kernel_check(&c);
}

static void test_bias_act(void **state)
{
    (void)state;
    for (int i = 0; i < check_shape_count; i++)
        for (int with = 0; with < 8; with++)
            check_bias_act(check_shapes[i], &acts[(i + with) % 4], with);
}

/* ---- add, affine, concat: p = {first channel} ---- */

static void run_add_fwd(gv_isa isa, gv_map *m, void *scratch, const kernel_call *c)
{
    (void)scratch;
    (void)c;
    gv_pointwise(isa)->add_fwd(&m[0], &m[1], &m[2], 0.7f);
}

static void run_add_bwd(gv_isa isa, gv_map *m, void *scratch, const kernel_call *c)
{
    (void)scratch;
    gv_pointwise(isa)->add_bwd(&m[0], adds(c, 0), &m[1], 0.7f);
}

static void run_affine_fwd(gv_isa isa, gv_map *m, void *scratch, const kernel_call *c)
{
    (void)scratch;
    gv_pointwise(isa)->affine_fwd(&m[0], &m[1], c->more, c->p[0] ? c->more : NULL);
}

static void run_affine_bwd(gv_isa isa, gv_map *m, void *scratch, const kernel_call *c)
{
    (void)scratch;
    gv_pointwise(isa)->affine_bwd(&m[0], adds(c, 0), &m[1], c->more);
}

static void run_concat_fwd(gv_isa isa, gv_map *m, void *scratch, const kernel_call *c)
{
    (void)scratch;
    for (int i = 1; i <= 2; i++) /* absent tangents still say how many channels */
        m[i].c = c->maps[i].c;
    gv_pointwise(isa)->concat_fwd(&m[0], &m[1], &m[2]);
}

static void run_concat_bwd(gv_isa isa, gv_map *m, void *scratch, const kernel_call *c)
{
    (void)scratch;
    gv_pointwise(isa)->concat_bwd(&m[0], adds(c, 0), &m[1], c->p[0]);
}

static void check_unary(const char *name, check_map out, check_map in, const float *constant,
                        void (*run)(gv_isa, gv_map *, void *, const kernel_call *))
{
    for (int64_t p = 0; p < 2; p++) {
        if (out.role != CHECK_OUT || p == 0) {
            kernel_call c = {.name = name, .maps = {out, in}, .run = run, .p = {p}};
            c.more = constant;
            kernel_check(&c);
        }
    }
}

static void test_add_and_affine(void **state)
{
    (void)state;
    for (int i = 0; i < check_shape_count; i++) {
        const int64_t *s = check_shapes[i];
        check_map in = blocked_map(CHECK_IN, s), out = blocked_map(CHECK_OUT, s);
        check_map more = blocked_map(CHECK_ADDED, s);
        kernel_call c = {.name = "add fwd", .maps = {out, in, in}, .run = run_add_fwd};
        kernel_check(&c);
        c.maps[1].role = CHECK_ABSENT;
        kernel_check(&c);
        check_unary("add bwd", out, in, NULL, run_add_bwd);
        check_unary("add bwd, added", more, in, NULL, run_add_bwd);
        check_unary("add bwd, planes", plane_map(CHECK_ADDED, s[0], s[2], s[3]),
                    plane_map(CHECK_IN, s[0], s[2], s[3]), NULL, run_add_bwd);
        /* constants are zero beyond the channels, as the graph packs them */
        float scale[128] = {0};
        memcpy(scale, constants, (size_t)(s[1] < 5 ? s[1] : 5) * sizeof *scale);
        check_unary("affine fwd", out, in, scale, run_affine_fwd);
        check_unary("affine bwd", out, in, scale, run_affine_bwd);
        check_unary("affine bwd, added", more, in, scale, run_affine_bwd);
    }
}

static void test_concat(void **state)
{
    (void)state;
    const int64_t channels[][2] = {{3, 3}, {16, 10}, {10, 16}, {17, 100}, {5, 11}, {40, 33}};
    for (int i = 0; i < 6; i++) {
        int64_t ca = channels[i][0], cb = channels[i][1];
        const int64_t both[4] = {2, ca + cb, 9, 7}, a[4] = {2, ca, 9, 7}, b[4] = {2, cb, 9, 7};
        kernel_call c = {.name = "concat fwd", .run = run_concat_fwd};
        c.maps[0] = blocked_map(CHECK_OUT, both);
        c.maps[1] = blocked_map(CHECK_IN, a);
        c.maps[2] = blocked_map(CHECK_IN, b);
        kernel_check(&c);
        c.maps[i % 2 + 1].role = CHECK_ABSENT;
        kernel_check(&c);
        c = (kernel_call){.name = "concat bwd", .run = run_concat_bwd, .p = {ca}};
        c.maps[0] = blocked_map(i % 2 ? CHECK_OUT : CHECK_ADDED, b);
        c.maps[1] = blocked_map(CHECK_IN, both);
        kernel_check(&c);
    }
}

/* ---- tanh ---- */

static double ulps(float got, double want)
{
    float near = (float)want;
    double ulp = (double)nextafterf(fabsf(near), INFINITY) - (double)fabsf(near);
    return fabs((double)got - want) / ulp;
}

/* Every 211th float, from the smallest to infinity, both signs. */
static void tanh_is_within_2_ulp(void **state)
{
    (void)state;
    const gv_bias_act a = {GV_ACT_TANH, 0, 1, 0, 1, 0};
    double worst = 0.0;
    float x[16 * 1024], y[16 * 1024], worst_x = 0.0f;
    gv_map mx = gv_map_blocked(1, 16, 1, 1024), my = mx;
    gv_map in[3] = {mx};
    in[0].data = x;
    my.data = y;
    for (uint32_t bits = 1; bits < 0x7f800000u;) {
        for (int i = 0; i < 16 * 1024; i++, bits += 211) {
            uint32_t b = (bits < 0x7f800000u ? bits : 0x7f800000u) | (uint32_t)(i % 2) << 31;
            memcpy(&x[i], &b, sizeof b);
        }
        gv_pointwise(gv_isa_best())->bias_act_fwd(&my, in, NULL, &a);
        for (int i = 0; i < 16 * 1024; i++) {
            double error = ulps(y[i], tanh((double)x[i]));
            if (!(error <= worst)) {
                worst = error;
                worst_x = x[i];
            }
        }
    }
    print_message("tanh: at most %.3f ulp off, at %.9g\n", worst, (double)worst_x);
    assert_true(worst <= 2.0);
}

static void nan_and_zero_pass(void **state)
{
    (void)state;
    for (int act = GV_ACT_LINEAR; act <= GV_ACT_TANH; act++) {
        const gv_bias_act a = {(gv_act)act, 0.2f, 1, 0.5f, 1, 0};
        float x[16] = {NAN, 0.0f, -0.0f}, y[16];
        gv_map mx = gv_map_blocked(1, 3, 1, 1), my = mx;
        gv_map in[3] = {mx};
        in[0].data = x;
        my.data = y;
        for (int isa = GV_ISA_BASE; isa <= (int)gv_isa_best(); isa++) {
            gv_pointwise((gv_isa)isa)->bias_act_fwd(&my, in, NULL, &a);
            assert_true(isnan(y[0]) && y[1] == 0.0f && y[2] == 0.0f);
        }
    }
}

/* At the clamp the gradient passes, beyond it not; at 0 a leaky ReLU has the slope of the negative
 * side: torch's conventions. */
static void gradients_at_kinks(void **state)
{
    (void)state;
    const gv_bias_act a = {GV_ACT_LRELU, 0.25f, 2, 1, 1, 0};
    float x[16] = {0.5f, nextafterf(0.5f, 1), -2.0f, nextafterf(-2.0f, -3), 0.0f, 0.1f, -0.1f};
    const float want[16] = {2, 0, 0.5f, 0, 0.5f, 2, 0.5f};
    float dx[16], dy[16] = {1, 1, 1, 1, 1, 1, 1};
    const bool add[3] = {false, false, false};
    gv_map shape = gv_map_blocked(1, 7, 1, 1);
    gv_map in[3] = {shape}, out[3] = {shape}, g = shape;
    in[0].data = x;
    out[0].data = dx;
    g.data = dy;
    for (int isa = GV_ISA_BASE; isa <= (int)gv_isa_best(); isa++) {
        gv_pointwise((gv_isa)isa)->bias_act_bwd(out, add, &g, in, NULL, NULL, &a);
        gv_test_same_bits(dx, want, sizeof want, "gradient");
    }
}

/* ---- bench ---- */

static int bench(void)
{
    const int64_t shapes[][4] = {
        {1, 512, 8, 8}, {1, 512, 32, 32}, {1, 256, 64, 64}, {1, 64, 64, 64}};
    const gv_bias_act a = {GV_ACT_LRELU, 0.2f, 1.4142135f, 256, 1, 0.3f};
    const gv_bias_act relu = {GV_ACT_RELU, 0, 1, 0, 1, 0};
    kernel_bench_header();
    for (int i = 0; i < 4; i++) {
        const int64_t *s = shapes[i];
        check_map x = blocked_map(CHECK_IN, s), y = blocked_map(CHECK_OUT, s);
        check_map scale = vector_map(CHECK_IN, s[0], s[1]),
                  noise = plane_map(CHECK_IN, 1, s[2], s[3]);
        check_map ds = vector_map(CHECK_OUT, s[0], s[1]);
        kernel_call c = {.more = &a, .name = "scale_bias_act fwd", .run = run_bias_act_fwd};
        c.maps[0] = y, c.maps[1] = x, c.maps[2] = scale, c.maps[3] = noise;
        kernel_bench(&c);
        c.name = "scale_bias_act bwd";
        c.run = run_bias_act_bwd;
        c.maps[1] = ds, c.maps[2].role = CHECK_ABSENT, c.maps[3] = x, c.maps[4] = scale;
        c.maps[5] = noise, c.maps[6] = x;
        kernel_bench(&c);
        c = (kernel_call){.more = &relu, .name = "relu fwd", .run = run_bias_act_fwd};
        c.maps[0] = y, c.maps[1] = x;
        kernel_bench(&c);
        c.name = "relu bwd";
        c.run = run_bias_act_bwd;
        c.p[1] = 1;
        c.maps[1].role = CHECK_ABSENT, c.maps[3] = x, c.maps[6] = x, c.maps[7] = x;
        kernel_bench(&c);
        c = (kernel_call){.name = "add fwd", .run = run_add_fwd, .maps = {y, x, x}};
        kernel_bench(&c);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--bench") == 0)
        return bench();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bias_act),     cmocka_unit_test(test_add_and_affine),
        cmocka_unit_test(test_concat),       cmocka_unit_test(tanh_is_within_2_ulp),
        cmocka_unit_test(nan_and_zero_pass), cmocka_unit_test(gradients_at_kinks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
