/* .npy and .npz: files that NumPy wrote (tools/reference/make_npy.py), files broken in every place,
 * and files written and read back. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "checkpoint/npy.h"

static gv_file open_data(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "tests/checkpoint/data/%s", name);
    gv_file file;
    gv_error err;
    if (gv_file_open(&file, gv_test_source(path), &err) != GV_OK)
        fail_msg("%s", err.message);
    return file;
}

/* ---- .npy ---- */

/* Values 0, 1, 2 ... in C order; bools alternate. */
static void check_counting(const gv_view *v)
{
    float values[64];
    gv_error err;
    assert_true(gv_view_count(v) <= 64);
    assert_int_equal(gv_view_read_f32(values, v, "f", &err), GV_OK);
    for (int i = 0; i < gv_view_count(v); i++)
        assert_true(values[i] == (float)(v->type == GV_BOOL ? i % 2 : i));
}

static void files_of_numpy(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        gv_dtype type;
        const char *shape;
    } cases[] = {
        {"c_f4", GV_F32, "[2,3]"},        {"c_f8", GV_F64, "[2,3]"},
        {"c_f2", GV_F16, "[2,3]"},        {"c_i8", GV_I64, "[2,3]"},
        {"c_i4", GV_I32, "[2,3]"},        {"c_i2", GV_I16, "[2,3]"},
        {"c_i1", GV_I8, "[2,3]"},         {"c_u1", GV_U8, "[2,3]"},
        {"c_b1", GV_BOOL, "[2,3]"},       {"big_f4", GV_F32, "[2,3]"},
        {"big_i8", GV_I64, "[4]"},        {"fortran_f4", GV_F32, "[2,3,4]"},
        {"empty_f4", GV_F32, "[2,0,3]"},  {"fortran_big_f8", GV_F64, "[3,5]"},
        {"version2_f4", GV_F32, "[2,3]"}, {"dims8_u1", GV_U8, "[1,2,1,2,1,1,3,1]"},
        {"version3_f4", GV_F32, "[2,3]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char name[64], shape[128];
        snprintf(name, sizeof name, "%s.npy", cases[i].name);
        gv_file file = open_data(name);
        gv_view v;
        gv_error err = {0};
        if (gv_npy_read(&v, file.data, file.size, name, &err) != GV_OK)
            fail_msg("%s", err.message);
        assert_int_equal(v.type, cases[i].type);
        assert_string_equal(gv_view_shape_text(shape, sizeof shape, &v), cases[i].shape);
        assert_int_equal(v.big_endian, strstr(name, "big") != NULL);
        check_counting(&v);
        gv_file_close(&file);
    }
}

static void scalar(void **state)
{
    (void)state;
    gv_file file = open_data("scalar_f4.npy");
    gv_view v;
    gv_error err;
    float value;
    assert_int_equal(gv_npy_read(&v, file.data, file.size, "s", &err), GV_OK);
    assert_int_equal(v.dims, 0);
    assert_int_equal(gv_view_read_f32(&value, &v, "s", &err), GV_OK);
    assert_true(value == 7);
    gv_file_close(&file);
}

static void refused_types(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"refused_complex.npy", "NumPy's type '<c8' is not supported"},
        {"refused_text.npy", "NumPy's type '<U2' is not supported"},
        {"refused_u4.npy", "NumPy's type '<u4' is not supported"},
        {"refused_structure.npy", "arrays of structures are not supported"},
        {"refused_dims9.npy", "has more than 8 dimensions"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        gv_file file = open_data(cases[i][0]);
        gv_view v;
        gv_error err = {0};
        assert_int_equal(gv_npy_read(&v, file.data, file.size, "f.npy", &err), GV_E_UNSUPPORTED);
        if (!strstr(err.message, cases[i][1]))
            fail_msg("'%s' does not hold '%s'", err.message, cases[i][1]);
        gv_file_close(&file);
    }
}

/* Version 1 with that header and data_size bytes of data, in a block of exactly its size; returned
 * owned (free). */
static uint8_t *make_npy(const char *header, size_t data_size, size_t *size)
{
    size_t length = strlen(header);
    *size = 10 + length + data_size;
    uint8_t *file = calloc(1, *size);
    assert_non_null(file);
    memcpy(file, "\x93NUMPY\1", 7);
    file[8] = (uint8_t)length;
    file[9] = (uint8_t)(length >> 8);
    memcpy(file + 10, header, length);
    return file;
}

