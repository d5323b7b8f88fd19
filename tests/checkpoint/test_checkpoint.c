/* Checkpoints as a whole: kinds, names, questions, the tree, rewriting, and files cut off anywhere.
 */
#include "checkpoint_support.h"

#include "checkpoint/hash.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/view_list.h"

static const char *const own_files[] = {
    "sg2_proto2.pkl", "sg2_proto3.pkl",  "sg2_proto4.pkl",  "sg2_flat.pkl",
    "state_zip.pt",   "state_legacy.pt", "views_legacy.pt", "module_zip.pt",
};

static const char *own_path(const char *name)
{
    char path[200];
    snprintf(path, sizeof path, "tests/checkpoint/data/%s", name);
    return gv_test_source(path);
}

/* ---- kinds ---- */

static void refuses_what_is_no_checkpoint(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *part;
    } cases[] = {
        {"", "x.pt: the file is empty"},
        {"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"},
        {"<!DOCTYPE html><html>", "web page"},
        {"# Read me\n", "is none of safetensors, torch file or StyleGAN2 pickle"},
        {"\x80", "is none of"},
        {"????????{\"w\": 1}", "does not fit into the file"},
        {"PK\3\4....", "without its end record"},
        {"\x80\4", "ends at byte 2 inside a pickle"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_refusal(cases[i].text, strlen(cases[i].text), GV_E_FORMAT, cases[i].part);

    gv_checkpoint *ck;
    gv_error err = {0};
    assert_int_equal(gv_checkpoint_open(&ck, "/nowhere/x.pt", &err), GV_E_IO);
    assert_non_null(strstr(err.message, "/nowhere/x.pt"));
    assert_null(ck);
    gv_checkpoint_close(NULL);
}

/* ---- names ---- */

/* A safetensors file of bytes, one for each name. */
static bytes make_safetensors(const char *const *names, int count)
{
    bytes header = {0}, file = {0};
    for (int i = 0; i < count; i++) {
        char text[200];
        snprintf(text, sizeof text,
                 "%c\"%s\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[%d,%d]}",
                 i ? ',' : '{', names[i], i, i + 1);
        put_text(&header, text);
    }
    put_text(&header, "}");
    put_int(&file, header.size, 8);
    put(&file, header.data, header.size);
    for (int i = 0; i < count; i++)
        put_int(&file, (uint64_t)i, 1);
    free(header.data);
    return file;
}

static void strips_shared_prefixes(void **state)
{
    (void)state;
    static const struct {
        const char *names[3], *wanted[3]; /* wanted is sorted */
    } cases[] = {
        {{"b", "a", "c.d"}, {"a", "b", "c.d"}},
        {{"module.b", "module.a", "module.c"}, {"a", "b", "c"}},
        {{"module.b", "a", "module.c"}, {"a", "module.b", "module.c"}},
        {{"G.b", "G.a", "G.c"}, {"a", "b", "c"}},
        {{"generator.b", "generator.a", "generator.c"}, {"a", "b", "c"}},
        {{"module.generator.b", "module.generator.a", "module.generator.c"}, {"a", "b", "c"}},
        {{"generator.module.b", "generator.module.a", "generator.module.c"}, {"a", "b", "c"}},
        {{"G_ema.b", "G_ema.a", "G_ema.c"}, {"G_ema.a", "G_ema.b", "G_ema.c"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bytes b = make_safetensors(cases[i].names, 3);
        gv_checkpoint *ck;
        gv_error err = {0};
        if (gv_checkpoint_open_memory(&ck, b.data, b.size, "x", &err) != GV_OK)
            fail_msg("%s", err.message);
        assert_int_equal(gv_checkpoint_count(ck), 3);
        for (size_t k = 0; k < 3; k++) {
            const gv_view *v = gv_checkpoint_at(ck, k);
            assert_string_equal(v->name, cases[i].wanted[k]);
            assert_ptr_equal(gv_checkpoint_find(ck, cases[i].wanted[k]), v);
        }
        assert_null(gv_checkpoint_find(ck, "z"));
        gv_checkpoint_close(ck);
        free(b.data);
    }
    static const char *const none[] = {"{"};
    bytes b = make_safetensors(none, 0);
    expect_refusal(b.data, b.size, GV_E_FORMAT, "");
    free(b.data);
}

static void validates_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool valid;
    } cases[] = {
        {"", true},
        {"plain", true},
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", true},
        {"\xf4\x8f\xbf\xbf", true},
        {"\x80", false},
        {"\xc3", false},
        {"\xc3"
         "a",
         false},
        {"\xc0\x80", false},         /* two bytes for U+0000 */
        {"\xe0\x80\x80", false},     /* three */
        {"\xf0\x80\x80\x80", false}, /* four */
        {"\xed\xa0\x80", false},     /* a surrogate */
        {"\xf4\x90\x80\x80", false}, /* past U+10FFFF */
        {"\xf8\x88\x80\x80\x80", false},
        {"\xff", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t size = strlen(cases[i].text);
        uint8_t *copy = exact_copy(cases[i].text, size);
        if (gv_utf8_valid(copy, size) != cases[i].valid)
            fail_msg("case %zu", i);
        free(copy);
    }
}

/* ---- questions ---- */

static void needs_tensors_of_a_shape(void **state)
{
    (void)state;
    gv_checkpoint *ck = open_checkpoint(own_path("sg2_proto4.pkl"));
    const gv_view *v;
    gv_error err = {0};
    const char *name = "synthesis.b4.conv1.weight";
    assert_int_equal(gv_checkpoint_need(ck, &v, name, 4, (int64_t[]){6, 6, 3, 3}, &err), GV_OK);
    assert_string_equal(v->name, name);
    assert_int_equal(gv_checkpoint_need(ck, &v, name, 4, (int64_t[]){-1, 6, -1, 3}, &err), GV_OK);
    assert_int_equal(gv_checkpoint_need(ck, &v, "synthesis.b4.conv1.noise_strength", 0, NULL, &err),
                     GV_OK);

    assert_int_equal(gv_checkpoint_need(ck, &v, name, 4, (int64_t[]){-1, 7, 3, 3}, &err),
                     GV_E_FORMAT);
    assert_null(v);
    assert_non_null(strstr(err.message, "sg2_proto4.pkl: tensor 'synthesis.b4.conv1.weight' is "
                                        "[6,6,3,3], must be [*,7,3,3]"));
    assert_int_equal(gv_checkpoint_need(ck, &v, name, 1, (int64_t[]){6}, &err), GV_E_FORMAT);
    assert_int_equal(gv_checkpoint_need(ck, &v, "no.such", 1, (int64_t[]){6}, &err), GV_E_FORMAT);
    assert_non_null(strstr(err.message, "tensor 'no.such' is missing"));
    gv_checkpoint_release_pages(ck);
    assert_int_equal(gv_checkpoint_need(ck, &v, name, 4, (int64_t[]){6, 6, 3, 3}, &err), GV_OK);
    gv_checkpoint_close(ck);
}

static void hashes_content(void **state)
{
    (void)state;
    static const char sentence[] = "Nobody inspects the spammish repetition";
    /* Of the xxHash project's own program. */
    assert_true(gv_hash64((const uint8_t *)"", 0) == 0xef46db3751d8e999);
    assert_true(gv_hash64((const uint8_t *)"abc", 3) == 0x44bc2cf5ad770999);
    assert_true(gv_hash64((const uint8_t *)sentence, sizeof sentence - 1) == 0xfbcea83c8a378bf1);
    gv_checkpoint *a = open_checkpoint(own_path("sg2_proto3.pkl"));
    gv_checkpoint *b = open_checkpoint(own_path("sg2_proto4.pkl"));
    assert_true(gv_checkpoint_hash(a) != gv_checkpoint_hash(b));
    gv_checkpoint_close(a);
    gv_checkpoint_close(b);
}

/* ---- the tree ---- */

static void expect_line(const char *text, const char *line)
{
    const char *found = strstr(text, line);
    if (!found || (found > text && found[-1] != '\n' && found[-1] != ' ') ||
        found[strlen(line)] != '\n')
        fail_msg("no line '%s' in\n%s", line, text);
}

static void shows_trees(void **state)
{
    (void)state;
    gv_checkpoint *ck = open_checkpoint(own_path("sg2_proto4.pkl"));
    for (int round = 0; round < 2; round++) {
        char *text = gv_checkpoint_tree_text(ck, 0);
        assert_non_null(text);
        expect_line(text, "root: dict (5)");
        expect_line(text, "  G: Generator (module)");
        expect_line(text, "  G_ema: shown above");
        expect_line(text, "          weight: F32 [6,6,3,3]");
        expect_line(text, "          act_gain: 1.41421356");
        expect_line(text, "      block_resolutions: [4]");
        gv_mem_free(text);
    }
    char *text = gv_checkpoint_tree_text(ck, 3);
    assert_string_equal(text, "root: dict (5)\n  training_set_kwargs: None\n"
                              "  G: Generator (module)\n");
    gv_mem_free(text);
    gv_checkpoint_close(ck);

    ck = open_checkpoint(own_path("state_zip.pt"));
    text = gv_checkpoint_tree_text(ck, 0);
    expect_line(text, "  epoch: 3");
    expect_line(text, "  optimizer: training.loop.Optimiser(...) (opaque)");
    expect_line(text, "        step: 3");
    expect_line(text, "    module.generator.expanded: F32 [4,3]");
    gv_mem_free(text);
    gv_checkpoint_close(ck);

    static const char *const names[] = {"a", "b"};
    bytes b = make_safetensors(names, 2);
    assert_int_equal(gv_checkpoint_open_memory(&ck, b.data, b.size, "x", NULL), GV_OK);
    text = gv_checkpoint_tree_text(ck, 0);
    assert_string_equal(text, "root: 2 tensors\n  a: U8 [1]\n  b: U8 [1]\n");
    gv_mem_free(text);
    gv_checkpoint_close(ck);
    free(b.data);
}

/* Lists in themselves, deep nesting, calls of calls, control characters. */
static void shows_hostile_trees(void **state)
{
    (void)state;
    bytes pickle = {0};
    put_text(&pickle, "\x80\2}(\x8c\6circle]\x94h");
    put_int(&pickle, 0, 1);
    put_text(&pickle, "a\x8c\4"
                      "deep");
    for (int i = 0; i < 2000; i++)
        put_text(&pickle, "}\x8c\1k");
    put_text(&pickle, "N");
    for (int i = 0; i < 2000; i++)
        put_text(&pickle, "s");
    put_text(&pickle, "\x8c\5"
                      "callscm\nC\n");
    for (int i = 0; i < 2000; i++)
        put_text(&pickle, "N0N0)R");
    put_text(&pickle, "\x8c\5"
                      "bell\7\x8c\2\xff\xff"
                      "\x8c\1wctorch._utils\n_rebuild_tensor_v2\n((\x8c\7storagectorch\n"
                      "ByteStorage\n\x8c\1"
                      "0\x8c\3cpuK\2tQK\1))\x89}tRu.");
    zip_maker z = {0};
    zip_add(&z, "a/data.pkl", pickle.data, pickle.size);
    zip_add(&z, "a/data/0", "xy", 2);
    bytes b = zip_end(&z, 0);
    gv_checkpoint *ck;
    gv_error err = {0};
    if (gv_checkpoint_open_memory(&ck, b.data, b.size, "x", &err) != GV_OK)
        fail_msg("%s", err.message);
    char *text = gv_checkpoint_tree_text(ck, 0);
    expect_line(text, "    0: shown above");
    expect_line(text, "k: dict (1), nested too deep to show");
    expect_line(text, "  calls: object (opaque)");
    expect_line(text, "  bell?: '(not UTF-8)'");
    expect_line(text, "  w: U8 []");
    gv_mem_free(text);
    gv_checkpoint_close(ck);
    free(b.data);
    free(pickle.data);
}

/* ---- rewriting ---- */

static void rewrites_to_the_same_bits(void **state)
{
    (void)state;
    char path[300];
    snprintf(path, sizeof path, "%s", gv_test_scratch("rewritten.safetensors"));
    for (size_t i = 0; i < sizeof own_files / sizeof *own_files; i++) {
        gv_checkpoint *a = open_checkpoint(own_path(own_files[i])), *b;
        json_t *metadata = json_object();
        if (gv_checkpoint_config(a)) {
            char *text = json_dumps(gv_checkpoint_config(a), JSON_REAL_PRECISION(17));
            json_object_set_new(metadata, "ganvas", json_string(text));
            free(text);
        }
        gv_error err = {0};
        if (gv_safetensors_write(path, gv_checkpoint_at(a, 0), gv_checkpoint_count(a), metadata,
                                 &err) != GV_OK)
            fail_msg("%s", err.message);
        json_decref(metadata);
        b = open_checkpoint(path);
        assert_int_equal(gv_checkpoint_get_kind(b), GV_CHECKPOINT_SAFETENSORS);
        assert_int_equal(gv_checkpoint_count(a), gv_checkpoint_count(b));
        for (size_t k = 0; k < gv_checkpoint_count(a); k++) {
            const gv_view *v = gv_checkpoint_at(a, k), *w = gv_checkpoint_at(b, k);
            assert_string_equal(v->name, w->name);
            assert_int_equal(v->type, w->type);
            assert_int_equal(v->dims, w->dims);
            assert_memory_equal(v->shape, w->shape, sizeof v->shape);
            assert_int_equal(view_crc(v), view_crc(w));
        }
        const json_t *config = gv_checkpoint_config(a);
        assert_true(config ? json_equal(config, gv_checkpoint_config(b))
                           : !gv_checkpoint_config(b));
        gv_checkpoint_close(a);
        gv_checkpoint_close(b);
    }
}

static void checks_the_metadata_of_safetensors(void **state)
{
    (void)state;
    static const struct {
        const char *value, *part;
    } cases[] = {
        {"{", ""},
        {"[]", "names no type"},
        {"{}", "names no type"},
        {"{\\\"type\\\": 3}", "names"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char header[200];
        snprintf(header, sizeof header,
                 "{\"__metadata__\":{\"ganvas\":\"%s\"},\"w\":{\"dtype\":\"U8\",\"shape\":[1],"
                 "\"data_offsets\":[0,1]}}",
                 cases[i].value);
        bytes b = {0};
        put_int(&b, strlen(header), 8);
        put_text(&b, header);
        put_text(&b, "x");
        expect_refusal(b.data, b.size, GV_E_FORMAT, cases[i].part);
        free(b.data);
    }
}

/* ---- damage everywhere ---- */

static void refuses_every_truncation(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof own_files / sizeof *own_files; i++) {
        bytes b = read_file(own_path(own_files[i]));
        int64_t live = gv_mem_live();
        for (size_t size = 0; size < b.size; size++) {
            uint8_t *copy = exact_copy(b.data, size);
            gv_checkpoint *ck;
            gv_error err = {0};
            gv_status status = gv_checkpoint_open_memory(&ck, copy, size, own_files[i], &err);
            if (status != GV_E_FORMAT || ck || !strstr(err.message, own_files[i]))
                fail_msg("%s cut to %zu bytes: status %d '%s'", own_files[i], size, (int)status,
                         err.message);
            free(copy);
        }
        assert_int_equal(gv_mem_live(), live);
        free(b.data);
    }
}

/* Single bytes changed, in the larger files every few: never a crash or a leak, and a sentence for
 * each error. */
static void survives_changed_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof own_files / sizeof *own_files; i++) {
        bytes b = read_file(own_path(own_files[i]));
        int64_t live = gv_mem_live();
        for (size_t pos = 0; pos < b.size; pos += 1 + b.size / 4000) {
            uint8_t kept = b.data[pos];
            b.data[pos] = (uint8_t)(pos % 3 == 0 ? ~kept : pos % 3 == 1 ? kept + 1 : kept ^ 0x80);
            gv_checkpoint *ck;
            gv_error err = {0};
            gv_status status = gv_checkpoint_open_memory(&ck, b.data, b.size, "x", &err);
            for (size_t k = 0; ck && k < gv_checkpoint_count(ck); k++)
                (void)view_crc(gv_checkpoint_at(ck, k));
            assert_true((status == GV_OK) == (ck != NULL));
            assert_true((status == GV_OK) == (err.message[0] == '\0'));
            gv_checkpoint_close(ck);
            b.data[pos] = kept;
        }
        assert_int_equal(gv_mem_live(), live);
        free(b.data);
    }
}

