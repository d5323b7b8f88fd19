/* modulate, demodulate, normalize_2nd_moment: see opcheck.h for what is checked. */
#include "opcheck.h"

#include "graph/ops_common.h"

#include <math.h>

/* ---- modulate ---- */

static gv_status build_modulate(gv_graph *g, gv_node *y, const gv_node *x, gv_weights *weights,
                                const op_case *c, gv_error *err)
{
    (void)weights;
    (void)c;
    return gv_graph_modulate(g, y, x[0], x[1], err);
}

static void modulate_reference(double *y, const int64_t *d, const double *const *x,
                               const op_case *c)
{
    (void)c;
    for (int64_t i = 0; i < d[0] * d[1] * d[2] * d[3]; i++)
        y[i] = x[0][i] * x[1][i / (d[2] * d[3])];
}

static void test_modulate(void **state)
{
    (void)state;
    const int64_t shapes[][4] = {{1, 3, 7, 8}, {3, 17, 9, 1}, {2, 10, 63, 65}, {1, 100, 4, 4}};
    op_case c = {.name = "modulate", .build = build_modulate, .reference = modulate_reference};
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
        const int64_t *s = shapes[k];
        c.in[0] = (op_input){true, .n = s[0], .c = s[1], .h = s[2], .w = s[3]};
        c.in[1] = (op_input){true, .n = s[0], .c = s[1], .h = 1, .w = 1};
        opcheck(&c);
    }
    c.name = "modulate, x its own factor";
    c.in[0] = (op_input){true, .n = 3, .c = 20, .h = 1, .w = 1};
    c.in[1] = (op_input){true, .same_as = 1};
    opcheck(&c);
}

/* StyleGAN2's first layer: one stored map for all samples. */
static gv_status build_modulated_const(gv_graph *g, gv_node *y, const gv_node *x,
                                       gv_weights *weights, const op_case *c, gv_error *err)
{
    gv_node map;
    gv_param p = {weights, "const"};
    gv_status status = gv_graph_weight(g, &map, p, c->in[0].n, c->in[0].c, 4, 4, false, err);
    return status == GV_OK ? gv_graph_modulate(g, y, map, x[0], err) : status;
}

static void modulated_const_reference(double *y, const int64_t *d, const double *const *x,
                                      const op_case *c)
{
    (void)c;
    const float *map = opcheck_weight_of("const", d[1] * 16);
    for (int64_t i = 0; i < d[0] * d[1] * 16; i++)
        y[i] = (double)map[i % (d[1] * 16)] * x[0][i / 16];
}

static void test_modulated_const(void **state)
{
    (void)state;
    op_case c = {.name = "modulate, a shared constant", .build = build_modulated_const};
    c.reference = modulated_const_reference;
    c.in[0] = (op_input){true, .n = 3, .c = 33, .h = 1, .w = 1};
    opcheck(&c);
}

/* ---- demodulate: p = {channels, kernel} ---- */

static gv_status build_demodulate(gv_graph *g, gv_node *y, const gv_node *x, gv_weights *weights,
                                  const op_case *c, gv_error *err)
{
    gv_param w = {weights, "filters"};
    return gv_graph_demodulate(g, y, x[0], w, c->p[0], c->p[1], err);
}

static void demodulate_reference(double *y, const int64_t *d, const double *const *x,
                                 const op_case *c)
{
    int64_t in = c->in[0].c, pixels = c->p[1] * c->p[1];
    const float *w = opcheck_weight_of("filters", d[1] * in * pixels);
    for (int64_t n = 0; n < d[0]; n++)
        for (int64_t o = 0; o < d[1]; o++) {
            double sum = 1e-8;
            for (int64_t i = 0; i < in * pixels; i++) {
                double v = (double)w[o * in * pixels + i] * x[0][n * in + i / pixels];
                sum += v * v;
            }
            y[n * d[1] + o] = 1.0 / sqrt(sum);
        }
}

static void test_demodulate(void **state)
{
    (void)state;
    const int64_t cases[][4] = {{1, 3, 10, 3}, {3, 17, 3, 1}, {2, 100, 33, 3}, {1, 10, 17, 3}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const int64_t *s = cases[k];
        op_case c = {.name = "demodulate", .build = build_demodulate};
        c.reference = demodulate_reference;
        c.p[0] = s[2];
        c.p[1] = s[3];
        c.in[0] = (op_input){true, .n = s[0], .c = s[1], .h = 1, .w = 1, .low = 0.3, .high = 2};
        opcheck(&c);
    }
}