static gv_status read_header(const char *header, size_t data_size, gv_view *v, gv_error *err)
{
    size_t size;
    uint8_t *file = make_npy(header, data_size, &size);
    gv_status status = gv_npy_read(v, file, size, "f.npy", err);
    free(file);
    return status;
}

static void headers(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t data_size;
        gv_status status;
        const char *message;
    } cases[] = {
        {"{'descr':'<f4','fortran_order':False,'shape':(1,)}", 4, GV_OK, ""},
        {" {\n\"shape\" : ( 1 , 2L ) , \"fortran_order\":True, 'descr' : \"<f4\" ,} \n", 8, GV_OK,
         ""},
        {"{'descr':'|i1','fortran_order':False,'shape':(2,)}", 2, GV_OK, ""},
        {"{'descr':'<u1','fortran_order':False,'shape':(2,)}", 2, GV_OK, ""},
        {"{'descr':'|f4','fortran_order':False,'shape':(1,)}", 4, GV_E_UNSUPPORTED, "type '|f4'"},
        {"{'descr':'=f4','fortran_order':False,'shape':(1,)}", 4, GV_E_UNSUPPORTED, "type '=f4'"},
        {"{'descr':'f4','fortran_order':False,'shape':(1,)}", 4, GV_E_UNSUPPORTED, "type 'f4'"},
        {"{'descr':'','fortran_order':False,'shape':(1,)}", 4, GV_E_UNSUPPORTED, "type ''"},
        {"{'descr':'<f4','fortran_order':False,'shape':(1)}", 4, GV_E_FORMAT, "expected ','"},
        {"{'descr':'<f4','fortran_order':False,'shape':(1 2)}", 8, GV_E_FORMAT, "expected ','"},
        {"{'descr':'<f4','fortran_order':False,'shape':(,)}", 4, GV_E_FORMAT, "expected a number"},
        {"{'descr':'<f4','fortran_order':False,'shape':(-1,)}", 4, GV_E_FORMAT,
         "expected a number"},
        {"{'descr':'<f4','fortran_order':False,'shape':1}", 4, GV_E_FORMAT, "expected a tuple"},
        {"{'descr':'<f4','fortran_order':False,'shape':(1,", 4, GV_E_FORMAT, "expected a number"},
        {"{'descr':'<f4','fortran_order':False,'shape':(1", 4, GV_E_FORMAT, "expected ','"},
        {"{'descr':'<f4','fortran_order':0,'shape':(1,)}", 4, GV_E_FORMAT, "True or False"},
        {"{'descr':'<f4','fortran_order':False}", 4, GV_E_FORMAT, "'fortran_order' and 'shape'"},
        {"{'descr':'<f4','descr':'<f4','fortran_order':False,'shape':(1,)}", 4, GV_E_FORMAT,
         "each once"},
        {"{'descr':'<f4','fortran_order':False,'shape':(1,),'x':1}", 4, GV_E_FORMAT, "each once"},
        {"{'descr':'<f4' 'fortran_order':False,'shape':(1,)}", 4, GV_E_FORMAT, "expected ','"},
        {"{'descr' '<f4','fortran_order':False,'shape':(1,)}", 4, GV_E_FORMAT, "expected ':'"},
        {"{'descr':'<f4", 4, GV_E_FORMAT, "the end of a string"},
        {"{'descr':4", 4, GV_E_FORMAT, "expected a string"},
        {"{'descr':'<f4','fortran_order':False,'shape':(1,)} x", 4, GV_E_FORMAT, "the end at"},
        {"", 4, GV_E_FORMAT, "expected '{'"},
        {"{'descr':'|u1','fortran_order':False,'shape':(9223372036854775808,)}", 1, GV_E_FORMAT,
         "a number below 2^63"},
        {"{'descr':'|u1','fortran_order':False,'shape':(9223372036854775807,2)}", 1, GV_E_FORMAT,
         "product of its shape overflows"},
        {"{'descr':'<f4','fortran_order':True,'shape':(0,4294967296,4294967296)}", 0, GV_E_FORMAT,
         "product of its shape overflows"},
        {"{'descr':'<f4','fortran_order':False,'shape':(2,3)}", 23, GV_E_FORMAT,
         "type F32 and shape [2,3] need 24 bytes of data, has 23"},
        {"{'descr':'<f4','fortran_order':False,'shape':(2,3)}", 25, GV_E_FORMAT, "has 25"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        gv_view v;
        gv_error err = {0};
        gv_status status = read_header(cases[i].header, cases[i].data_size, &v, &err);
        if (status != cases[i].status || !strstr(err.message, cases[i].message))
            fail_msg("%s gives %d '%s', expected %d '%s'", cases[i].header, (int)status,
                     err.message, (int)cases[i].status, cases[i].message);
    }
}

