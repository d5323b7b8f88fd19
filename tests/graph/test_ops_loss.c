/* distance, lpips_layer, gram, vector_norm, weighted_sum: see opcheck.h for what is checked. */
#include "opcheck.h"

#include "graph/ops_common.h"

#include <math.h>

static double mask_of(const op_case *c, const double *const *x, int64_t n, int64_t pixel)
{
    return x[2] ? x[2][at4(DIMS_OF(c->in[2]), n, 0, 0, pixel)] : 1.0;
}

/* Pairs x, t with t for all or each, mask absent, for all or each. */
static void check_pairs(op_case *c, const int64_t (*shapes)[4], int count)
{
    for (int k = 0; k < count; k++) {
        const int64_t *s = shapes[k];
        for (int with = 0; with < 6; with++) {
            int64_t mask = with / 2;
            c->in[0] = (op_input){true, .n = s[0], .c = s[1], .h = s[2], .w = s[3]};
            c->in[1] = c->in[0];
            c->in[1].n = with % 2 ? 1 : s[0];
            c->in[2] =
                (op_input){mask > 0, true, true, mask == 1 ? 1 : s[0], 1, s[2], s[3], 0, 1, 0};
            opcheck(c);
        }
    }
}

/* ---- distance: p = {kind}, q = {weight} ---- */

static gv_status build_distance(gv_graph *g, gv_node *y, const gv_node *x, gv_weights *weights,
                                const op_case *c, gv_error *err)
{
    (void)weights;
    return gv_graph_distance(g, y, x[0], x[1], x[2], (gv_distance)c->p[0], (float)c->q[0], err);
}

static void distance_reference(double *y, const int64_t *d, const double *const *x,
                               const op_case *c)
{
    const op_input *in = &c->in[0];
    for (int64_t n = 0; n < d[0]; n++) {
        y[n] = 0;
        for (int64_t k = 0; k < in->c; k++)
            for (int64_t p = 0; p < in->h * in->w; p++) {
                const op_input *t = c->in[1].same_as ? in : &c->in[1];
                double v = x[0][at4(DIMS_OF(*in), n, k, 0, p)] - x[1][at4(DIMS_OF(*t), n, k, 0, p)];
                y[n] += mask_of(c, x, n, p) * (c->p[0] == GV_DISTANCE_L1 ? fabs(v) : v * v);
            }
        y[n] *= (double)(float)c->q[0];
    }
}

static void test_distance(void **state)
{
    (void)state;
    const int64_t shapes[][4] = {{1, 3, 7, 9}, {3, 17, 5, 4}, {2, 10, 33, 65}};
    for (int kind = GV_DISTANCE_L1; kind <= GV_DISTANCE_L2; kind++) {
        op_case c = {.name = kind == GV_DISTANCE_L1 ? "distance, L1" : "distance, L2"};
        c.build = build_distance;
        c.reference = distance_reference;
        c.p[0] = kind;
        c.q[0] = 0.01;
        check_pairs(&c, shapes, 3);
    }
}

/* Equal pictures: 0, and no gradient; |v| at 0 has the derivative 0 as in torch. */
static void distance_of_equals(void **state)
{
    (void)state;
    for (int kind = GV_DISTANCE_L1; kind <= GV_DISTANCE_L2; kind++) {
        gv_error err;
        gv_graph *g;
        gv_node x, t, y;
        const float v[5] = {1, -2, 0, 3, 0.1f}, one = 1, zero[5] = {0};
        float got[5];
        assert_int_equal(gv_graph_new(&g, GV_GRAPH_BWD, &err), GV_OK);
        assert_int_equal(gv_graph_input(g, &x, "x", 1, 5, 1, 1, true, &err), GV_OK);
        assert_int_equal(gv_graph_input(g, &t, "t", 1, 5, 1, 1, false, &err), GV_OK);
        assert_int_equal(gv_graph_distance(g, &y, x, t, GV_NO_NODE, (gv_distance)kind, 1, &err),
                         GV_OK);
        assert_int_equal(gv_graph_output(g, y, "y", &err), GV_OK);
        assert_int_equal(gv_graph_build(g, &err), GV_OK);
        gv_graph_set(g, x, v);
        gv_graph_set(g, t, v);
        gv_graph_set_seed(g, y, &one);
        assert_int_equal(gv_graph_fwd(g, 1, NULL, &err), GV_OK);
        gv_graph_get(g, y, got);
        assert_true(got[0] == 0.0f);
        assert_int_equal(gv_graph_bwd(g, 1, NULL, &err), GV_OK);
        gv_graph_get_grad(g, x, got);
        gv_test_same_bits(got, zero, sizeof zero, "gradient");
        gv_graph_free(g);
    }
}

