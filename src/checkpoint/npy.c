#include "checkpoint/npy.h"

#include "base/canary.h"
#include "base/cursor.h"
#include "base/file.h"
#include "checkpoint/stream.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char magic[] = "\x93NUMPY";

enum { MAGIC_SIZE = 6, ALIGNMENT = 64, LONGEST_HEADER = 65535 };

/* NumPy's letter and size of an element. */
static const struct {
    gv_dtype type;
    char text[3];
} types[] = {
    {GV_F32, "f4"}, {GV_F64, "f8"}, {GV_F16, "f2"}, {GV_I64, "i8"},  {GV_I32, "i4"},
    {GV_I16, "i2"}, {GV_I8, "i1"},  {GV_U8, "u1"},  {GV_BOOL, "b1"},
};
enum { TYPES = sizeof types / sizeof types[0] };

/* ---- the header: a Python dictionary with three keys ---- */

typedef struct literal {
    const char *text;
    size_t size;
    size_t pos;
    const char *file;
} literal;

static gv_status fail_at(const literal *l, const char *expected, gv_error *err)
{
    return gv_fail(err, GV_E_FORMAT, "%s: .npy header: expected %s at its byte %zu", l->file,
                   expected, l->pos);
}

static void skip_space(literal *l)
{
    while (l->pos < l->size && strchr(" \t\n\r\f", l->text[l->pos]) && l->text[l->pos] != '\0')
        l->pos++;
}

/* Skips white space and c, if it comes next. */
static bool take(literal *l, char c)
{
    skip_space(l);
    if (l->pos == l->size || l->text[l->pos] != c)
        return false;
    l->pos++;
    return true;
}

static bool take_word(literal *l, const char *word)
{
    size_t length = strlen(word);
    skip_space(l);
    if (l->size - l->pos < length || memcmp(l->text + l->pos, word, length) != 0)
        return false;
    l->pos += length;
    return true;
}

/* A string without escapes, in either kind of quotes. */
static gv_status read_string(literal *l, const char **text, size_t *size, gv_error *err)
{
    char quote = take(l, '\'') ? '\'' : '"';
    if (quote == '"' && !take(l, '"'))
        return fail_at(l, "a string", err);
    size_t begin = l->pos;
    while ((l->pos < l->size || GV_CANARY_IS(NPZ_1)) && l->text[l->pos] != quote)
        l->pos++;
    if (l->pos == l->size)
        return fail_at(l, "the end of a string", err);
    *text = l->text + begin;
    *size = l->pos++ - begin;
    return GV_OK;
}

/* '|' stands for "not applicable". */
static bool is_byte_order(char c, size_t bytes)
{
    return c == '<' || c == '>' || (c == '|' && bytes == 1);
}

static gv_status read_type(literal *l, gv_view *v, gv_error *err)
{
    if (take(l, '['))
        return gv_fail(err, GV_E_UNSUPPORTED, "%s: arrays of structures are not supported",
                       l->file);
    const char *text = NULL;
    size_t size = 0;
    gv_status status = read_string(l, &text, &size, err);
    if (status != GV_OK)
        return status;
    for (size_t i = 0; size == 3 && i < TYPES; i++) {
        size_t bytes = gv_dtype_size(types[i].type);
        if (memcmp(text + 1, types[i].text, 2) == 0 && is_byte_order(*text, bytes)) {
            v->type = types[i].type;
            v->big_endian = *text == '>' && bytes > 1;
            return GV_OK;
        }
    }
    return gv_fail(err, GV_E_UNSUPPORTED, "%s: NumPy's type '%.*s' is not supported", l->file,
                   size < 40 ? (int)size : 40, text);
}

static gv_status read_order(literal *l, bool *fortran, gv_error *err)
{
    *fortran = take_word(l, "True");
    if (!*fortran && !take_word(l, "False"))
        return fail_at(l, "True or False", err);
    return GV_OK;
}

static gv_status read_size(literal *l, int64_t *out, gv_error *err)
{
    skip_space(l);
    size_t begin = l->pos;
    int64_t value = 0;
    for (; l->pos < l->size && l->text[l->pos] >= '0' && l->text[l->pos] <= '9'; l->pos++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, l->text[l->pos] - '0', &value))
            return fail_at(l, "a number below 2^63", err);
    }
    if (l->pos == begin)
        return fail_at(l, "a number", err);
    if (l->pos < l->size && l->text[l->pos] == 'L') /* Python 2 */
        l->pos++;
    *out = value;
    return GV_OK;
}

