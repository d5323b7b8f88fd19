#include "checkpoint/pickle_json.h"

#include "checkpoint/view_list.h"

#include <math.h>
#include <string.h>

enum {
    JSON_DEPTH = 6,
    TEXT_PER_VALUE = 16,    /* bytes of text that cost as much as another value */
    OBJECT_VALUES = 4,      /* an object takes the memory of so many numbers */
    VALUES_BASE = 256,      /* values that any description may have */
    OPCODES_PER_VALUE = 16, /* one more for so many bytes of the pickle */
    STEPS_BASE = 65536
};

gv_pickle_json gv_pickle_json_make(const char *file, const gv_pickle *pickle)
{
    return (gv_pickle_json){file, VALUES_BASE + pickle->opcode_bytes / OPCODES_PER_VALUE,
                            STEPS_BASE + 4 * pickle->opcode_bytes};
}

/* ---- numbers ---- */

/* numpy.dtype('f8', False, True), then BUILD (3, '<', ...): kind and size in bytes, or 0. */
static int read_dtype(char *kind, bool *big_endian, const gv_pickle_value *dtype)
{
    const gv_pickle_value *code = gv_pickle_item(dtype, 0);
    if (!gv_pickle_is_call(dtype, "numpy", "dtype") || !code || code->kind != GV_PICKLE_TEXT ||
        code->count != 2)
        return 0;
    const gv_pickle_value *state = &dtype->call->state;
    *big_endian = gv_pickle_is_text(gv_pickle_item(state, 1), ">");
    *kind = (char)code->bytes[0];
    return code->bytes[1] - '0';
}

/* numpy.core.multiarray.scalar(dtype, bytes) */
static bool read_numpy_scalar(const gv_pickle_value *v, double *out)
{
    const gv_pickle_value *bytes = gv_pickle_item(v, 1);
    char kind;
    bool big_endian;
    if ((!gv_pickle_is_call(v, "numpy.core.multiarray", "scalar") &&
         !gv_pickle_is_call(v, "numpy._core.multiarray", "scalar")) ||
        !bytes || bytes->kind != GV_PICKLE_BYTES)
        return false;
    int size = read_dtype(&kind, &big_endian, gv_pickle_item(v, 0));
    if ((size != 1 && size != 2 && size != 4 && size != 8) || bytes->count != (uint32_t)size)
        return false;
    uint64_t bits = 0;
    for (int i = 0; i < size; i++)
        bits |= (uint64_t)bytes->bytes[big_endian ? size - 1 - i : i] << 8 * i;
    if (kind == 'f' && size == 8) {
        memcpy(out, &bits, sizeof bits);
    } else if (kind == 'f' && size == 4) {
        float f;
        uint32_t low = (uint32_t)bits;
        memcpy(&f, &low, sizeof f);
        *out = (double)f;
    } else if (kind == 'i') {
        *out = (double)((int64_t)(bits << (64 - 8 * size)) >> (64 - 8 * size));
    } else if (kind == 'u') {
        *out = (double)bits;
    } else {
        return false;
    }
    return true;
}

bool gv_pickle_get_number(const gv_pickle_value *v, double *out)
{
    *out = 0;
    if (!v)
        return false;
    switch (v->kind) {
    case GV_PICKLE_INT:
        *out = (double)v->integer;
        return true;
    case GV_PICKLE_FLOAT:
        *out = v->real;
        return true;
    default:
        return read_numpy_scalar(v, out);
    }
}

/* ---- JSON ---- */

static gv_status convert(gv_pickle_json *j, json_t **out, const gv_pickle_value *v, int depth,
                         gv_error *err);

static gv_status fail_json(gv_error *err)
{
    return gv_fail(err, GV_E_MEMORY, "out of memory: the description of a network");
}

static gv_status fail_nested(const gv_pickle_json *j, gv_error *err)
{
    return gv_fail(err, GV_E_FORMAT, "%s: its attributes are nested without end", j->file);
}

gv_status gv_pickle_json_charge(gv_pickle_json *j, size_t name_size, gv_error *err)
{
    size_t cost = OBJECT_VALUES + name_size / TEXT_PER_VALUE;
    if (cost > j->values)
        return fail_nested(j, err);
    j->values -= cost;
    return GV_OK;
}

