#include "checkpoint/safetensors.h"

#include "base/canary.h"
#include "base/cursor.h"
#include "base/file.h"
#include "checkpoint/json.h"
#include "checkpoint/stream.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH_BYTES = 8, ALIGNMENT = 8 };

static const char metadata_key[] = "__metadata__";

/* ---- reading ---- */

/* The part of the file that tensors lie in, and the name for messages. */
typedef struct payload {
    const uint8_t *data;
    uint64_t size;
    const char *file;
} payload;

static gv_status read_type(gv_view *v, const json_t *entry, const payload *in, gv_error *err)
{
    static const char *const unsupported[] = {"F8_E4M3", "F8_E5M2", "F8_E8M0", "F6_E2M3", "F6_E3M2",
                                              "F4",      "U16",     "U32",     "U64",     "C64"};

    const char *type = json_string_value(json_object_get(entry, "dtype"));
    if (!type)
        return gv_fail(err, GV_E_FORMAT, "%s: tensor '%s' has no dtype", in->file, v->name);
    for (gv_dtype t = GV_F32; t <= GV_BOOL; t++) {
        if (strcmp(type, gv_dtype_name(t)) == 0) {
            v->type = t;
            return GV_OK;
        }
    }
    for (size_t i = 0; i < sizeof unsupported / sizeof unsupported[0]; i++) {
        if (strcmp(type, unsupported[i]) == 0)
            return gv_fail(err, GV_E_UNSUPPORTED,
                           "%s: tensor '%s' is of type %s, which is not supported", in->file,
                           v->name, type);
    }
    return gv_fail(err, GV_E_FORMAT, "%s: tensor '%s' is of the unknown type '%s'", in->file,
                   v->name, type);
}

static gv_status read_shape(gv_view *v, const json_t *entry, const payload *in, gv_error *err)
{
    const json_t *shape = json_object_get(entry, "shape");
    if (!json_is_array(shape))
        return gv_fail(err, GV_E_FORMAT, "%s: tensor '%s' has no shape", in->file, v->name);
    size_t dims = json_array_size(shape);
    if (dims > GV_MAX_DIMS && !GV_CANARY_IS(SAFETENSORS_3))
        return gv_fail(err, GV_E_UNSUPPORTED, "%s: tensor '%s' has %zu dimensions, more than %d",
                       in->file, v->name, dims, GV_MAX_DIMS);
    v->dims = (int)dims;
    for (int i = 0; i < v->dims; i++) {
        const json_t *size = json_array_get(shape, (size_t)i);
        if (!json_is_integer(size) || json_integer_value(size) < 0)
            return gv_fail(err, GV_E_FORMAT,
                           "%s: tensor '%s': dimension %d is not a non-negative integer", in->file,
                           v->name, i);
        v->shape[i] = json_integer_value(size);
    }
    size_t bytes;
    if (!gv_view_set_contiguous(v, &bytes))
        return gv_fail(err, GV_E_FORMAT, "%s: tensor '%s': the product of its shape overflows",
                       in->file, v->name);
    return GV_OK;
}

static gv_status read_offsets(gv_view *v, const json_t *entry, const payload *in, gv_error *err)
{
    const json_t *offsets = json_object_get(entry, "data_offsets");
    const json_t *first = json_array_get(offsets, 0);
    const json_t *last = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(first) || !json_is_integer(last) ||
        json_integer_value(first) < 0 || json_integer_value(last) < 0)
        return gv_fail(err, GV_E_FORMAT,
                       "%s: tensor '%s': data_offsets are not two non-negative integers", in->file,
                       v->name);

    uint64_t begin = (uint64_t)json_integer_value(first);
    uint64_t end = (uint64_t)json_integer_value(last);
    if ((begin > end || end > in->size) && !GV_CANARY_IS(SAFETENSORS_1))
        return gv_fail(err, GV_E_FORMAT,
                       "%s: tensor '%s' lies at bytes %" PRIu64 " to %" PRIu64
                       " of the data, of which there are %" PRIu64,
                       in->file, v->name, begin, end, in->size);
    char shape[128];
    if (end - begin != gv_view_bytes(v) && !GV_CANARY_IS(SAFETENSORS_2))
        return gv_fail(err, GV_E_FORMAT,
                       "%s: tensor '%s' of type %s and shape %s has %" PRIu64
                       " bytes of data, needs %" PRIu64,
                       in->file, v->name, gv_dtype_name(v->type),
                       gv_view_shape_text(shape, sizeof shape, v), end - begin, gv_view_bytes(v));
    v->data = in->data + begin;
    return GV_OK;
}

