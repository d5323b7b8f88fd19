/* Files of torch.save: real ones of both forms, and tensors whose numbers do not fit. */
#include "checkpoint_support.h"

#include "checkpoint/torch_file.h"

/* ---- real files ---- */

static void reads_own_files(void **state)
{
    (void)state;
    check_own("state_zip", "pt", GV_CHECKPOINT_TORCH_ZIP);
    check_own("state_legacy", "pt", GV_CHECKPOINT_TORCH_LEGACY);
    check_own("module_zip", "pt", GV_CHECKPOINT_TORCH_ZIP);
    check_own("views_legacy", "pt", GV_CHECKPOINT_TORCH_LEGACY);
}

/* Every type, with what conversion to float32 must give. */
static void check_mixed(const char *file)
{
    static const struct {
        const char *name;
        const char *type;
    } tensors[] = {
        {"f32", "F32"},        {"f16", "F16"},    {"bf16", "BF16"},  {"f64", "F64"},
        {"i64", "I64"},        {"i32", "I32"},    {"i16", "I16"},    {"i8", "I8"},
        {"u8", "U8"},          {"b", "BOOL"},     {"scalar", "F32"}, {"empty", "F32"},
        {"param", "F32"},      {"view_a", "F32"}, {"view_b", "F32"}, {"expanded", "F32"},
        {"transposed", "F32"},
    };
    gv_checkpoint *ck = open_checkpoint(gv_test_shared(file));
    assert_int_equal(gv_checkpoint_count(ck), sizeof tensors / sizeof *tensors);
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) {
        const gv_view *v = gv_checkpoint_find(ck, tensors[i].name);
        assert_non_null(v);
        assert_string_equal(gv_dtype_name(v->type), tensors[i].type);
        char path[100];
        snprintf(path, sizeof path, "reference/dcgan/mixed/%s.npy", tensors[i].name);
        bytes npy = read_file(gv_test_shared(path));
        size_t start = 10 + (size_t)npy.data[8] + ((size_t)npy.data[9] << 8);
        if (v->type == GV_BF16) {
            float values[24];
            assert_int_equal(gv_view_count(v), 24);
            assert_int_equal(gv_view_read_f32(values, v, file, NULL), GV_OK);
            gv_test_same_bits(values, npy.data + start, sizeof values, tensors[i].name);
        } else {
            uLong crc = crc32(0, npy.data + start, (uInt)(npy.size - start));
            assert_int_equal(view_crc(v), crc);
        }
        free(npy.data);
    }
    gv_checkpoint_close(ck);
}

static void reads_reference_files(void **state)
{
    (void)state;
    check_mixed("reference/dcgan/mixed.torch2.zip.pt");
    check_mixed("reference/dcgan/mixed.torch2.legacy.pt");
    check_mixed("reference/dcgan/mixed.torch171.zip.pt");
    check_mixed("reference/dcgan/mixed.torch171.legacy.pt");
}

static void reads_same_tensors_from_both_forms(void **state)
{
    (void)state;
    static const char *const names[] = {"course_batch4", "course_instance4", "examples_ngf4",
                                        "hw3_upconv"};
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        for (int writer = 0; writer < 2; writer++) {
            char path[100];
            const char *by = writer ? "torch2" : "torch171";
            snprintf(path, sizeof path, "reference/dcgan/%s.%s.zip.ckpt", names[n], by);
            gv_checkpoint *a = open_checkpoint(gv_test_shared(path));
            snprintf(path, sizeof path, "reference/dcgan/%s.%s.legacy.ckpt", names[n], by);
            gv_checkpoint *b = open_checkpoint(gv_test_shared(path));
            assert_int_equal(gv_checkpoint_count(a), gv_checkpoint_count(b));
            for (size_t i = 0; i < gv_checkpoint_count(a); i++) {
                const gv_view *v = gv_checkpoint_at(a, i), *w = gv_checkpoint_at(b, i);
                assert_string_equal(v->name, w->name);
                assert_int_equal(view_crc(v), view_crc(w));
            }
            gv_checkpoint_close(a);
            gv_checkpoint_close(b);
        }
    }
}

