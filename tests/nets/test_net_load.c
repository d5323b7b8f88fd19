/* Recognising files, and files with something wrong: one sentence that names the tensor. */
#include "nets_support.h"

#include "checkpoint/safetensors.h"
#include "nets/vgg.h"

#include <math.h>

/* ---- what a file is ---- */

static void check_identity(const char *path, gv_net_type type, const char *expected)
{
    gv_checkpoint *ck;
    gv_net_type found;
    char text[300];
    OK(gv_checkpoint_open(&ck, path, err));
    OK(gv_net_identify(ck, &found, text, sizeof text, err));
    assert_int_equal(found, type);
    assert_string_equal(text, expected);
    gv_checkpoint_close(ck);
}

static void test_identify(void **state)
{
    (void)state;
    check_identity(
        gv_test_source("tests/nets/data/sg2_skip.safetensors"), GV_NET_STYLEGAN2,
        "StyleGAN2 generator, 32 px, z 16, w 16, mapping depth 2, skip, channels 8 to 4");
    check_identity(gv_test_source("tests/nets/data/sg2_cond.safetensors"), GV_NET_STYLEGAN2,
                   "StyleGAN2 generator, 8 px, z 16, w 16, mapping depth 4, 3 classes, skip, "
                   "channels 8 to 6");
    check_identity(
        gv_test_source("tests/nets/data/sg2_orig.safetensors"), GV_NET_STYLEGAN2,
        "StyleGAN2 generator, 16 px, z 20, w 12, mapping depth 2, orig, channels 9 to 5");
    check_identity(gv_test_source("tests/nets/data/dcgan_course.pth"), GV_NET_DCGAN,
                   "DCGAN generator (course, instance norm), 16 px, z 10");
    check_identity(gv_test_source("tests/nets/data/dcgan_examples.pth"), GV_NET_DCGAN,
                   "DCGAN generator (pytorch/examples, batch norm), 16 px, z 7");
    check_identity(gv_test_source("tests/nets/data/dcgan_upsample.pth"), GV_NET_DCGAN,
                   "DCGAN generator (upsampling and convolution, instance norm), 32 px, z 9");
    check_identity(gv_test_source("models/vgg16-lpips.safetensors"), GV_NET_VGG,
                   "VGG16 features, conv_1 to conv_13, with LPIPS");
}

static void test_identify_shared(void **state)
{
    (void)state;
    check_identity(gv_test_shared("reference/vgg/vgg19_first9_fp16.safetensors"), GV_NET_VGG,
                   "VGG19 features, conv_1 to conv_9");
    check_identity(gv_test_shared("reference/vgg/vgg19_first5.pth"), GV_NET_VGG,
                   "VGG16 or VGG19 features, conv_1 to conv_5");
    check_identity(
        gv_test_shared("reference/sg2/mid64/mid64.pkl"), GV_NET_STYLEGAN2,
        "StyleGAN2 generator, 64 px, z 512, w 512, mapping depth 2, skip, channels 128 to "
        "32");
}

/* ---- changed copies of a good file ---- */

typedef struct change {
    const char *tensor;     /* which */
    bool drop;              /* leave it out */
    float value;            /* else its first element becomes this */
    bool transpose;         /* swap the first two sizes, keeping the data */
    const char *key, *json; /* a member of the description set to this JSON */
    bool strip;             /* the description left out */
} change;

/* A safetensors file like `source` with the change, in the scratch folder. */
static const char *changed_copy(const char *source, const change *c)
{
    gv_checkpoint *ck;
    OK(gv_checkpoint_open(&ck, source, err));
    size_t count = gv_checkpoint_count(ck), kept = 0;
    gv_view *views = calloc(count, sizeof *views);
    float *values = NULL;
    assert_non_null(views);
    for (size_t i = 0; i < count; ++i) {
        gv_view v = *gv_checkpoint_at(ck, i);
        bool hit = c->tensor && strcmp(v.name, c->tensor) == 0;
        if (hit && c->drop)
            continue;
        if (hit && c->transpose) {
            int64_t first = v.shape[0], stride = v.stride[0];
            v.shape[0] = v.shape[1], v.shape[1] = first;
            v.stride[0] = v.stride[1], v.stride[1] = stride;
        } else if (hit) {
            values = nets_floats(gv_view_count(&v));
            OK(gv_view_read_f32(values, &v, "copy", err));
            values[0] = c->value;
            v.data = (const uint8_t *)values;
        }
        views[kept++] = v;
    }
    json_t *config = json_deep_copy(gv_checkpoint_config(ck));
    if (c->key)
        json_object_set_new(config, c->key, json_loads(c->json, JSON_DECODE_ANY, NULL));
    char *text = config && !c->strip ? json_dumps(config, 0) : NULL;
    json_t *metadata = text ? json_pack("{s:s}", "ganvas", text) : NULL;
    const char *path = gv_test_scratch("changed.safetensors");
    OK(gv_safetensors_write(path, views, kept, metadata, err));
    json_decref(metadata);
    json_decref(config);
    free(text);
    free(values);
    free(views);
    gv_checkpoint_close(ck);
    return path;
}

