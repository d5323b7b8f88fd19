/* bias_act, add, affine, mask, concat: see opcheck.h for what is checked. */
#include "opcheck.h"

#include "graph/ops_common.h"

#include <math.h>

/* ---- bias_act: in = x, scale, noise; p = {with bias}; more = gv_bias_act ---- */

static gv_status build_bias_act(gv_graph *g, gv_node *y, const gv_node *x, gv_weights *weights,
                                const op_case *c, gv_error *err)
{
    gv_param bias = c->p[0] ? (gv_param){weights, "bias"} : GV_NO_PARAM;
    return gv_graph_bias_act(g, y, x[0], x[1], x[2], bias, c->more, err);
}

static double activated(double v, const gv_bias_act *a)
{
    switch (a->act) {
    case GV_ACT_RELU:
        v = v > 0 ? v : 0;
        break;
    case GV_ACT_LRELU:
        v = v > 0 ? v : v * (double)a->slope;
        break;
    case GV_ACT_TANH:
        v = tanh(v);
        break;
    case GV_ACT_LINEAR:
        break;
    }
    v *= (double)a->gain;
    double limit = a->clamp > 0 ? (double)a->clamp : INFINITY;
    return fmin(fmax(v, -limit), limit);
}

static void bias_act_reference(double *y, const int64_t *d, const double *const *x,
                               const op_case *c)
{
    const gv_bias_act *a = c->more;
    const float *bias = opcheck_weight_of("bias", d[1]);
    const int64_t noise[4] = {c->in[2].n, 1, d[2], d[3]};
    for (int64_t n = 0; n < d[0]; n++)
        for (int64_t k = 0; k < d[1]; k++)
            for (int64_t p = 0; p < d[2] * d[3]; p++) {
                int64_t i = at4(d, n, k, 0, p);
                double v = x[0][i] * (x[1] ? x[1][n * d[1] + k] : 1.0);
                if (x[2])
                    v += (double)a->noise_strength * x[2][at4(noise, n, 0, 0, p)];
                if (c->p[0])
                    v += (double)a->bias_gain * (double)bias[k];
                y[i] = activated(v, a);
            }
}

static op_case bias_act_case(const char *name, const gv_bias_act *a, bool bias)
{
    return (op_case){.name = name,
                     .build = build_bias_act,
                     .reference = bias_act_reference,
                     .p = {bias},
                     .more = a};
}

static void test_bias_act(void **state)
{
    (void)state;
    const gv_bias_act acts[] = {
        {GV_ACT_LINEAR, 0, 1, 0, 1, 0},
        {GV_ACT_LINEAR, 0, 0.7f, 0.4f, 0.5f, 0.3f},
        {GV_ACT_RELU, 0, 1, 0, 1, 0},
        {GV_ACT_RELU, 0, 1.5f, 0.5f, 1, 0.7f},
        {GV_ACT_LRELU, 0.2f, sqrtf(2), 0, 1, 0.4f},
        {GV_ACT_LRELU, 0.2f, sqrtf(2), 0.6f, 0.01f, -0.9f},
        {GV_ACT_TANH, 0, 1, 0, 1, 0.5f},
        {GV_ACT_TANH, 0, 2, 0.8f, 1, 0.5f},
    };
    const int64_t shapes[][4] = {{1, 3, 7, 9}, {3, 17, 5, 3}, {1, 10, 8, 1}};
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
        for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++)
            for (int with = 0; with < 8; with++) {
                const int64_t *s = shapes[k];
                op_case c = bias_act_case("bias_act", &acts[i], with & 1);
                c.in[0] = (op_input){true, .n = s[0], .c = s[1], .h = s[2], .w = s[3]};
                if (with & 2)
                    c.in[1] = (op_input){true,   .n = s[0],  .c = s[1], .h = 1,
                                         .w = 1, .low = 0.2, .high = 2};
                if (with & 4) /* shared by the samples, or one each */
                    c.in[2] = (op_input){true,   true,      .n = with & 1 ? 1 : s[0],
                                         .c = 1, .h = s[2], .w = s[3]};
                opcheck(&c);
            }
}