static void refuses_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *part;
    } cases[] = {
        {"refused_rosinality", "rosinality"},
        {"refused_sparse", "tensor 'w': is not a plain tensor (_rebuild_sparse_tensor)"},
        {"refused_complex", "tensor 'w': storages of type 'ComplexFloatStorage'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[100];
        snprintf(path, sizeof path, "tests/checkpoint/data/%s.pt", cases[i].name);
        bytes b = read_file(gv_test_source(path));
        expect_refusal(b.data, b.size, GV_E_UNSUPPORTED, cases[i].part);
        free(b.data);
    }
}

/* ---- tensors made by hand ---- */

/* One tensor 'w' in a storage of its own. */
typedef struct recipe {
    const char *type; /* "FloatStorage" */
    const char *key;  /* as the pickle names it; the file has "0" */
    int64_t count;    /* elements, as the pickle says; the file has 12 floats */
    int64_t offset;
    int dims, strides;
    int64_t shape[9], stride[9];
} recipe;

static const recipe good = {"FloatStorage", "0", 12, 0, 2, 2, {3, 4}, {4, 1}};

static void put_number(bytes *b, int64_t value)
{
    put(b, "\x8a\10", 2);
    put_int(b, (uint64_t)value, 8);
}

static void put_string(bytes *b, const char *text)
{
    put(b, "\x8c", 1);
    put_int(b, strlen(text), 1);
    put_text(b, text);
}

static void put_tensor(bytes *b, const recipe *r)
{
    put_text(b, "ctorch._utils\n_rebuild_tensor_v2\n((");
    put_string(b, "storage");
    put_text(b, "ctorch\n");
    put_text(b, r->type);
    put_text(b, "\n");
    put_string(b, r->key);
    put_string(b, "cpu");
    put_number(b, r->count);
    put_text(b, "tQ");
    put_number(b, r->offset);
    put_text(b, "(");
    for (int d = 0; d < r->dims; d++)
        put_number(b, r->shape[d]);
    put_text(b, "t(");
    for (int d = 0; d < r->strides; d++)
        put_number(b, r->stride[d]);
    put_text(b, "t\x89}tR");
}

static bytes make_pickle(const recipe *r)
{
    bytes b = {0};
    put_text(&b, "\x80\2}");
    put_string(&b, "w");
    put_tensor(&b, r);
    put_text(&b, "s.");
    return b;
}

static bytes make_zip(const recipe *r, const char *order)
{
    bytes pickle = make_pickle(r);
    float values[12];
    for (int i = 0; i < 12; i++)
        values[i] = (float)i;
    zip_maker z = {.zeroed = true};
    zip_add(&z, "top/data.pkl", pickle.data, pickle.size);
    zip_add(&z, "top/byteorder", order, strlen(order));
    zip_add(&z, "top/data/0", values, sizeof values);
    zip_add(&z, "top/version", "3\n", 2);
    free(pickle.data);
    return zip_end(&z, 0);
}

