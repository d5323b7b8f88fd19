/* Whole networks through every kernel, at full width, and with 1, 2 and 3 threads. */
#include "nets_support.h"

#include "base/rng.h"
#include "checkpoint/npy.h"
#include "checkpoint/safetensors.h"
#include "nets/lpips.h"

#include <math.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- one run of a generator: picture and gradient ---- */

typedef struct outcome {
    float *img, *grad;
    int64_t pixels, rows;
} outcome;

static void outcome_free(outcome *o)
{
    free(o->img);
    free(o->grad);
}

/* latents [1,rows,row_dim]; the loss is the mean square of the picture. */
static outcome run(gv_generator *gen, const float *latents, int threads)
{
    nets_graph r = nets_graph_new(gen, 1, GV_GRAPH_BWD, NETS_NOISE_CONST, false);
    outcome o = {.img = nets_floats(r.pixels),
                 .grad = nets_floats(gen->rows * gen->row_dim),
                 .pixels = r.pixels,
                 .rows = gen->rows * gen->row_dim};
    float *zero = nets_floats(r.pixels);
    nets_graph_fwd(&r, latents, o.img, threads);
    nets_graph_bwd(&r, o.img, zero, 1, o.grad, threads);
    free(zero);
    gv_graph_free(r.g);
    return o;
}

static float *normal(int64_t count, uint64_t seed)
{
    float *x = nets_floats(count);
    gv_torch_rng rng;
    gv_torch_seed(&rng, seed);
    gv_torch_randn(&rng, x, count);
    return x;
}

/* ---- a generator of full width ---- */

enum { WIDE = 512, WIDE_W = 64, MAX_TENSORS = 64 };

/* Names and values of a file under construction. */
typedef struct maker {
    gv_view view[MAX_TENSORS];
    char name[MAX_TENSORS][64];
    float *value[MAX_TENSORS];
    size_t count;
} maker;

/* value: all elements; NAN: normal noise. */
static void make(maker *m, const char *name, float value, int dims, const int64_t *shape)
{
    int64_t count = 1;
    for (int i = 0; i < dims; ++i)
        count *= shape[i];
    float *x = normal(count < 16 ? 16 : count, m->count);
    for (int64_t i = 0; i < count && !isnan(value); ++i)
        x[i] = value;
    assert_true(m->count < MAX_TENSORS);
    snprintf(m->name[m->count], sizeof m->name[0], "%s", name);
    m->value[m->count] = x;
    m->view[m->count] = gv_view_of(m->name[m->count], GV_F32, dims, shape, x);
    m->count++;
}

static void make_in(maker *m, const char *module, const char *part, float value, int dims,
                    const int64_t *shape)
{
    char name[160];
    snprintf(name, sizeof name, "%s.%s", module, part);
    make(m, name, value, dims, shape);
}

static void make_style(maker *m, const char *module)
{
    make_in(m, module, "affine.weight", NAN, 2, (int64_t[]){WIDE, WIDE_W});
    make_in(m, module, "affine.bias", 1, 1, (int64_t[]){WIDE});
}

static void make_layer(maker *m, const char *module, int64_t size)
{
    make_style(m, module);
    make_in(m, module, "weight", NAN, 4, (int64_t[]){WIDE, WIDE, 3, 3});
    make_in(m, module, "bias", NAN, 1, (int64_t[]){WIDE});
    make_in(m, module, "noise_strength", 0.5f, 0, NULL);
    make_in(m, module, "noise_const", NAN, 2, (int64_t[]){size, size});
}

static void make_block(maker *m, const char *block)
{
    char torgb[64];
    snprintf(torgb, sizeof torgb, "%s.torgb", block);
    make_style(m, torgb);
    make_in(m, torgb, "weight", NAN, 4, (int64_t[]){3, WIDE, 1, 1});
    make_in(m, torgb, "bias", NAN, 1, (int64_t[]){3});
    make_in(m, block, "resample_filter", 0, 2, (int64_t[]){4, 4});
    static const float taps[4] = {0.125f, 0.375f, 0.375f, 0.125f};
    for (int i = 0; i < 16; ++i)
        m->value[m->count - 1][i] = taps[i / 4] * taps[i % 4];
}