/* Long sums for the scale: more pixels than one float sum takes. */
static void test_bias_act_large(void **state)
{
    (void)state;
    const gv_bias_act a = {GV_ACT_LRELU, 0.2f, 1.4f, 256, 1, 0.3f};
    op_case c = bias_act_case("bias_act, many pixels", &a, true);
    c.in[0] = (op_input){true, .n = 2, .c = 17, .h = 63, .w = 65};
    c.in[1] = (op_input){true, .n = 2, .c = 17, .h = 1, .w = 1};
    c.in[2] = (op_input){true, true, .n = 1, .c = 1, .h = 63, .w = 65};
    opcheck(&c);
}

/* x and scale are one vector. */
static void test_bias_act_same(void **state)
{
    (void)state;
    const gv_bias_act a = {GV_ACT_LRELU, 0.2f, 1, 0, 1, 0};
    op_case c = bias_act_case("bias_act, x its own scale", &a, true);
    c.in[0] = (op_input){true, .n = 3, .c = 20, .h = 1, .w = 1};
    c.in[1] = (op_input){true, .same_as = 1};
    opcheck(&c);
}

/* ---- add ---- */

static gv_status build_add(gv_graph *g, gv_node *y, const gv_node *x, gv_weights *weights,
                           const op_case *c, gv_error *err)
{
    (void)weights;
    return gv_graph_add(g, y, x[0], x[1], (float)c->q[0], err);
}

static void add_reference(double *y, const int64_t *d, const double *const *x, const op_case *c)
{
    for (int64_t i = 0; i < d[0] * d[1] * d[2] * d[3]; i++)
        y[i] = (double)(float)c->q[0] * (x[0][i] + x[1][i]);
}

static void test_add(void **state)
{
    (void)state;
    op_case c = {.name = "add", .build = build_add, .reference = add_reference, .q = {0.7}};
    c.in[0] = c.in[1] = (op_input){true, .n = 3, .c = 10, .h = 9, .w = 7};
    opcheck(&c);
    c.in[1] = (op_input){true, .same_as = 1};
    opcheck(&c);
    c.name = "add, planes";
    c.in[0] = c.in[1] = (op_input){true, true, .n = 3, .c = 1, .h = 9, .w = 7};
    opcheck(&c);
}

/* ---- affine ---- */

static gv_status build_affine(gv_graph *g, gv_node *y, const gv_node *x, gv_weights *weights,
                              const op_case *c, gv_error *err)
{
    (void)weights;
    int64_t k = c->in[0].c;
    return gv_graph_affine(g, y, x[0], opcheck_weight_of("scale", k), opcheck_weight_of("shift", k),
                           err);
}

static void affine_reference(double *y, const int64_t *d, const double *const *x, const op_case *c)
{
    (void)c;
    const float *scale = opcheck_weight_of("scale", d[1]),
                *shift = opcheck_weight_of("shift", d[1]);
    for (int64_t i = 0; i < d[0] * d[1] * d[2] * d[3]; i++) {
        int64_t k = i / (d[2] * d[3]) % d[1];
        y[i] = (double)scale[k] * x[0][i] + (double)shift[k];
    }
}

static void test_affine(void **state)
{
    (void)state;
    op_case c = {.name = "affine", .build = build_affine, .reference = affine_reference};
    c.in[0] = (op_input){true, .n = 3, .c = 17, .h = 8, .w = 9};
    opcheck(&c);
    c.in[0] = (op_input){true, .n = 1, .c = 100, .h = 1, .w = 1};
    opcheck(&c);
}

/* ---- mask ---- */

static gv_status build_mask(gv_graph *g, gv_node *y, const gv_node *x, gv_weights *weights,
                            const op_case *c, gv_error *err)
{
    (void)weights;
    (void)c;
    return gv_graph_mask(g, y, x[0], x[1], err);
}

static void mask_reference(double *y, const int64_t *d, const double *const *x, const op_case *c)
{
    const int64_t *mask = DIMS_OF(c->in[1]);
    for (int64_t n = 0; n < d[0]; n++)
        for (int64_t k = 0; k < d[1]; k++)
            for (int64_t p = 0; p < d[2] * d[3]; p++)
                y[at4(d, n, k, 0, p)] = x[0][at4(d, n, k, 0, p)] * x[1][at4(mask, n, 0, 0, p)];
}

static void test_mask(void **state)
{
    (void)state;
    for (int shared = 0; shared < 2; shared++) {
        op_case c = {.name = "mask", .build = build_mask, .reference = mask_reference};
        c.in[0] = (op_input){true, .n = 3, .c = 17, .h = 8, .w = 9};
        c.in[1] = (op_input){true, true, true, shared ? 1 : 3, 1, 8, 9, 0, 1, 0};
        opcheck(&c);
    }
}