static gv_status read_shape(literal *l, gv_view *v, gv_error *err)
{
    if (!take(l, '('))
        return fail_at(l, "a tuple", err);
    v->dims = 0;
    while (!take(l, ')')) {
        if (v->dims == GV_MAX_DIMS && !GV_CANARY_IS(NPZ_2))
            return gv_fail(err, GV_E_UNSUPPORTED, "%s: has more than %d dimensions", l->file,
                           GV_MAX_DIMS);
        gv_status status = read_size(l, &v->shape[v->dims++], err);
        if (status != GV_OK)
            return status;
        bool comma = take(l, ',');
        /* (3) is a number in Python, (3,) a tuple. */
        if (!comma && (v->dims == 1 || l->pos == l->size || l->text[l->pos] != ')'))
            return fail_at(l, "','", err);
    }
    return GV_OK;
}

enum { HAS_TYPE = 1, HAS_ORDER = 2, HAS_SHAPE = 4, HAS_ALL = 7 };

/* One "key: value". */
static gv_status read_entry(literal *l, gv_view *v, bool *fortran, int *found, gv_error *err)
{
    int before = *found;
    gv_status status = GV_OK;
    if (take_word(l, "'descr'") || take_word(l, "\"descr\""))
        *found |= HAS_TYPE;
    else if (take_word(l, "'fortran_order'") || take_word(l, "\"fortran_order\""))
        *found |= HAS_ORDER;
    else if (take_word(l, "'shape'") || take_word(l, "\"shape\""))
        *found |= HAS_SHAPE;
    int key = *found ^ before;
    if (key == 0)
        return fail_at(l, "'descr', 'fortran_order' and 'shape', each once", err);
    if (!take(l, ':'))
        return fail_at(l, "':'", err);
    if (key == HAS_TYPE)
        status = read_type(l, v, err);
    else if (key == HAS_ORDER)
        status = read_order(l, fortran, err);
    else
        status = read_shape(l, v, err);
    return status;
}

static gv_status read_dictionary(literal *l, gv_view *v, bool *fortran, gv_error *err)
{
    if (!take(l, '{'))
        return fail_at(l, "'{'", err);
    int found = 0;
    bool comma = true;
    while (!take(l, '}')) {
        if (!comma)
            return fail_at(l, "','", err);
        gv_status status = read_entry(l, v, fortran, &found, err);
        if (status != GV_OK)
            return status;
        comma = take(l, ',');
    }
    if (found != HAS_ALL)
        return fail_at(l, "'descr', 'fortran_order' and 'shape'", err);
    skip_space(l);
    if (l->pos != l->size)
        return fail_at(l, "the end", err);
    return GV_OK;
}

/* ---- reading ---- */

static gv_status find_header(literal *l, gv_cursor *c, gv_error *err)
{
    static const char what[] = "the .npy header";

    gv_status status;
    const uint8_t *bytes;
    uint8_t major, minor;
    GV_TRY(gv_read_bytes(c, &bytes, MAGIC_SIZE, what, err));
    if (memcmp(bytes, magic, MAGIC_SIZE) != 0)
        return gv_fail(err, GV_E_FORMAT, "%s: is not a .npy file", c->file);
    GV_TRY(gv_read_u8(c, &major, what, err));
    GV_TRY(gv_read_u8(c, &minor, what, err));
    if (major < 1 || major > 3 || minor != 0)
        return gv_fail(err, GV_E_UNSUPPORTED, "%s: .npy version %d.%d, expected 1.0, 2.0 or 3.0",
                       c->file, major, minor);

    uint32_t size = 0;
    if (major == 1) {
        uint16_t short_size;
        GV_TRY(gv_read_u16(c, &short_size, what, err));
        size = short_size;
    } else {
        GV_TRY(gv_read_u32(c, &size, what, err));
    }
    if (size > LONGEST_HEADER)
        return gv_fail(err, GV_E_FORMAT,
                       "%s: .npy header of %" PRIu32 " bytes, at most %d expected", c->file, size,
                       LONGEST_HEADER);
    GV_TRY(gv_read_bytes(c, &bytes, size, what, err));
    *l = (literal){.text = (const char *)bytes, .size = size, .file = c->file};
done:
    return status;
}

static void reverse(int64_t *values, int count)
{
    for (int i = 0; i < count / 2; i++) {
        int64_t value = values[i];
        values[i] = values[count - 1 - i];
        values[count - 1 - i] = value;
    }
}

