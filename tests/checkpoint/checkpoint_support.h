/* What the tests of the checkpoint readers share: files in memory, archives made by hand, and the
 * comparison of a checkpoint with a list of tensors and checksums. */
#ifndef GV_TESTS_CHECKPOINT_SUPPORT_H
#define GV_TESTS_CHECKPOINT_SUPPORT_H

#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/memory.h"
#include "checkpoint/checkpoint.h"

/* ---- bytes ---- */

/* Grows at its end; free(data). */
typedef struct bytes {
    uint8_t *data;
    size_t size, capacity;
} bytes;

static inline void put(bytes *b, const void *data, size_t size)
{
    if (b->size + size >= b->capacity) {
        b->capacity = 2 * (b->size + size) + 64;
        b->data = realloc(b->data, b->capacity);
        assert_non_null(b->data);
    }
    if (size > 0)
        memcpy(b->data + b->size, data, size);
    b->size += size;
}

static inline void put_text(bytes *b, const char *text)
{
    put(b, text, strlen(text));
}

/* The low `size` bytes of value, little-endian. */
static inline void put_int(bytes *b, uint64_t value, int size)
{
    for (int i = 0; i < size; i++) {
        uint8_t byte = (uint8_t)(i < 8 ? value >> 8 * i : 0);
        put(b, &byte, 1);
    }
}

static inline void patch(bytes *b, size_t pos, uint64_t value, int size)
{
    assert_true(pos + (size_t)size <= b->size);
    for (int i = 0; i < size; i++)
        b->data[pos + (size_t)i] = (uint8_t)(value >> 8 * i);
}

static inline bytes read_file(const char *path)
{
    bytes b = {0};
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("%s cannot be opened", path);
    uint8_t buffer[4096];
    size_t n;
    while ((n = fread(buffer, 1, sizeof buffer, file)) > 0)
        put(&b, buffer, n);
    fclose(file);
    return b;
}

/* A copy of exactly that size, so that a sanitizer sees a byte too far. */
static inline uint8_t *exact_copy(const void *data, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);
    assert_non_null(copy);
    if (size > 0)
        memcpy(copy, data, size);
    return copy;
}

/* ---- ZIP archives ---- */

typedef struct zip_maker {
    bytes archive, directory;
    int count;
    bool zip64;  /* every field that can be is saturated and moved to a zip64 record */
    bool zeroed; /* local sizes are 0 and a descriptor follows, as torch writes them */
} zip_maker;

static inline void zip_add(zip_maker *z, const char *name, const void *data, size_t size)
{
    size_t header = z->archive.size, length = strlen(name);
    uint64_t flags = z->zeroed ? 0x0808 : 0;
    put_int(&z->archive, 0x04034b50, 4);
    put_int(&z->archive, 0 | flags << 16, 4); /* version, flags */
    put_int(&z->archive, 0, 10);              /* method, time, crc */
    put_int(&z->archive, z->zeroed ? 0 : size, 4);
    put_int(&z->archive, z->zeroed ? 0 : size, 4);
    put_int(&z->archive, length, 2);
    put_int(&z->archive, z->zeroed ? 9 : 0, 2);
    put_text(&z->archive, name);
    if (z->zeroed)
        put(&z->archive, "FB\5\0ZZZZZ", 9);
    put(&z->archive, data, size);
    if (z->zeroed)
        put(&z->archive, "PK\7\b############", 16);

    bytes *d = &z->directory;
    put_int(d, 0x02014b50, 4);
    put_int(d, 0, 4);
    put_int(d, flags, 2);
    put_int(d, 0, 8);
    put_int(d, 0, 2);
    put_int(d, z->zip64 ? UINT32_MAX : size, 4);
    put_int(d, z->zip64 ? UINT32_MAX : size, 4);
    put_int(d, length, 2);
    put_int(d, z->zip64 ? 34 : 0, 2);
    put_int(d, 0, 10); /* comment, disk, attributes */
    put_int(d, z->zip64 ? UINT32_MAX : header, 4);
    put_text(d, name);
    if (z->zip64) {
        put(d, "\x99\x99\2\0??", 6); /* some other field first */
        put_int(d, 1, 2);
        put_int(d, 24, 2);
        put_int(d, size, 8);
        put_int(d, size, 8);
        put_int(d, header, 8);
    }
    z->count++;
}

