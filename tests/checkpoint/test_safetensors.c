/* safetensors: every rule of the format broken once, and files written and read back. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cursor.h"
#include "base/file.h"
#include "base/memory.h"
#include "checkpoint/json.h"
#include "checkpoint/safetensors.h"

typedef struct loaded {
    gv_arena arena;
    gv_view *views;
    size_t count;
    json_t *metadata;
} loaded;

/* The file is a block of exactly its size, so that a sanitizer sees a byte too far; it must outlive
 * the views. */
static gv_status load(loaded *l, const uint8_t *file, size_t size, gv_error *err)
{
    gv_arena_init(&l->arena, 0);
    return gv_safetensors_read(file, size, "f.st", &l->arena, &l->views, &l->count, &l->metadata,
                               err);
}

static void unload(loaded *l)
{
    gv_arena_deinit(&l->arena);
    json_decref(l->metadata);
}

/* Length, header, then the data: bytes 0, 1, 2 ... Returned owned (free). */
static uint8_t *make_file(const char *header, size_t data_size, size_t *size)
{
    size_t length = strlen(header);
    *size = 8 + length + data_size;
    uint8_t *file = malloc(*size);
    assert_non_null(file);
    for (int i = 0; i < 8; i++)
        file[i] = (uint8_t)(length >> (8 * i));
    memcpy(file + 8, header, length);
    for (size_t i = 0; i < data_size; i++)
        file[8 + length + i] = (uint8_t)i;
    return file;
}

/* ---- good files ---- */

static void all_types(void **state)
{
    (void)state;
    /* Bytes 0 and up; the second element, where it is not tiny. */
    static const struct {
        const char *name;
        size_t size;
        double last;
    } types[] = {
        {"F32", 4, 0},          {"F16", 2, 0},      {"BF16", 2, 0}, {"F64", 8, 0}, {"I64", 8, 0},
        {"I32", 4, 0x07060504}, {"I16", 2, 0x0302}, {"I8", 1, 1},   {"U8", 1, 1},  {"BOOL", 1, 1},
    };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        char header[128];
        snprintf(header, sizeof header,
                 "{\"t\":{\"dtype\":\"%s\",\"shape\":[2],\"data_offsets\":[0,%zu]}}", types[i].name,
                 2 * types[i].size);
        size_t size;
        uint8_t *file = make_file(header, 2 * types[i].size, &size);
        loaded l;
        gv_error err = {0};
        if (load(&l, file, size, &err) != GV_OK)
            fail_msg("%s", err.message);
        assert_int_equal(l.count, 1);
        assert_string_equal(gv_dtype_name(l.views[0].type), types[i].name);
        assert_int_equal(gv_dtype_size(l.views[0].type), types[i].size);
        assert_ptr_equal(l.views[0].data, file + size - 2 * types[i].size);
        float values[2];
        assert_int_equal(gv_view_read_f32(values, &l.views[0], "f", &err), GV_OK);
        if (types[i].last >= 1)
            assert_true(values[1] == (float)types[i].last);
        unload(&l);
        free(file);
    }
}

static const char good[] =
    "{\"__metadata__\":{\"format\":\"pt\",\"ganvas\":\"{\\\"type\\\":\\\"dcgan\\\"}\"},"
    "\"last\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[8,32]},"
    "\"empty\":{\"dtype\":\"I64\",\"shape\":[3,0,9223372036854775],\"data_offsets\":[8,8]},"
    "\"sc\\u00e4l\\ud83d\\ude00r\\n\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[0,8]},"
    "\"\":{\"shape\":[1,1,1,1,1,1,1,1],\"later\":null,\"data_offsets\":[32,33],\"dtype\":\"U8\"}}  "
    " ";

