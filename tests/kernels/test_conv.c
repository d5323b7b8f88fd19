/* Every convolution kernel against the definition, on shapes that reach all their paths. */
#include "conv_cases.h"

#include "kernels/isa.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* ---- shapes ---- */

typedef struct conv_case {
    int64_t n, c, h, w, k, kernel, stride, pad;
    bool transposed, in_first, flip;
} conv_case;

/* clang-format off */
static const conv_case cases[] = {
    /* odd sizes and channels */
    {1, 3, 1, 1, 10, 3, 1, 1, 0, 0, 0},    {2, 10, 7, 8, 17, 3, 1, 1, 0, 0, 0},
    {1, 17, 9, 63, 100, 3, 1, 1, 0, 0, 1}, {1, 100, 8, 65, 3, 3, 1, 1, 0, 0, 0},
    {3, 33, 5, 3, 65, 3, 1, 1, 0, 0, 0},   {1, 16, 13, 14, 48, 3, 1, 1, 0, 1, 0},
    {1, 48, 2, 29, 33, 3, 1, 1, 0, 0, 0},  {2, 40, 15, 2, 80, 5, 1, 2, 0, 0, 0},
    {1, 7, 9, 9, 7, 7, 1, 3, 0, 0, 0},     {1, 20, 11, 10, 24, 4, 1, 1, 0, 0, 0},
    {1, 9, 8, 8, 5, 3, 1, 0, 0, 0, 0},     {1, 5, 6, 6, 12, 2, 1, 1, 0, 0, 0},
    /* the first layer of VGG and its gradient */
    {1, 3, 63, 65, 64, 3, 1, 1, 0, 0, 0},  {1, 64, 63, 65, 3, 3, 1, 1, 0, 1, 1},
    /* small maps of the generators */
    {1, 512, 4, 4, 512, 3, 1, 1, 0, 0, 0}, {3, 64, 4, 4, 96, 3, 1, 1, 0, 0, 0},
    {1, 256, 8, 8, 128, 3, 1, 1, 0, 0, 0}, {1, 64, 16, 16, 64, 3, 1, 1, 0, 1, 1},
    /* 1 x 1: to-RGB, its gradient, skips */
    {1, 512, 8, 8, 3, 1, 1, 0, 0, 0, 0},   {1, 3, 64, 64, 100, 1, 1, 0, 0, 1, 0},
    {2, 65, 9, 7, 63, 1, 1, 0, 0, 0, 0},   {1, 40, 9, 7, 20, 1, 2, 0, 0, 0, 0},
    /* up layers: transposed, stride 2 */
    {1, 512, 4, 4, 512, 3, 2, 0, 1, 0, 0}, {2, 17, 7, 9, 33, 3, 2, 0, 1, 1, 0},
    {1, 64, 32, 33, 16, 3, 2, 0, 1, 0, 0}, {2, 100, 4, 4, 50, 4, 2, 1, 1, 1, 0},
    {1, 10, 8, 1, 10, 4, 2, 1, 1, 1, 1},   {1, 6, 5, 5, 6, 5, 2, 2, 1, 0, 0},
    {1, 8, 3, 3, 8, 1, 2, 0, 1, 0, 0},     {1, 12, 7, 6, 20, 3, 1, 1, 1, 1, 0},
    /* stride 2 */
    {1, 64, 65, 65, 32, 3, 2, 0, 0, 0, 0}, {2, 33, 9, 8, 17, 3, 2, 1, 0, 0, 0},
    {1, 10, 63, 7, 100, 4, 2, 1, 0, 1, 0}, {1, 3, 64, 64, 64, 4, 2, 1, 0, 0, 0},
    {1, 16, 9, 9, 16, 7, 2, 3, 0, 0, 0},
    /* the first layer of a DCGAN: 1 x 1 to 4 x 4 */
    {1, 100, 1, 1, 128, 4, 1, 0, 1, 1, 0}, {7, 100, 1, 1, 65, 4, 1, 0, 1, 1, 0},
    {5, 128, 4, 4, 100, 4, 1, 0, 0, 0, 0}, {2, 9, 1, 1, 9, 4, 2, 1, 1, 1, 0},
    /* linear layers: 1 to many samples */
    {1, 512, 1, 1, 512, 1, 1, 0, 0, 0, 0}, {2, 512, 1, 1, 100, 1, 1, 0, 0, 0, 0},
    {7, 100, 1, 1, 512, 1, 1, 0, 0, 1, 0}, {16, 17, 1, 1, 63, 1, 1, 0, 0, 0, 0},
    {333, 64, 1, 1, 80, 1, 1, 0, 0, 0, 0}, {5, 10, 1, 1, 3, 1, 1, 0, 0, 0, 0},
    {4, 20, 1, 1, 1, 1, 1, 0, 0, 0, 0},
};
/* clang-format on */

