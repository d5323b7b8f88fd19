/* The graph engine: random graphs of small operations against an evaluation without any sharing of
 * memory, bit by bit, forward, backward and tangents; lifetimes, cancelling, failing memory. */
#include "support.h"

#include "base/memory.h"
#include "base/rng.h"
#include "graph/op.h"

#include <stdio.h>
#include <string.h>

/* ---- operations whose needs differ ---- */

static int fwd_runs; /* of product_fwd: shows which steps ran */

static int64_t floats_of(const gv_map *m)
{
    return gv_map_floats(m);
}

static void accumulate(float *dx, bool add, int64_t i, float v)
{
    dx[i] = add ? dx[i] + v : v;
}

/* y = 2 x: needs nothing, works in place. */
static void twice_fwd(const gv_step *s)
{
    for (int64_t i = 0; i < floats_of(&s->y); i++)
        s->y.data[i] = 2.0f * s->x[0].data[i];
}

static void twice_bwd(const gv_step *s)
{
    for (int64_t i = 0; i < floats_of(&s->y); i++)
        accumulate(s->dx[0].data, s->add[0], i, 2.0f * s->dy.data[i]);
}

static void twice_jvp(const gv_step *s)
{
    for (int64_t i = 0; i < floats_of(&s->y); i++)
        s->ty.data[i] = 2.0f * s->tx[0].data[i];
}

/* y = a b: needs both inputs; either may be constant. */
static void product_fwd(const gv_step *s)
{
    fwd_runs++;
    for (int64_t i = 0; i < floats_of(&s->y); i++)
        s->y.data[i] = s->x[0].data[i] * s->x[1].data[i];
}

static void product_bwd(const gv_step *s)
{
    for (int k = 0; k < 2; k++)
        for (int64_t i = 0; s->dx[k].data && i < floats_of(&s->y); i++)
            accumulate(s->dx[k].data, s->add[k], i, s->dy.data[i] * s->x[1 - k].data[i]);
}

static void product_jvp(const gv_step *s)
{
    for (int64_t i = 0; i < floats_of(&s->y); i++) {
        float a = s->tx[0].data ? s->tx[0].data[i] * s->x[1].data[i] : 0.0f;
        float b = s->tx[1].data ? s->tx[1].data[i] * s->x[0].data[i] : 0.0f;
        s->ty.data[i] = a + b;
    }
}

/* y = x / (1 + |x|): the derivative (1 - |y|)^2 needs y. In place. */
static void soft_fwd(const gv_step *s)
{
    float *scratch = s->scratch; /* overwritten to catch scratch that overlaps values */
    for (int64_t i = 0; i < floats_of(&s->y); i++) {
        float x = s->x[0].data[i];
        s->y.data[i] = x / (1.0f + (x < 0 ? -x : x));
    }
    for (int64_t i = 0; i < floats_of(&s->y); i++)
        scratch[i] = -1e30f;
}

static float soft_slope(float y)
{
    float r = 1.0f - (y < 0 ? -y : y);
    return r * r;
}

static void soft_bwd(const gv_step *s)
{
    for (int64_t i = 0; i < floats_of(&s->y); i++)
        accumulate(s->dx[0].data, s->add[0], i, s->dy.data[i] * soft_slope(s->y.data[i]));
}

static void soft_jvp(const gv_step *s)
{
    for (int64_t i = 0; i < floats_of(&s->y); i++)
        s->ty.data[i] = s->tx[0].data[i] * soft_slope(s->y.data[i]);
}

static const gv_op TWICE = {
    .name = "twice", .in_place = true, .fwd = twice_fwd, .bwd = twice_bwd, .jvp = twice_jvp};
static const gv_op PRODUCT = {.name = "product",
                              .needs = GV_NEED_X(0) | GV_NEED_X(1),
                              .fwd = product_fwd,
                              .bwd = product_bwd,
                              .jvp = product_jvp};
static const gv_op SOFT = {.name = "soft",
                           .needs = GV_NEED_Y,
                           .in_place = true,
                           .fwd = soft_fwd,
                           .bwd = soft_bwd,
                           .jvp = soft_jvp};
static const gv_op *const OPS[] = {&TWICE, &PRODUCT, &SOFT};

/* ---- the same graph without sharing ---- */

enum { SIZE = 32, NODES = 60, INPUTS = 4 }; /* two full blocks of one pixel: no padding lanes */

typedef struct sketch_node {
    int op, a, b; /* op -1: input */
    bool output;
    float value[SIZE], grad[SIZE], tangent[SIZE];
    bool varies, live, reached;
} sketch_node;