static void whole_file(void **state)
{
    (void)state;
    size_t size;
    uint8_t *file = make_file(good, 33, &size);
    loaded l;
    gv_error err = {0};
    if (load(&l, file, size, &err) != GV_OK)
        fail_msg("%s", err.message);
    const uint8_t *data = file + 8 + strlen(good);

    assert_int_equal(l.count, 4);
    assert_string_equal(l.views[0].name, "sc\xc3\xa4l\xf0\x9f\x98\x80r\n");
    assert_int_equal(l.views[0].dims, 0);
    assert_int_equal(gv_view_count(&l.views[0]), 1);
    assert_string_equal(l.views[1].name, "empty");
    assert_int_equal(gv_view_count(&l.views[1]), 0);
    assert_string_equal(l.views[2].name, "last");
    assert_ptr_equal(l.views[2].data, data + 8);
    assert_int_equal(l.views[2].stride[0], 3);
    assert_int_equal(l.views[2].stride[1], 1);
    assert_false(l.views[2].big_endian);
    assert_string_equal(l.views[3].name, "");
    assert_int_equal(l.views[3].dims, 8);
    assert_string_equal(json_string_value(json_object_get(l.metadata, "ganvas")),
                        "{\"type\":\"dcgan\"}");
    unload(&l);
    free(file);
}

static void no_tensors(void **state)
{
    (void)state;
    size_t size;
    uint8_t *file = make_file("{}", 0, &size);
    loaded l;
    gv_error err;
    assert_int_equal(load(&l, file, size, &err), GV_OK);
    assert_int_equal(l.count, 0);
    assert_null(l.metadata);
    unload(&l);
    free(file);
}

/* ---- bad files ---- */

static void refuse_bytes(const uint8_t *file, size_t size, gv_status expected, const char *message)
{
    loaded l;
    gv_error err = {0};
    gv_status status = load(&l, file, size, &err);
    if (status != expected || !strstr(err.message, message) || strncmp(err.message, "f.st: ", 6))
        fail_msg("status %d '%s', expected %d '%s'", (int)status, err.message, (int)expected,
                 message);
    assert_null(l.views);
    assert_int_equal(l.count, 0);
    assert_null(l.metadata);
    unload(&l);
}