/* Loading fails with this status and a sentence that holds all the words. */
static void check_refused(const char *source, const change *c, gv_status status,
                          const char *const *words)
{
    const char *path = changed_copy(source, c);
    gv_checkpoint *ck;
    gv_generator *gen;
    gv_error why = {0};
    OK(gv_checkpoint_open(&ck, path, err));
    int64_t live = gv_mem_live();
    gv_status found = gv_generator_load(&gen, ck, &why);
    if (found != status)
        fail_msg("status %d, expected %d: %s", (int)found, (int)status, why.message);
    assert_null(gen);
    assert_true(gv_mem_live() < live); /* the checkpoint went too */
    for (int i = 0; words[i]; ++i)
        if (!strstr(why.message, words[i]))
            fail_msg("'%s' does not say '%s'", why.message, words[i]);
    print_message("%s\n", strrchr(why.message, '/') ? strrchr(why.message, '/') + 1 : why.message);
}

#define WORDS(...) ((const char *const[]){"changed.safetensors", __VA_ARGS__, NULL})

static void test_bad_stylegan2(void **state)
{
    (void)state;
    const char *good = gv_test_source("tests/nets/data/sg2_skip.safetensors");
    const char *weight = "synthesis.b8.conv0.weight", *affine = "synthesis.b16.conv0.affine.weight";
    check_refused(good, &(change){.tensor = weight, .drop = true}, GV_E_FORMAT, WORDS(weight));
    check_refused(good, &(change){.tensor = affine, .transpose = true}, GV_E_FORMAT,
                  WORDS(affine, "[16,8]", "[8,16]"));
    check_refused(good, &(change){.tensor = weight, .value = NAN}, GV_E_NUMERIC,
                  WORDS(weight, "NaN"));
    check_refused(good, &(change){.tensor = "mapping.w_avg", .value = INFINITY}, GV_E_NUMERIC,
                  WORDS("mapping.w_avg"));
    check_refused(good, &(change){.tensor = "synthesis.b4.torgb.affine.bias", .value = -INFINITY},
                  GV_E_NUMERIC, WORDS("synthesis.b4.torgb.affine.bias"));
    check_refused(good, &(change){.tensor = "synthesis.b8.resample_filter", .value = 1},
                  GV_E_UNSUPPORTED, WORDS("resample_filter"));
    check_refused(good, &(change){.key = "z_dim", .json = "17"}, GV_E_FORMAT,
                  WORDS("z_dim", "17", "16"));
    check_refused(good, &(change){.key = "img_resolution", .json = "33"}, GV_E_UNSUPPORTED,
                  WORDS("33"));
    check_refused(good, &(change){.key = "img_resolution", .json = "64"}, GV_E_FORMAT,
                  WORDS("synthesis.b64"));
    check_refused(good, &(change){.key = "synthesis_kwargs", .json = "{\"conv_clamp\": \"256\"}"},
                  GV_E_FORMAT, WORDS("conv_clamp"));
    check_refused(good, &(change){.key = "synthesis_kwargs", .json = "{\"architecture\": \"x\"}"},
                  GV_E_UNSUPPORTED, WORDS("architecture"));
    check_refused(good, &(change){.key = "mapping_kwargs", .json = "{\"activation\": \"swish\"}"},
                  GV_E_UNSUPPORTED, WORDS("swish"));
}

static void test_bad_dcgan(void **state)
{
    (void)state;
    const char *good = gv_test_source("tests/nets/data/dcgan_batch.pth");
    check_refused(good, &(change){.tensor = "deconv2.0.weight", .transpose = true}, GV_E_FORMAT,
                  WORDS("deconv2.0.weight", "[9,17,4,4]"));
    check_refused(good, &(change){.tensor = "deconv2.1.weight", .drop = true}, GV_E_FORMAT,
                  WORDS("deconv2.1.weight"));
    check_refused(good, &(change){.tensor = "deconv1.1.running_var", .value = -1}, GV_E_NUMERIC,
                  WORDS("deconv1.1.running_var"));
    check_refused(good, &(change){.tensor = "deconv3.0.weight", .value = NAN}, GV_E_NUMERIC,
                  WORDS("deconv3.0.weight"));
    check_refused(good, &(change){.tensor = "deconv3.0.weight", .drop = true}, GV_E_UNSUPPORTED,
                  WORDS("deconv2.0.weight", "channels"));
}