/* ---- normalize_2nd_moment ---- */

static gv_status build_normalize(gv_graph *g, gv_node *y, const gv_node *x, gv_weights *weights,
                                 const op_case *c, gv_error *err)
{
    (void)weights;
    (void)c;
    return gv_graph_normalize_2nd_moment(g, y, x[0], err);
}

static void normalize_reference(double *y, const int64_t *d, const double *const *x,
                                const op_case *c)
{
    (void)c;
    for (int64_t n = 0; n < d[0]; n++) {
        double sum = 0;
        for (int64_t i = 0; i < d[1]; i++)
            sum += x[0][n * d[1] + i] * x[0][n * d[1] + i];
        for (int64_t i = 0; i < d[1]; i++)
            y[n * d[1] + i] = x[0][n * d[1] + i] / sqrt(sum / (double)d[1] + 1e-8);
    }
}

static void test_normalize(void **state)
{
    (void)state;
    const int64_t channels[] = {3, 10, 17, 512};
    for (int i = 0; i < 4; i++) {
        op_case c = {.name = "normalize_2nd_moment", .build = build_normalize};
        c.reference = normalize_reference;
        c.in[0] = (op_input){true, .n = 1 + i, .c = channels[i], .h = 1, .w = 1};
        opcheck(&c);
    }
}

/* ---- where only epsilon is left ---- */

/* x = 0 into the operation that `build` adds; y and the gradient for the seed 1. */
static void run_at_zero(gv_status (*build)(gv_graph *, gv_node *, const gv_node *, gv_weights *,
                                           const op_case *, gv_error *),
                        const op_case *c, float *y, float *dx)
{
    gv_error err;
    gv_graph *g;
    gv_weights *w;
    gv_node in, out;
    const float zero[3] = {0}, ones[3] = {1, 1, 1};
    assert_int_equal(gv_weights_new(&w, opcheck_read_weight, NULL, &err), GV_OK);
    assert_int_equal(gv_graph_new(&g, GV_GRAPH_BWD, &err), GV_OK);
    assert_int_equal(gv_graph_input(g, &in, "x", 1, 3, 1, 1, true, &err), GV_OK);
    assert_int_equal(build(g, &out, &in, w, c, &err), GV_OK);
    assert_int_equal(gv_graph_output(g, out, "y", &err), GV_OK);
    assert_int_equal(gv_graph_build(g, &err), GV_OK);
    gv_graph_set(g, in, zero);
    gv_graph_set_seed(g, out, ones);
    assert_int_equal(gv_graph_fwd(g, 1, NULL, &err), GV_OK);
    gv_graph_get(g, out, y);
    assert_int_equal(gv_graph_bwd(g, 1, NULL, &err), GV_OK);
    gv_graph_get_grad(g, in, dx);
    gv_graph_free(g);
    gv_weights_free(w);
}

/* 1 / sqrt(1e-8) is 1e4: the factor of a layer without style, the slope of a vector of zeros. */
static void epsilon_is_1e_8(void **state)
{
    (void)state;
    float y[3], dx[3];
    const op_case demodulate = {.p = {3, 3}}, normalize = {.name = NULL};
    run_at_zero(build_demodulate, &demodulate, y, dx);
    for (int i = 0; i < 3; i++)
        assert_true(fabsf(y[i] - 1e4f) < 0.01f && dx[i] == 0.0f);
    run_at_zero(build_normalize, &normalize, y, dx);
    for (int i = 0; i < 3; i++)
        assert_true(y[i] == 0.0f && fabsf(dx[i] - 1e4f) < 0.01f);
}

static void all_are_checked(void **state)
{
    (void)state;
    opcheck_all_reached(gv_ops_modulate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_modulate),   cmocka_unit_test(test_modulated_const),
        cmocka_unit_test(test_demodulate), cmocka_unit_test(test_normalize),
        cmocka_unit_test(epsilon_is_1e_8), cmocka_unit_test(all_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