enum { CASES = sizeof cases / sizeof *cases };

static gv_conv_shape shape_of(const conv_case *c)
{
    gv_conv_shape s = {.n = c->n,
                       .c = c->c,
                       .h = c->h,
                       .w = c->w,
                       .k = c->k,
                       .kh = c->kernel,
                       .kw = c->kernel,
                       .stride = c->stride,
                       .pad = c->pad,
                       .transposed = c->transposed,
                       .in_first = c->in_first,
                       .flip = c->flip};
    gv_conv_infer(&s);
    return s;
}

static const char *describe(const gv_conv_shape *s)
{
    static char text[200];
    snprintf(text, sizeof text, "[%d,%d,%d,%d] -> [%d,%d,%d], kernel %dx%d stride %d pad %d%s%s%s",
             (int)s->n, (int)s->c, (int)s->h, (int)s->w, (int)s->k, (int)s->oh, (int)s->ow,
             (int)s->kh, (int)s->kw, (int)s->stride, (int)s->pad,
             s->transposed ? " transposed" : "", s->in_first ? " in_first" : "",
             s->flip ? " flip" : "");
    return text;
}

/* Calls fn for each shape of the list and for its gradient. */
static void for_each_shape(void (*fn)(const gv_conv_shape *s, uint64_t seed))
{
    for (int i = 0; i < CASES; i++) {
        gv_conv_shape s = shape_of(&cases[i]), a = gv_conv_adjoint(&s);
        fn(&s, (uint64_t)(2 * i));
        fn(&a, (uint64_t)(2 * i + 1));
    }
}

/* ---- the reference against conv.h ---- */

/* The formula of conv.h, read from left to right. */
static double defined(const gv_conv_shape *s, const float *x, const float *w, int64_t n, int64_t k,
                      int64_t oy, int64_t ox)
{
    double sum = 0;
    for (int64_t c = 0; c < s->c; c++)
        for (int64_t iy = 0; iy < s->h; iy++)
            for (int64_t ix = 0; ix < s->w; ix++) {
                int64_t ky =
                    s->transposed ? oy + s->pad - iy * s->stride : iy + s->pad - oy * s->stride;
                int64_t kx =
                    s->transposed ? ox + s->pad - ix * s->stride : ix + s->pad - ox * s->stride;
                if (ky < 0 || ky >= s->kh || kx < 0 || kx >= s->kw)
                    continue;
                int64_t wy = s->flip ? s->kh - 1 - ky : ky, wx = s->flip ? s->kw - 1 - kx : kx;
                int64_t pair = s->in_first ? c * s->k + k : k * s->c + c;
                sum += (double)x[((n * s->c + c) * s->h + iy) * s->w + ix] *
                       (double)w[(pair * s->kh + wy) * s->kw + wx];
            }
    return sum;
}