static void reads_strides(void **state)
{
    (void)state;
    static const struct {
        recipe r;
        int count;
        float values[12];
    } cases[] = {
        {{"FloatStorage", "0", 12, 0, 2, 2, {2, 3}, {3, 1}}, 6, {0, 1, 2, 3, 4, 5}},
        {{"FloatStorage", "0", 12, 6, 2, 2, {2, 3}, {3, 1}}, 6, {6, 7, 8, 9, 10, 11}},
        {{"FloatStorage", "0", 12, 0, 2, 2, {2, 3}, {1, 4}}, 6, {0, 4, 8, 1, 5, 9}},
        {{"FloatStorage", "0", 12, 11, 2, 2, {2, 3}, {0, 0}}, 6, {11, 11, 11, 11, 11, 11}},
        {{"FloatStorage", "0", 12, 2, 2, 2, {2, 2}, {0, 3}}, 4, {2, 5, 2, 5}},
        {{"FloatStorage", "0", 12, 5, 0, 0, {0}, {0}}, 1, {5}},
        {{"FloatStorage", "0", 12, 12, 2, 2, {0, 1000}, {1, 1}}, 0, {0}},
        {{"FloatStorage", "0", 12, 0, 3, 3, {2, 1, 2}, {2, 1ll << 60, 1}}, 4, {0, 1, 2, 3}},
        {{"FloatStorage", "0", 12, 0, 8, 8, {1, 1, 1, 1, 1, 1, 1, 2}, {9, 9, 9, 9, 9, 9, 9, 4}},
         2,
         {0, 4}},
        {{"ByteStorage", "0", 48, 4, 1, 1, {4}, {1}}, 4, {0, 0, 128, 63}}, /* of 1.0f */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bytes b = make_zip(&cases[i].r, "little");
        gv_checkpoint *ck;
        gv_error err = {0};
        if (gv_checkpoint_open_memory(&ck, b.data, b.size, "x.pt", &err) != GV_OK)
            fail_msg("case %zu: %s", i, err.message);
        const gv_view *v = gv_checkpoint_find(ck, "w");
        float values[12];
        assert_int_equal(gv_view_count(v), cases[i].count);
        assert_int_equal(gv_view_read_f32(values, v, "x.pt", &err), GV_OK);
        gv_test_same_bits(values, cases[i].values, (size_t)cases[i].count * sizeof *values, "w");
        gv_checkpoint_close(ck);
        free(b.data);
    }
}

