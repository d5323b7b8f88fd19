#include "opcheck.h"

#include "graph/internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOUND_FORWARD 4e-6
#define BOUND_DIFFERENCE 1e-4
#define BOUND_PAIRING 2e-5
#define STEP 1e-6
enum { MOST_DIFFERENCES = 120, LARGE = 2000, MOST_NAMES = 64 };

/* ---- numbers ---- */

static uint64_t mix(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static double uniform(uint64_t *state, double low, double high)
{
    return low + (high - low) * (double)(mix(state) >> 11) * 0x1p-53;
}

static void *fresh(int64_t count, size_t size)
{
    void *p = calloc((size_t)(count > 0 ? count : 1), size);
    assert_non_null(p);
    return p;
}

static float *random_floats(int64_t count, double low, double high, uint64_t *state)
{
    float *v = fresh(count, sizeof *v);
    for (int64_t i = 0; i < count; i++)
        v[i] = (float)uniform(state, low, high);
    return v;
}

void opcheck_weight(float *values, const char *name, int64_t count)
{
    uint64_t state = 14695981039346656037u;
    for (const char *s = name; *s; s++)
        state = (state ^ (uint64_t)(unsigned char)*s) * 1099511628211u;
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)uniform(&state, -1.0, 1.0);
}

const float *opcheck_weight_of(const char *name, int64_t count)
{
    static float *kept[8];
    static int next;
    float **slot = &kept[next++ % 8];
    free(*slot);
    *slot = fresh(count, sizeof **slot);
    opcheck_weight(*slot, name, count);
    return *slot;
}

gv_status opcheck_read_weight(void *model, const char *name, float *dst, int64_t count,
                              gv_error *err)
{
    (void)model;
    (void)err;
    opcheck_weight(dst, name, count);
    return GV_OK;
}

/* ---- what was reached, and how far off it was ---- */

static struct {
    const char *names[MOST_NAMES];
    int count;
    double forward, backward, tangent, pairing;
} seen;

static void see(const char *name)
{
    for (int i = 0; i < seen.count; i++)
        if (strcmp(seen.names[i], name) == 0)
            return;
    assert_true(seen.count < MOST_NAMES);
    seen.names[seen.count++] = name;
}

void opcheck_all_reached(const gv_op *const *ops)
{
    print_message("largest errors: forward %.1e, backward %.1e, tangent %.1e, pairing %.1e\n",
                  seen.forward, seen.backward, seen.tangent, seen.pairing);
    for (; *ops; ops++) {
        bool found = false;
        for (int i = 0; i < seen.count; i++)
            found = found || strcmp(seen.names[i], (*ops)->name) == 0;
        if (!found)
            fail_msg("no opcheck reaches the operation '%s'", (*ops)->name);
    }
}

/* ---- one case with one choice of inputs that vary ---- */

typedef struct check {
    const op_case *c;
    unsigned varies; /* bit i: input i */
    uint64_t state;
    gv_weights *weights;
    int64_t floats[OP_INPUTS], dims[4], outputs;
    float *x[OP_INPUTS], *v[OP_INPUTS]; /* values, tangents */
    float *u;                           /* seed */
} check;

static bool own(const op_input *in)
{
    return in->present && !in->same_as;
}

/* The node that input i is. */
static int source_of(const op_case *c, int i)
{
    return c->in[i].same_as ? c->in[i].same_as - 1 : i;
}

static gv_status make_input(gv_graph *g, gv_node *y, const op_input *in, bool varies, gv_error *err)
{
    if (in->plane)
        return gv_graph_input_plane(g, y, NULL, in->n, in->h, in->w, varies, err);
    return gv_graph_input(g, y, NULL, in->n, in->c, in->h, in->w, varies, err);
}

typedef struct built {
    gv_graph *g;
    gv_node x[OP_INPUTS], y[2];
    int count; /* of y */
} built;