static void the_reference_is_the_definition(void **state)
{
    (void)state;
    for (int i = 0; i < CASES; i++) {
        gv_conv_shape s = shape_of(&cases[i]);
        if (s.h * s.w * s.oh * s.ow > 20000)
            continue;
        s.gain = i % 2 ? 0.25f : 0.0f;
        double gain = i % 2 ? 0.25 : 1.0;
        float *x = random_floats(s.n * s.c * s.h * s.w, 1), *w = random_floats(weight_count(&s), 2);
        float *out = random_floats(s.n * s.k * s.oh * s.ow, 3);
        guarded xs = guarded_new(map_of(BLOCKED, s.n, s.c, s.h, s.w));
        guarded ys = guarded_new(map_of(BLOCKED, s.n, s.k, s.oh, s.ow));
        gv_map_import(&xs.map, x);
        size_t count;
        prepared p = prepared_new(gv_conv_kernels(&count)[0], &s, w);
        assert_string_equal(p.kernel->name, "ref");
        prepared_run(&p, &ys.map, &xs.map);
        gv_map_export(out, &ys.map);
        /* Some of the outputs: the formula is slow. */
        for (int64_t j = 0; j < s.n * s.k * s.oh * s.ow; j += 1 + s.k * s.oh * s.ow / 97) {
            double want = gain * defined(&s, x, w, j / (s.k * s.oh * s.ow), j / (s.oh * s.ow) % s.k,
                                         j / s.ow % s.oh, j % s.ow);
            if (!(fabs((double)out[j] - want) <= 1e-6 * (1 + fabs(want))))
                fail_msg("%s: output %lld is %g, defined as %g", describe(&s), (long long)j,
                         (double)out[j], want);
        }
        prepared_free(&p);
        guarded_free(&xs);
        guarded_free(&ys);
        gv_mem_free(x);
        gv_mem_free(w);
        gv_mem_free(out);
    }
}

static void inferred_sizes_are_those_of_torch(void **state)
{
    (void)state;
    gv_conv_shape s = {.h = 8, .w = 9, .kh = 3, .kw = 3, .stride = 2, .pad = 1};
    gv_conv_infer(&s);
    assert_int_equal(s.oh, 4);
    assert_int_equal(s.ow, 5);
    s.transposed = true;
    gv_conv_infer(&s);
    assert_int_equal(s.oh, 15);
    assert_int_equal(s.ow, 17);
    s = (gv_conv_shape){.h = 2, .w = 2, .kh = 5, .kw = 5, .stride = 1};
    gv_conv_infer(&s);
    assert_true(s.oh < 1);
}

/* ---- all kernels against the reference ---- */

/* out = kernel(x, w) as [N,K,OH,OW], with everything around y looked at. */
static void run_guarded(const gv_conv_kernel *kernel, const gv_conv_shape *s, float *out,
                        const float *x, const float *w, layout in, layout to)
{
    guarded xs = guarded_new(map_of(in, s->n, s->c, s->h, s->w));
    guarded ys = guarded_new(map_of(to, s->n, s->k, s->oh, s->ow));
    gv_map_import(&xs.map, x);
    prepared p = prepared_new(kernel, s, w);
    prepared_run(&p, &ys.map, &xs.map);
    if (!guards_are_whole(&ys) || !guards_are_whole(&xs))
        fail_msg("%s: %s: wrote beside y", kernel->name, describe(s));
    if (!gv_map_lanes_are_zero(&ys.map))
        fail_msg("%s: %s: lanes beyond K are not zero", kernel->name, describe(s));
    gv_map_export(out, &ys.map);
    prepared_free(&p);
    guarded_free(&xs);
    guarded_free(&ys);
}

static void absolute(float *v, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        v[i] = fabsf(v[i]);
}

/* A sum of m rounded terms is off by at most m/2 * eps * sum|terms|; roundings are as good as
 * random, so that they add up to the square root of it, and sqrt(m) * eps is beyond any accident
 * while one missing or wrong term of these sums is far above. */
static void compare(const gv_conv_kernel *kernel, const gv_conv_shape *s, const float *got,
                    const float *want, const float *terms)
{
    double m = (double)(s->c * s->kh * s->kw);
    double k = 2 + sqrt(m);
    for (int64_t i = 0; i < s->n * s->k * s->oh * s->ow; i++) {
        double bound = k * 0x1p-23 * (double)terms[i];
        if (!(fabs((double)got[i] - (double)want[i]) <= bound))
            fail_msg("%s: %s: output %lld is %.9g, the reference %.9g, bound %g", kernel->name,
                     describe(s), (long long)i, (double)got[i], (double)want[i], bound);
    }
}