/* ---- lpips_layer ---- */

static gv_status build_lpips(gv_graph *g, gv_node *y, const gv_node *x, gv_weights *weights,
                             const op_case *c, gv_error *err)
{
    (void)c;
    return gv_graph_lpips_layer(g, y, x[0], x[1], x[2], (gv_param){weights, "lin"}, err);
}

static double length_at(const double *v, const int64_t *d, int64_t n, int64_t p)
{
    double sum = 0;
    for (int64_t k = 0; k < d[1]; k++)
        sum += v[at4(d, n, k, 0, p)] * v[at4(d, n, k, 0, p)];
    return sqrt(sum) + 1e-10;
}

static void lpips_reference(double *y, const int64_t *d, const double *const *x, const op_case *c)
{
    const op_input *in = &c->in[0];
    const int64_t *dx = DIMS_OF(c->in[0]), *dt = DIMS_OF(c->in[1]);
    const float *lin = opcheck_weight_of("lin", in->c);
    for (int64_t n = 0; n < d[0]; n++) {
        double sum = 0, total = 0;
        for (int64_t p = 0; p < in->h * in->w; p++) {
            double m = mask_of(c, x, n, p);
            double lx = length_at(x[0], dx, n, p), lt = length_at(x[1], dt, n, p);
            for (int64_t k = 0; k < in->c; k++) {
                double u = x[0][at4(dx, n, k, 0, p)] / lx - x[1][at4(dt, n, k, 0, p)] / lt;
                sum += m * (double)lin[k] * u * u;
            }
            total += m;
        }
        y[n] = sum / total;
    }
}

static void test_lpips(void **state)
{
    (void)state;
    const int64_t shapes[][4] = {{1, 3, 7, 9}, {3, 17, 5, 7}, {2, 100, 8, 8}};
    op_case c = {.name = "lpips_layer", .build = build_lpips, .reference = lpips_reference};
    c.bound = 2e-5; /* lin has both signs here, so that the sum cancels */
    check_pairs(&c, shapes, 3);
}

/* Pixels without features, as behind a ReLU, and a mask that leaves nothing. */
static void lpips_of_nothing(void **state)
{
    (void)state;
    gv_error err;
    gv_graph *g;
    gv_weights *w;
    gv_node x, t, mask, y;
    const float v[6] = {0, 1, 0, 2, 0, 3}, target[6] = {1, 1, 2, 2, 3, -3}, one = 1; /* [3,1,2] */
    float got[6], plane[2] = {1, 1}, value;
    assert_int_equal(gv_weights_new(&w, opcheck_read_weight, NULL, &err), GV_OK);
    assert_int_equal(gv_graph_new(&g, GV_GRAPH_BWD, &err), GV_OK);
    assert_int_equal(gv_graph_input(g, &x, "x", 1, 3, 1, 2, true, &err), GV_OK);
    assert_int_equal(gv_graph_input(g, &t, "t", 1, 3, 1, 2, false, &err), GV_OK);
    assert_int_equal(gv_graph_input_plane(g, &mask, "m", 1, 1, 2, false, &err), GV_OK);
    assert_int_equal(gv_graph_lpips_layer(g, &y, x, t, mask, (gv_param){w, "lin"}, &err), GV_OK);
    assert_int_equal(gv_graph_output(g, y, "y", &err), GV_OK);
    assert_int_equal(gv_graph_build(g, &err), GV_OK);
    gv_graph_set(g, x, v);
    gv_graph_set(g, t, target);
    gv_graph_set_seed(g, y, &one);
    for (int empty = 0; empty < 2; empty++) {
        plane[0] = plane[1] = empty ? 0.0f : 1.0f;
        gv_graph_set(g, mask, plane);
        assert_int_equal(gv_graph_fwd(g, 1, NULL, &err), GV_OK);
        gv_graph_get(g, y, &value);
        assert_true(isfinite(value) && (value == 0.0f) == (empty == 1));
        assert_int_equal(gv_graph_bwd(g, 1, NULL, &err), GV_OK);
        gv_graph_get_grad(g, x, got);
        for (int i = 0; i < 6; i++)
            assert_true(isfinite(got[i]) && (got[i] == 0.0f) == (empty || i % 2 == 0));
    }
    gv_graph_free(g);
    gv_weights_free(w);
}

