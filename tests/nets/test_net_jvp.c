/* Tangents of whole networks: <jvp u, v> = <u, bwd v>, and central differences. */
#include "nets_support.h"

#include "nets/lpips.h"

#include <math.h>

#define THREADS 2

static float *normal(int64_t count, uint64_t seed)
{
    float *x = nets_floats(count + 16);
    gv_torch_rng rng;
    gv_torch_seed(&rng, seed);
    gv_torch_randn(&rng, x, count + 16);
    return x;
}

static double dot(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; ++i)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

/* A graph from some inputs to one output. */
typedef struct net {
    gv_graph *g;
    gv_node input[2 * GV_STYLEGAN2_MAX_WS], output;
    int inputs;
} net;

static int64_t count_of(const net *n, gv_node x)
{
    int64_t d[4];
    gv_graph_dims(n->g, x, d);
    return d[0] * d[1] * d[2] * d[3];
}

static void set_inputs(const net *n, float *const *x, float *const *u, double step)
{
    for (int i = 0; i < n->inputs; ++i) {
        int64_t count = count_of(n, n->input[i]);
        float *moved = nets_floats(count);
        for (int64_t j = 0; j < count; ++j)
            moved[j] = (float)((double)x[i][j] + step * (double)u[i][j]);
        gv_graph_set(n->g, n->input[i], moved);
        free(moved);
    }
    OK(gv_graph_fwd(n->g, THREADS, NULL, err));
}

/* difference: bound on the rms error of the tangent against central differences. */
static void check(net *n, float *const *x, double difference, const char *what)
{
    int64_t count = count_of(n, n->output);
    float *u[2 * GV_STYLEGAN2_MAX_WS] = {0}, *v = normal(count, 7), *tangent = nets_floats(count);
    for (int i = 0; i < n->inputs; ++i)
        u[i] = normal(count_of(n, n->input[i]), (uint64_t)i + 20);
    set_inputs(n, x, u, 0);
    for (int i = 0; i < n->inputs; ++i)
        gv_graph_set_tangent(n->g, n->input[i], u[i]);
    OK(gv_graph_jvp(n->g, THREADS, NULL, err));
    gv_graph_get_tangent(n->g, n->output, tangent);
    gv_graph_set_seed(n->g, n->output, v);
    OK(gv_graph_bwd(n->g, THREADS, NULL, err));
    double back = 0, forth = dot(tangent, v, count);
    for (int i = 0; i < n->inputs; ++i) {
        int64_t size = count_of(n, n->input[i]);
        float *grad = nets_floats(size);
        gv_graph_get_grad(n->g, n->input[i], grad);
        back += dot(grad, u[i], size);
        free(grad);
    }
    double size = sqrt(dot(tangent, tangent, count) * dot(v, v, count));
    double adjoint = fabs(back - forth) / size;

    const double step = 1e-4;
    float *up = nets_floats(count), *down = nets_floats(count);
    set_inputs(n, x, u, step);
    gv_graph_get(n->g, n->output, up);
    set_inputs(n, x, u, -step);
    gv_graph_get(n->g, n->output, down);
    for (int64_t i = 0; i < count; ++i)
        up[i] = (float)(((double)up[i] - (double)down[i]) / (2 * step));
    double differences = gv_test_rms_error(tangent, up, count);
    print_message("%-16s adjoint %.2g, differences %.2g\n", what, adjoint, differences);
    assert_true(size > 0 && adjoint < 2e-6);
    assert_true(differences < difference);
    for (int i = 0; i < n->inputs; ++i)
        free(u[i]);
    free(v);
    free(tangent);
    free(up);
    free(down);
}

/* Rows of the latent and noise maps of a generator. The differences are coarse: a step moves some
 * values over the kink of the leaky ReLU. */