static gv_status convert_list(gv_pickle_json *j, json_t **out, const gv_pickle_value *v, int depth,
                              gv_error *err)
{
    gv_status status = GV_OK;
    json_t *array = json_array();
    if (!array)
        return fail_json(err);
    gv_pickle_iterator it = gv_pickle_begin(v);
    const gv_pickle_value *key, *item;
    while (gv_pickle_next(&it, &key, &item)) {
        json_t *value;
        GV_TRY(convert(j, &value, item, depth, err));
        if (!value)
            goto done; /* holds an object: the list is none of ours */
        if (json_array_append_new(array, value) != 0) {
            status = fail_json(err);
            goto done;
        }
    }
    *out = array;
    array = NULL;
done:
    json_decref(array);
    return status;
}

static gv_status convert_entries(gv_pickle_json *j, json_t *object, const gv_pickle_value *dict,
                                 int depth, gv_error *err)
{
    gv_status status = GV_OK;
    gv_pickle_iterator it = gv_pickle_begin(dict);
    const gv_pickle_value *key, *item;
    while (gv_pickle_next(&it, &key, &item)) {
        char name[256];
        json_t *value;
        if (j->steps-- == 0) {
            j->steps = 0;
            return fail_nested(j, err);
        }
        if (!key || key->kind != GV_PICKLE_TEXT || key->count == 0 || key->bytes[0] == '_' ||
            key->count >= sizeof name || memchr(key->bytes, 0, key->count) ||
            !gv_utf8_valid(key->bytes, key->count))
            continue;
        memcpy(name, key->bytes, key->count);
        name[key->count] = '\0';
        GV_TRY(convert(j, &value, item, depth, err));
        if (value && json_object_set_new(object, name, value) != 0) {
            status = fail_json(err);
            goto done;
        }
    }
done:
    return status;
}

static gv_status convert_dict(gv_pickle_json *j, json_t **out, const gv_pickle_value *v, int depth,
                              gv_error *err)
{
    gv_status status = gv_pickle_json_charge(j, 0, err);
    if (status != GV_OK)
        return status;
    json_t *object = json_object();
    if (!object)
        return fail_json(err);
    status = convert_entries(j, object, v, depth, err);
    if (status == GV_OK)
        *out = object;
    else
        json_decref(object);
    return status;
}

static gv_status convert_text(gv_pickle_json *j, json_t **out, const gv_pickle_value *v,
                              gv_error *err)
{
    size_t cost = v->count / TEXT_PER_VALUE;
    j->values -= cost < j->values ? cost : j->values;
    if (!gv_utf8_valid(v->bytes, v->count))
        return gv_fail(err, GV_E_FORMAT, "%s: an attribute of the network is not UTF-8 text",
                       j->file);
    *out = json_stringn((const char *)v->bytes, v->count);
    return *out ? GV_OK : fail_json(err);
}

static gv_status convert(gv_pickle_json *j, json_t **out, const gv_pickle_value *v, int depth,
                         gv_error *err)
{
    double number;
    *out = NULL;
    if (depth > JSON_DEPTH || j->values == 0)
        return fail_nested(j, err);
    j->values--;
    switch (v->kind) {
    case GV_PICKLE_NONE:
        *out = json_null();
        return GV_OK;
    case GV_PICKLE_BOOL:
        *out = json_boolean(v->integer != 0);
        return GV_OK;
    case GV_PICKLE_INT:
        *out = json_integer((json_int_t)v->integer);
        return *out ? GV_OK : fail_json(err);
    case GV_PICKLE_TEXT:
        return convert_text(j, out, v, err);
    case GV_PICKLE_TUPLE:
    case GV_PICKLE_LIST:
        return convert_list(j, out, v, depth + 1, err);
    case GV_PICKLE_DICT:
        return convert_dict(j, out, v, depth + 1, err);
    default:
        break;
    }
    if (!gv_pickle_get_number(v, &number))
        return GV_OK;
    if (!isfinite(number))
        return gv_fail(err, GV_E_NUMERIC, "%s: an attribute of the network is NaN or infinite",
                       j->file);
    *out = json_real(number);
    return *out ? GV_OK : fail_json(err);
}

gv_status gv_pickle_to_json(gv_pickle_json *j, json_t **out, const gv_pickle_value *v,
                            gv_error *err)
{
    return convert(j, out, v, 0, err);
}

gv_status gv_pickle_entries_to_json(gv_pickle_json *j, json_t *object, const gv_pickle_value *dict,
                                    gv_error *err)
{
    return convert_entries(j, object, dict, 0, err);
}