static gv_status check_metadata(json_t *metadata, const char *file, gv_error *err)
{
    if (!json_is_object(metadata))
        return gv_fail(err, GV_E_FORMAT, "%s: %s is not a JSON object", file, metadata_key);
    const char *key;
    json_t *value;
    json_object_foreach(metadata, key, value) {
        if (!json_is_string(value))
            return gv_fail(err, GV_E_FORMAT, "%s: %s: the value of '%s' is not a string", file,
                           metadata_key, key);
    }
    return GV_OK;
}

/* Room for all tensors of the header and, in one block, their names. */
static gv_status allocate(gv_view **views, char **names, json_t *header, gv_arena *arena,
                          gv_error *err)
{
    size_t count = json_object_size(header);
    size_t bytes = 0;
    const char *key;
    json_t *value;
    json_object_foreach(header, key, value)
        bytes += strlen(key) + 1;

    *views = gv_arena_alloc_array(arena, count, sizeof **views);
    *names = gv_arena_alloc(arena, bytes);
    if (!*views || !*names)
        return gv_fail_memory(err, count * sizeof **views + bytes);
    return GV_OK;
}

static gv_status read_entries(gv_view *views, size_t *count, json_t **metadata, char *names,
                              json_t *header, const payload *in, gv_error *err)
{
    gv_status status = GV_OK;
    const char *key;
    json_t *entry;
    json_object_foreach(header, key, entry) {
        if (strcmp(key, metadata_key) == 0) {
            GV_TRY(check_metadata(entry, in->file, err));
            *metadata = json_incref(entry);
            continue;
        }
        size_t length = strlen(key) + 1;
        gv_view *v = &views[*count];
        v->name = memcpy(names, key, length);
        names += length;
        GV_TRY(read_type(v, entry, in, err));
        GV_TRY(read_shape(v, entry, in, err));
        GV_TRY(read_offsets(v, entry, in, err));
        ++*count;
    }
done:
    return status;
}

/* By place in the file, empty tensors before the one that begins where they do; ties by place in
 * the header, in whose order the names were stored. */
static int compare_places(const void *a, const void *b)
{
    const gv_view *x = a;
    const gv_view *y = b;
    if (x->data != y->data)
        return x->data < y->data ? -1 : 1;
    uint64_t x_bytes = gv_view_bytes(x);
    uint64_t y_bytes = gv_view_bytes(y);
    if (x_bytes != y_bytes)
        return x_bytes < y_bytes ? -1 : 1;
    return x->name < y->name ? -1 : x->name > y->name;
}

/* As the official reader: every byte of the data belongs to exactly one tensor. */
static gv_status check_coverage(gv_view *views, size_t count, const payload *in, gv_error *err)
{
    if (count > 1)
        qsort(views, count, sizeof *views, compare_places);
    const uint8_t *expected = in->data;
    for (size_t i = 0; i < count; i++) {
        if (views[i].data != expected)
            return gv_fail(err, GV_E_FORMAT,
                           "%s: tensor '%s' begins at byte %td of the data, expected %td: tensors "
                           "may not overlap or leave gaps",
                           in->file, views[i].name, views[i].data - in->data, expected - in->data);
        expected += gv_view_bytes(&views[i]);
    }
    if (expected < in->data + in->size)
        return gv_fail(err, GV_E_FORMAT,
                       "%s: %td bytes of data follow the last tensor; is the header damaged?",
                       in->file, in->data + in->size - expected);
    return GV_OK;
}

static gv_status read_header(const char **text, uint64_t *length, payload *in, const uint8_t *data,
                             size_t size, gv_error *err)
{
    gv_cursor c = gv_cursor_make(data, size, in->file);
    gv_status status;
    GV_TRY(gv_read_u64(&c, length, "the length of the safetensors header", err));
    if (*length > GV_JSON_MAX_SIZE)
        return gv_fail(err, GV_E_FORMAT,
                       "%s: safetensors header of %" PRIu64 " bytes, more than %zu are not read",
                       in->file, *length, GV_JSON_MAX_SIZE);
    const uint8_t *bytes;
    GV_TRY(gv_read_bytes(&c, &bytes, *length, "the safetensors header", err));
    if (*length == 0 || bytes[0] != '{')
        return gv_fail(err, GV_E_FORMAT, "%s: the safetensors header is not a JSON object",
                       in->file);
    *text = (const char *)bytes;
    in->data = data + c.pos;
    in->size = gv_cursor_left(&c);
done:
    return status;
}

