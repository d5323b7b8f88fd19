/* DCGAN generators against vectors: the project's own, and where ../shared is there those of the
 * course's, pytorch/examples' and a student's code, in every kind of torch file. */
#include "nets_support.h"

#include <math.h>

#define THREADS 2

/* torch 1.7.1 and 2.15 differ by 2.3e-6 on these images; four times that is allowed. */
#define IMAGE_BOUND 9.2e-6
/* The project's own vectors are float64: the whole rounding is on one side, and their random
 * normalisations enlarge it. */
#define OWN_BOUND 2e-5
#define GRADIENT_BOUND 2e-5

static void check_set(nets_worst *worst, gv_generator *gen, const gv_test_array *z,
                      const gv_test_array *img, const gv_test_array *target,
                      const gv_test_array *grad, double loss, double bound)
{
    assert_int_equal(gen->type, GV_NET_DCGAN);
    assert_int_equal(gen->z_dim, z->shape[1]);
    assert_int_equal(gen->resolution, img->shape[2]);
    nets_graph r = nets_graph_new(gen, z->shape[0], GV_GRAPH_BWD, NETS_NOISE_NONE, false);
    float *found = nets_floats(img->count), *found_grad = nets_floats(z->count);
    nets_graph_fwd(&r, z->f32, found, THREADS);
    nets_check(&worst->image, nets_error(found, img->f32, img->count), bound, worst->set, "img");
    double found_loss =
        nets_graph_bwd(&r, found, target->f32, target->shape[0], found_grad, THREADS);
    nets_check(&worst->image, fabs(found_loss / loss - 1), bound, worst->set, "loss");
    nets_check(&worst->gradient, gv_test_rel_error(found_grad, grad->f32, grad->count),
               GRADIENT_BOUND, worst->set, "grad_z");
    gv_graph_free(r.g);
    free(found);
    free(found_grad);
}

/* Module outputs before the activation, in order; returns how many were compared. */
static int check_layers(nets_worst *worst, gv_generator *gen, const float *z, int64_t n,
                        const char *npz, const char *const *names, int count)
{
    nets_graph r = nets_graph_new(gen, n, GV_GRAPH_FWD, NETS_NOISE_NONE, true);
    float *img = nets_floats(n * r.pixels);
    int compared = 0;
    nets_graph_fwd(&r, z, img, THREADS);
    for (int i = 0; i < count; ++i) {
        gv_node node = gv_graph_named(r.g, names[i]);
        if (!node.id)
            continue;
        gv_test_array ref = gv_test_npz(npz, names[i]);
        float *found = nets_floats(ref.count);
        gv_graph_get(r.g, node, found);
        nets_check(&worst->image, nets_error(found, ref.f32, ref.count), IMAGE_BOUND, worst->set,
                   names[i]);
        compared++;
        free(found);
        gv_test_array_free(&ref);
    }
    free(img);
    gv_graph_free(r.g);
    return compared;
}

/* ---- the project's own ---- */

static void own_set(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "tests/nets/data/%s.npz", name);
    const char *npz = gv_test_source(path);
    gv_test_array z = gv_test_npz(npz, "z"), img = gv_test_npz(npz, "img");
    gv_test_array target = gv_test_npz(npz, "target"), grad = gv_test_npz(npz, "grad_z");
    gv_test_array loss = gv_test_npz(npz, "loss");
    snprintf(path, sizeof path, "tests/nets/data/%s.pth", name);
    gv_generator *gen = nets_load(gv_test_source(path));
    nets_worst worst = {.set = name};
    check_set(&worst, gen, &z, &img, &target, &grad, loss.f32[0], OWN_BOUND);
    nets_report(&worst);
    gv_generator_free(gen);
    gv_test_array_free(&z);
    gv_test_array_free(&img);
    gv_test_array_free(&target);
    gv_test_array_free(&grad);
    gv_test_array_free(&loss);
}

static void test_own(void **state)
{
    (void)state;
    own_set("dcgan_course");
    own_set("dcgan_batch");
    own_set("dcgan_examples");
    own_set("dcgan_upsample");
}