static void bad_headers(void **state)
{
    (void)state;
#define ENTRY(type, shape, offsets)                                                                \
    "{\"t\":{\"dtype\":\"" type "\",\"shape\":" shape ",\"data_offsets\":" offsets "}}"
    static const struct {
        const char *header;
        size_t data_size;
        gv_status status;
        const char *message;
    } cases[] = {
        {"", 0, GV_E_FORMAT, "is not a JSON object"},
        {" {}", 0, GV_E_FORMAT, "is not a JSON object"},
        {"[]", 0, GV_E_FORMAT, "is not a JSON object"},
        {"{", 0, GV_E_FORMAT, "JSON line 1"},
        {"{\"t\":1}", 0, GV_E_FORMAT, "tensor 't' has no dtype"},
        {"{\"t\":{}}", 0, GV_E_FORMAT, "tensor 't' has no dtype"},
        {"{\"t\":{\"dtype\":3}}", 0, GV_E_FORMAT, "tensor 't' has no dtype"},
        {ENTRY("F8_E4M3", "[1]", "[0,1]"), 1, GV_E_UNSUPPORTED,
         "tensor 't' is of type F8_E4M3, which is not supported"},
        {ENTRY("U16", "[1]", "[0,2]"), 2, GV_E_UNSUPPORTED, "type U16, which is not supported"},
        {ENTRY("f32", "[1]", "[0,4]"), 4, GV_E_FORMAT, "unknown type 'f32'"},
        {ENTRY("F32", "1", "[0,4]"), 4, GV_E_FORMAT, "tensor 't' has no shape"},
        {ENTRY("F32", "[1.0]", "[0,4]"), 4, GV_E_FORMAT, "dimension 0 is not a non-negative"},
        {ENTRY("F32", "[1,-1]", "[0,4]"), 4, GV_E_FORMAT, "dimension 1 is not a non-negative"},
        {ENTRY("F32", "[\"1\"]", "[0,4]"), 4, GV_E_FORMAT, "dimension 0 is not a non-negative"},
        {ENTRY("U8", "[1,1,1,1,1,1,1,1,1]", "[0,1]"), 1, GV_E_UNSUPPORTED, "has 9 dimensions"},
        {ENTRY("U8", "[9223372036854775807,2]", "[0,1]"), 1, GV_E_FORMAT, "shape overflows"},
        {ENTRY("U8", "[4294967296,4294967296]", "[0,0]"), 0, GV_E_FORMAT, "shape overflows"},
        {ENTRY("F32", "[4611686018427387904]", "[0,0]"), 0, GV_E_FORMAT, "shape overflows"},
        {ENTRY("F32", "[0,4294967296,4294967296]", "[0,0]"), 0, GV_E_FORMAT, "shape overflows"},
        {ENTRY("F32", "[1]", "[0]"), 4, GV_E_FORMAT, "data_offsets are not two"},
        {ENTRY("F32", "[1]", "[0,4,4]"), 4, GV_E_FORMAT, "data_offsets are not two"},
        {ENTRY("F32", "[1]", "[0,4.0]"), 4, GV_E_FORMAT, "data_offsets are not two"},
        {ENTRY("F32", "[1]", "[-4,0]"), 4, GV_E_FORMAT, "data_offsets are not two"},
        {ENTRY("F32", "[1]", "null"), 4, GV_E_FORMAT, "data_offsets are not two"},
        {ENTRY("F32", "[1]", "[4,0]"), 4, GV_E_FORMAT, "lies at bytes 4 to 0 of the data"},
        {ENTRY("F32", "[1]", "[0,4]"), 3, GV_E_FORMAT,
         "lies at bytes 0 to 4 of the data, of which there are 3"},
        {ENTRY("F32", "[1]", "[0,9223372036854775807]"), 4, GV_E_FORMAT, "of the data, of which"},
        {ENTRY("F32", "[1]", "[0,3]"), 3, GV_E_FORMAT,
         "type F32 and shape [1] has 3 bytes of data, needs 4"},
        {ENTRY("F32", "[]", "[0,0]"), 0, GV_E_FORMAT, "shape [] has 0 bytes of data, needs 4"},
        {ENTRY("F32", "[1]", "[0,4]"), 5, GV_E_FORMAT, "1 bytes of data follow the last tensor"},
        {ENTRY("F32", "[1]", "[1,5]"), 5, GV_E_FORMAT,
         "'t' begins at byte 1 of the data, expected 0"},
        {"{}", 1, GV_E_FORMAT, "1 bytes of data follow"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}",
         3, GV_E_FORMAT, "tensor 'b' begins at byte 1 of the data, expected 2"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[2,3]}}",
         3, GV_E_FORMAT, "tensor 'b' begins at byte 2 of the data, expected 1"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[2,2]}}",
         4, GV_E_FORMAT, "begins at byte 2 of the data, expected 4"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
         "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
         1, GV_E_FORMAT, "duplicate object key"},
        {"{\"a\\u0000b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, GV_E_FORMAT,
         "NUL byte"},
        {"{\"__metadata__\":[]}", 0, GV_E_FORMAT, "__metadata__ is not a JSON object"},
        {"{\"__metadata__\":{\"k\":1}}", 0, GV_E_FORMAT, "the value of 'k' is not a string"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t size;
        uint8_t *file = make_file(cases[i].header, cases[i].data_size, &size);
        refuse_bytes(file, size, cases[i].status, cases[i].message);
        free(file);
    }
}

