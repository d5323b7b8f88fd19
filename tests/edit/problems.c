#include "problems.h"

#include "support.h"

#include "checkpoint/checkpoint.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double *doubles(int64_t n)
{
    double *p = calloc((size_t)n, sizeof *p);
    assert_non_null(p);
    return p;
}

static double *load(const char *folder, const char *name, int64_t count)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    gv_test_array a = gv_test_npy_typed(path, GV_TEST_F64);
    assert_int_equal(a.count, count);
    double *p = doubles(count);
    memcpy(p, a.f64, (size_t)count * sizeof *p);
    gv_test_array_free(&a);
    return p;
}

void toy_free(toy_problem *p)
{
    free(p->start);
    free(p->grad);
    free(p->weights);
    free(p->target);
}

static void round_all(double *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = (double)(float)x[i];
}

void toy_evaluate(toy_problem *p, const double *x, bool single)
{
    double *at = doubles(p->n);
    memcpy(at, x, (size_t)p->n * sizeof *at);
    if (single)
        round_all(at, p->n);
    p->run(p, at);
    if (single) {
        round_all(&p->loss, 1);
        round_all(p->grad, p->n);
    }
    free(at);
}

/* ---- Rosenbrock ---- */

static void run_rosenbrock(toy_problem *p, const double *x)
{
    int64_t n = p->n;
    p->loss = 0.0;
    for (int64_t i = 0; i < n; i++) {
        double inner = 0.0, end = 0.0, outer = 0.0; /* summed in the order of torch's autograd */
        if (i + 1 < n) {
            double a = x[i + 1] - x[i] * x[i], b = 1.0 - x[i];
            p->loss += 100.0 * (a * a) + b * b;
            inner = -400.0 * a * x[i];
            end = -2.0 * b;
        }
        if (i > 0)
            outer = 200.0 * (x[i] - x[i - 1] * x[i - 1]);
        p->grad[i] = (outer + inner) + end;
    }
}

toy_problem toy_rosenbrock(int64_t n)
{
    toy_problem p = {.n = n, .start = doubles(n), .grad = doubles(n), .run = run_rosenbrock};
    for (int64_t i = 0; i < n; i++)
        p.start[i] = i % 2 ? 1.0 : -1.2;
    return p;
}

/* ---- a small network ---- */

enum { MLP_IN = 10, MLP_MID = 20, MLP_OUT = 30 };

static void mlp(const double *w, const double *z, double *mid, double *out)
{
    const double *a1 = w, *a2 = w + MLP_MID * MLP_IN;
    for (int i = 0; i < MLP_MID; i++) {
        double sum = 0.0;
        for (int k = 0; k < MLP_IN; k++)
            sum += a1[i * MLP_IN + k] * z[k];
        mid[i] = tanh(sum);
    }
    for (int i = 0; i < MLP_OUT; i++) {
        double sum = 0.0;
        for (int k = 0; k < MLP_MID; k++)
            sum += a2[i * MLP_MID + k] * mid[k];
        out[i] = tanh(sum);
    }
}

static void run_mlp(toy_problem *p, const double *x)
{
    const double *a1 = p->weights, *a2 = p->weights + MLP_MID * MLP_IN;
    double mid[MLP_MID], out[MLP_OUT], dmid[MLP_MID] = {0};
    mlp(p->weights, x, mid, out);
    p->loss = 0.0;
    for (int i = 0; i < MLP_OUT; i++) {
        double e = out[i] - p->target[i];
        p->loss += e * e / MLP_OUT;
        double d = 2.0 * e / MLP_OUT * (1.0 - out[i] * out[i]);
        for (int k = 0; k < MLP_MID; k++)
            dmid[k] += d * a2[i * MLP_MID + k];
    }
    memset(p->grad, 0, MLP_IN * sizeof *p->grad);
    for (int i = 0; i < MLP_MID; i++)
        for (int k = 0; k < MLP_IN; k++)
            p->grad[k] += dmid[i] * (1.0 - mid[i] * mid[i]) * a1[i * MLP_IN + k];
}