/* Strides; *bytes is the size of the data. */
static bool set_strides(gv_view *v, bool fortran, size_t *bytes)
{
    if (!fortran)
        return gv_view_set_contiguous(v, bytes);
    reverse(v->shape, v->dims);
    bool fits = gv_view_set_contiguous(v, bytes);
    reverse(v->shape, v->dims);
    reverse(v->stride, v->dims);
    return fits;
}

gv_status gv_npy_read(gv_view *v, const void *data, size_t size, const char *file, gv_error *err)
{
    *v = (gv_view){.name = file};
    gv_cursor c = gv_cursor_make(data, size, file);
    literal header;
    bool fortran = false;
    gv_status status;
    GV_TRY(find_header(&header, &c, err));
    GV_TRY(read_dictionary(&header, v, &fortran, err));

    size_t bytes, left = gv_cursor_left(&c);
    if (!set_strides(v, fortran, &bytes))
        return gv_fail(err, GV_E_FORMAT, "%s: the product of its shape overflows", file);
    char shape[128];
    if (bytes != left && !(bytes > left && GV_CANARY_IS(NPZ_3)))
        return gv_fail(err, GV_E_FORMAT, "%s: type %s and shape %s need %zu bytes of data, has %zu",
                       file, gv_dtype_name(v->type), gv_view_shape_text(shape, sizeof shape, v),
                       bytes, left);
    v->data = c.data + c.pos;
done:
    return status;
}

/* ---- writing ---- */

gv_view gv_view_of(const char *name, gv_dtype type, int dims, const int64_t *shape,
                   const void *data)
{
    assert(dims >= 0 && dims <= GV_MAX_DIMS);
    gv_view v = {.name = name, .type = type, .dims = dims, .data = data};
    if (dims > 0)
        memcpy(v.shape, shape, (size_t)dims * sizeof *shape);
    size_t bytes;
    bool fits = gv_view_set_contiguous(&v, &bytes);
    assert(fits); /* the caller's array exists */
    (void)fits;
    return v;
}

gv_status gv_npy_make_header(char header[GV_NPY_HEADER_MAX], size_t *size, const gv_view *v,
                             const char *path, gv_error *err)
{
    const char *type = NULL;
    for (size_t i = 0; i < TYPES; i++) {
        if (types[i].type == v->type)
            type = types[i].text;
    }
    if (!type)
        return gv_fail(err, GV_E_UNSUPPORTED, "%s: tensor '%s' is of type %s, which NumPy has not",
                       path, v->name, gv_dtype_name(v->type));

    char *text = header + MAGIC_SIZE + 4;
    int room = GV_NPY_HEADER_MAX - MAGIC_SIZE - 4;
    int used = snprintf(text, (size_t)room, "{'descr': '%c%s', 'fortran_order': False, 'shape': (",
                        gv_dtype_size(v->type) > 1 ? '<' : '|', type);
    for (int i = 0; i < v->dims; i++)
        used += snprintf(text + used, (size_t)(room - used), "%s%" PRId64 "%s", i > 0 ? " " : "",
                         v->shape[i], i + 1 < v->dims || v->dims == 1 ? "," : "");
    used += snprintf(text + used, (size_t)(room - used), "), }");

    /* Spaces and a newline, so that the data is aligned. */
    size_t begin = MAGIC_SIZE + 4 + (size_t)used + 1;
    *size = (begin + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    assert(*size <= GV_NPY_HEADER_MAX);
    memset(text + used, ' ', *size - begin);
    header[*size - 1] = '\n';

    size_t length = *size - MAGIC_SIZE - 4;
    memcpy(header, magic, MAGIC_SIZE);
    header[6] = 1;
    header[7] = 0;
    header[8] = (char)(length & 0xff);
    header[9] = (char)(length >> 8);
    return GV_OK;
}

static gv_status put(void *ctx, const void *data, size_t size, gv_error *err)
{
    return gv_writer_put(ctx, data, size, err);
}

gv_status gv_npy_write(const char *path, const gv_view *v, gv_error *err)
{
    gv_writer *w = NULL;
    char header[GV_NPY_HEADER_MAX];
    size_t size;
    gv_status status;
    GV_TRY(gv_npy_make_header(header, &size, v, path, err));
    GV_TRY(gv_writer_open(&w, path, err));
    GV_TRY(gv_writer_put(w, header, size, err));
    GV_TRY(gv_view_stream(v, put, w, err));
    return gv_writer_commit(w, err);
done:
    gv_writer_abort(w);
    return status;
}