typedef struct sketch {
    sketch_node node[NODES];
    gv_torch_rng rng;
} sketch;

static uint32_t pick(sketch *k, uint32_t n)
{
    return gv_torch_randint(&k->rng, n);
}

static void make_sketch(sketch *k, uint64_t seed)
{
    memset(k, 0, sizeof *k);
    gv_torch_seed(&k->rng, seed);
    for (int i = 0; i < NODES; i++) {
        sketch_node *n = &k->node[i];
        n->op = i < INPUTS ? -1 : (int)pick(k, 3);
        if (n->op < 0) {
            n->varies = i % 2 == 0;
            gv_torch_randn(&k->rng, n->value, SIZE);
            gv_torch_randn(&k->rng, n->tangent, SIZE);
            continue;
        }
        uint32_t reach = i < 8 ? (uint32_t)i : 8u;
        n->a = i - 1 - (int)pick(k, reach);
        n->b = i - 1 - (int)pick(k, reach);
        n->varies = k->node[n->a].varies || (n->op == 1 && k->node[n->b].varies);
        n->output = pick(k, 7) == 0 || i == NODES - 1;
    }
    for (int i = NODES - 1; i >= INPUTS; i--) {
        sketch_node *n = &k->node[i];
        n->live = n->live || n->output;
        if (n->live) {
            k->node[n->a].live = true;
            k->node[n->b].live = k->node[n->b].live || n->op == 1;
        }
    }
}

/* The step a sketch node stands for, over the sketch's own arrays. */
static gv_step plain_step(sketch *k, sketch_node *n, float *scratch)
{
    gv_map m = gv_map_blocked(1, SIZE, 1, 1);
    gv_step s = {.inputs = n->op == 1 ? 2 : 1, .y = m, .dy = m, .ty = m, .scratch = scratch};
    s.y.data = n->value;
    s.dy.data = n->grad;
    s.ty.data = n->tangent;
    for (int i = 0; i < s.inputs; i++) {
        sketch_node *from = &k->node[i ? n->b : n->a];
        s.x[i] = s.dx[i] = s.tx[i] = m;
        s.x[i].data = from->value;
        s.dx[i].data = from->varies ? from->grad : NULL;
        s.tx[i].data = from->varies ? from->tangent : NULL;
    }
    return s;
}

static void evaluate_plainly(sketch *k, const float *seed)
{
    float scratch[SIZE];
    for (int i = INPUTS; i < NODES; i++) {
        gv_step s = plain_step(k, &k->node[i], scratch);
        OPS[k->node[i].op]->fwd(&s);
        if (k->node[i].varies)
            OPS[k->node[i].op]->jvp(&s);
    }
    for (int i = 0; i < NODES; i++)
        if (k->node[i].output && k->node[i].varies) {
            memcpy(k->node[i].grad, seed, sizeof k->node[i].grad);
            k->node[i].reached = true;
        }
    for (int i = NODES - 1; i >= INPUTS; i--) {
        sketch_node *n = &k->node[i];
        if (!n->varies || !n->live)
            continue;
        gv_step s = plain_step(k, n, scratch);
        for (int q = 0; q < s.inputs; q++) {
            sketch_node *from = &k->node[q ? n->b : n->a];
            s.add[q] = from->reached;
            from->reached = true;
        }
        OPS[n->op]->bwd(&s);
    }
}

/* ---- the same through the engine ---- */

static gv_status build_graph(const sketch *k, gv_graph **out, gv_node *nodes, unsigned modes,
                             gv_error *err)
{
    *out = NULL;
    gv_graph *g = NULL;
    gv_status status;
    GV_TRY(gv_graph_new(&g, modes, err));
    for (int i = 0; i < NODES; i++) {
        const sketch_node *n = &k->node[i];
        if (n->op < 0) {
            GV_TRY(gv_graph_input(g, &nodes[i], "x", 1, SIZE, 1, 1, n->varies, err));
            continue;
        }
        gv_node in[2] = {nodes[n->a], nodes[n->b]};
        gv_map shape = gv_map_blocked(1, SIZE, 1, 1);
        GV_TRY(gv_graph_append(g, &nodes[i], OPS[n->op], &shape, in, n->op == 1 ? 2 : 1, NULL, 0,
                               SIZE * sizeof(float), err));
        if (n->output)
            GV_TRY(gv_graph_output(g, nodes[i], NULL, err));
    }
    GV_TRY(gv_graph_build(g, err));
    *out = g;
    g = NULL;
done:
    gv_graph_free(g);
    return status;
}