static void check_layouts(const gv_conv_kernel *kernel, const gv_conv_shape *s, const float *x,
                          const float *w, float *out)
{
    gv_conv_shape strided = *s;
    strided.strided = true;
    if (!kernel->supports(&strided))
        return;
    int64_t bytes = s->n * s->k * s->oh * s->ow * (int64_t)sizeof(float);
    float *first = random_floats(bytes / 4, 0);
    run_guarded(kernel, s, first, x, w, BLOCKED, BLOCKED);
    static const layout pairs[3][2] = {{NHWC, NHWC}, {NHWC, BLOCKED}, {BLOCKED, NHWC}};
    for (int i = 0; i < 3; i++) {
        run_guarded(kernel, &strided, out, x, w, pairs[i][0], pairs[i][1]);
        gv_test_same_bits(out, first, (size_t)bytes, describe(s));
    }
    /* All samples from the memory of one: import leaves the last there. */
    run_guarded(kernel, &strided, out, x, w, SHARED, BLOCKED);
    int64_t sample = s->k * s->oh * s->ow;
    for (int64_t n = 0; n < s->n; n++)
        gv_test_same_bits(out + n * sample, first + (s->n - 1) * sample,
                          (size_t)sample * sizeof *out, describe(s));
    gv_mem_free(first);
}

static void check_kernels(const gv_conv_shape *s, uint64_t seed)
{
    int64_t in = s->n * s->c * s->h * s->w, out_count = s->n * s->k * s->oh * s->ow;
    float *x = random_floats(in, seed), *w = random_floats(weight_count(s), seed + 1000);
    float *want = random_floats(out_count, 0), *terms = random_floats(out_count, 0);
    float *out = random_floats(out_count, 0);
    size_t count;
    const gv_conv_kernel *const *kernels = gv_conv_kernels(&count);
    run_guarded(kernels[0], s, want, x, w, BLOCKED, BLOCKED);
    float *ax = random_floats(in, seed), *aw = random_floats(weight_count(s), seed + 1000);
    absolute(ax, in);
    absolute(aw, weight_count(s));
    run_guarded(kernels[0], s, terms, ax, aw, BLOCKED, BLOCKED);
    for (size_t i = 1; i < count; i++) {
        if (!kernels[i]->supports(s))
            continue;
        run_guarded(kernels[i], s, out, x, w, BLOCKED, BLOCKED);
        compare(kernels[i], s, out, want, terms);
        check_layouts(kernels[i], s, x, w, out);
    }
    gv_mem_free(ax);
    gv_mem_free(aw);
    gv_mem_free(x);
    gv_mem_free(w);
    gv_mem_free(want);
    gv_mem_free(terms);
    gv_mem_free(out);
}

static void every_kernel_is_the_reference(void **state)
{
    (void)state;
    for_each_shape(check_kernels);
}

/* Infinite pixels make NaN of packed zeros: the lanes beyond K must not show it. */
static void infinite_input_leaves_lanes_zero(void **state)
{
    (void)state;
    gv_conv_shape s = {
        .n = 1, .c = 20, .h = 5, .w = 5, .k = 10, .kh = 3, .kw = 3, .stride = 1, .pad = 1};
    gv_conv_infer(&s);
    float *x = random_floats(20 * 25, 1), *w = random_floats(weight_count(&s), 2);
    float *out = random_floats(10 * 25, 3);
    x[30] = INFINITY;
    size_t count;
    const gv_conv_kernel *const *kernels = gv_conv_kernels(&count);
    for (size_t i = 0; i < count; i++)
        if (kernels[i]->supports(&s))
            run_guarded(kernels[i], &s, out, x, w, BLOCKED, BLOCKED);
    gv_mem_free(x);
    gv_mem_free(w);
    gv_mem_free(out);
}

/* ---- gradients ---- */