/* The operation once, or twice from the same inputs, so that gradients are added. */
static built make_graph(const check *k, unsigned modes, int count)
{
    gv_error err = {0};
    built b = {.count = count};
    assert_int_equal(gv_graph_new(&b.g, modes, &err), GV_OK);
    for (int i = 0; i < OP_INPUTS; i++)
        if (own(&k->c->in[i]) && make_input(b.g, &b.x[i], &k->c->in[i], k->varies >> i & 1, &err))
            fail_msg("%s: %s", k->c->name, err.message);
    gv_node nodes[OP_INPUTS];
    for (int i = 0; i < OP_INPUTS; i++)
        nodes[i] = k->c->in[i].present ? b.x[source_of(k->c, i)] : GV_NO_NODE;
    for (int i = 0; i < count; i++)
        if (k->c->build(b.g, &b.y[i], nodes, k->weights, k->c, &err) ||
            gv_graph_output(b.g, b.y[i], NULL, &err))
            fail_msg("%s: %s", k->c->name, err.message);
    if (gv_graph_build(b.g, &err))
        fail_msg("%s: %s", k->c->name, err.message);
    /* Whatever is read before it is written shows. */
    memset(b.g->memory, 0xff, b.g->memory_bytes);
    for (size_t i = 0; i < gv_graph_steps(b.g); i++)
        see(gv_graph_profile(b.g, i).op);
    return b;
}

static bool varies(const check *k, int i)
{
    return own(&k->c->in[i]) && (k->varies >> i & 1);
}

/* Runs everything the graph can do. y and ty: of the first y; dx: with the seed u at every y. */
static void run_graph(const check *k, built *b, int threads, float *y, float *ty, float **dx)
{
    gv_error err = {0};
    for (int i = 0; i < OP_INPUTS; i++)
        if (own(&k->c->in[i]))
            gv_graph_set(b->g, b->x[i], k->x[i]);
    assert_int_equal(gv_graph_fwd(b->g, threads, NULL, &err), GV_OK);
    gv_graph_get(b->g, b->y[0], y);
    if (gv_graph_modes(b->g) & GV_GRAPH_JVP) {
        for (int i = 0; i < OP_INPUTS; i++)
            if (varies(k, i))
                gv_graph_set_tangent(b->g, b->x[i], k->v[i]);
        assert_int_equal(gv_graph_jvp(b->g, threads, NULL, &err), GV_OK);
        gv_graph_get_tangent(b->g, b->y[0], ty);
    }
    for (int i = 0; i < b->count; i++)
        gv_graph_set_seed(b->g, b->y[i], k->u);
    assert_int_equal(gv_graph_bwd(b->g, threads, NULL, &err), GV_OK);
    for (int i = 0; i < OP_INPUTS; i++)
        if (varies(k, i))
            gv_graph_get_grad(b->g, b->x[i], dx[i]);
}

static void lanes_are_zero(const check *k, const built *b)
{
    for (int i = 0; i < OP_INPUTS; i++)
        if (varies(k, i) && !gv_map_lanes_are_zero(&gv_node_of(b->g, b->x[i])->grad))
            fail_msg("%s: the gradient of input %d is not zero beyond its channels", k->c->name, i);
    if (!gv_map_lanes_are_zero(&gv_node_of(b->g, b->y[0])->value))
        fail_msg("%s: the result is not zero beyond its channels", k->c->name);
    if (!gv_map_lanes_are_zero(&gv_node_of(b->g, b->y[0])->tangent))
        fail_msg("%s: the tangent is not zero beyond its channels", k->c->name);
}

/* ---- references ---- */

/* The reference at x + t * direction, where direction[i] may be NULL. */
static void reference_at(const check *k, double *y, double *const *x, float *const *direction,
                         double t)
{
    double *moved[OP_INPUTS] = {0};
    const double *given[OP_INPUTS];
    for (int i = 0; i < OP_INPUTS; i++) {
        if (!own(&k->c->in[i]))
            continue;
        moved[i] = fresh(k->floats[i], sizeof **moved);
        for (int64_t e = 0; e < k->floats[i]; e++)
            moved[i][e] = x[i][e] + (direction[i] ? t * (double)direction[i][e] : 0.0);
    }
    for (int i = 0; i < OP_INPUTS; i++)
        given[i] = k->c->in[i].present ? moved[source_of(k->c, i)] : NULL;
    k->c->reference(y, k->dims, given, k->c);
    for (int i = 0; i < OP_INPUTS; i++)
        free(moved[i]);
}

/* d(reference)/d(direction) by central differences. */
static void differences(const check *k, double *dy, double *const *x, float *const *direction)
{
    double *low = fresh(k->outputs, sizeof *low);
    reference_at(k, low, x, direction, -STEP);
    reference_at(k, dy, x, direction, STEP);
    for (int64_t e = 0; e < k->outputs; e++)
        dy[e] = (dy[e] - low[e]) / (2.0 * STEP);
    free(low);
}