static void set_inputs(const sketch *k, gv_graph *g, const gv_node *nodes, unsigned modes,
                       const float *seed)
{
    for (int i = 0; i < INPUTS; i++) {
        gv_graph_set(g, nodes[i], k->node[i].value);
        if (k->node[i].varies && (modes & GV_GRAPH_JVP))
            gv_graph_set_tangent(g, nodes[i], k->node[i].tangent);
    }
    for (int i = 0; i < NODES; i++)
        if (k->node[i].output)
            gv_graph_set_seed(g, nodes[i], seed);
}

static void compare_outputs(const sketch *k, const gv_graph *g, const gv_node *nodes,
                            unsigned modes)
{
    float got[SIZE];
    for (int i = 0; i < NODES; i++) {
        const sketch_node *n = &k->node[i];
        if (n->output) {
            gv_graph_get(g, nodes[i], got);
            gv_test_same_bits(got, n->value, sizeof got, "value");
        }
        if (n->output && n->varies && (modes & GV_GRAPH_JVP)) {
            gv_graph_get_tangent(g, nodes[i], got);
            gv_test_same_bits(got, n->tangent, sizeof got, "tangent");
        }
        if (n->op < 0 && n->varies && n->reached && (modes & GV_GRAPH_BWD)) {
            gv_graph_get_grad(g, nodes[i], got);
            gv_test_same_bits(got, n->grad, sizeof got, "gradient");
        }
    }
}

static void random_graphs(void **state)
{
    (void)state;
    static sketch k;
    float seed[SIZE];
    size_t smallest = (size_t)-1;
    const unsigned modes[] = {GV_GRAPH_FWD, GV_GRAPH_BWD, GV_GRAPH_JVP,
                              GV_GRAPH_BWD | GV_GRAPH_JVP};
    for (uint64_t round = 0; round < 200; round++) {
        make_sketch(&k, round);
        gv_torch_randn(&k.rng, seed, SIZE);
        evaluate_plainly(&k, seed);
        unsigned m = modes[round % 4];
        gv_graph *g;
        gv_node nodes[NODES];
        gv_error err;
        assert_int_equal(build_graph(&k, &g, nodes, m, &err), GV_OK);
        set_inputs(&k, g, nodes, m, seed);
        for (int again = 0; again < 2; again++) {
            assert_int_equal(gv_graph_fwd(g, 1, NULL, &err), GV_OK);
            /* With tangents, values are kept: jvp and bwd may repeat in any order. */
            for (int q = 0; q < (m & GV_GRAPH_JVP ? 2 : 1); q++) {
                if (m & GV_GRAPH_BWD)
                    assert_int_equal(gv_graph_bwd(g, 1, NULL, &err), GV_OK);
                if (m & GV_GRAPH_JVP)
                    assert_int_equal(gv_graph_jvp(g, 1, NULL, &err), GV_OK);
            }
            compare_outputs(&k, g, nodes, m);
        }
        if (gv_graph_bytes(g) < smallest)
            smallest = gv_graph_bytes(g);
        gv_graph_free(g);
    }
    /* Sharing must happen at all: a forward graph needs far less than one array a node. */
    assert_true(smallest < NODES * SIZE * sizeof(float) / 2);
}

/* ---- behaviour ---- */

/* target -> product -> (static) ; x * static -> output */
static void static_part_runs_once(void **state)
{
    (void)state;
    gv_graph *g;
    gv_node x, t, tt, y;
    gv_error err;
    gv_map shape = gv_map_blocked(1, SIZE, 1, 1);
    assert_int_equal(gv_graph_new(&g, GV_GRAPH_BWD, &err), GV_OK);
    assert_int_equal(gv_graph_input(g, &x, "x", 1, SIZE, 1, 1, true, &err), GV_OK);
    assert_int_equal(gv_graph_input(g, &t, "t", 1, SIZE, 1, 1, false, &err), GV_OK);
    /* the varying step is added first: order must not matter */
    gv_node xx[2] = {x, x}, square;
    assert_int_equal(gv_graph_append(g, &square, &PRODUCT, &shape, xx, 2, NULL, 0, 0, &err), GV_OK);
    gv_node two[2] = {t, t};
    assert_int_equal(gv_graph_append(g, &tt, &PRODUCT, &shape, two, 2, NULL, 0, 0, &err), GV_OK);
    gv_node in[2] = {square, tt};
    assert_int_equal(gv_graph_append(g, &y, &PRODUCT, &shape, in, 2, NULL, 0, 0, &err), GV_OK);
    gv_node dead;
    assert_int_equal(gv_graph_append(g, &dead, &PRODUCT, &shape, in, 2, NULL, 0, 0, &err), GV_OK);
    assert_int_equal(gv_graph_output(g, y, "y", &err), GV_OK);
    assert_int_equal(gv_graph_build(g, &err), GV_OK);
    assert_int_equal(gv_graph_steps(g), 3); /* the dead one is gone */

    float a[SIZE], got[SIZE];
    for (int i = 0; i < SIZE; i++)
        a[i] = (float)i;
    gv_graph_set(g, x, a);
    gv_graph_set(g, t, a);
    fwd_runs = 0;
    assert_int_equal(gv_graph_fwd(g, 1, NULL, &err), GV_OK);
    assert_int_equal(fwd_runs, 3);
    assert_int_equal(gv_graph_fwd(g, 1, NULL, &err), GV_OK);
    gv_graph_set(g, x, a);
    assert_int_equal(gv_graph_fwd(g, 1, NULL, &err), GV_OK);
    assert_int_equal(fwd_runs, 3 + 2 + 2);
    gv_graph_set(g, t, a);
    assert_int_equal(gv_graph_fwd(g, 1, NULL, &err), GV_OK);
    assert_int_equal(fwd_runs, 3 + 2 + 2 + 3);
    gv_graph_get(g, gv_graph_named(g, "y"), got);
    for (int i = 0; i < SIZE; i++)
        assert_float_equal(got[i], a[i] * a[i] * a[i] * a[i], 0.0f);
    gv_graph_free(g);
}