static double dot(const float *a, const float *b, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

static void check_adjoint(const gv_conv_shape *s, uint64_t seed)
{
    int64_t in = s->n * s->c * s->h * s->w, out = s->n * s->k * s->oh * s->ow;
    float *x = random_floats(in, seed), *w = random_floats(weight_count(s), seed + 1000);
    float *y = random_floats(out, 0), *g = random_floats(out, seed + 2000);
    float *dx = random_floats(in, 0);
    gv_conv_shape a = gv_conv_adjoint(s);
    run_guarded(gv_conv_choose(s), s, y, x, w, BLOCKED, BLOCKED);
    run_guarded(gv_conv_choose(&a), &a, dx, g, w, BLOCKED, BLOCKED);
    double left = dot(y, g, out), right = dot(x, dx, in);
    double scale = sqrt(dot(y, y, out) * dot(g, g, out));
    if (!(fabs(left - right) <= 1e-6 * scale))
        fail_msg("%s: <y,g> is %.9g, <x,dx> %.9g", describe(s), left, right);
    gv_mem_free(x);
    gv_mem_free(w);
    gv_mem_free(y);
    gv_mem_free(g);
    gv_mem_free(dx);
}

static void the_adjoint_is_the_transpose(void **state)
{
    (void)state;
    for_each_shape(check_adjoint);
}

/* ---- threads ---- */

typedef struct threaded {
    const prepared *p;
    gv_map *y;
    const gv_map *x;
} threaded;

static void run_threaded(void *arg)
{
    const threaded *t = arg;
    prepared_run(t->p, t->y, t->x);
}

static void check_threads(const gv_conv_shape *s, uint64_t seed)
{
    float *x = random_floats(s->n * s->c * s->h * s->w, seed);
    float *w = random_floats(weight_count(s), seed + 1000);
    guarded xs = guarded_new(map_of(BLOCKED, s->n, s->c, s->h, s->w));
    gv_map_import(&xs.map, x);
    size_t count;
    const gv_conv_kernel *const *kernels = gv_conv_kernels(&count);
    for (size_t i = 0; i < count; i++) {
        if (!kernels[i]->supports(s))
            continue;
        prepared p = prepared_new(kernels[i], s, w);
        guarded one = guarded_new(map_of(BLOCKED, s->n, s->k, s->oh, s->ow));
        prepared_run(&p, &one.map, &xs.map);
        for (int threads = 1; threads <= 3; threads++) {
            guarded ys = guarded_new(one.map);
            threaded t = {&p, &ys.map, &xs.map};
            gv_error err;
            assert_int_equal(gv_job_run(run_threaded, &t, threads, &err), GV_OK);
            gv_test_same_bits(ys.map.data, one.map.data, (size_t)one.floats * sizeof(float),
                              kernels[i]->name);
            guarded_free(&ys);
        }
        guarded_free(&one);
        prepared_free(&p);
    }
    guarded_free(&xs);
    gv_mem_free(x);
    gv_mem_free(w);
}

static void bits_do_not_depend_on_threads(void **state)
{
    (void)state;
    for_each_shape(check_threads);
}

/* ---- choice ---- */

/* All kernels take it. */
static const conv_case easy = {1, 32, 8, 9, 48, 3, 1, 1, 0, 0, 0};

static void forced_kernels_are_called(void **state)
{
    (void)state;
    size_t count;
    const gv_conv_kernel *const *kernels = gv_conv_kernels(&count);
    gv_conv_shape s = shape_of(&easy);
    float *x = random_floats(s.n * s.c * s.h * s.w, 1), *w = random_floats(weight_count(&s), 2);
    float *out = random_floats(s.n * s.k * s.oh * s.ow, 3);
    for (size_t i = 0; i < count; i++) {
        if (!kernels[i]->supports(&s)) {
            print_message("SKIPPED: %s does not run on this CPU\n", kernels[i]->name);
            continue;
        }
        assert_int_equal(setenv("GANVAS_KERNELS", kernels[i]->name, 1), 0);
        const gv_conv_kernel *kernel = gv_conv_choose(&s);
        assert_ptr_equal(kernel, kernels[i]);
        int64_t before = gv_conv_calls(kernel->name);
        run_guarded(kernel, &s, out, x, w, BLOCKED, BLOCKED);
        assert_int_equal(gv_conv_calls(kernel->name), before + 1);
    }
    setenv("GANVAS_KERNELS", "nonsense,,ref", 1);
    assert_string_equal(gv_conv_choose(&s)->name, "ref");
    if (count > 1) {
        setenv("GANVAS_KERNELS", "direct,ref", 1);
        assert_int_equal(strncmp(gv_conv_choose(&s)->name, "direct-", 7), 0);
    }
    unsetenv("GANVAS_KERNELS");
    gv_mem_free(x);
    gv_mem_free(w);
    gv_mem_free(out);
}

static void layouts_tell_weights_apart(void **state)
{
    (void)state;
    char a[200], b[200];
    size_t count;
    const gv_conv_kernel *const *kernels = gv_conv_kernels(&count);
    for (size_t i = 0; i < count; i++) {
        gv_conv_shape s = shape_of(&easy), t = s;
        kernels[i]->layout(a, sizeof a, &s);
        t.gain = 0.5f;
        assert_string_not_equal(a, kernels[i]->layout(b, sizeof b, &t));
        t = gv_conv_adjoint(&s);
        assert_string_not_equal(a, kernels[i]->layout(b, sizeof b, &t));
        t = s, t.flip = true;
        assert_string_not_equal(a, kernels[i]->layout(b, sizeof b, &t));
        t = s, t.h = 2 * s.h, t.oh = 2 * s.oh, t.n = 3;
        assert_string_equal(a, kernels[i]->layout(b, sizeof b, &t));
    }
}

typedef struct failing {
    const gv_conv_kernel *kernel;
    const gv_conv_shape *shape;
} failing;

static gv_status prepare_once(void *ctx, gv_error *err)
{
    const failing *f = ctx;
    void *state;
    size_t bytes;
    gv_status status = f->kernel->prepare(&state, &bytes, f->shape, err);
    f->kernel->release(state);
    return status;
}

static void preparing_survives_lack_of_memory(void **state)
{
    (void)state;
    size_t count;
    const gv_conv_kernel *const *kernels = gv_conv_kernels(&count);
    gv_conv_shape s = shape_of(&easy);
    for (size_t i = 0; i < count; i++) {
        failing f = {kernels[i], &s};
        gv_test_fail_each_allocation(prepare_once, &f);
    }
}

/* On AVX-512 oneDNN is asked only where it has a kernel of its own making. */
static void check_implementation(const gv_conv_shape *s, uint64_t seed)
{
    (void)seed;
    size_t count;
    const gv_conv_kernel *const *kernels = gv_conv_kernels(&count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(kernels[i]->name, "dnnl") != 0 || !kernels[i]->supports(s))
            continue;
        void *made;
        size_t bytes;
        gv_error err;
        assert_int_equal(kernels[i]->prepare(&made, &bytes, s, &err), GV_OK);
        const char *detail = kernels[i]->detail(made);
        if (strstr(detail, "ref") || strstr(detail, "gemm"))
            fail_msg("%s: runs as %s", describe(s), detail);
        kernels[i]->release(made);
    }
}