static void test_no_generator(void **state)
{
    (void)state;
    check_refused(gv_test_source("tests/nets/data/dcgan_batch.pth"),
                  &(change){.tensor = "deconv1.0.weight", .drop = true}, GV_E_FORMAT,
                  WORDS("unknown network"));
    gv_checkpoint *ck;
    gv_generator *gen;
    gv_vgg *vgg;
    gv_error why = {0};
    OK(gv_checkpoint_open(&ck, gv_test_source("models/vgg16-lpips.safetensors"), err));
    assert_int_equal(gv_generator_load(&gen, ck, &why), GV_E_FORMAT);
    assert_non_null(strstr(why.message, "VGG16"));
    OK(gv_checkpoint_open(&ck, gv_test_source("tests/nets/data/sg2_skip.safetensors"), err));
    assert_int_equal(gv_vgg_load(&vgg, ck, &why), GV_E_FORMAT);
    assert_non_null(strstr(why.message, "features.0.weight"));
}

/* Module attributes win over everything; without a description all comes from names, shapes and the
 * published defaults, and the assumed clamp is said. */
static void test_description(void **state)
{
    (void)state;
    const char *good = gv_test_source("tests/nets/data/sg2_resnet.safetensors");
    gv_generator *gen = nets_load(
        changed_copy(good, &(change){.key = "synthesis_kwargs",
                                     .json = "{\"conv_clamp\": 7, \"architecture\": \"resnet\"}"}));
    assert_true(gen->stylegan2.layer[0].clamp == 2);
    assert_true(fabsf(gen->stylegan2.fc[0].bias_gain - 0.05f) < 1e-7f);
    gv_generator_free(gen);

    const char *path = changed_copy(good, &(change){.strip = true});
    gen = nets_load(path);
    assert_int_equal(gen->stylegan2.architecture, GV_STYLEGAN2_RESNET);
    assert_int_equal(gen->resolution, 16);
    assert_true(gen->stylegan2.layer[0].clamp == 256);
    assert_true(fabsf(gen->stylegan2.fc[0].bias_gain - 0.01f) < 1e-8f);
    gv_generator_free(gen);
    check_identity(
        path, GV_NET_STYLEGAN2,
        "StyleGAN2 generator, 16 px, z 12, w 20, mapping depth 2, resnet, channels 17 to 5, "
        "clamp 256 assumed");
    gen = nets_load(changed_copy(gv_test_source("tests/nets/data/sg2_orig.safetensors"),
                                 &(change){.strip = true}));
    assert_int_equal(gen->stylegan2.architecture, GV_STYLEGAN2_ORIG);
    gv_generator_free(gen);
    gen = nets_load(changed_copy(gv_test_source("tests/nets/data/sg2_skip.safetensors"),
                                 &(change){.strip = true}));
    assert_int_equal(gen->stylegan2.architecture, GV_STYLEGAN2_SKIP);
    gv_generator_free(gen);
}

/* ---- memory ---- */

static gv_status load_and_render(void *ctx, gv_error *err)
{
    gv_checkpoint *ck;
    gv_generator *gen = NULL;
    gv_renderer *r = NULL;
    gv_truncation t = {.psi = 0.5f, .cutoff = -1, .label = -1};
    gv_status status;
    float z[64], latents[512];
    static float img[3 * 32 * 32];
    GV_TRY(gv_checkpoint_open(&ck, ctx, err));
    GV_TRY(gv_generator_load(&gen, ck, err));
    t.psi = gen->type == GV_NET_DCGAN ? 1 : 0.5f;
    gv_generator_seed_z(gen, z, 3);
    GV_TRY(gv_generator_map(gen, latents, z, 1, &t, 1, NULL, err));
    GV_TRY(gv_renderer_new(&r, gen, 1, err));
    GV_TRY(gv_renderer_run(r, img, latents, 1, GV_NOISE_CONST, NULL, NULL, 1, NULL, err));
done:
    gv_renderer_free(r);
    gv_generator_free(gen);
    return status;
}

static void test_allocations(void **state)
{
    (void)state;
    static const char *const files[] = {"tests/nets/data/sg2_skip.safetensors",
                                        "tests/nets/data/dcgan_batch.pth"};
    for (int i = 0; i < 2; ++i) {
        gv_error why = {0};
        char path[1024];
        snprintf(path, sizeof path, "%s", gv_test_source(files[i]));
        /* The compute thread starts once and stays. */
        assert_int_equal(load_and_render(path, &why), GV_OK);
        int64_t failed = gv_test_fail_each_allocation(load_and_render, path);
        print_message("%s: %lld allocations failed in turn\n", files[i], (long long)failed);
        assert_true(failed > 20);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identify),      cmocka_unit_test(test_identify_shared),
        cmocka_unit_test(test_bad_stylegan2), cmocka_unit_test(test_bad_dcgan),
        cmocka_unit_test(test_no_generator),  cmocka_unit_test(test_description),
        cmocka_unit_test(test_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