toy_problem toy_mlp(const char *folder)
{
    toy_problem p = {.n = MLP_IN, .grad = doubles(MLP_IN), .run = run_mlp};
    double *a1 = load(folder, "inv_mlp_A1.npy", MLP_MID * MLP_IN);
    double *a2 = load(folder, "inv_mlp_A2.npy", MLP_OUT * MLP_MID);
    double *zstar = load(folder, "inv_mlp_zstar.npy", MLP_IN);
    double mid[MLP_MID];
    p.start = load(folder, "inv_mlp_z0.npy", MLP_IN);
    p.weights = doubles(MLP_MID * MLP_IN + MLP_OUT * MLP_MID);
    memcpy(p.weights, a1, MLP_MID * MLP_IN * sizeof *a1);
    memcpy(p.weights + MLP_MID * MLP_IN, a2, MLP_OUT * MLP_MID * sizeof *a2);
    p.target = doubles(MLP_OUT);
    mlp(p.weights, zstar, mid, p.target);
    free(a1);
    free(a2);
    free(zstar);
    return p;
}

/* ---- the course's DCGAN with conv_dim 4, in float64 ---- */

typedef struct layer {
    int in, out, size, stride, pad; /* size: of the output */
    int64_t weights;                /* where its [in,out,4,4] start */
} layer;

static const layer LAYERS[5] = {{100, 32, 4, 2, 0, 0},
                                {32, 16, 8, 2, 1, 51200},
                                {16, 8, 16, 2, 1, 59392},
                                {8, 4, 32, 2, 1, 61440},
                                {4, 3, 64, 2, 1, 61952}};
enum { DCGAN_WEIGHTS = 62144, DCGAN_PIXELS = 3 * 64 * 64, MAP = 4 * 64 * 64 };

/* Calls visit for every product of a transposed convolution: x index, y index, weight index. */
#define EACH_PRODUCT(l, from, X, Y, W, body)                                                       \
    for (int c = 0; c < (l)->in; c++)                                                              \
        for (int o = 0; o < (l)->out; o++)                                                         \
            for (int i = 0; i < (from); i++)                                                       \
                for (int j = 0; j < (from); j++)                                                   \
                    for (int ky = 0; ky < 4; ky++)                                                 \
                        for (int kx = 0; kx < 4; kx++) {                                           \
                            int yy = i * (l)->stride + ky - (l)->pad;                              \
                            int xx = j * (l)->stride + kx - (l)->pad;                              \
                            if (yy < 0 || xx < 0 || yy >= (l)->size || xx >= (l)->size)            \
                                continue;                                                          \
                            int64_t X = ((int64_t)c * (from) + i) * (from) + j;                    \
                            int64_t Y = ((int64_t)o * (l)->size + yy) * (l)->size + xx;            \
                            int64_t W = (((int64_t)c * (l)->out + o) * 4 + ky) * 4 + kx;           \
                            body;                                                                  \
                        }

typedef struct dcgan_state {
    double norm[5][MAP];   /* after the instance norm, before ReLU; of the last layer after tanh */
    double inverse[4][32]; /* 1/sqrt(var + eps) of each channel */
    double x[5][MAP];      /* input of each layer */
} dcgan_state;

static void dcgan_fwd(const double *w, const double *z, dcgan_state *s)
{
    memset(s, 0, sizeof *s);
    memcpy(s->x[0], z, 100 * sizeof *z);
    for (int n = 0; n < 5; n++) {
        const layer *l = &LAYERS[n];
        int from = n ? LAYERS[n - 1].size : 1, area = l->size * l->size;
        const double *x = s->x[n];
        double *y = s->norm[n];
        EACH_PRODUCT(l, from, ix, iy, iw, y[iy] += x[ix] * w[l->weights + iw])
        for (int o = 0; o < l->out; o++) {
            double *m = y + (int64_t)o * area, mean = 0.0, var = 0.0;
            if (n == 4) {
                for (int i = 0; i < area; i++)
                    m[i] = tanh(m[i]);
                continue;
            }
            for (int i = 0; i < area; i++)
                mean += m[i] / area;
            for (int i = 0; i < area; i++)
                var += (m[i] - mean) * (m[i] - mean) / area;
            s->inverse[n][o] = 1.0 / sqrt(var + 1e-5);
            for (int i = 0; i < area; i++) {
                m[i] = (m[i] - mean) * s->inverse[n][o];
                s->x[n + 1][(int64_t)o * area + i] = m[i] > 0.0 ? m[i] : 0.0;
            }
        }
    }
}

