/* fir, upsample2, max_pool2, adaptive_avg_pool: see opcheck.h for what is checked. */
#include "opcheck.h"

#include "graph/ops_common.h"

#include <math.h>

static const int64_t shapes[][4] = {{1, 3, 7, 8},   {3, 17, 5, 4},  {1, 10, 63, 65},
                                    {2, 100, 4, 4}, {1, 5, 9, 130}, {1, 17, 2, 3}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static op_input map_input(const int64_t *s)
{
    return (op_input){true, .n = s[0], .c = s[1], .h = s[2], .w = s[3]};
}

/* ---- fir: p = {up, before, after}; more = taps ---- */

static gv_status build_fir(gv_graph *g, gv_node *y, const gv_node *x, gv_weights *weights,
                           const op_case *c, gv_error *err)
{
    (void)weights;
    return gv_graph_fir(g, y, x[0], c->more, c->p[0], c->p[1], c->p[2], err);
}

/* Sample (row, column) of x after zero insertion and padding. */
static double padded(const double *x, const op_case *c, int64_t row, int64_t column)
{
    int64_t up = c->p[0], r = row - c->p[1], k = column - c->p[1];
    if (r < 0 || k < 0 || r % up != 0 || k % up != 0 || r / up >= c->in[0].h ||
        k / up >= c->in[0].w)
        return 0.0;
    return x[r / up * c->in[0].w + k / up];
}

static void fir_reference(double *y, const int64_t *d, const double *const *x, const op_case *c)
{
    const float *taps = c->more;
    for (int64_t m = 0; m < d[0] * d[1]; m++)
        for (int64_t p = 0; p < d[2] * d[3]; p++) {
            double sum = 0;
            for (int i = 0; i < 16; i++)
                sum += (double)taps[i / 4] * (double)taps[i % 4] *
                       padded(x[0] + m * c->in[0].h * c->in[0].w, c, p / d[3] + i / 4,
                              p % d[3] + i % 4);
            y[m * d[2] * d[3] + p] = sum;
        }
}

static void test_fir(void **state)
{
    (void)state;
    const float even[4] = {0.25f, 0.75f, 0.75f, 0.25f}, odd[4] = {0.1f, -0.7f, 0.4f, 0.9f};
    const int64_t pads[][3] = {{1, 1, 1}, {2, 2, 1}, {1, 2, 2}, {1, 3, 0}, {2, 0, 3}, {2, 1, 1}};
    for (size_t i = 0; i < sizeof pads / sizeof *pads; i++)
        for (int k = 0; k < SHAPES; k++) {
            op_case c = {.name = pads[i][0] == 1 ? "fir" : "fir, up 2", .build = build_fir};
            c.reference = fir_reference;
            c.more = k % 2 ? odd : even;
            for (int j = 0; j < 3; j++)
                c.p[j] = pads[i][j];
            c.in[0] = map_input(shapes[k]);
            opcheck(&c);
        }
}

/* ---- upsample2 ---- */

static gv_status build_upsample2(gv_graph *g, gv_node *y, const gv_node *x, gv_weights *weights,
                                 const op_case *c, gv_error *err)
{
    (void)weights;
    (void)c;
    return gv_graph_upsample2(g, y, x[0], err);
}

static void upsample2_reference(double *y, const int64_t *d, const double *const *x,
                                const op_case *c)
{
    (void)c;
    for (int64_t i = 0; i < d[0] * d[1] * d[2] * d[3]; i++) {
        int64_t row = i / d[3], column = i % d[3];
        y[i] = x[0][(row / d[2] * d[2] / 2 + row % d[2] / 2) * (d[3] / 2) + column / 2];
    }
}

static void test_upsample2(void **state)
{
    (void)state;
    for (int k = 0; k < SHAPES; k++) {
        op_case c = {.name = "upsample2", .build = build_upsample2};
        c.reference = upsample2_reference;
        c.in[0] = map_input(shapes[k]);
        opcheck(&c);
    }
}

/* ---- max_pool2 ---- */

static gv_status build_max_pool2(gv_graph *g, gv_node *y, const gv_node *x, gv_weights *weights,
                                 const op_case *c, gv_error *err)
{
    (void)weights;
    (void)c;
    return gv_graph_max_pool2(g, y, x[0], err);
}

static void max_pool2_reference(double *y, const int64_t *d, const double *const *x,
                                const op_case *c)
{
    int64_t w = c->in[0].w, pixels = c->in[0].h * w;
    for (int64_t m = 0; m < d[0] * d[1]; m++)
        for (int64_t p = 0; p < d[2] * d[3]; p++) {
            const double *v = x[0] + m * pixels + p / d[3] * 2 * w + p % d[3] * 2;
            y[m * d[2] * d[3] + p] = fmax(fmax(v[0], v[1]), fmax(v[w], v[w + 1]));
        }
}

static void test_max_pool2(void **state)
{
    (void)state;
    for (int k = 0; k < SHAPES; k++) {
        op_case c = {.name = "max_pool2", .build = build_max_pool2};
        c.reference = max_pool2_reference;
        c.in[0] = map_input(shapes[k]);
        opcheck(&c);
    }
}

/* Equal values: the gradient goes to the first in row order; a NaN is passed on. */
static void max_pool2_takes_the_first(void **state)
{
    (void)state;
    const float x[] = {1, 1, 0, 2, NAN, 1, /* row */ 1, 1, 2, 2, 3, 1};
    const float want[] = {1, 0, 0, 1, 1, 0, /* row */ 0, 0, 0, 0, 0, 0}, ones[] = {1, 1, 1};
    float y[3], dx[12], ty[3];
    gv_error err;
    gv_graph *g;
    gv_node in, out;
    assert_int_equal(gv_graph_new(&g, GV_GRAPH_BWD | GV_GRAPH_JVP, &err), GV_OK);
    assert_int_equal(gv_graph_input(g, &in, "x", 1, 1, 2, 6, true, &err), GV_OK);
    assert_int_equal(gv_graph_max_pool2(g, &out, in, &err), GV_OK);
    assert_int_equal(gv_graph_output(g, out, "y", &err), GV_OK);
    assert_int_equal(gv_graph_build(g, &err), GV_OK);
    gv_graph_set(g, in, x);
    gv_graph_set_tangent(g, in, want);
    gv_graph_set_seed(g, out, ones);
    assert_int_equal(gv_graph_fwd(g, 1, NULL, &err), GV_OK);
    assert_int_equal(gv_graph_bwd(g, 1, NULL, &err), GV_OK);
    assert_int_equal(gv_graph_jvp(g, 1, NULL, &err), GV_OK);
    gv_graph_get(g, out, y);
    gv_graph_get_grad(g, in, dx);
    gv_graph_get_tangent(g, out, ty);
    assert_true(y[0] == 1 && y[1] == 2 && isnan(y[2]));
    gv_test_same_bits(dx, want, sizeof want, "gradient of equal values");
    gv_test_same_bits(ty, ones, sizeof ones, "tangent of equal values");
    gv_graph_free(g);
}

/* ---- adaptive_avg_pool: p = {h, w} ---- */

static gv_status build_avg_pool(gv_graph *g, gv_node *y, const gv_node *x, gv_weights *weights,
                                const op_case *c, gv_error *err)
{
    (void)weights;
    return gv_graph_adaptive_avg_pool(g, y, x[0], c->p[0], c->p[1], err);
}

/* PyTorch's bounds, in floating point as its documentation has them. */
static int64_t begin_of(int64_t i, int64_t in, int64_t out)
{
    return (int64_t)floor((double)(i * in) / (double)out);
}

static int64_t end_of(int64_t i, int64_t in, int64_t out)
{
    return (int64_t)ceil((double)((i + 1) * in) / (double)out);
}

static void avg_pool_reference(double *y, const int64_t *d, const double *const *x,
                               const op_case *c)
{
    int64_t h = c->in[0].h, w = c->in[0].w;
    for (int64_t m = 0; m < d[0] * d[1]; m++)
        for (int64_t i = 0; i < d[2]; i++)
            for (int64_t j = 0; j < d[3]; j++) {
                double sum = 0, count = 0;
                for (int64_t r = begin_of(i, h, d[2]); r < end_of(i, h, d[2]); r++)
                    for (int64_t k = begin_of(j, w, d[3]); k < end_of(j, w, d[3]); k++) {
                        sum += x[0][m * h * w + r * w + k];
                        count++;
                    }
                y[(m * d[2] + i) * d[3] + j] = sum / count;
            }
}

static void test_avg_pool(void **state)
{
    (void)state;
    const int64_t cases[][6] = {/* n, c, h, w -> h, w */
                                {1, 3, 7, 8, 3, 4},   {3, 17, 9, 9, 4, 1}, {1, 10, 63, 65, 16, 8},
                                {2, 33, 4, 4, 4, 4},  {1, 3, 5, 3, 7, 9},  {1, 1, 63, 65, 8, 7},
                                {3, 1, 16, 16, 4, 4}, {1, 1, 7, 1, 1, 1}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        op_case c = {.name = "adaptive_avg_pool", .build = build_avg_pool};
        c.reference = avg_pool_reference;
        c.p[0] = cases[k][4];
        c.p[1] = cases[k][5];
        c.in[0] = map_input(cases[k]);
        c.in[0].plane = cases[k][1] == 1;
        opcheck(&c);
    }
}

static void wrong_shapes_are_refused(void **state)
{
    (void)state;
    gv_error err;
    gv_graph *g;
    gv_node a, plane, y;
    const float taps[4] = {1, 1, 1, 1};
    assert_int_equal(gv_graph_new(&g, GV_GRAPH_FWD, &err), GV_OK);
    assert_int_equal(gv_graph_input(g, &a, "a", 1, 5, 1, 4, false, &err), GV_OK);
    assert_int_equal(gv_graph_input_plane(g, &plane, "p", 1, 4, 3, false, &err), GV_OK);
    assert_int_equal(gv_graph_fir(g, &y, a, taps, 3, 1, 1, &err), GV_E_ARG);
    assert_int_equal(gv_graph_fir(g, &y, a, taps, 1, 1, 1, &err), GV_E_ARG);
    assert_int_equal(gv_graph_fir(g, &y, a, taps, 1, -1, 1, &err), GV_E_ARG);
    assert_int_equal(gv_graph_fir(g, &y, plane, taps, 1, 1, 1, &err), GV_E_ARG);
    assert_int_equal(gv_graph_upsample2(g, &y, plane, &err), GV_E_ARG);
    assert_int_equal(gv_graph_max_pool2(g, &y, plane, &err), GV_E_ARG);
    assert_int_equal(gv_graph_max_pool2(g, &y, a, &err), GV_E_ARG);
    assert_int_equal(gv_graph_adaptive_avg_pool(g, &y, a, 0, 1, &err), GV_E_ARG);
    gv_graph_free(g);
}

static void all_are_checked(void **state)
{
    (void)state;
    opcheck_all_reached(gv_ops_resample);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fir),        cmocka_unit_test(test_upsample2),
        cmocka_unit_test(test_max_pool2),  cmocka_unit_test(max_pool2_takes_the_first),
        cmocka_unit_test(test_avg_pool),   cmocka_unit_test(wrong_shapes_are_refused),
        cmocka_unit_test(all_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