static gv_status make_and_free(void *ctx, gv_error *err)
{
    gv_graph *g;
    gv_node nodes[NODES];
    gv_status status = build_graph(ctx, &g, nodes, GV_GRAPH_BWD | GV_GRAPH_JVP, err);
    gv_graph_free(g);
    return status;
}

static void every_allocation_fails_once(void **state)
{
    (void)state;
    static sketch k;
    make_sketch(&k, 3);
    assert_true(gv_test_fail_each_allocation(make_and_free, &k) > 5);
}

static void cancelled_between_steps(void **state)
{
    (void)state;
    static sketch k;
    make_sketch(&k, 1);
    gv_graph *g;
    gv_node nodes[NODES];
    gv_error err;
    float seed[SIZE] = {0};
    assert_int_equal(build_graph(&k, &g, nodes, GV_GRAPH_BWD, &err), GV_OK);
    set_inputs(&k, g, nodes, GV_GRAPH_BWD, seed);
    gv_cancel cancel = {false};
    gv_cancel_request(&cancel);
    assert_int_equal(gv_graph_fwd(g, 1, &cancel, &err), GV_E_CANCELLED);
    /* and the graph is still usable */
    evaluate_plainly(&k, seed);
    assert_int_equal(gv_graph_fwd(g, 1, NULL, &err), GV_OK);
    compare_outputs(&k, g, nodes, GV_GRAPH_FWD);
    gv_graph_free(g);
}

static void wrong_use_is_refused(void **state)
{
    (void)state;
    static const gv_op no_gradient = {.name = "oneway", .fwd = twice_fwd};
    gv_graph *g;
    gv_node x, y;
    gv_error err;
    gv_map shape = gv_map_blocked(1, SIZE, 1, 1);
    assert_int_equal(gv_graph_new(&g, GV_GRAPH_BWD, &err), GV_OK);
    assert_int_equal(gv_graph_input(g, &x, "x", 1, 0, 1, 1, true, &err), GV_E_ARG);
    assert_string_equal(err.message, "graph: x has the impossible shape [1,0,1,1]");
    assert_int_equal(gv_graph_input(g, &x, "x", 1, SIZE, 1, 1, true, &err), GV_OK);
    assert_int_equal(gv_graph_append(g, &y, &no_gradient, &shape, &x, 1, NULL, 0, 0, &err),
                     GV_E_ARG);
    assert_string_equal(err.message, "oneway: has no gradient");
    gv_node stranger = {77};
    assert_int_equal(gv_graph_append(g, &y, &TWICE, &shape, &stranger, 1, NULL, 0, 0, &err),
                     GV_E_ARG);
    gv_node none = GV_NO_NODE;
    assert_int_equal(gv_graph_append(g, &y, &TWICE, &shape, &none, 1, NULL, 0, 0, &err), GV_E_ARG);
    assert_int_equal(gv_graph_output(g, stranger, "s", &err), GV_E_ARG);
    assert_int_equal(gv_graph_build(g, &err), GV_OK);
    assert_int_equal(gv_graph_build(g, &err), GV_E_ARG);
    assert_int_equal(gv_graph_append(g, &y, &TWICE, &shape, &x, 1, NULL, 0, 0, &err), GV_E_ARG);
    gv_graph_free(g);
}

