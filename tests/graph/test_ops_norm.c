/* instance_norm: see opcheck.h for what is checked. */
#include "opcheck.h"

#include "graph/ops_common.h"

#include <math.h>

/* q = {eps} */
static gv_status build_norm(gv_graph *g, gv_node *y, const gv_node *x, gv_weights *weights,
                            const op_case *c, gv_error *err)
{
    (void)weights;
    return gv_graph_instance_norm(g, y, x[0], (float)c->q[0], err);
}

static void norm_reference(double *y, const int64_t *d, const double *const *x, const op_case *c)
{
    int64_t pixels = d[2] * d[3];
    for (int64_t m = 0; m < d[0] * d[1]; m++) {
        const double *v = x[0] + m * pixels;
        double mean = 0, variance = 0;
        for (int64_t p = 0; p < pixels; p++)
            mean += v[p] / (double)pixels;
        for (int64_t p = 0; p < pixels; p++)
            variance += (v[p] - mean) * (v[p] - mean) / (double)pixels;
        for (int64_t p = 0; p < pixels; p++)
            y[m * pixels + p] = (v[p] - mean) / sqrt(variance + (double)(float)c->q[0]);
    }
}

static void test_instance_norm(void **state)
{
    (void)state;
    const int64_t shapes[][4] = {{1, 3, 7, 8}, {3, 17, 4, 4}, {2, 10, 63, 65}, {1, 100, 1, 9}};
    for (int k = 0; k < 4; k++) {
        const int64_t *s = shapes[k];
        op_case c = {.name = "instance_norm", .build = build_norm, .reference = norm_reference};
        c.q[0] = 1e-5;
        c.in[0] = (op_input){true, .n = s[0], .c = s[1], .h = s[2], .w = s[3]};
        opcheck(&c);
        c.name = "instance_norm, far from 0";
        c.in[0].low = 9;
        c.in[0].high = 11;
        opcheck(&c);
    }
}

/* A single pixel: the variance is 0, the result 0 and the derivative 0. */
static void one_pixel_is_zero(void **state)
{
    (void)state;
    gv_error err;
    gv_graph *g;
    gv_node x, y;
    float v[3] = {5, -7, 0}, got[3] = {1, 1, 1};
    const float zero[3] = {0};
    assert_int_equal(gv_graph_new(&g, GV_GRAPH_BWD, &err), GV_OK);
    assert_int_equal(gv_graph_input(g, &x, "x", 1, 3, 1, 1, true, &err), GV_OK);
    assert_int_equal(gv_graph_instance_norm(g, &y, x, 1e-5f, &err), GV_OK);
    assert_int_equal(gv_graph_output(g, y, "y", &err), GV_OK);
    assert_int_equal(gv_graph_build(g, &err), GV_OK);
    gv_graph_set(g, x, v);
    gv_graph_set_seed(g, y, v);
    assert_int_equal(gv_graph_fwd(g, 1, NULL, &err), GV_OK);
    gv_graph_get(g, y, got);
    gv_test_same_bits(got, zero, sizeof zero, "y");
    assert_int_equal(gv_graph_bwd(g, 1, NULL, &err), GV_OK);
    gv_graph_get_grad(g, x, got);
    for (int i = 0; i < 3; i++)
        assert_true(got[i] == 0.0f);
    assert_int_equal(gv_graph_instance_norm(g, &y, x, 0.0f, &err), GV_E_ARG);
    gv_graph_free(g);
}

static void all_are_checked(void **state)
{
    (void)state;
    opcheck_all_reached(gv_ops_norm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_instance_norm),
        cmocka_unit_test(one_pixel_is_zero),
        cmocka_unit_test(all_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