static void refuses_numbers_that_do_not_fit(void **state)
{
    (void)state;
    static const struct {
        recipe r;
        gv_status status;
        const char *part;
    } cases[] = {
        {{"FloatStorage", "1", 12, 0, 1, 1, {1}, {1}}, GV_E_FORMAT, "storage '1' is not in the"},
        {{"FloatStorage", "0", 13, 0, 1, 1, {1}, {1}}, GV_E_FORMAT, "should hold 13 elements"},
        {{"FloatStorage", "0", -1, 0, 1, 1, {1}, {1}}, GV_E_FORMAT, "does not describe a storage"},
        {{"DoubleStorage", "0", 12, 0, 1, 1, {1}, {1}}, GV_E_FORMAT, "of 8 bytes"},
        {{"FloatStorage", "0", INT64_MAX, 0, 1, 1, {1}, {1}}, GV_E_FORMAT, "should hold"},
        {{"QInt8Storage", "0", 48, 0, 1, 1, {1}, {1}}, GV_E_UNSUPPORTED, "'QInt8Storage'"},
        {{"FloatStorage", "0", 12, -1, 1, 1, {1}, {1}}, GV_E_FORMAT, "has no offset"},
        {{"FloatStorage", "0", 12, 12, 1, 1, {1}, {1}}, GV_E_FORMAT, "past its storage of 12"},
        {{"FloatStorage", "0", 12, 13, 1, 1, {0}, {1}}, GV_E_FORMAT, "past its storage"},
        {{"FloatStorage", "0", 12, INT64_MAX, 1, 1, {2}, {1}}, GV_E_FORMAT, "past its storage"},
        {{"FloatStorage", "0", 12, 0, 1, 1, {13}, {1}}, GV_E_FORMAT, "shape [13] from element 0"},
        {{"FloatStorage", "0", 12, 1, 2, 2, {3, 4}, {4, 1}}, GV_E_FORMAT, "past its storage"},
        {{"FloatStorage", "0", 12, 0, 2, 2, {2, 2}, {11, 1}}, GV_E_FORMAT, "past its storage"},
        {{"FloatStorage", "0", 12, 0, 1, 1, {2}, {INT64_MAX}}, GV_E_FORMAT, "past its storage"},
        {{"FloatStorage", "0", 12, 0, 1, 1, {3}, {1ll << 62}}, GV_E_FORMAT, "past its storage"},
        {{"FloatStorage", "0", 12, 0, 1, 1, {-1}, {1}}, GV_E_FORMAT, "dimension 0 is not a size"},
        {{"FloatStorage", "0", 12, 0, 1, 1, {1}, {-1}}, GV_E_FORMAT, "stride 0"},
        {{"FloatStorage", "0", 12, 0, 2, 1, {1, 1}, {1}}, GV_E_FORMAT, "do not match"},
        {{"FloatStorage", "0", 12, 0, 9, 9, {1, 1, 1, 1, 1, 1, 1, 1, 1}, {0}},
         GV_E_UNSUPPORTED,
         "9 dimensions"},
        {{"FloatStorage", "0", 12, 0, 2, 2, {1ll << 32, 1ll << 32}, {0, 0}},
         GV_E_FORMAT,
         "larger than the file"},
        {{"FloatStorage", "0", 12, 0, 3, 3, {1ll << 62, 4, 0}, {0, 0, 0}},
         GV_E_FORMAT,
         "larger than the file"},
        {{"FloatStorage", "0", 12, 0, 1, 1, {1ll << 30}, {0}}, GV_E_FORMAT, "larger than the file"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bytes b = make_zip(&cases[i].r, "little");
        expect_refusal(b.data, b.size, cases[i].status, cases[i].part);
        expect_refusal(b.data, b.size, cases[i].status, "x.pt: tensor 'w': ");
        free(b.data);
    }
}

static void refuses_other_archives(void **state)
{
    (void)state;
    bytes pickle = make_pickle(&good), b;
    zip_maker numpy = {0}, other = {0}, script = {0}, compressed = {0};
    zip_add(&numpy, "w.npy", "\x93NUMPY", 6);
    b = zip_end(&numpy, 0);
    expect_refusal(b.data, b.size, GV_E_UNSUPPORTED, "NumPy archive");
    free(b.data);
    zip_add(&other, "a/b/data.pkl", "N.", 2);
    b = zip_end(&other, 0);
    expect_refusal(b.data, b.size, GV_E_UNSUPPORTED, "without a data.pkl");
    free(b.data);
    zip_add(&script, "a/data.pkl", pickle.data, pickle.size);
    zip_add(&script, "a/constants.pkl", ").", 2);
    b = zip_end(&script, 0);
    expect_refusal(b.data, b.size, GV_E_UNSUPPORTED, "TorchScript");
    free(b.data);
    zip_add(&compressed, "a/data.pkl", pickle.data, pickle.size);
    patch(&compressed.directory, 10, 8, 2);
    b = zip_end(&compressed, 0);
    expect_refusal(b.data, b.size, GV_E_UNSUPPORTED, "compressed");
    free(b.data);
    free(pickle.data);
    b = make_zip(&good, "big");
    expect_refusal(b.data, b.size, GV_E_UNSUPPORTED, "big-endian");
    free(b.data);
}

/* ---- the legacy form by hand ---- */

static const char legacy_head[] = "\x80\2\x8a\12l\xfc\x9c"
                                  "F\xf9 j\xa8P\x19.\x80\2M\xe9\3.";

static bytes make_legacy(const char *sizes, const char *keys, int64_t count)
{
    bytes b = {0}, pickle = make_pickle(&good);
    put(&b, legacy_head, sizeof legacy_head - 1);
    put_text(&b, sizes);
    put(&b, pickle.data, pickle.size);
    free(pickle.data);
    put_text(&b, keys);
    for (int i = 0; i < 2; i++) {
        put_int(&b, (uint64_t)count, 8);
        for (int k = 0; k < 12; k++)
            put_int(&b, 0, 4);
    }
    return b;
}

static void checks_legacy_files(void **state)
{
    (void)state;
    static const struct {
        const char *sizes, *keys;
        int64_t count;
        gv_status status;
        const char *part;
    } cases[] = {
        {"}U\15little_endian\x88s.", "]U\0010a.", 12, GV_OK, ""},
        {"}U\15little_endian\x89s.", "]U\0010a.", 12, GV_E_UNSUPPORTED, "big-endian"},
        {"}.", "]U\0010a.", 12, GV_E_FORMAT, "head of a torch file"},
        {"}U\15little_endian\x88s.", "}.", 12, GV_E_FORMAT, "list of storages"},
        {"}U\15little_endian\x88s.", "].", 12, GV_E_FORMAT, "storage '0' is not in the file"},
        {"}U\15little_endian\x88s.", "]U\0011a.", 12, GV_E_FORMAT, "no tensor uses"},
        {"}U\15little_endian\x88s.", "]Na.", 12, GV_E_FORMAT, "no tensor uses"},
        {"}U\15little_endian\x88s.", "](U\0010U\0010e.", 12, GV_E_FORMAT, "twice"},
        {"}U\15little_endian\x88s.", "]U\0010a.", 11, GV_E_FORMAT, "should hold 12 elements"},
        {"}U\15little_endian\x88s.", "]U\0010a.", 40, GV_E_FORMAT, "ends past the file"},
        {"}U\15little_endian\x88s.", "]U\0010a.", -1, GV_E_FORMAT, "ends past the file"},
        {"}U\15little_endian\x88s.", "]U\0010a.", INT64_MAX / 4 + 2, GV_E_FORMAT, "ends past"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bytes b = make_legacy(cases[i].sizes, cases[i].keys, cases[i].count);
        gv_checkpoint *ck;
        if (cases[i].status == GV_OK) {
            gv_error err = {0};
            if (gv_checkpoint_open_memory(&ck, b.data, b.size, "x.pt", &err) != GV_OK)
                fail_msg("%s", err.message);
            gv_checkpoint_close(ck);
        } else {
            expect_refusal(b.data, b.size, cases[i].status, cases[i].part);
        }
        free(b.data);
    }
}

/* ---- state dicts that go in circles ---- */

static void refuses_strange_objects(void **state)
{
    (void)state;
    static const struct {
        const char *pickle;
        size_t size;
        const char *part;
    } cases[] = {
#define CASE(literal, part) {literal, sizeof literal - 1, part}
        CASE("N.", "holds no state dict"),
        CASE("}.", "holds no state dict"),
        CASE("}\x94\x8c\nstate_dicth\0s.", "holds no state dict"), /* contains itself */
        CASE("ctorch._utils\n_rebuild_tensor_v2\n)R.", "holds no state dict"),
        CASE("}\x8c\1wctorch._utils\n_rebuild_tensor_v2\n)Rs.", "tensor 'w': has no storage"),
        CASE("}Nctorch._utils\n_rebuild_tensor_v2\n)Rs.", "has no name"),
        CASE("}\x8c\2\xff\xff"
             "ctorch._utils\n_rebuild_tensor_v2\n)Rs.",
             "not UTF-8"),
        CASE("}\x8c\1\0ctorch._utils\n_rebuild_tensor_v2\n)Rs.", "not UTF-8"),
#undef CASE
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        zip_maker z = {0};
        zip_add(&z, "a/data.pkl", cases[i].pickle, cases[i].size);
        bytes b = zip_end(&z, 0);
        expect_refusal(b.data, b.size, GV_E_FORMAT, cases[i].part);
        free(b.data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_own_files),
        cmocka_unit_test(reads_reference_files),
        cmocka_unit_test(reads_same_tensors_from_both_forms),
        cmocka_unit_test(refuses_by_name),
        cmocka_unit_test(reads_strides),
        cmocka_unit_test(refuses_numbers_that_do_not_fit),
        cmocka_unit_test(refuses_other_archives),
        cmocka_unit_test(checks_legacy_files),
        cmocka_unit_test(refuses_strange_objects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