static gv_generator *wide_generator(void)
{
    maker *m = calloc(1, sizeof *m);
    assert_non_null(m);
    make(m, "mapping.fc0.weight", NAN, 2, (int64_t[]){WIDE_W, WIDE_W});
    make(m, "mapping.fc0.bias", 0, 1, (int64_t[]){WIDE_W});
    make(m, "synthesis.b4.const", NAN, 3, (int64_t[]){WIDE, 4, 4});
    make_layer(m, "synthesis.b4.conv1", 4);
    make_block(m, "synthesis.b4");
    make_layer(m, "synthesis.b8.conv0", 8);
    make_layer(m, "synthesis.b8.conv1", 8);
    make_block(m, "synthesis.b8");
    const char *path = gv_test_scratch("wide.safetensors");
    OK(gv_safetensors_write(path, m->view, m->count, NULL, err));
    for (size_t i = 0; i < m->count; ++i)
        free(m->value[i]);
    free(m);
    return nets_load(path);
}

/* ---- kernels ---- */

static const char *const variants[] = {"ref", "direct", "dnnl"};
enum { VARIANTS = sizeof variants / sizeof *variants };

static gv_test_array own(const char *name, const char *member)
{
    char path[128];
    snprintf(path, sizeof path, "tests/nets/data/%s.npz", name);
    return gv_test_npz(gv_test_source(path), member);
}

static void check_small_generator(const char *file, const char *input, const char *expected,
                                  const char *what)
{
    char path[128];
    snprintf(path, sizeof path, "tests/nets/data/%s", file);
    gv_generator *gen = nets_load(gv_test_source(path));
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(file, "."), file);
    gv_test_array latents = own(name, input), ref = own(name, expected);
    outcome o = run(gen, latents.f32, 2);
    gv_test_close(o.img, ref.f32, o.pixels, 2e-5, what);
    outcome_free(&o);
    gv_test_array_free(&latents);
    gv_test_array_free(&ref);
    gv_generator_free(gen);
}

static void check_small_lpips(const char *what)
{
    gv_checkpoint *ck;
    gv_vgg *v;
    OK(gv_checkpoint_open(&ck, gv_test_source("models/vgg16-lpips.safetensors"), err));
    OK(gv_vgg_load(&v, ck, err));
    gv_test_array x = own("vgg16", "pictures"), ref = own("vgg16", "lpips");
    float found;
    OK(gv_lpips_compare(v, &found, x.f32 + 3 * 32 * 40, x.f32, 1, 1, 32, 40, 2, NULL, err));
    gv_test_close(&found, ref.f32 + 2, 1, 2e-5, what);
    gv_test_array_free(&x);
    gv_test_array_free(&ref);
    gv_vgg_free(v);
}

static void test_forced(void **state)
{
    (void)state;
    for (int i = 0; i < VARIANTS; ++i) {
        if (!nets_kernel_is_built(variants[i])) {
            print_message("SKIPPED: no kernel '%s' in this build or on this CPU\n", variants[i]);
            continue;
        }
        setenv("GANVAS_KERNELS", variants[i], 1);
        int64_t before = nets_kernel_calls(variants[i]);
        check_small_generator("sg2_skip.safetensors", "wplus", "img_wplus", variants[i]);
        check_small_generator("sg2_resnet.safetensors", "wplus", "img_wplus", variants[i]);
        check_small_generator("dcgan_course.pth", "z", "img", variants[i]);
        check_small_generator("dcgan_upsample.pth", "z", "img", variants[i]);
        check_small_lpips(variants[i]);
        int64_t calls = nets_kernel_calls(variants[i]) - before;
        unsetenv("GANVAS_KERNELS");
        print_message("%s: %lld convolutions\n", variants[i], (long long)calls);
        if (calls == 0)
            fail_msg("the forced kernel '%s' was never called", variants[i]);
    }
}

/* 512 channels against the plain-C reference: small vectors never reach the fast paths. The
 * terms of a sum number 4608 and come in another order: 4608 * eps / 2 at most, 1e-5 in practice.
 */