static void versions(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint8_t byte;
        gv_status status;
        const char *message;
    } cases[] = {
        {0, 0x92, GV_E_FORMAT, "is not a .npy file"},
        {6, 0, GV_E_UNSUPPORTED, ".npy version 0.0"},
        {6, 4, GV_E_UNSUPPORTED, ".npy version 4.0"},
        {7, 1, GV_E_UNSUPPORTED, ".npy version 1.1"},
        {6, 2, GV_E_FORMAT, "header of 662372402 bytes, at most 65535"},
        {9, 255, GV_E_FORMAT, "ends at byte"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t size;
        uint8_t *file = make_npy("{'descr':'<f4','fortran_order':False,'shape':(1,)}", 4, &size);
        file[cases[i].at] = cases[i].byte;
        gv_view v;
        gv_error err = {0};
        assert_int_equal(gv_npy_read(&v, file, size, "f", &err), cases[i].status);
        if (!strstr(err.message, cases[i].message))
            fail_msg("'%s' does not hold '%s'", err.message, cases[i].message);
        free(file);
    }
}

/* ---- .npz ---- */

static gv_status load_npz(const uint8_t *data, size_t size, gv_arena *arena, gv_view **views,
                          size_t *count, gv_error *err)
{
    gv_arena_init(arena, 1 << 20);
    return gv_npz_read(views, count, data, size, "f.npz", arena, err);
}

static void archives_of_numpy(void **state)
{
    (void)state;
    static const char *const names[] = {"stored.npz", "deflated.npz"};
    for (int i = 0; i < 2; i++) {
        gv_file file = open_data(names[i]);
        gv_arena arena;
        gv_view *views;
        size_t count;
        gv_error err = {0};
        if (load_npz(file.data, file.size, &arena, &views, &count, &err) != GV_OK)
            fail_msg("%s", err.message);
        assert_int_equal(count, 3);
        assert_string_equal(views[0].name, "noise_b4.conv1");
        assert_string_equal(views[1].name, "w");
        assert_string_equal(views[2].name, "z");
        assert_int_equal(views[0].type, GV_F64);
        assert_true(views[0].big_endian);
        assert_int_equal(views[1].shape[2], 8);
        for (size_t k = 0; k < count; k++)
            check_counting(&views[k]);
        gv_arena_deinit(&arena);
        gv_file_close(&file);
    }
}

static void refuse_npz(const uint8_t *data, size_t size, gv_status expected, const char *message)
{
    gv_arena arena;
    gv_view *views;
    size_t count;
    gv_error err = {0};
    gv_status status = load_npz(data, size, &arena, &views, &count, &err);
    if ((expected != GV_OK && status != expected) || status == GV_OK ||
        !strstr(err.message, message))
        fail_msg("status %d '%s', expected %d '%s'", (int)status, err.message, (int)expected,
                 message);
    assert_null(views);
    assert_int_equal(count, 0);
    gv_arena_deinit(&arena);
}

/* A copy of a file of NumPy's; returned owned (free). */
static uint8_t *copy_data(const char *name, size_t *size)
{
    gv_file file = open_data(name);
    uint8_t *copy = malloc(file.size);
    assert_non_null(copy);
    memcpy(copy, file.data, file.size);
    *size = file.size;
    gv_file_close(&file);
    return copy;
}

static uint8_t *find_bytes(uint8_t *data, size_t size, const void *bytes, size_t count, int nth)
{
    for (size_t i = 0; i + count <= size; i++) {
        if (memcmp(data + i, bytes, count) == 0 && nth-- == 0)
            return data + i;
    }
    fail_msg("the bytes are not there");
    return NULL;
}