/* The whole archive; z is used up. Offsets in it are as if `before` bytes came first. */
static inline bytes zip_end(zip_maker *z, uint64_t before)
{
    uint64_t offset = z->archive.size + before, size = z->directory.size;
    put(&z->archive, z->directory.data, z->directory.size);
    free(z->directory.data);
    if (z->zip64) {
        uint64_t record = z->archive.size + before;
        put_int(&z->archive, 0x06064b50, 4);
        put_int(&z->archive, 44, 8);
        put_int(&z->archive, 0, 8);
        put_int(&z->archive, 0, 4);
        put_int(&z->archive, (uint64_t)z->count, 8);
        put_int(&z->archive, (uint64_t)z->count, 8);
        put_int(&z->archive, size, 8);
        put_int(&z->archive, offset, 8);
        put_int(&z->archive, 0x07064b50, 4);
        put_int(&z->archive, 0, 4);
        put_int(&z->archive, record, 8);
        put_int(&z->archive, 1, 4);
    }
    put_int(&z->archive, 0x06054b50, 4);
    put_int(&z->archive, 0, 4);
    put_int(&z->archive, z->zip64 ? UINT16_MAX : (uint64_t)z->count, 2);
    put_int(&z->archive, z->zip64 ? UINT16_MAX : (uint64_t)z->count, 2);
    put_int(&z->archive, z->zip64 ? UINT32_MAX : size, 4);
    put_int(&z->archive, z->zip64 ? UINT32_MAX : offset, 4);
    put_int(&z->archive, 0, 2);
    return z->archive;
}

/* ---- checkpoints ---- */

/* Opens bytes that must be refused with that status and a sentence that holds `part`. */
static inline void expect_refusal(const void *data, size_t size, gv_status wanted, const char *part)
{
    gv_checkpoint *ck;
    gv_error err = {0};
    int64_t live = gv_mem_live();
    uint8_t *copy = exact_copy(data, size);
    gv_status status = gv_checkpoint_open_memory(&ck, copy, size, "x.pt", &err);
    gv_checkpoint_close(ck);
    free(copy);
    if (status != wanted || !strstr(err.message, part) || err.status != status)
        fail_msg("status %d '%s', expected %d '%s'", (int)status, err.message, (int)wanted, part);
    assert_null(ck);
    assert_int_equal(gv_mem_live(), live);
}

static inline uint32_t view_crc(const gv_view *v)
{
    size_t size = (size_t)gv_view_count(v) * gv_dtype_size(v->type);
    uint8_t *raw = malloc(size + 1);
    assert_non_null(raw);
    gv_view_read_raw(raw, v);
    uint32_t crc = (uint32_t)crc32(0, raw, (uInt)size);
    free(raw);
    return crc;
}

/* Compares with a list of {"name", "shape", "crc32..."[, "dtype"]}: the same names, no others. */
static inline void check_tensors(const gv_checkpoint *ck, const json_t *list)
{
    size_t i;
    json_t *entry;
    assert_true(json_array_size(list) > 0);
    json_array_foreach(list, i, entry) {
        const char *name = json_string_value(json_object_get(entry, "name"));
        const gv_view *v = gv_checkpoint_find(ck, name);
        if (!v)
            fail_msg("%s: tensor %s is missing", gv_checkpoint_path(ck), name);
        const char *type = json_string_value(json_object_get(entry, "dtype"));
        assert_string_equal(gv_dtype_name(v->type), !type || type[0] == 't' ? "F32" : type);
        const json_t *shape = json_object_get(entry, "shape");
        assert_int_equal(v->dims, json_array_size(shape));
        for (int d = 0; d < v->dims; d++)
            assert_int_equal(v->shape[d], json_integer_value(json_array_get(shape, (size_t)d)));
        const json_t *crc = json_object_get(entry, "crc32");
        if (!crc)
            crc = json_object_get(entry, "crc32_contiguous_le");
        if (view_crc(v) != (uint32_t)json_integer_value(crc))
            fail_msg("%s: tensor %s holds other values", gv_checkpoint_path(ck), name);
    }
    assert_int_equal(gv_checkpoint_count(ck), json_array_size(list));
}

static inline json_t *load_json(const char *path)
{
    json_error_t error;
    json_t *json = json_load_file(path, 0, &error);
    if (!json)
        fail_msg("%s: %s", path, error.text);
    return json;
}

static inline gv_checkpoint *open_checkpoint(const char *path)
{
    gv_checkpoint *ck;
    gv_error err = {0};
    if (gv_checkpoint_open(&ck, path, &err) != GV_OK)
        fail_msg("%s", err.message);
    return ck;
}

/* One of the project's own files, tests/checkpoint/data/NAME.EXT, and NAME.json beside it. */
static inline void check_own(const char *name, const char *extension, gv_checkpoint_kind kind)
{
    char path[200];
    snprintf(path, sizeof path, "tests/checkpoint/data/%s.json", name);
    json_t *wanted = load_json(gv_test_source(path));
    snprintf(path, sizeof path, "tests/checkpoint/data/%s.%s", name, extension);
    gv_checkpoint *ck = open_checkpoint(gv_test_source(path));
    assert_int_equal(gv_checkpoint_get_kind(ck), kind);
    check_tensors(ck, json_object_get(wanted, "tensors"));
    const json_t *config = json_object_get(wanted, "config");
    if (json_is_null(config)) {
        assert_null(gv_checkpoint_config(ck));
    } else if (!json_equal(config, gv_checkpoint_config(ck))) {
        char *text = json_dumps(gv_checkpoint_config(ck), JSON_REAL_PRECISION(17));
        fail_msg("%s: configuration %s", path, text);
    }
    gv_checkpoint_close(ck);
    json_decref(wanted);
}

#endif
