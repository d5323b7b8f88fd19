/* conv2d and linear, with the kernels that this CPU chooses: see opcheck.h for what is checked. */
#include "opcheck.h"

#include "graph/ops_common.h"

/* ---- conv2d: more = gv_conv2d ---- */

static gv_status build_conv2d(gv_graph *g, gv_node *y, const gv_node *x, gv_weights *weights,
                              const op_case *c, gv_error *err)
{
    return gv_graph_conv2d(g, y, x[0], (gv_param){weights, "w"}, c->more, err);
}

/* Adds to y what sample (row, column) of input channel i meets through tap t of output o. */
static void add_tap(double *y, const int64_t *d, const gv_conv2d *a, int64_t row, int64_t column,
                    int64_t t, double v)
{
    int64_t ky = t / a->kernel - a->pad, kx = t % a->kernel - a->pad;
    int64_t oy = a->transposed ? row * a->stride + ky : row - ky;
    int64_t ox = a->transposed ? column * a->stride + kx : column - kx;
    if (!a->transposed) {
        if (oy % a->stride != 0 || ox % a->stride != 0)
            return;
        oy /= a->stride;
        ox /= a->stride;
    }
    if (oy >= 0 && oy < d[2] && ox >= 0 && ox < d[3])
        y[oy * d[3] + ox] += v;
}

static void conv2d_reference(double *y, const int64_t *d, const double *const *x, const op_case *c)
{
    const gv_conv2d *a = c->more;
    const op_input *in = &c->in[0];
    int64_t taps = a->kernel * a->kernel, pixels = d[2] * d[3];
    const float *w = opcheck_weight_of("w", d[1] * in->c * taps);
    bool in_first = a->transposed && !a->out_first;
    for (int64_t i = 0; i < d[0] * d[1] * pixels; i++)
        y[i] = 0;
    for (int64_t n = 0; n < d[0]; n++)
        for (int64_t o = 0; o < d[1]; o++)
            for (int64_t i = 0; i < in->c; i++) {
                const float *filter = w + (in_first ? i * d[1] + o : o * in->c + i) * taps;
                const double *v = x[0] + (n * in->c + i) * in->h * in->w;
                for (int64_t p = 0; p < in->h * in->w; p++)
                    for (int64_t t = 0; t < taps; t++)
                        add_tap(y + (n * d[1] + o) * pixels, d, a, p / in->w, p % in->w, t,
                                v[p] * (double)filter[t]);
            }
}

static void test_conv2d(void **state)
{
    (void)state;
    const struct {
        int64_t n, c, h, w;
        gv_conv2d a;
    } cases[] = {
        {1, 3, 7, 8, {10, 3, 1, 1, false, false}},   {3, 17, 5, 4, {3, 3, 1, 1, false, false}},
        {2, 10, 9, 7, {17, 1, 1, 0, false, false}},  {1, 16, 8, 9, {33, 3, 2, 1, false, false}},
        {2, 3, 4, 4, {5, 4, 1, 2, false, false}},    {1, 20, 4, 4, {17, 3, 2, 0, true, true}},
        {3, 9, 1, 1, {18, 4, 1, 0, true, false}},    {1, 10, 5, 7, {3, 4, 2, 1, true, false}},
        {1, 100, 4, 4, {32, 3, 1, 1, false, false}},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        op_case c = {.name = cases[k].a.transposed ? "conv2d, transposed" : "conv2d"};
        c.build = build_conv2d;
        c.reference = conv2d_reference;
        c.more = &cases[k].a;
        c.in[0] =
            (op_input){true, .n = cases[k].n, .c = cases[k].c, .h = cases[k].h, .w = cases[k].w};
        opcheck(&c);
    }
}

/* ---- linear: p = {outputs}, q = {gain} ---- */

static gv_status build_linear(gv_graph *g, gv_node *y, const gv_node *x, gv_weights *weights,
                              const op_case *c, gv_error *err)
{
    return gv_graph_linear(g, y, x[0], (gv_param){weights, "w"}, c->p[0], (float)c->q[0], err);
}

static void linear_reference(double *y, const int64_t *d, const double *const *x, const op_case *c)
{
    int64_t in = c->in[0].c;
    const float *w = opcheck_weight_of("w", d[1] * in);
    for (int64_t n = 0; n < d[0]; n++)
        for (int64_t o = 0; o < d[1]; o++) {
            y[n * d[1] + o] = 0;
            for (int64_t i = 0; i < in; i++)
                y[n * d[1] + o] += c->q[0] * (double)w[o * in + i] * x[0][n * in + i];
        }
}

static void test_linear(void **state)
{
    (void)state;
    const int64_t cases[][3] = {{1, 3, 10}, {3, 17, 3}, {7, 100, 65}, {1, 512, 63}};
    for (int k = 0; k < 4; k++) {
        op_case c = {.name = "linear", .build = build_linear, .reference = linear_reference};
        c.p[0] = cases[k][2];
        c.q[0] = 0.125;
        c.in[0] = (op_input){true, .n = cases[k][0], .c = cases[k][1], .h = 1, .w = 1};
        opcheck(&c);
    }
}

static void all_are_checked(void **state)
{
    (void)state;
    opcheck_all_reached(gv_ops_conv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv2d),
        cmocka_unit_test(test_linear),
        cmocka_unit_test(all_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
