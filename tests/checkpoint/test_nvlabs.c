/* StyleGAN2 pickles: every tensor by its checksum, the configuration, and what is refused. */
#include "checkpoint_support.h"

static void reads_own_files(void **state)
{
    (void)state;
    check_own("sg2_proto2", "pkl", GV_CHECKPOINT_NVLABS_PICKLE);
    check_own("sg2_proto3", "pkl", GV_CHECKPOINT_NVLABS_PICKLE);
    check_own("sg2_proto4", "pkl", GV_CHECKPOINT_NVLABS_PICKLE);
    check_own("sg2_resnet", "pkl", GV_CHECKPOINT_NVLABS_PICKLE);
    check_own("sg2_orig", "pkl", GV_CHECKPOINT_NVLABS_PICKLE);
    check_own("sg2_flat", "pkl", GV_CHECKPOINT_NVLABS_PICKLE);
}

/* Members of object must be those of wanted; object may have more. */
static void check_members(const json_t *wanted, const json_t *object, const char *file)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)wanted, key, value) {
        const json_t *found = json_object_get(object, key);
        if (json_is_object(value) && json_is_object(found))
            check_members(value, found, file);
        else if (!json_equal(value, found))
            fail_msg("%s: '%s' differs", file, key);
    }
}

static void reads_reference_files(void **state)
{
    (void)state;
    static const char *const files[][2] = {
        {"tiny", "tiny"},           {"tiny", "tiny_py37_proto2"},
        {"tiny_cond", "tiny_cond"}, {"tiny", "tiny_py37_torch171_proto3"},
        {"small32", "small32"},     {"tiny_nhwc", "tiny_nhwc"},
        {"mid64", "mid64"},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[120];
        snprintf(path, sizeof path, "reference/sg2/%s/%s.pkl", files[i][0], files[i][1]);
        gv_checkpoint *ck = open_checkpoint(gv_test_shared(path));
        assert_int_equal(gv_checkpoint_get_kind(ck), GV_CHECKPOINT_NVLABS_PICKLE);
        snprintf(path, sizeof path, "reference/sg2/%s/params.json", files[i][0]);
        json_t *wanted = load_json(gv_test_shared(path));
        check_tensors(ck, wanted);
        json_decref(wanted);
        snprintf(path, sizeof path, "reference/sg2/%s/config.json", files[i][0]);
        wanted = load_json(gv_test_shared(path));
        const json_t *config = gv_checkpoint_config(ck);
        check_members(json_object_get(wanted, "G_kwargs"), config, files[i][1]);
        assert_true(
            json_equal(json_object_get(wanted, "num_ws"), json_object_get(config, "num_ws")));
        json_decref(wanted);

        const json_t *modules = json_object_get(config, "modules");
        const json_t *conv = json_object_get(modules, "synthesis.b8.conv0");
        assert_int_equal(json_integer_value(json_object_get(conv, "up")), 2);
        /* numpy.sqrt(2), with all its digits */
        assert_true(json_real_value(json_object_get(conv, "act_gain")) == 1.4142135623730951);
        gv_checkpoint_close(ck);
    }
}

/* The course's file is called stylegan.ckpt. */
static void tells_kind_from_content(void **state)
{
    (void)state;
    bytes b = read_file(gv_test_source("tests/checkpoint/data/sg2_proto4.pkl"));
    gv_checkpoint *ck;
    assert_int_equal(gv_checkpoint_open_memory(&ck, b.data, b.size, "stylegan.ckpt", NULL), GV_OK);
    assert_int_equal(gv_checkpoint_get_kind(ck), GV_CHECKPOINT_NVLABS_PICKLE);
    gv_checkpoint_close(ck);
    free(b.data);
}