static void check_generator(const char *path)
{
    gv_generator *gen = nets_load(gv_test_source(path));
    nets_graph r = nets_graph_new(gen, 1, GV_GRAPH_BWD | GV_GRAPH_JVP, NETS_NOISE_VARIES, false);
    net n = {.g = r.g, .output = r.img};
    float *x[2 * GV_STYLEGAN2_MAX_WS] = {0};
    for (int64_t k = 0; k < gen->rows; ++k)
        n.input[n.inputs++] = r.row[k];
    for (int k = 0; gen->type == GV_NET_STYLEGAN2 && k < gen->stylegan2.num_layers; ++k)
        n.input[n.inputs++] = r.noise[k];
    for (int i = 0; i < n.inputs; ++i)
        x[i] = normal(count_of(&n, n.input[i]), (uint64_t)i + 50);
    check(&n, x, 2e-2, strrchr(path, '/') + 1);
    for (int i = 0; i < n.inputs; ++i)
        free(x[i]);
    gv_graph_free(r.g);
    gv_generator_free(gen);
}

static void test_generators(void **state)
{
    (void)state;
    check_generator("tests/nets/data/sg2_skip.safetensors");
    check_generator("tests/nets/data/sg2_resnet.safetensors");
    check_generator("tests/nets/data/sg2_orig.safetensors");
    check_generator("tests/nets/data/dcgan_course.pth");
    check_generator("tests/nets/data/dcgan_batch.pth");
    check_generator("tests/nets/data/dcgan_upsample.pth");
}

/* From z and class through the mapping network. */
static void test_mapping(void **state)
{
    (void)state;
    gv_generator *gen = nets_load(gv_test_source("tests/nets/data/sg2_cond.safetensors"));
    net n = {.inputs = 2};
    OK(gv_graph_new(&n.g, GV_GRAPH_BWD | GV_GRAPH_JVP, err));
    OK(gv_graph_input(n.g, &n.input[0], "z", 2, gen->z_dim, 1, 1, true, err));
    OK(gv_graph_input(n.g, &n.input[1], "c", 2, gen->c_dim, 1, 1, true, err));
    OK(gv_stylegan2_mapping(n.g, &gen->stylegan2, &n.output, n.input[0], n.input[1], err));
    OK(gv_graph_output(n.g, n.output, "w", err));
    OK(gv_graph_build(n.g, err));
    float *x[2] = {normal(2 * gen->z_dim, 1), normal(2 * gen->c_dim, 2)};
    check(&n, x, 1e-2, "mapping");
    free(x[0]);
    free(x[1]);
    gv_graph_free(n.g);
    gv_generator_free(gen);
}

static void test_lpips(void **state)
{
    (void)state;
    gv_checkpoint *ck;
    gv_vgg *v;
    OK(gv_checkpoint_open(&ck, gv_test_source("models/vgg16-lpips.safetensors"), err));
    OK(gv_vgg_load(&v, ck, err));
    gv_test_array pictures = gv_test_npz(gv_test_source("tests/nets/data/vgg16.npz"), "pictures");
    int64_t h = pictures.shape[2], w = pictures.shape[3];
    net n = {.inputs = 2};
    gv_node a[GV_LPIPS_LAYERS], b[GV_LPIPS_LAYERS];
    OK(gv_graph_new(&n.g, GV_GRAPH_BWD | GV_GRAPH_JVP, err));
    for (int i = 0; i < 2; ++i) {
        OK(gv_graph_input(n.g, &n.input[i], "x", 1, 3, h, w, true, err));
        OK(gv_lpips_features(n.g, v, i ? b : a, n.input[i], err));
    }
    OK(gv_lpips_distance(n.g, v, &n.output, a, b, NULL, err));
    OK(gv_graph_output(n.g, n.output, "distance", err));
    OK(gv_graph_build(n.g, err));
    float *x[2] = {pictures.f32, pictures.f32 + 3 * h * w};
    check(&n, x, 2e-2, "lpips");
    gv_graph_free(n.g);
    gv_test_array_free(&pictures);
    gv_vgg_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_generators),
        cmocka_unit_test(test_mapping),
        cmocka_unit_test(test_lpips),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