/* ---- ../shared ---- */

static gv_test_array shared_npy(const char *name, const char *what)
{
    char path[128];
    snprintf(path, sizeof path, "reference/dcgan/%s.%s.npy", name, what);
    return gv_test_npy_typed(gv_test_shared(path), GV_TEST_F32);
}

static double shared_loss(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "reference/dcgan/%s.json", name);
    json_t *root = json_load_file(gv_test_shared(path), 0, NULL);
    double loss = json_number_value(json_object_get(root, "loss"));
    json_decref(root);
    assert_true(loss > 0);
    return loss;
}

/* layers: names in <name>.layers.npz that a tap must equal, ended by NULL. */
static void shared_set(const char *name, const char *const *files, const char *const *layers)
{
    gv_test_array z = gv_test_npy(gv_test_shared("reference/dcgan/z.npy"));
    gv_test_array img = shared_npy(name, "img"), target = shared_npy(name, "target");
    gv_test_array grad = shared_npy(name, "grad_z");
    if (z.dtype == GV_TEST_F64)
        for (int64_t i = 0; i < z.count; ++i)
            z.f32[i] = (float)z.f64[i];
    for (int i = 0; files[i]; ++i) {
        char path[192], set[128];
        snprintf(set, sizeof set, "%s.%s", name, files[i]);
        snprintf(path, sizeof path, "reference/dcgan/%s.ckpt", set);
        gv_generator *gen = nets_load(gv_test_shared(path));
        nets_worst worst = {.set = set};
        int count = 0;
        while (layers && layers[count])
            ++count;
        if (count > 0) {
            snprintf(path, sizeof path, "reference/dcgan/%s.layers.npz", name);
            assert_int_equal(
                check_layers(&worst, gen, z.f32, z.shape[0], gv_test_shared(path), layers, count),
                count);
        }
        check_set(&worst, gen, &z, &img, &target, &grad, shared_loss(name), IMAGE_BOUND);
        nets_report(&worst);
        gv_generator_free(gen);
    }
    gv_test_array_free(&z);
    gv_test_array_free(&img);
    gv_test_array_free(&target);
    gv_test_array_free(&grad);
}

static const char *const all_files[] = {"torch2.zip", "torch2.legacy", "torch171.zip",
                                        "torch171.legacy", NULL};

static void test_course_instance32(void **state)
{
    (void)state;
    shared_set("course_instance32", (const char *const[]){"torch2.zip", NULL}, NULL);
}

static void test_course_instance4(void **state)
{
    (void)state;
    static const char *const layers[] = {"deconv1.0", "deconv1.1", "deconv2.0", "deconv2.1",
                                         "deconv3.0", "deconv3.1", "deconv4.0", "deconv4.1",
                                         "deconv5.0", NULL};
    shared_set("course_instance4", all_files, layers);
}

static void test_course_batch4(void **state)
{
    (void)state;
    static const char *const layers[] = {"deconv1.0", "deconv1.1", "deconv2.0", "deconv2.1",
                                         "deconv3.0", "deconv3.1", "deconv4.0", "deconv4.1",
                                         "deconv5.0", NULL};
    shared_set("course_batch4", all_files, layers);
}

static void test_examples(void **state)
{
    (void)state;
    static const char *const layers[] = {"main.0", "main.1", "main.3",  "main.4",  "main.6",
                                         "main.7", "main.9", "main.10", "main.12", NULL};
    shared_set("examples_ngf4", all_files, layers);
}

static void test_upsample(void **state)
{
    (void)state;
    static const char *const layers[] = {"up_conv1.0", "up_conv1.1", "up_conv2.1",
                                         "up_conv2.2", "up_conv3.1", "up_conv3.2",
                                         "up_conv4.1", "up_conv4.2", NULL};
    shared_set("hw3_upconv", all_files, layers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own),
        cmocka_unit_test(test_course_instance32),
        cmocka_unit_test(test_course_instance4),
        cmocka_unit_test(test_course_batch4),
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_upsample),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