static void onednn_has_no_slow_implementation(void **state)
{
    (void)state;
    for_each_shape(check_implementation);
}

/* ---- test_conv --bench [PART OF A NAME]: the shapes of the networks ---- */

typedef struct bench_case {
    const char *name;
    conv_case shape;
} bench_case;

/* clang-format off */
static const bench_case bench_cases[] = {
    {"sg2 4",          {1, 512, 4, 4, 512, 3, 1, 1, 0, 0, 0}},
    {"sg2 8",          {1, 512, 8, 8, 512, 3, 1, 1, 0, 0, 0}},
    {"sg2 16",         {1, 512, 16, 16, 512, 3, 1, 1, 0, 0, 0}},
    {"sg2 32",         {1, 512, 32, 32, 512, 3, 1, 1, 0, 0, 0}},
    {"sg2 64",         {1, 256, 64, 64, 256, 3, 1, 1, 0, 0, 0}},
    {"sg2 up 4",       {1, 512, 4, 4, 512, 3, 2, 0, 1, 0, 0}},
    {"sg2 up 8",       {1, 512, 8, 8, 512, 3, 2, 0, 1, 0, 0}},
    {"sg2 up 16",      {1, 512, 16, 16, 512, 3, 2, 0, 1, 0, 0}},
    {"sg2 up 32",      {1, 512, 32, 32, 256, 3, 2, 0, 1, 0, 0}},
    {"sg2 rgb 16",     {1, 512, 16, 16, 3, 1, 1, 0, 0, 0, 0}},
    {"sg2 rgb 64",     {1, 256, 64, 64, 3, 1, 1, 0, 0, 0, 0}},
    {"sg2 4, batch 8", {8, 512, 4, 4, 512, 3, 1, 1, 0, 0, 0}},
    {"sg2 8, batch 8", {8, 512, 8, 8, 512, 3, 1, 1, 0, 0, 0}},
    {"sg2 16, batch 8", {8, 512, 16, 16, 512, 3, 1, 1, 0, 0, 0}},
    {"vgg 64 conv1_1",  {1, 3, 64, 64, 64, 3, 1, 1, 0, 0, 0}},
    {"vgg 64 conv1_2",  {1, 64, 64, 64, 64, 3, 1, 1, 0, 0, 0}},
    {"vgg 64 conv2_1",  {1, 64, 32, 32, 128, 3, 1, 1, 0, 0, 0}},
    {"vgg 64 conv2_2",  {1, 128, 32, 32, 128, 3, 1, 1, 0, 0, 0}},
    {"vgg 64 conv3_1",  {1, 128, 16, 16, 256, 3, 1, 1, 0, 0, 0}},
    {"vgg 256 conv1_1", {1, 3, 256, 256, 64, 3, 1, 1, 0, 0, 0}},
    {"vgg 256 conv1_2", {1, 64, 256, 256, 64, 3, 1, 1, 0, 0, 0}},
    {"vgg 256 conv2_1", {1, 64, 128, 128, 128, 3, 1, 1, 0, 0, 0}},
    {"vgg 256 conv2_2", {1, 128, 128, 128, 128, 3, 1, 1, 0, 0, 0}},
    {"vgg 256 conv3_1", {1, 128, 64, 64, 256, 3, 1, 1, 0, 0, 0}},
    {"dcgan 1",  {1, 100, 1, 1, 256, 4, 2, 0, 1, 1, 0}},
    {"dcgan 4",  {1, 256, 4, 4, 128, 4, 2, 1, 1, 1, 0}},
    {"dcgan 8",  {1, 128, 8, 8, 64, 4, 2, 1, 1, 1, 0}},
    {"dcgan 16", {1, 64, 16, 16, 32, 4, 2, 1, 1, 1, 0}},
    {"dcgan 32", {1, 32, 32, 32, 3, 4, 2, 1, 1, 1, 0}},
    {"linear, 1 row",       {1, 512, 1, 1, 512, 1, 1, 0, 0, 0, 0}},
    {"linear, 16 rows",     {16, 512, 1, 1, 512, 1, 1, 0, 0, 0, 0}},
    {"linear, 256 rows",    {256, 512, 1, 1, 512, 1, 1, 0, 0, 0, 0}},
    {"linear, 10000 rows",  {10000, 512, 1, 1, 512, 1, 1, 0, 0, 0, 0}},
};
/* clang-format on */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