/* The nth entry of the archive's directory. */
static uint8_t *find_entry(uint8_t *data, size_t size, int nth)
{
    return find_bytes(data, size, "PK\1\2", 4, nth);
}

static void damaged_archives(void **state)
{
    (void)state;
    size_t size;
    uint8_t *file = copy_data("bzip2.npz", &size);
    refuse_npz(file, size, GV_E_UNSUPPORTED, "member 'w' is packed by method 12");
    free(file);

    file = copy_data("stored.npz", &size);
    uint8_t *array = find_bytes(file, size, "\x93NUMPY", 6, 0);
    array[140] ^= 1;
    refuse_npz(file, size, GV_E_FORMAT, "the file is damaged");
    free(file);

    file = copy_data("stored.npz", &size);
    memcpy(find_bytes(file, size, "z.npy", 5, 0), "z.txt", 5);
    memcpy(find_bytes(file, size, "z.npy", 5, 0), "z.txt", 5);
    refuse_npz(file, size, GV_E_FORMAT, "member 'z.txt' is not a .npy array");
    free(file);

    file = copy_data("stored.npz", &size);
    memset(find_entry(file, size, 0) + 16, 0, 4);
    refuse_npz(file, size, GV_E_FORMAT, "f.npz: member 'w' has the checksum");
    free(file);
}

static void store_u32(uint8_t *p, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(value >> (8 * i));
}

static void lying_directories(void **state)
{
    (void)state;
    static const struct {
        uint32_t size;
        gv_status status;
        const char *message;
    } cases[] = {
        {0, GV_E_FORMAT, "does not inflate to the 0 bytes"},
        {255, GV_E_FORMAT, "does not inflate to the 255 bytes"},
        {257, GV_E_FORMAT, "does not inflate to the 257 bytes"},
        {100000000, GV_E_FORMAT, "member 'w' cannot inflate from"},
        {0xfffffffe, GV_E_FORMAT, "cannot inflate from"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t size;
        uint8_t *file = copy_data("deflated.npz", &size);
        store_u32(find_entry(file, size, 0) + 24, cases[i].size); /* w: 256 bytes */
        refuse_npz(file, size, cases[i].status, cases[i].message);
        free(file);
    }

    /* What the arena's limit does not allow is not allocated. */
    size_t size;
    uint8_t *file = copy_data("deflated.npz", &size);
    gv_arena arena;
    gv_arena_init(&arena, 600);
    gv_view *views;
    size_t count;
    gv_error err;
    assert_int_equal(gv_npz_read(&views, &count, file, size, "f", &arena, &err), GV_E_MEMORY);
    gv_arena_deinit(&arena);
    free(file);
}

static void truncations(void **state)
{
    (void)state;
    static const char *const names[] = {"stored.npz", "deflated.npz", "c_f4.npy",
                                        "version2_f4.npy"};
    for (int i = 0; i < 4; i++) {
        gv_file file = open_data(names[i]);
        for (size_t size = 0; size < file.size; size++) {
            uint8_t *cut = malloc(size > 0 ? size : 1);
            assert_non_null(cut);
            if (size > 0)
                memcpy(cut, file.data, size);
            if (i < 2) {
                refuse_npz(cut, size, GV_E_FORMAT, "");
            } else {
                gv_view v;
                gv_error err = {0};
                assert_int_equal(gv_npy_read(&v, cut, size, "f", &err), GV_E_FORMAT);
            }
            free(cut);
        }
        gv_file_close(&file);
    }
}

/* Every byte of both archives takes 16 other values: no more than a refusal may come of it. */
static void changed_bytes(void **state)
{
    (void)state;
    static const char *const names[] = {"stored.npz", "deflated.npz"};
    for (int i = 0; i < 2; i++) {
        size_t size;
        uint8_t *file = copy_data(names[i], &size);
        for (size_t at = 0; at < size; at++) {
            uint8_t before = file[at];
            for (int k = 0; k < 16; k++) {
                file[at] = (uint8_t)(before ^ (k < 8 ? 1 << k : k * 17));
                gv_arena arena;
                gv_view *views;
                size_t count;
                gv_error err = {0};
                if (load_npz(file, size, &arena, &views, &count, &err) == GV_OK) {
                    for (size_t n = 0; n < count; n++)
                        check_counting(&views[n]);
                } else {
                    assert_true(err.message[0] != '\0');
                }
                gv_arena_deinit(&arena);
            }
            file[at] = before;
        }
        free(file);
    }
}

static gv_status read_deflated(void *ctx, gv_error *err)
{
    const gv_file *file = ctx;
    gv_arena arena;
    gv_view *views;
    size_t count;
    gv_status status = load_npz(file->data, file->size, &arena, &views, &count, err);
    gv_arena_deinit(&arena);
    return status;
}

static void failing_allocations(void **state)
{
    (void)state;
    gv_file file = open_data("deflated.npz");
    /* Members, views; for each of three: name, data, zlib's state and window. */
    assert_true(gv_test_fail_each_allocation(read_deflated, &file) >= 11);
    gv_file_close(&file);
}

/* ---- writing ---- */

static const int32_t numbers[24] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11,
                                    12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23};