static void bad_lengths(void **state)
{
    (void)state;
    static const struct {
        uint64_t length;
        const char *message;
    } cases[] = {
        {GV_JSON_MAX_SIZE + 1, "header of 16777217 bytes, more than 16777216 are not read"},
        {UINT64_MAX, "header of 18446744073709551615 bytes"},
        {GV_JSON_MAX_SIZE, "ends at byte"},
        {3, "ends at byte"},
        {0, "is not a JSON object"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t size;
        uint8_t *file = make_file("{}", 0, &size);
        memcpy(file, &cases[i].length, 8);
        refuse_bytes(file, size, GV_E_FORMAT, cases[i].message);
        free(file);
    }
}

static void truncations(void **state)
{
    (void)state;
    size_t whole;
    uint8_t *file = make_file(good, 33, &whole);
    for (size_t size = 0; size < whole; size++) {
        uint8_t *cut = malloc(size > 0 ? size : 1);
        assert_non_null(cut);
        memcpy(cut, file, size);
        refuse_bytes(cut, size, GV_E_FORMAT, "");
        free(cut);
    }
    free(file);
}

/* Whatever one changed byte makes of the file: what is accepted can be read. */
static void changed_bytes(void **state)
{
    (void)state;
    size_t size;
    uint8_t *file = make_file(good, 33, &size);
    for (size_t i = 0; i < size - 33; i++) {
        uint8_t before = file[i];
        for (int byte = 0; byte < 256; byte++) {
            file[i] = (uint8_t)byte;
            loaded l;
            gv_error err = {0};
            gv_status status = load(&l, file, size, &err);
            assert_true(status == GV_OK || err.message[0] != '\0');
            for (size_t k = 0; k < l.count; k++) {
                uint8_t values[64];
                assert_true(gv_view_count(&l.views[k]) * 8 <= 64);
                gv_view_read_raw(values, &l.views[k]);
            }
            unload(&l);
        }
        file[i] = before;
    }
    free(file);
}

static gv_status read_good(void *ctx, gv_error *err)
{
    const gv_file *file = ctx;
    loaded l;
    gv_status status = load(&l, file->data, file->size, err);
    unload(&l);
    return status;
}

static void failing_allocations(void **state)
{
    (void)state;
    gv_file file = {0};
    uint8_t *data = make_file(good, 33, &file.size);
    file.data = data;
    assert_int_equal(gv_test_fail_each_allocation(read_good, &file), 2);
    free(data);
}

/* Real files, and how many tensors and values they hold. */
static void models(void **state)
{
    (void)state;
    static const char *const names[] = {"models/cats64-stylegan2.safetensors",
                                        "models/vgg16-lpips.safetensors"};
    for (size_t i = 0; i < 2; i++) {
        gv_file file;
        gv_error err;
        loaded l;
        if (gv_file_open(&file, gv_test_source(names[i]), &err) != GV_OK ||
            load(&l, file.data, file.size, &err) != GV_OK)
            fail_msg("%s", err.message);
        assert_true(l.count > 20);
        for (size_t k = 0; k < l.count; k++) {
            float *values = gv_mem_alloc_array((size_t)gv_view_count(&l.views[k]), sizeof *values);
            assert_non_null(values);
            assert_int_equal(gv_view_read_f32(values, &l.views[k], "f", &err), GV_OK);
            gv_mem_free(values);
        }
        unload(&l);
        gv_file_close(&file);
    }
}

/* ---- writing ---- */

static void same_tensor(const gv_view *a, const gv_view *b)
{
    assert_string_equal(a->name, b->name);
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->dims, b->dims);
    for (int i = 0; i < a->dims; i++)
        assert_int_equal(a->shape[i], b->shape[i]);
    size_t bytes = (size_t)gv_view_count(a) * gv_dtype_size(a->type);
    uint8_t *x = gv_mem_alloc(bytes);
    uint8_t *y = gv_mem_alloc(bytes);
    assert_true(x && y);
    gv_view_read_raw(x, a);
    gv_view_read_raw(y, b);
    gv_test_same_bits(x, y, bytes, a->name);
    gv_mem_free(x);
    gv_mem_free(y);
}

enum { VALUES = 60000 };
static uint16_t values[VALUES];

static const uint8_t *bytes_of_values(void)
{
    for (int i = 0; i < VALUES; i++)
        values[i] = (uint16_t)(i * 7);
    return (const uint8_t *)values;
}