enum { BENCH_KERNELS = 8, BENCH_THREADS = 2, BENCH_MOST_RUNS = 200 };

/* Fastest of the runs so far, in seconds. */
typedef struct timing {
    prepared p;
    double best[BENCH_THREADS];
} timing;

typedef struct timed_run {
    threaded run;
    double seconds;
} timed_run;

static void run_timed(void *arg)
{
    timed_run *t = arg;
    double start = now();
    run_threaded(&t->run);
    t->seconds = now() - start;
}

/* One round: every kernel once with each number of threads. */
static void bench_round(timing *timings, size_t count, gv_map *y, const gv_map *x)
{
    for (size_t i = 0; i < count; i++)
        for (int threads = 1; threads <= BENCH_THREADS; threads++) {
            timed_run t = {{&timings[i].p, y, x}, 0};
            gv_error err;
            assert_int_equal(gv_job_run(run_timed, &t, threads, &err), GV_OK);
            double *best = &timings[i].best[threads - 1];
            *best = *best == 0 || t.seconds < *best ? t.seconds : *best;
        }
}

#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* Seconds that this core needs for a billion floating point operations in FMA of all lanes. */
__attribute__((target("avx512f"))) static double peak_once_avx512(void)
{
    __m512 sum[16], a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(1e-3f);
    for (int i = 0; i < 16; i++)
        sum[i] = _mm512_set1_ps((float)i);
    double start = now();
    const int64_t rounds = 200000;
    for (int64_t r = 0; r < rounds; r++)
        UNROLL for (int i = 0; i < 16; i++) sum[i] = _mm512_fmadd_ps(sum[i], a, b);
    double seconds = now() - start;
    float sink = 0;
    for (int i = 0; i < 16; i++)
        sink += _mm512_reduce_add_ps(sum[i]);
    return sink > 0 ? seconds * 1e9 / ((double)rounds * 16 * 32) : INFINITY;
}