/* Fails if got is further from want than bound times the largest of want. Keeps the worst. */
static void compare(const check *k, const char *what, const float *got, const double *want,
                    int64_t count, double bound, double *worst)
{
    double largest = 1e-30;
    for (int64_t e = 0; e < count; e++)
        largest = fmax(largest, fabs(want[e]));
    for (int64_t e = 0; e < count; e++) {
        double error = fabs((double)got[e] - want[e]) / largest;
        if (!(error <= bound))
            fail_msg("%s, inputs that vary %u: %s [%lld] is %.9g, expected %.9g (off by %.2g of "
                     "the largest)",
                     k->c->name, k->varies, what, (long long)e, (double)got[e], want[e], error);
        *worst = fmax(*worst, error);
    }
}

/* d<u, y>/dx[i] for a few elements, against the gradient. */
static void compare_gradient(check *k, int i, const float *dx, double *const *x)
{
    bool large = k->floats[i] > LARGE || k->outputs > LARGE;
    int64_t most = large ? MOST_DIFFERENCES / 8 : MOST_DIFFERENCES;
    int64_t count = k->floats[i] < most ? k->floats[i] : most;
    double *want = fresh(count, sizeof *want), *dy = fresh(k->outputs, sizeof *dy);
    float *got = fresh(count, sizeof *got), *one = fresh(k->floats[i], sizeof *one);
    float *direction[OP_INPUTS] = {0};
    direction[i] = one;
    for (int64_t e = 0; e < count; e++) {
        int64_t at = count == k->floats[i] ? e : (int64_t)(mix(&k->state) % (uint64_t)k->floats[i]);
        one[at] = 1.0f;
        differences(k, dy, x, direction);
        one[at] = 0.0f;
        for (int64_t o = 0; o < k->outputs; o++)
            want[e] += (double)k->u[o] * dy[o];
        got[e] = dx[at];
    }
    compare(k, "gradient", got, want, count, BOUND_DIFFERENCE, &seen.backward);
    free(want);
    free(dy);
    free(got);
    free(one);
}

/* <ty, u> = sum_i <v_i, dx_i> */
static void compare_pairing(const check *k, const float *ty, float *const *dx)
{
    double left = 0.0, right = 0.0, size = 1e-30;
    for (int64_t e = 0; e < k->outputs; e++) {
        left += (double)ty[e] * (double)k->u[e];
        size += fabs((double)ty[e] * (double)k->u[e]);
    }
    for (int i = 0; i < OP_INPUTS; i++)
        for (int64_t e = 0; varies(k, i) && e < k->floats[i]; e++) {
            right += (double)dx[i][e] * (double)k->v[i][e];
            size += fabs((double)dx[i][e] * (double)k->v[i][e]);
        }
    double error = fabs(left - right) / size;
    if (!(error <= BOUND_PAIRING))
        fail_msg("%s, inputs that vary %u: <jvp, u> is %.9g, <v, bwd> %.9g", k->c->name, k->varies,
                 left, right);
    seen.pairing = fmax(seen.pairing, error);
}

/* ---- one choice ---- */

typedef struct results {
    float *y, *ty, *dx[OP_INPUTS];
} results;

static results results_new(const check *k)
{
    results r = {.y = fresh(k->outputs, sizeof *r.y), .ty = fresh(k->outputs, sizeof *r.ty)};
    for (int i = 0; i < OP_INPUTS; i++)
        r.dx[i] = fresh(k->floats[i], sizeof **r.dx);
    return r;
}

static void results_free(results *r)
{
    free(r->y);
    free(r->ty);
    for (int i = 0; i < OP_INPUTS; i++)
        free(r->dx[i]);
}

static void same_results(const check *k, const results *a, const results *b, bool tangent)
{
    size_t bytes = (size_t)k->outputs * sizeof(float);
    gv_test_same_bits(a->y, b->y, bytes, k->c->name);
    if (tangent)
        gv_test_same_bits(a->ty, b->ty, bytes, k->c->name);
    for (int i = 0; i < OP_INPUTS; i++)
        if (varies(k, i))
            gv_test_same_bits(a->dx[i], b->dx[i], (size_t)k->floats[i] * sizeof(float), k->c->name);
}