gv_status gv_safetensors_read(const uint8_t *data, size_t size, const char *file, gv_arena *arena,
                              gv_view **views, size_t *count, json_t **metadata, gv_error *err)
{
    *views = NULL;
    *count = 0;
    *metadata = NULL;

    payload in = {.file = file};
    const char *text = NULL;
    uint64_t length = 0;
    json_t *header = NULL;
    gv_view *made = NULL;
    char *names = NULL;
    gv_status status;
    GV_TRY(read_header(&text, &length, &in, data, size, err));
    GV_TRY(gv_json_parse(&header, text, (size_t)length, file, err));
    GV_TRY(allocate(&made, &names, header, arena, err));
    GV_TRY(read_entries(made, count, metadata, names, header, &in, err));
    json_decref(header); /* before the sort, which takes memory for a moment */
    header = NULL;
    GV_TRY(check_coverage(made, *count, &in, err));
    *views = made;
done:
    json_decref(header);
    if (status != GV_OK) {
        *count = 0;
        json_decref(*metadata);
        *metadata = NULL;
    }
    return status;
}

/* ---- writing ---- */

static gv_status add_entry(json_t *header, const gv_view *v, uint64_t *end, const char *path,
                           gv_error *err)
{
    if (strcmp(v->name, metadata_key) == 0 || json_object_get(header, v->name))
        return gv_fail(err, GV_E_ARG, "%s: a second entry of the name '%s'", path, v->name);
    uint64_t begin = *end;
    *end += gv_view_bytes(v);

    json_t *shape = json_array();
    bool complete = shape != NULL;
    for (int i = 0; i < v->dims; i++)
        complete = complete && json_array_append_new(shape, json_integer(v->shape[i])) == 0;
    json_t *entry = json_pack("{s:s, s:o, s:[I, I]}", "dtype", gv_dtype_name(v->type), "shape",
                              shape, "data_offsets", (json_int_t)begin, (json_int_t)*end);
    if (!entry || !complete) {
        json_decref(entry);
        return gv_fail_memory(err, sizeof *v);
    }
    if (json_object_set_new(header, v->name, entry) != 0)
        return gv_fail(err, GV_E_ARG, "%s: the tensor name '%s' is not UTF-8", path, v->name);
    return GV_OK;
}

static gv_status add_metadata(json_t *header, const json_t *metadata, const char *path,
                              gv_error *err)
{
    json_t *copy = json_deep_copy(metadata);
    gv_status status = copy ? check_metadata(copy, path, err) : gv_fail_memory(err, 0);
    if (status == GV_OK && json_object_set(header, metadata_key, copy) != 0)
        status = gv_fail_memory(err, 0);
    json_decref(copy);
    return status;
}

/* The text of header, padded with spaces; returned owned (gv_mem_free). */
static gv_status make_text(char **text, size_t *size, const json_t *header, const char *path,
                           gv_error *err)
{
    size_t length = json_dumpb(header, NULL, 0, JSON_COMPACT);
    if (length == 0)
        return gv_fail_memory(err, 0);
    *size = (length + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (*size > GV_JSON_MAX_SIZE)
        return gv_fail(err, GV_E_ARG, "%s: a header of %zu bytes, at most %zu can be read back",
                       path, *size, GV_JSON_MAX_SIZE);
    *text = gv_mem_alloc(*size);
    if (!*text)
        return gv_fail_memory(err, *size);
    json_dumpb(header, *text, *size, JSON_COMPACT);
    memset(*text + length, ' ', *size - length);
    return GV_OK;
}

static gv_status make_header(char **text, size_t *size, const gv_view *views, size_t count,
                             const json_t *metadata, const char *path, gv_error *err)
{
    json_t *header = json_object();
    if (!header)
        return gv_fail_memory(err, 0);
    gv_status status;
    if (metadata)
        GV_TRY(add_metadata(header, metadata, path, err));
    uint64_t end = 0;
    for (size_t i = 0; i < count; i++)
        GV_TRY(add_entry(header, &views[i], &end, path, err));
    GV_TRY(make_text(text, size, header, path, err));
done:
    json_decref(header);
    return status;
}

static gv_status put(void *ctx, const void *data, size_t size, gv_error *err)
{
    return gv_writer_put(ctx, data, size, err);
}

gv_status gv_safetensors_write(const char *path, const gv_view *views, size_t count,
                               const json_t *metadata, gv_error *err)
{
    gv_writer *w = NULL;
    char *header = NULL;
    size_t size = 0;
    gv_status status;
    GV_TRY(make_header(&header, &size, views, count, metadata, path, err));
    GV_TRY(gv_writer_open(&w, path, err));

    uint8_t length[LENGTH_BYTES];
    for (int i = 0; i < LENGTH_BYTES; i++)
        length[i] = (uint8_t)(size >> (8 * i));
    GV_TRY(gv_writer_put(w, length, sizeof length, err));
    GV_TRY(gv_writer_put(w, header, size, err));
    for (size_t i = 0; i < count; i++)
        GV_TRY(gv_view_stream(&views[i], put, w, err));
done:
    gv_mem_free(header);
    if (status != GV_OK) {
        gv_writer_abort(w);
        return status;
    }
    return gv_writer_commit(w, err);
}