__attribute__((target("avx2,fma"))) static double peak_once_avx2(void)
{
    __m256 sum[12], a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(1e-3f);
    for (int i = 0; i < 12; i++)
        sum[i] = _mm256_set1_ps((float)i);
    double start = now();
    const int64_t rounds = 200000;
    for (int64_t r = 0; r < rounds; r++)
        UNROLL for (int i = 0; i < 12; i++) sum[i] = _mm256_fmadd_ps(sum[i], a, b);
    double seconds = now() - start;
    float sink = 0;
    for (int i = 0; i < 12; i++)
        sink += _mm256_cvtss_f32(sum[i]);
    return sink > 0 ? seconds * 1e9 / ((double)rounds * 12 * 16) : INFINITY;
}

/* GFLOP/s of one core. */
static double measure_peak(void)
{
    double best = INFINITY;
    for (int i = 0; i < 50 && gv_isa_best() != GV_ISA_BASE; i++) {
        double s = gv_isa_best() == GV_ISA_AVX512 ? peak_once_avx512() : peak_once_avx2();
        best = s < best ? s : best;
    }
    return 1 / best;
}
#else
static double measure_peak(void)
{
    return NAN;
}
#endif

static void bench_shape(const char *name, const char *direction, const gv_conv_shape *s,
                        double peak)
{
    float *x = random_floats(s->n * s->c * s->h * s->w, 1), *w = random_floats(weight_count(s), 2);
    guarded xs = guarded_new(map_of(BLOCKED, s->n, s->c, s->h, s->w));
    guarded ys = guarded_new(map_of(BLOCKED, s->n, s->k, s->oh, s->ow));
    gv_map_import(&xs.map, x);
    timing timings[BENCH_KERNELS] = {0};
    size_t all, count = 0;
    const gv_conv_kernel *const *kernels = gv_conv_kernels(&all);
    for (size_t i = 1; i < all && count < BENCH_KERNELS; i++)
        if (kernels[i]->supports(s))
            timings[count++].p = prepared_new(kernels[i], s, w);
    double end = now() + 1.0;
    for (int i = 0; i < BENCH_MOST_RUNS && (i < 3 || now() < end); i++)
        bench_round(timings, count, &ys.map, &xs.map);

    double gflop = gv_conv_flops(s) * 1e-9;
    const gv_conv_kernel *chosen = gv_conv_choose(s);
    for (size_t i = 0; i < count; i++) {
        const timing *t = &timings[i];
        printf("| %-18s | %-8s | %-22s | %8.3f | %5.0f | %3.0f %% | %8.3f | %5.0f | %3.0f %% |%s\n",
               name, direction, t->p.kernel->name, t->best[0] * 1e3, gflop / t->best[0],
               100 * gflop / t->best[0] / peak, t->best[1] * 1e3, gflop / t->best[1],
               100 * gflop / t->best[1] / peak / 2, t->p.kernel == chosen ? " chosen" : "");
        prepared_free(&timings[i].p);
    }
    fflush(stdout);
    guarded_free(&xs);
    guarded_free(&ys);
    gv_mem_free(x);
    gv_mem_free(w);
}

static int bench(const char *part)
{
    double peak = measure_peak();
    printf("FMA peak of one core %.0f GFLOP/s\n", peak);
    printf(
        "| shape | direction | kernel | ms, 1 thread | GFLOP/s | peak | ms, 2 threads | GFLOP/s | "
        "peak |\n|---|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < sizeof bench_cases / sizeof *bench_cases; i++) {
        const bench_case *b = &bench_cases[i];
        if (part && !strstr(b->name, part))
            continue;
        gv_conv_shape s = shape_of(&b->shape), a = gv_conv_adjoint(&s);
        bench_shape(b->name, "forward", &s, peak);
        bench_shape(b->name, "gradient", &a, peak);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--bench") == 0)
        return bench(argc > 2 ? argv[2] : NULL);

    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reference_is_the_definition),
        cmocka_unit_test(inferred_sizes_are_those_of_torch),
        cmocka_unit_test(every_kernel_is_the_reference),
        cmocka_unit_test(infinite_input_leaves_lanes_zero),
        cmocka_unit_test(the_adjoint_is_the_transpose),
        cmocka_unit_test(bits_do_not_depend_on_threads),
        cmocka_unit_test(forced_kernels_are_called),
        cmocka_unit_test(onednn_has_no_slow_implementation),
        cmocka_unit_test(layouts_tell_weights_apart),
        cmocka_unit_test(preparing_survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