/* dy of layer n's result -> gradient before its norm (or tanh), in place. */
static void dcgan_norm_bwd(const dcgan_state *s, int n, double *dy)
{
    const layer *l = &LAYERS[n];
    int area = l->size * l->size;
    for (int o = 0; o < l->out; o++) {
        const double *y = s->norm[n] + (int64_t)o * area;
        double *d = dy + (int64_t)o * area, sum = 0.0, dot = 0.0;
        for (int i = 0; i < area; i++) {
            d[i] *= n == 4 ? 1.0 - y[i] * y[i] : y[i] > 0.0;
            sum += d[i] / area;
            dot += d[i] * y[i] / area;
        }
        for (int i = 0; n < 4 && i < area; i++)
            d[i] = s->inverse[n][o] * (d[i] - sum - y[i] * dot);
    }
}

static void run_dcgan(toy_problem *p, const double *x)
{
    static dcgan_state s;
    static double d[2][MAP];
    dcgan_fwd(p->weights, x, &s);
    p->loss = 0.0;
    for (int i = 0; i < DCGAN_PIXELS; i++) {
        double e = s.norm[4][i] - p->target[i];
        p->loss += e * e / DCGAN_PIXELS;
        d[0][i] = 2.0 * e / DCGAN_PIXELS;
    }
    double *dy = d[0], *dx = d[1];
    for (int n = 4; n >= 0; n--) {
        const layer *l = &LAYERS[n];
        int from = n ? LAYERS[n - 1].size : 1;
        dcgan_norm_bwd(&s, n, dy);
        memset(dx, 0, sizeof d[0]);
        EACH_PRODUCT(l, from, ix, iy, iw, dx[ix] += dy[iy] * p->weights[l->weights + iw])
        double *t = dy;
        dy = dx;
        dx = t;
    }
    memcpy(p->grad, dy, 100 * sizeof *p->grad);
}

static void load_dcgan(double *weights, const char *folder)
{
    char path[512], name[40];
    snprintf(path, sizeof path, "%s/dcgan/course_instance4.torch2.zip.ckpt", folder);
    gv_checkpoint *ck;
    gv_error err;
    assert_int_equal(gv_checkpoint_open(&ck, path, &err), GV_OK);
    for (int n = 0; n < 5; n++) {
        snprintf(name, sizeof name, "deconv%d.0.weight", n + 1);
        const gv_view *v = gv_checkpoint_find(ck, name);
        assert_non_null(v);
        int64_t count = gv_view_count(v);
        assert_int_equal(count, LAYERS[n].in * LAYERS[n].out * 16);
        float *f = calloc((size_t)count, sizeof *f);
        assert_non_null(f);
        assert_int_equal(gv_view_read_f32(f, v, path, &err), GV_OK);
        for (int64_t i = 0; i < count; i++)
            weights[LAYERS[n].weights + i] = (double)f[i];
        free(f);
    }
    gv_checkpoint_close(ck);
}

toy_problem toy_dcgan(const char *folder)
{
    static dcgan_state s;
    char path[512];
    snprintf(path, sizeof path, "%s/lbfgs", folder);
    toy_problem p = {.n = 100, .grad = doubles(100), .run = run_dcgan};
    p.start = load(path, "inv_dcgan_z0.npy", 100);
    p.weights = doubles(DCGAN_WEIGHTS);
    p.target = doubles(DCGAN_PIXELS);
    load_dcgan(p.weights, folder);
    double *zstar = load(path, "inv_dcgan_zstar.npy", 100);
    dcgan_fwd(p.weights, zstar, &s);
    memcpy(p.target, s.norm[4], DCGAN_PIXELS * sizeof *p.target);
    free(zstar);
    return p;
}