/* ---- concat ---- */

static gv_status build_concat(gv_graph *g, gv_node *y, const gv_node *x, gv_weights *weights,
                              const op_case *c, gv_error *err)
{
    (void)weights;
    (void)c;
    return gv_graph_concat(g, y, x[0], x[1], err);
}

static void concat_reference(double *y, const int64_t *d, const double *const *x, const op_case *c)
{
    int64_t pixels = d[2] * d[3], ca = c->in[0].c, cb = d[1] - ca;
    for (int64_t n = 0; n < d[0]; n++)
        for (int64_t i = 0; i < d[1] * pixels; i++)
            y[n * d[1] * pixels + i] = i < ca * pixels ? x[0][n * ca * pixels + i]
                                                       : x[1][n * cb * pixels + i - ca * pixels];
}

static void test_concat(void **state)
{
    (void)state;
    const int64_t channels[][2] = {{3, 3}, {16, 10}, {10, 16}, {17, 100}, {5, 11}, {40, 33}};
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) {
        op_case c = {.name = "concat", .build = build_concat, .reference = concat_reference};
        c.in[0] = (op_input){true, .n = 2, .c = channels[i][0], .h = 3, .w = 7};
        c.in[1] = (op_input){true, .n = 2, .c = channels[i][1], .h = 3, .w = 7};
        opcheck(&c);
    }
    op_case c = {.name = "concat with itself", .build = build_concat};
    c.reference = concat_reference;
    c.in[0] = (op_input){true, .n = 3, .c = 10, .h = 3, .w = 3};
    c.in[1] = (op_input){true, .same_as = 1};
    opcheck(&c);
}

/* ---- refusals ---- */

static void wrong_shapes_are_refused(void **state)
{
    (void)state;
    gv_error err;
    gv_graph *g;
    gv_node a, b, plane, vector, y;
    const gv_bias_act act = {GV_ACT_LRELU, 0.2f, 1, 0, 1, 0};
    gv_bias_act bad = act;
    assert_int_equal(gv_graph_new(&g, GV_GRAPH_FWD, &err), GV_OK);
    assert_int_equal(gv_graph_input(g, &a, "a", 2, 5, 4, 4, false, &err), GV_OK);
    assert_int_equal(gv_graph_input(g, &b, "b", 2, 6, 4, 3, false, &err), GV_OK);
    assert_int_equal(gv_graph_input(g, &vector, "v", 2, 6, 1, 1, false, &err), GV_OK);
    assert_int_equal(gv_graph_input_plane(g, &plane, "p", 2, 4, 3, false, &err), GV_OK);
    assert_int_equal(gv_graph_add(g, &y, a, b, 1, &err), GV_E_ARG);
    assert_int_equal(gv_graph_add(g, &y, b, plane, 1, &err), GV_E_ARG);
    assert_int_equal(gv_graph_concat(g, &y, a, b, &err), GV_E_ARG);
    assert_int_equal(gv_graph_affine(g, &y, plane, &act.gain, &act.gain, &err), GV_E_ARG);
    assert_int_equal(
        gv_graph_bias_act(g, &y, plane, GV_NO_NODE, GV_NO_NODE, GV_NO_PARAM, &act, &err), GV_E_ARG);
    assert_int_equal(gv_graph_bias_act(g, &y, a, vector, GV_NO_NODE, GV_NO_PARAM, &act, &err),
                     GV_E_ARG);
    assert_int_equal(gv_graph_bias_act(g, &y, a, GV_NO_NODE, plane, GV_NO_PARAM, &act, &err),
                     GV_E_ARG);
    bad.gain = -1;
    assert_int_equal(gv_graph_bias_act(g, &y, a, GV_NO_NODE, GV_NO_NODE, GV_NO_PARAM, &bad, &err),
                     GV_E_ARG);
    gv_graph_free(g);
}

static void all_are_checked(void **state)
{
    (void)state;
    opcheck_all_reached(gv_ops_pointwise);
    opcheck_all_reached(gv_ops_mask);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bias_act),      cmocka_unit_test(test_bias_act_large),
        cmocka_unit_test(test_bias_act_same), cmocka_unit_test(test_add),
        cmocka_unit_test(test_affine),        cmocka_unit_test(test_mask),
        cmocka_unit_test(test_concat),        cmocka_unit_test(wrong_shapes_are_refused),
        cmocka_unit_test(all_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