static void refuses_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        gv_status status;
        const char *part;
    } cases[] = {
        {"refused_tensorflow", GV_E_UNSUPPORTED, "TensorFlow"},
        {"refused_tensorflow2", GV_E_UNSUPPORTED, "TensorFlow"},
        {"refused_stylegan3", GV_E_UNSUPPORTED, "StyleGAN3"},
        {"refused_other", GV_E_UNSUPPORTED, "'TriPlaneGenerator'"},
        {"refused_plain", GV_E_FORMAT, "without a module 'G_ema'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[100];
        snprintf(path, sizeof path, "tests/checkpoint/data/%s.pkl", cases[i].name);
        bytes b = read_file(gv_test_source(path));
        expect_refusal(b.data, b.size, cases[i].status, cases[i].part);
        free(b.data);
    }
}

/* ---- damage ---- */

static size_t find(const bytes *b, const char *text, int n)
{
    size_t size = strlen(text);
    for (size_t i = 0; i + size <= b->size; i++) {
        if (memcmp(b->data + i, text, size) == 0 && n-- == 0)
            return i;
    }
    fail_msg("'%s' is not in the file", text);
    return 0;
}

static void refuses_damage(void **state)
{
    (void)state;
    static const struct {
        const char *text, *instead; /* of the same length */
        const char *part;
    } cases[] = {
        {"img_channels", "img_chbnnels", "G_ema has no attribute 'img_channels'"},
        {"z_dim", "z_dxm", "G_ema has no attribute 'z_dim'"},
        {"FloatStorage", "FlootStorage", "storages of type 'FlootStorage'"},
        {"_load_from_bytes", "_lood_from_bytes", "tensor 'synthesis.b4.const': has no storage"},
        {"_rebuild_tensor_v2", "_rebuild_tensor_v9", "is not a plain tensor (_rebuild_tensor_v9)"},
        {"G_ema", "G_emo", "without a module 'G_ema'"},
        {"b4", "b5", "is not a StyleGAN2 generator"},
        {"lrelu", "\xff\xfe\xfd\xfc\xfb", "not UTF-8"},
        {"noise_const",
         "noise\xff"
         "const",
         "not UTF-8"},
        {"noise_const", "noise\0const", "not UTF-8"},
        {"\x80\2\x8a\nl\xfc", "\x80\2\x8a\nl\xff", "its storage is not a torch file"},
        {"storageq", "stxrageq", "does not describe a storage"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bytes b = read_file(gv_test_source("tests/checkpoint/data/sg2_proto4.pkl"));
        memcpy(b.data + find(&b, cases[i].text, 0), cases[i].instead, strlen(cases[i].text));
        gv_checkpoint *ck;
        gv_error err = {0};
        gv_status status = gv_checkpoint_open_memory(&ck, b.data, b.size, "x.pkl", &err);
        if (status == GV_OK || !strstr(err.message, cases[i].part) ||
            !strstr(err.message, "x.pkl: "))
            fail_msg("case %zu: '%s', expected '%s'", i, err.message, cases[i].part);
        free(b.data);
    }
}

static void names_tensors_with_nan(void **state)
{
    (void)state;
    bytes b = read_file(gv_test_source("tests/checkpoint/data/sg2_proto4.pkl"));
    gv_checkpoint *ck;
    assert_int_equal(gv_checkpoint_open_memory(&ck, b.data, b.size, "x.pkl", NULL), GV_OK);
    const gv_view *v = gv_checkpoint_find(ck, "mapping.fc0.weight");
    assert_int_equal(gv_view_count(v), 16);
    patch(&b, (size_t)(v->data - b.data) + 4 * 5, 0x7fc00000, 4);
    gv_error err = {0};
    float values[16];
    assert_int_equal(gv_view_read_f32(values, v, "x.pkl", &err), GV_E_NUMERIC);
    assert_string_equal(err.message, "x.pkl: tensor 'mapping.fc0.weight' holds NaN at element 5");
    patch(&b, (size_t)(v->data - b.data) + 4 * 5, 0xff800000, 4);
    assert_int_equal(gv_view_read_f32(values, v, "x.pkl", &err), GV_E_NUMERIC);
    assert_non_null(strstr(err.message, "infinity"));
    gv_checkpoint_close(ck);
    free(b.data);
}

/* ---- modules that contain each other ---- */

#define MODULE "ctorch_utils.persistence\n_reconstruct_persistent_obj\n}\x8c\5state}("
#define CHILDREN "\x8c\13_parameters}\x8c\10_modules"

static void put_get(bytes *b, int memo)
{
    put(b, "h", 1);
    put_int(b, (uint64_t)memo, 1);
}

static void put_key(bytes *b, const char *key)
{
    put(b, "\x8c", 1);
    put_int(b, strlen(key), 1);
    put_text(b, key);
}

/* The rest of the pickle: a generator with the module of that memo entry in both networks. */
static void put_generator(bytes *b, int memo)
{
    static const char *const sizes[] = {"z_dim",          "c_dim",        "w_dim",
                                        "img_resolution", "img_channels", "num_ws"};
    put_text(b, "}\x8c\5G_ema" MODULE);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        put_key(b, sizes[i]);
        put_text(b, "K\4");
    }
    put_text(b, CHILDREN "}(");
    put_key(b, "mapping");
    put_get(b, memo);
    put_key(b, "synthesis");
    put_text(b, MODULE CHILDREN "}");
    put_key(b, "b4");
    put_get(b, memo);
    put_text(b, "sus\x85R"
                "uus\x85R"
                "s.");
}