/* ---- gram ---- */

static gv_status build_gram(gv_graph *g, gv_node *y, const gv_node *x, gv_weights *weights,
                            const op_case *c, gv_error *err)
{
    (void)weights;
    (void)c;
    return gv_graph_gram(g, y, x[0], err);
}

static void gram_reference(double *y, const int64_t *d, const double *const *x, const op_case *c)
{
    int64_t channels = d[1], pixels = c->in[0].h * c->in[0].w;
    for (int64_t n = 0; n < d[0]; n++)
        for (int64_t i = 0; i < channels; i++)
            for (int64_t j = 0; j < channels; j++) {
                const double *a = x[0] + (n * channels + i) * pixels;
                const double *b = x[0] + (n * channels + j) * pixels;
                double sum = 0;
                for (int64_t p = 0; p < pixels; p++)
                    sum += a[p] * b[p];
                y[(n * channels + i) * channels + j] = sum / (double)(channels * pixels);
            }
}

static void test_gram(void **state)
{
    (void)state;
    const int64_t shapes[][4] = {{1, 3, 7, 9}, {3, 17, 5, 4}, {1, 10, 63, 65}, {2, 100, 1, 8}};
    for (int k = 0; k < 4; k++) {
        const int64_t *s = shapes[k];
        op_case c = {.name = "gram", .build = build_gram, .reference = gram_reference};
        c.in[0] = (op_input){true, .n = s[0], .c = s[1], .h = s[2], .w = s[3]};
        opcheck(&c);
    }
}

/* ---- vector_norm: q = {weight} ---- */

static gv_status build_vector_norm(gv_graph *g, gv_node *y, const gv_node *x, gv_weights *weights,
                                   const op_case *c, gv_error *err)
{
    (void)weights;
    return gv_graph_vector_norm(g, y, x[0], x[1], (float)c->q[0], err);
}

static void vector_norm_reference(double *y, const int64_t *d, const double *const *x,
                                  const op_case *c)
{
    const int64_t *dx = DIMS_OF(c->in[0]), *dt = DIMS_OF(c->in[1]);
    for (int64_t n = 0; n < d[0]; n++) {
        double sum = 1e-12;
        for (int64_t k = 0; k < dx[1]; k++) {
            double v = x[0][at4(dx, n, k, 0, 0)] - x[1][at4(dt, n, k, 0, 0)];
            sum += v * v;
        }
        y[n] = (double)(float)c->q[0] * sqrt(sum);
    }
}

static void test_vector_norm(void **state)
{
    (void)state;
    const int64_t shapes[][4] = {{1, 3, 1, 1}, {3, 17, 1, 1}, {10, 512, 1, 1}};
    for (int k = 0; k < 3; k++)
        for (int shared = 0; shared < 2; shared++) {
            const int64_t *s = shapes[k];
            op_case c = {.name = "vector_norm", .build = build_vector_norm, .q = {0.3}};
            c.reference = vector_norm_reference;
            c.in[0] = c.in[1] = (op_input){true, .n = s[0], .c = s[1], .h = 1, .w = 1};
            c.in[1].n = shared ? 1 : s[0];
            opcheck(&c);
        }
}

/* Equal vectors: the root of 1e-12, and the gradient 0, which without it would be 0/0. */
static void vector_norm_of_equals(void **state)
{
    (void)state;
    gv_error err;
    gv_graph *g;
    gv_node x, t, y;
    const float v[3] = {1, -2, 0.1f}, one = 1, zero[3] = {0};
    float got[3];
    assert_int_equal(gv_graph_new(&g, GV_GRAPH_BWD, &err), GV_OK);
    assert_int_equal(gv_graph_input(g, &x, "x", 1, 3, 1, 1, true, &err), GV_OK);
    assert_int_equal(gv_graph_input(g, &t, "t", 1, 3, 1, 1, false, &err), GV_OK);
    assert_int_equal(gv_graph_vector_norm(g, &y, x, t, 2, &err), GV_OK);
    assert_int_equal(gv_graph_output(g, y, "y", &err), GV_OK);
    assert_int_equal(gv_graph_build(g, &err), GV_OK);
    gv_graph_set(g, x, v);
    gv_graph_set(g, t, v);
    gv_graph_set_seed(g, y, &one);
    assert_int_equal(gv_graph_fwd(g, 1, NULL, &err), GV_OK);
    gv_graph_get(g, y, got);
    assert_true(fabs((double)got[0] - 2e-6) < 1e-12);
    assert_int_equal(gv_graph_bwd(g, 1, NULL, &err), GV_OK);
    gv_graph_get_grad(g, x, got);
    gv_test_same_bits(got, zero, sizeof zero, "gradient");
    gv_graph_free(g);
}