static void written_npy(void **state)
{
    (void)state;
    static const struct {
        int dims;
        int64_t shape[8], stride[8];
        const char *header;
    } cases[] = {
        {0, {0}, {0}, "{'descr': '<i4', 'fortran_order': False, 'shape': (), }"},
        {1, {24}, {1}, "{'descr': '<i4', 'fortran_order': False, 'shape': (24,), }"},
        {2, {4, 6}, {6, 1}, "{'descr': '<i4', 'fortran_order': False, 'shape': (4, 6), }"},
        {3, {2, 3, 4}, {1, 8, 2}, "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3, 4), }"},
        {2, {0, 6}, {6, 1}, "{'descr': '<i4', 'fortran_order': False, 'shape': (0, 6), }"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        gv_view v = {.name = "v", .type = GV_I32, .dims = cases[i].dims};
        memcpy(v.shape, cases[i].shape, sizeof v.shape);
        memcpy(v.stride, cases[i].stride, sizeof v.stride);
        v.data = (const uint8_t *)numbers;
        const char *path = gv_test_scratch("out.npy");
        gv_error err = {0};
        if (gv_npy_write(path, &v, &err) != GV_OK)
            fail_msg("%s", err.message);

        gv_file file;
        assert_int_equal(gv_file_open(&file, path, &err), GV_OK);
        assert_int_equal((file.size - 4 * (size_t)gv_view_count(&v)) % 64, 0);
        assert_memory_equal(file.data, "\x93NUMPY\1\0\x76\0", 10);
        assert_memory_equal(file.data + 10, cases[i].header, strlen(cases[i].header));
        assert_int_equal(file.data[127], '\n');
        gv_view back;
        if (gv_npy_read(&back, file.data, file.size, "f", &err) != GV_OK)
            fail_msg("%s", err.message);
        int32_t expected[24], found[24];
        gv_view_read_raw(expected, &v);
        gv_view_read_raw(found, &back);
        gv_test_same_bits(found, expected, 4 * (size_t)gv_view_count(&v), cases[i].header);
        gv_file_close(&file);
    }
}

/* The longest header that there can be, and the bytes that NumPy writes itself. */
static void same_as_numpy(void **state)
{
    (void)state;
    char header[GV_NPY_HEADER_MAX];
    size_t size;
    gv_error err;
    gv_view v = {.name = "v", .type = GV_F32, .dims = 8};
    for (int i = 0; i < 8; i++)
        v.shape[i] = INT64_MAX;
    assert_int_equal(gv_npy_make_header(header, &size, &v, "f", &err), GV_OK);
    assert_int_equal(size, 256);
    assert_int_equal(header[255], '\n');

    gv_file file = open_data("dims8_u1.npy");
    assert_int_equal(gv_npy_read(&v, file.data, file.size, "f", &err), GV_OK);
    assert_int_equal(gv_npy_make_header(header, &size, &v, "f", &err), GV_OK);
    assert_int_equal(size, 128);
    assert_memory_equal(header, file.data, size);
    gv_file_close(&file);
}

static void written_npz(void **state)
{
    (void)state;
    const gv_view views[] = {
        {.name = "w",
         .type = GV_I32,
         .dims = 2,
         .shape = {6, 4},
         .stride = {1, 6},
         .data = (const uint8_t *)numbers},
        gv_view_of("nested/\xc3\xa4", GV_U8, 1, (const int64_t[]){96}, numbers),
        gv_view_of("empty", GV_F64, 2, (const int64_t[]){0, 2}, numbers),
    };
    const char *path = gv_test_scratch("out.npz");
    gv_error err = {0};
    if (gv_npz_write(path, views, 3, &err) != GV_OK)
        fail_msg("%s", err.message);

    gv_file file;
    assert_int_equal(gv_file_open(&file, path, &err), GV_OK);
    gv_arena arena;
    gv_view *back;
    size_t count;
    if (load_npz(file.data, file.size, &arena, &back, &count, &err) != GV_OK)
        fail_msg("%s", err.message);
    assert_int_equal(count, 3);
    static const int order[] = {2, 1, 0}; /* sorted by name */
    for (int i = 0; i < 3; i++) {
        const gv_view *v = &views[order[i]];
        uint8_t expected[96], found[96];
        assert_string_equal(back[i].name, v->name);
        assert_int_equal(back[i].type, v->type);
        assert_int_equal(back[i].shape[0], v->shape[0]);
        gv_view_read_raw(expected, v);
        gv_view_read_raw(found, &back[i]);
        gv_test_same_bits(found, expected, (size_t)gv_view_count(v) * gv_dtype_size(v->type),
                          v->name);
    }
    gv_arena_deinit(&arena);
    gv_file_close(&file);
}

static void refused_writing(void **state)
{
    (void)state;
    const char *path = gv_test_scratch("refused");
    gv_error err = {0};
    gv_view views[2] = {gv_view_of("t", GV_BF16, 0, NULL, numbers),
                        gv_view_of("t", GV_F32, 0, NULL, numbers)};
    assert_int_equal(gv_npy_write(path, &views[0], &err), GV_E_UNSUPPORTED);
    assert_non_null(strstr(err.message, "tensor 't' is of type BF16, which NumPy has not"));
    assert_int_equal(gv_npz_write(path, views, 1, &err), GV_E_UNSUPPORTED);
    views[0].type = GV_F32;
    assert_int_equal(gv_npz_write(path, views, 2, &err), GV_E_ARG);
    assert_non_null(strstr(err.message, "two members of the name 't'"));
    /* 4 GiB of one byte: refused before anything of it is written. */
    views[0] = (gv_view){.name = "huge",
                         .type = GV_U8,
                         .dims = 1,
                         .shape = {1ll << 32},
                         .data = (const uint8_t *)numbers};
    assert_int_equal(gv_npz_write(path, views, 1, &err), GV_E_UNSUPPORTED);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(gv_npy_write(gv_test_scratch("none/f.npy"), &views[1], &err), GV_E_IO);
    assert_int_equal(gv_npz_write(gv_test_scratch("none/f.npz"), &views[1], 1, &err), GV_E_IO);
}

static gv_status write_both(void *ctx, gv_error *err)
{
    (void)ctx;
    gv_view v = {.name = "w",
                 .type = GV_I32,
                 .dims = 2,
                 .shape = {6, 4},
                 .stride = {1, 6},
                 .data = (const uint8_t *)numbers};
    gv_status status = gv_npy_write(gv_test_scratch("alloc.npy"), &v, err);
    return status == GV_OK ? gv_npz_write(gv_test_scratch("alloc.npz"), &v, 1, err) : status;
}

static void failing_allocations_in_writing(void **state)
{
    (void)state;
    assert_true(gv_test_fail_each_allocation(write_both, NULL) >= 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_of_numpy),
        cmocka_unit_test(scalar),
        cmocka_unit_test(refused_types),
        cmocka_unit_test(headers),
        cmocka_unit_test(versions),
        cmocka_unit_test(archives_of_numpy),
        cmocka_unit_test(damaged_archives),
        cmocka_unit_test(lying_directories),
        cmocka_unit_test(truncations),
        cmocka_unit_test(changed_bytes),
        cmocka_unit_test(failing_allocations),
        cmocka_unit_test(written_npy),
        cmocka_unit_test(same_as_numpy),
        cmocka_unit_test(written_npz),
        cmocka_unit_test(refused_writing),
        cmocka_unit_test(failing_allocations_in_writing),
    };
    return cmocka_run_group_tests_name("npy", tests, NULL, NULL);
}