/* Gradients that find a contribution: twice those of one. */
static void check_adding(const check *k, const results *one)
{
    built b = make_graph(k, GV_GRAPH_BWD | GV_GRAPH_JVP, 2);
    results r = results_new(k);
    run_graph(k, &b, 2, r.y, r.ty, r.dx);
    lanes_are_zero(k, &b);
    for (int i = 0; i < OP_INPUTS; i++) {
        double *want = fresh(k->floats[i], sizeof *want);
        for (int64_t e = 0; varies(k, i) && e < k->floats[i]; e++)
            want[e] = 2.0 * (double)one->dx[i][e];
        double worst = 0.0;
        if (varies(k, i))
            compare(k, "added gradient", r.dx[i], want, k->floats[i], 2e-6, &worst);
        free(want);
    }
    results_free(&r);
    gv_graph_free(b.g);
}

static void check_choice(check *k)
{
    double *x[OP_INPUTS];
    built b = make_graph(k, GV_GRAPH_BWD | GV_GRAPH_JVP, 1);
    gv_graph_dims(b.g, b.y[0], k->dims);
    k->outputs = k->dims[0] * k->dims[1] * k->dims[2] * k->dims[3];
    k->u = random_floats(k->outputs, -1.0, 1.0, &k->state);
    for (int i = 0; i < OP_INPUTS; i++) {
        x[i] = fresh(k->floats[i], sizeof **x);
        for (int64_t e = 0; own(&k->c->in[i]) && e < k->floats[i]; e++)
            x[i][e] = (double)k->x[i][e];
    }
    results r = results_new(k), other = results_new(k);
    run_graph(k, &b, 1, r.y, r.ty, r.dx);
    lanes_are_zero(k, &b);
    for (int threads = 2; threads <= 3; threads++) {
        run_graph(k, &b, threads, other.y, other.ty, other.dx);
        same_results(k, &r, &other, true);
    }
    gv_graph_free(b.g);
    b = make_graph(k, GV_GRAPH_BWD, 1); /* memory is reused more */
    run_graph(k, &b, 2, other.y, other.ty, other.dx);
    same_results(k, &r, &other, false);
    gv_graph_free(b.g);

    float *no_direction[OP_INPUTS] = {0}, *direction[OP_INPUTS] = {0};
    double *want = fresh(k->outputs, sizeof *want);
    reference_at(k, want, x, no_direction, 0.0);
    compare(k, "result", r.y, want, k->outputs, k->c->bound > 0 ? k->c->bound : BOUND_FORWARD,
            &seen.forward);
    for (int i = 0; i < OP_INPUTS; i++)
        direction[i] = varies(k, i) ? k->v[i] : NULL;
    differences(k, want, x, direction);
    compare(k, "tangent", r.ty, want, k->outputs, BOUND_DIFFERENCE, &seen.tangent);
    for (int i = 0; i < OP_INPUTS; i++)
        if (varies(k, i))
            compare_gradient(k, i, r.dx[i], x);
    compare_pairing(k, r.ty, r.dx);
    check_adding(k, &r);

    free(want);
    free(k->u);
    for (int i = 0; i < OP_INPUTS; i++)
        free(x[i]);
    results_free(&r);
    results_free(&other);
}

void opcheck(const op_case *c)
{
    const char *text = getenv("GANVAS_TEST_SEED");
    check k = {.c = c, .state = text ? strtoull(text, NULL, 10) : 20};
    print_message("opcheck %s (GANVAS_TEST_SEED=%llu)\n", c->name, (unsigned long long)k.state);
    gv_error err = {0};
    assert_int_equal(gv_weights_new(&k.weights, opcheck_read_weight, NULL, &err), GV_OK);
    unsigned can = 0;
    for (int i = 0; i < OP_INPUTS; i++) {
        const op_input *in = &c->in[i];
        if (!own(in))
            continue;
        bool plain = in->low == 0.0 && in->high == 0.0;
        k.floats[i] = in->n * in->c * in->h * in->w;
        k.x[i] =
            random_floats(k.floats[i], plain ? -1.0 : in->low, plain ? 1.0 : in->high, &k.state);
        k.v[i] = random_floats(k.floats[i], -1.0, 1.0, &k.state);
        can |= in->constant ? 0 : 1u << i;
    }
    for (unsigned one = 1; one <= can; one <<= 1)
        if ((can & one) && one != can) {
            k.varies = one;
            check_choice(&k);
        }
    k.varies = can;
    check_choice(&k);
    for (int i = 0; i < OP_INPUTS; i++) {
        free(k.x[i]);
        free(k.v[i]);
    }
    gv_weights_free(k.weights);
}