static void refuses_module_in_itself(void **state)
{
    (void)state;
    bytes b = {0};
    put_text(&b, "\x80\4}\x94\x30"); /* 0: the dict of modules */
    put_text(&b, MODULE CHILDREN);
    put_get(&b, 0);
    put_text(&b, "us\x85R\x94\x30"); /* 1: the module */
    put_get(&b, 0);
    put_key(&b, "self");
    put_get(&b, 1);
    put_text(&b, "s\x30");
    put_generator(&b, 1);
    expect_refusal(b.data, b.size, GV_E_FORMAT, "nested without end");
    free(b.data);
}

/* Twelve levels, each with the one below four times: sixteen million modules. */
static void refuses_exploding_modules(void **state)
{
    (void)state;
    for (int padding = 0; padding <= 60000; padding += 60000) {
        bytes b = {0};
        put_text(&b, "\x80\4");
        for (int i = 0; i < padding; i++)
            put_text(&b, "N0"); /* raises every limit that goes by the size */
        put_text(&b, MODULE CHILDREN "}us\x85R\x94\x30");
        for (int level = 0; level < 12; level++) {
            put_text(&b, MODULE CHILDREN "}(");
            for (int i = 0; i < 4; i++) {
                const char key[] = {(char)('a' + i), 0};
                put_key(&b, key);
                put_get(&b, level);
            }
            put_text(&b, "uus\x85R\x94\x30");
        }
        put_generator(&b, 12);
        expect_refusal(b.data, b.size, GV_E_FORMAT, "nested without end");
        free(b.data);
    }
}

static void loads_without_explosion(void **state)
{
    (void)state;
    bytes b = {0};
    put_text(&b, "\x80\4" MODULE CHILDREN "}us\x85R\x94\x30");
    put_generator(&b, 0);
    /* The construction above is sound: what is missing is tensors. */
    expect_refusal(b.data, b.size, GV_E_FORMAT, "x.pt: holds no tensors");
    free(b.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_own_files),          cmocka_unit_test(reads_reference_files),
        cmocka_unit_test(tells_kind_from_content),  cmocka_unit_test(refuses_by_name),
        cmocka_unit_test(refuses_damage),           cmocka_unit_test(names_tensors_with_nan),
        cmocka_unit_test(refuses_module_in_itself), cmocka_unit_test(refuses_exploding_modules),
        cmocka_unit_test(loads_without_explosion),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