static gv_status open_and_show(void *ctx, gv_error *err)
{
    gv_checkpoint *ck;
    gv_status status = gv_checkpoint_open(&ck, ctx, err);
    if (status != GV_OK)
        return status;
    char *text = gv_checkpoint_tree_text(ck, 0);
    if (!text)
        status = gv_fail_memory(err, 1);
    gv_mem_free(text);
    gv_checkpoint_close(ck);
    return status;
}

static void survives_failed_allocations(void **state)
{
    (void)state;
    static const char *const files[] = {"views_legacy.pt", "module_zip.pt", "sg2_proto2.pkl"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[300];
        snprintf(path, sizeof path, "%s", own_path(files[i]));
        assert_in_range(gv_test_fail_each_allocation(open_and_show, path), 10, 100000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_what_is_no_checkpoint),
        cmocka_unit_test(strips_shared_prefixes),
        cmocka_unit_test(validates_utf8),
        cmocka_unit_test(needs_tensors_of_a_shape),
        cmocka_unit_test(hashes_content),
        cmocka_unit_test(shows_trees),
        cmocka_unit_test(shows_hostile_trees),
        cmocka_unit_test(rewrites_to_the_same_bits),
        cmocka_unit_test(checks_the_metadata_of_safetensors),
        cmocka_unit_test(refuses_every_truncation),
        cmocka_unit_test(survives_changed_bytes),
        cmocka_unit_test(survives_failed_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