static void profile_counts_steps(void **state)
{
    (void)state;
    static sketch k;
    make_sketch(&k, 2);
    gv_graph *g;
    gv_node nodes[NODES];
    gv_error err;
    float seed[SIZE] = {0};
    assert_int_equal(build_graph(&k, &g, nodes, GV_GRAPH_FWD, &err), GV_OK);
    set_inputs(&k, g, nodes, GV_GRAPH_FWD, seed);
    gv_graph_profile_start(g);
    assert_int_equal(gv_graph_fwd(g, 1, NULL, &err), GV_OK);
    for (size_t i = 0; i < gv_graph_steps(g); i++) {
        gv_profile_row row = gv_graph_profile(g, i);
        assert_int_equal(row.calls, 1);
        assert_true(row.fwd_seconds >= 0.0 && row.dims[1] == SIZE);
    }
    gv_graph_free(g);
}

/* ---- packed weights ---- */

static int reads;

static gv_status read_ramp(void *model, const char *name, float *dst, int64_t count, gv_error *err)
{
    (void)model;
    reads++;
    if (strcmp(name, "missing") == 0)
        return gv_fail(err, GV_E_FORMAT, "toy: no tensor '%s'", name);
    for (int64_t i = 0; i < count; i++)
        dst[i] = (float)(i + 1);
    return GV_OK;
}

static void reverse(void *dst, const float *src, int64_t count, const void *ctx)
{
    (void)ctx;
    for (int64_t i = 0; i < count; i++)
        ((float *)dst)[i] = src[count - 1 - i];
}

static void weights_are_packed_once(void **state)
{
    (void)state;
    gv_weights *w;
    gv_error err;
    assert_int_equal(gv_weights_new(&w, read_ramp, NULL, &err), GV_OK);
    gv_param p = {w, "a"};
    const void *one, *two, *plain;
    reads = 0;
    assert_int_equal(gv_weights_pack(&one, p, 5, "reverse", 20, reverse, NULL, &err), GV_OK);
    assert_int_equal(gv_weights_pack(&two, p, 5, "reverse", 20, reverse, NULL, &err), GV_OK);
    assert_ptr_equal(one, two);
    assert_int_equal(reads, 1);
    assert_int_equal(gv_weights_pack(&plain, p, 5, "plain", 20, NULL, NULL, &err), GV_OK);
    assert_float_equal(((const float *)one)[0], 5.0f, 0.0f);
    assert_float_equal(((const float *)plain)[0], 1.0f, 0.0f);
    assert_int_equal(gv_weights_bytes(w), 40);
    gv_param missing = {w, "missing"};
    assert_int_equal(gv_weights_pack(&two, missing, 5, "plain", 20, NULL, NULL, &err), GV_E_FORMAT);
    assert_null(two);
    assert_int_equal(gv_weights_bytes(w), 40);
    gv_weights_free(w);
}

static void weight_nodes_repeat_for_samples(void **state)
{
    (void)state;
    gv_weights *w;
    gv_graph *g;
    gv_node c;
    gv_error err;
    assert_int_equal(gv_weights_new(&w, read_ramp, NULL, &err), GV_OK);
    assert_int_equal(gv_graph_new(&g, GV_GRAPH_FWD, &err), GV_OK);
    gv_param p = {w, "const"};
    assert_int_equal(gv_graph_weight(g, &c, p, 3, 17, 2, 1, false, &err), GV_OK);
    int64_t dims[4];
    gv_graph_dims(g, c, dims);
    assert_int_equal(dims[0], 3);
    assert_int_equal(dims[1], 17);
    float got[3 * 17 * 2];

    assert_int_equal(gv_graph_output(g, c, "const", &err), GV_OK);
    assert_int_equal(gv_graph_build(g, &err), GV_OK);
    assert_int_equal(gv_graph_fwd(g, 1, NULL, &err), GV_OK);
    gv_graph_get(g, c, got);
    for (int i = 0; i < 3 * 34; i++)
        assert_float_equal(got[i], (float)(i % 34 + 1), 0.0f);
    gv_graph_free(g);
    gv_weights_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_graphs),
        cmocka_unit_test(static_part_runs_once),
        cmocka_unit_test(every_allocation_fails_once),
        cmocka_unit_test(cancelled_between_steps),
        cmocka_unit_test(wrong_use_is_refused),
        cmocka_unit_test(profile_counts_steps),
        cmocka_unit_test(weights_are_packed_once),
        cmocka_unit_test(weight_nodes_repeat_for_samples),
    };
    return cmocka_run_group_tests_name("graph", tests, NULL, NULL);
}