/* ---- weighted_sum ---- */

static const float sum_weights[] = {0.5f, -2.0f, 3.0f};

static gv_status build_weighted_sum(gv_graph *g, gv_node *y, const gv_node *x, gv_weights *weights,
                                    const op_case *c, gv_error *err)
{
    (void)weights;
    (void)c;
    return gv_graph_weighted_sum(g, y, x, sum_weights, 3, err);
}

static void weighted_sum_reference(double *y, const int64_t *d, const double *const *x,
                                   const op_case *c)
{
    (void)c;
    for (int64_t n = 0; n < d[0]; n++)
        y[n] = 0.5 * x[0][n] - 2.0 * x[1][n] + 3.0 * x[2][n];
}

static void test_weighted_sum(void **state)
{
    (void)state;
    op_case c = {.name = "weighted_sum", .build = build_weighted_sum};
    c.reference = weighted_sum_reference;
    c.in[0] = c.in[1] = c.in[2] = (op_input){true, true, .n = 3, .c = 1, .h = 1, .w = 1};
    opcheck(&c);
    c.in[2] = (op_input){true, .same_as = 1};
    opcheck(&c);
}

/* ---- refusals ---- */

static void wrong_shapes_are_refused(void **state)
{
    (void)state;
    gv_error err;
    gv_graph *g;
    gv_node a, b, mask, moving, y;
    const float weight = 1;
    assert_int_equal(gv_graph_new(&g, GV_GRAPH_BWD, &err), GV_OK);
    assert_int_equal(gv_graph_input(g, &a, "a", 2, 5, 4, 4, true, &err), GV_OK);
    assert_int_equal(gv_graph_input(g, &b, "b", 2, 6, 4, 4, true, &err), GV_OK);
    assert_int_equal(gv_graph_input_plane(g, &mask, "m", 3, 4, 4, false, &err), GV_OK);
    assert_int_equal(gv_graph_input_plane(g, &moving, "v", 2, 4, 4, true, &err), GV_OK);
    const gv_node masks[] = {mask, moving, a};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(gv_graph_distance(g, &y, a, a, masks[i], GV_DISTANCE_L1, 1, &err),
                         GV_E_ARG);
        assert_int_equal(gv_graph_lpips_layer(g, &y, a, a, masks[i], GV_NO_PARAM, &err), GV_E_ARG);
    }
    assert_int_equal(gv_graph_distance(g, &y, a, b, GV_NO_NODE, GV_DISTANCE_L1, 1, &err), GV_E_ARG);
    assert_int_equal(gv_graph_lpips_layer(g, &y, a, b, GV_NO_NODE, GV_NO_PARAM, &err), GV_E_ARG);
    assert_int_equal(gv_graph_vector_norm(g, &y, a, a, 1, &err), GV_E_ARG);
    assert_int_equal(gv_graph_gram(g, &y, mask, &err), GV_E_ARG);
    assert_int_equal(gv_graph_weighted_sum(g, &y, &mask, &weight, 1, &err), GV_E_ARG);
    assert_int_equal(gv_graph_weighted_sum(g, &y, &mask, &weight, 9, &err), GV_E_ARG);
    gv_graph_free(g);
}

static void all_are_checked(void **state)
{
    (void)state;
    opcheck_all_reached(gv_ops_loss);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distance),
        cmocka_unit_test(distance_of_equals),
        cmocka_unit_test(test_lpips),
        cmocka_unit_test(lpips_of_nothing),
        cmocka_unit_test(test_gram),
        cmocka_unit_test(test_vector_norm),
        cmocka_unit_test(vector_norm_of_equals),
        cmocka_unit_test(test_weighted_sum),
        cmocka_unit_test(wrong_shapes_are_refused),
        cmocka_unit_test(all_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