static void round_trip(void **state)
{
    (void)state;
    const uint8_t *data = bytes_of_values();
    const gv_view views[] = {
        {.name = "z.contiguous",
         .type = GV_F16,
         .dims = 2,
         .shape = {300, 200},
         .stride = {200, 1},
         .data = data},
        {.name = "a.transposed",
         .type = GV_F16,
         .dims = 2,
         .shape = {200, 300},
         .stride = {1, 200},
         .data = data},
        {.name = "rows longer than a piece",
         .type = GV_I16,
         .dims = 3,
         .shape = {2, 1, 50000},
         .stride = {0, 7, 1},
         .data = data + 1},
        {.name = "every second",
         .type = GV_U8,
         .dims = 1,
         .shape = {VALUES},
         .stride = {2},
         .data = data},
        {.name = "unaligned",
         .type = GV_F64,
         .dims = 1,
         .shape = {9},
         .stride = {1},
         .data = data + 3},
        {.name = "big",
         .type = GV_I32,
         .dims = 3,
         .shape = {30, 40, 20},
         .stride = {40, 1, 1200},
         .data = data,
         .big_endian = true},
        {.name = "expanded", .type = GV_BF16, .dims = 3, .shape = {3, 3, 40000}, .data = data},
        {.name = "scalar \"\xc3\xa4\"\n", .type = GV_F32, .data = data},
        {.name = "empty",
         .type = GV_BOOL,
         .dims = 2,
         .shape = {4, 0},
         .stride = {1, 1},
         .data = data},
    };
    enum { COUNT = sizeof views / sizeof views[0] };
    const char *path = gv_test_scratch("out.safetensors");
    gv_error err = {0};
    json_t *metadata = json_pack("{s:s}", "ganvas", "{}");
    if (gv_safetensors_write(path, views, COUNT, metadata, &err) != GV_OK)
        fail_msg("%s", err.message);

    gv_file file;
    assert_int_equal(gv_file_open(&file, path, &err), GV_OK);
    loaded l;
    if (load(&l, file.data, file.size, &err) != GV_OK)
        fail_msg("%s", err.message);
    assert_int_equal(gv_load_u64(file.data) % 8, 0);
    assert_int_equal(l.count, COUNT);
    for (size_t i = 0; i < COUNT; i++)
        same_tensor(&l.views[i], &views[i]);
    assert_true(json_equal(l.metadata, metadata));
    unload(&l);
    gv_file_close(&file);
    json_decref(metadata);
}

static void refuse_writing(const gv_view *views, size_t count, const json_t *metadata,
                           gv_status expected, const char *message)
{
    const char *path = gv_test_scratch("refused.safetensors");
    gv_error err = {0};
    assert_int_equal(gv_safetensors_write(path, views, count, metadata, &err), expected);
    if (!strstr(err.message, message))
        fail_msg("'%s' does not hold '%s'", err.message, message);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void refused_writing(void **state)
{
    (void)state;
    gv_view views[] = {{.name = "t", .data = bytes_of_values()},
                       {.name = "t", .data = bytes_of_values()}};
    refuse_writing(views, 2, NULL, GV_E_ARG, "a second entry of the name 't'");
    views[1].name = "__metadata__";
    refuse_writing(views, 2, NULL, GV_E_ARG, "a second entry of the name '__metadata__'");
    views[1].name = "\xff";
    refuse_writing(views, 2, NULL, GV_E_ARG, "is not UTF-8");
    json_t *metadata = json_pack("{s:i}", "k", 1);
    refuse_writing(views, 1, metadata, GV_E_FORMAT, "the value of 'k' is not a string");
    json_decref(metadata);

    gv_error err;
    assert_int_equal(
        gv_safetensors_write(gv_test_scratch("none/out.safetensors"), views, 1, NULL, &err),
        GV_E_IO);
}

static gv_status write_some(void *ctx, gv_error *err)
{
    (void)ctx;
    gv_view v = {.name = "t",
                 .type = GV_I16,
                 .dims = 2,
                 .shape = {3, 2},
                 .stride = {1, 3},
                 .data = bytes_of_values()};
    return gv_safetensors_write(gv_test_scratch("alloc.safetensors"), &v, 1, NULL, err);
}

static void failing_allocations_in_writing(void **state)
{
    (void)state;
    /* Header, writer and its two names, the buffer for strided views. */
    assert_true(gv_test_fail_each_allocation(write_some, NULL) >= 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_types),       cmocka_unit_test(whole_file),
        cmocka_unit_test(no_tensors),      cmocka_unit_test(bad_headers),
        cmocka_unit_test(bad_lengths),     cmocka_unit_test(truncations),
        cmocka_unit_test(changed_bytes),   cmocka_unit_test(failing_allocations),
        cmocka_unit_test(models),          cmocka_unit_test(round_trip),
        cmocka_unit_test(refused_writing), cmocka_unit_test(failing_allocations_in_writing),
    };
    return cmocka_run_group_tests_name("safetensors", tests, NULL, NULL);
}