static void test_full_width(void **state)
{
    (void)state;
    gv_generator *gen = wide_generator();
    float *latents = normal(gen->rows * gen->row_dim, 77);
    setenv("GANVAS_KERNELS", "ref", 1);
    outcome ref = run(gen, latents, 2);
    for (int i = 0; i <= VARIANTS; ++i) {
        const char *name = i < VARIANTS ? variants[i] : "default";
        if (i == 0 || (i < VARIANTS && !nets_kernel_is_built(name)))
            continue;
        if (i < VARIANTS)
            setenv("GANVAS_KERNELS", name, 1);
        else
            unsetenv("GANVAS_KERNELS");
        int64_t before = i < VARIANTS ? nets_kernel_calls(name) : 0;
        outcome o = run(gen, latents, 2);
        if (i < VARIANTS && nets_kernel_calls(name) == before)
            fail_msg("the forced kernel '%s' was never called", name);
        print_message("%-8s picture %.2g, gradient %.2g\n", name,
                      gv_test_rel_error(o.img, ref.img, o.pixels),
                      gv_test_rel_error(o.grad, ref.grad, o.rows));
        gv_test_close(o.img, ref.img, o.pixels, 1e-5, name);
        gv_test_close(o.grad, ref.grad, o.rows, 1e-5, name);
        outcome_free(&o);
    }
    unsetenv("GANVAS_KERNELS");
    outcome_free(&ref);
    free(latents);
    gv_generator_free(gen);
}

/* ---- threads ---- */

static void check_threads(gv_generator *gen, const char *what)
{
    float *latents = normal(gen->rows * gen->row_dim, 78);
    outcome one = run(gen, latents, 1);
    for (int threads = 2; threads <= 3; ++threads) {
        outcome o = run(gen, latents, threads);
        gv_test_same_bits(o.img, one.img, (size_t)o.pixels * sizeof *o.img, what);
        gv_test_same_bits(o.grad, one.grad, (size_t)o.rows * sizeof *o.grad, what);
        outcome_free(&o);
    }
    outcome_free(&one);
    free(latents);
    gv_generator_free(gen);
}

static void check_threads_lpips(void)
{
    gv_checkpoint *ck;
    gv_vgg *v;
    OK(gv_checkpoint_open(&ck, gv_test_source("models/vgg16-lpips.safetensors"), err));
    OK(gv_vgg_load(&v, ck, err));
    gv_test_array x = own("vgg16", "pictures");
    float found[3];
    for (int i = 0; i < 3; ++i)
        OK(gv_lpips_compare(v, &found[i], x.f32 + 3 * 32 * 40, x.f32, 1, 1, 32, 40, i + 1, NULL,
                            err));
    gv_test_same_bits(&found[1], &found[0], sizeof *found, "LPIPS, 2 threads");
    gv_test_same_bits(&found[2], &found[0], sizeof *found, "LPIPS, 3 threads");
    gv_test_array_free(&x);
    gv_vgg_free(v);
}

static void test_threads(void **state)
{
    (void)state;
    check_threads(wide_generator(), "512 channels");
    check_threads(nets_load(gv_test_source("models/cats64-stylegan2.safetensors")), "cats64");
    check_threads(nets_load(gv_test_source("tests/nets/data/sg2_resnet.safetensors")), "resnet");
    check_threads(nets_load(gv_test_source("tests/nets/data/dcgan_course.pth")), "course");
    check_threads(nets_load(gv_test_source("tests/nets/data/dcgan_batch.pth")), "batch");
    check_threads_lpips();
}

/* oneDNN reads its limit when it starts: in a process of its own. */
static void test_threads_avx2(void **state)
{
    (void)state;
    if (getenv("ONEDNN_MAX_CPU_ISA")) {
        print_message("SKIPPED: ONEDNN_MAX_CPU_ISA is already set\n");
        skip();
    }
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        setenv("ONEDNN_MAX_CPU_ISA", "AVX2", 1);
        execl("/proc/self/exe", "test_net_kernels", "test_threads", (char *)NULL);
        _exit(127);
    }
    int status = -1;
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forced),
        cmocka_unit_test(test_full_width),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_threads_avx2),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
