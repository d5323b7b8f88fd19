#include "checkpoint/torch_file.h"

#include "base/canary.h"
#include "checkpoint/zip.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PROTOCOL_VERSION = 1001,
    WRAPPERS = 8, /* parameters around parameters around a tensor */
    EXPANDED_BYTES = 64 << 20,
    EMBEDDED_HEAD =
        1024 /* the pickles of an embedded file take 235 bytes; it is read at every use */
};

static const uint8_t magic_number[10] = {0x6c, 0xfc, 0x9c, 0x46, 0xf9,
                                         0x20, 0x6a, 0xa8, 0x50, 0x19};
static const uint8_t legacy_start[4] = {0x80, 0x02, 0x8a, 0x0a};

static const struct {
    const char *name;
    gv_dtype type;
} storages[] = {
    {"FloatStorage", GV_F32},  {"HalfStorage", GV_F16}, {"BFloat16Storage", GV_BF16},
    {"DoubleStorage", GV_F64}, {"LongStorage", GV_I64}, {"IntStorage", GV_I32},
    {"ShortStorage", GV_I16},  {"CharStorage", GV_I8},  {"ByteStorage", GV_U8},
    {"BoolStorage", GV_BOOL},
};

/* A storage of known type. */
typedef struct storage {
    gv_dtype type;
    uint64_t count; /* elements */
    const uint8_t *data;
} storage;

/* ('storage', torch.XStorage, key, location, elements[, view]) */
typedef struct storage_id {
    gv_dtype type;
    const char *key;
    size_t key_size;
    int64_t count;                   /* of the whole storage */
    int64_t view_offset, view_count; /* the part that is meant */
} storage_id;

static int compare_keys(const char *a, size_t a_size, const char *b, size_t b_size)
{
    int order = memcmp(a, b, a_size < b_size ? a_size : b_size);
    return order ? order : (a_size > b_size) - (a_size < b_size);
}

static int by_key(const void *a, const void *b)
{
    const gv_torch_blob *m = a, *n = b;
    return compare_keys(m->key, m->key_size, n->key, n->key_size);
}

static const gv_torch_blob *find_blob(const gv_torch_blob *blobs, size_t count, const char *key,
                                      size_t key_size)
{
    gv_torch_blob wanted = {.key = key, .key_size = key_size};
    return count ? bsearch(&wanted, blobs, count, sizeof *blobs, by_key) : NULL;
}

/* ---- storages ---- */

static gv_status read_type(gv_dtype *type, const gv_pickle_value *global, const char *where,
                           gv_error *err)
{
    if (!global || (global->kind != GV_PICKLE_GLOBAL && !GV_CANARY_IS(TORCH_3)))
        return gv_fail(err, GV_E_FORMAT, "%s: a storage without a type", where);
    for (size_t i = 0; i < sizeof storages / sizeof *storages; i++) {
        if (gv_pickle_is_global(global, "torch", storages[i].name) ||
            gv_pickle_is_global(global, "torch.cuda", storages[i].name)) {
            *type = storages[i].type;
            return GV_OK;
        }
    }
    const gv_pickle_value *name = &global->items[1];
    return gv_fail(err, GV_E_UNSUPPORTED, "%s: storages of type '%.*s' are not supported", where,
                   (int)(name->count < 80 ? name->count : 80), (const char *)name->bytes);
}

/* where: file, or file and tensor, for messages. */
static gv_status read_id(storage_id *id, const gv_pickle_value *v, const char *where, gv_error *err)
{
    const gv_pickle_value *key = gv_pickle_item(v, 2), *view = gv_pickle_item(v, 5);
    *id = (storage_id){0};
    gv_status status;
    GV_TRY(read_type(&id->type, gv_pickle_item(v, 1), where, err));
    if (!gv_pickle_is_text(gv_pickle_item(v, 0), "storage") || !key ||
        key->kind != GV_PICKLE_TEXT || !gv_pickle_get_int(gv_pickle_item(v, 4), &id->count) ||
        id->count < 0) {
        status = gv_fail(err, GV_E_FORMAT, "%s: a persistent id that does not describe a storage",
                         where);
        goto done;
    }
    id->key = (const char *)key->bytes;
    id->key_size = key->count;
    id->view_count = id->count;
    if (view && view->kind != GV_PICKLE_NONE) {
        if (!gv_pickle_get_int(gv_pickle_item(view, 1), &id->view_offset) ||
            !gv_pickle_get_int(gv_pickle_item(view, 2), &id->view_count) || id->view_offset < 0 ||
            id->view_count < 0 ||
            ((id->view_offset > id->count || id->view_count > id->count - id->view_offset) &&
             !GV_CANARY_IS(TORCH_2))) {
            status = gv_fail(err, GV_E_FORMAT,
                             "%s: storage '%.*s' is a part that lies outside of "
                             "the whole",
                             where, (int)id->key_size, id->key);
            goto done;
        }
    }
done:
    return status;
}

static gv_status find_storage(storage *s, const gv_torch_file *t, const gv_pickle_value *value,
                              const char *where, gv_error *err)
{
    storage_id id;
    gv_status status = read_id(&id, &value->persistent->id, where, err);
    if (status != GV_OK)
        return status;
    int key_size = (int)(id.key_size < 80 ? id.key_size : 80);
    const gv_torch_blob *blob = find_blob(t->blobs, t->blob_count, id.key, id.key_size);
    if (!blob)
        return gv_fail(err, GV_E_FORMAT, "%s: storage '%.*s' is not in the file", where, key_size,
                       id.key);
    size_t item = gv_dtype_size(id.type);
    if ((uint64_t)id.count != blob->size / item)
        return gv_fail(err, GV_E_FORMAT,
                       "%s: storage '%.*s' should hold %lld elements of %zu bytes, the file has "
                       "%llu bytes",
                       where, key_size, id.key, (long long)id.count, item,
                       (unsigned long long)blob->size);
    *s = (storage){id.type, (uint64_t)id.view_count, blob->data + (size_t)id.view_offset * item};
    return GV_OK;
}

static gv_status read_legacy(gv_torch_file *t, const uint8_t *data, size_t size, size_t head,
                             const char *file, gv_arena *arena, gv_error *err);

/* A complete legacy file, as a string within a pickle, whose object is one storage. */
static gv_status unpack_storage(storage *s, const gv_pickle_value *bytes, const char *where,
                                gv_error *err)
{
    gv_arena arena;
    gv_torch_file inner;
    gv_arena_init(&arena, 0);
    gv_status status;
    if (!gv_torch_is_legacy(bytes->bytes, bytes->count)) {
        status = gv_fail(err, GV_E_FORMAT, "%s: its storage is not a torch file", where);
        goto done;
    }
    GV_TRY(read_legacy(&inner, bytes->bytes, bytes->count, EMBEDDED_HEAD, where, &arena, err));
    if (inner.pickle.root.kind != GV_PICKLE_PERSISTENT) {
        status = gv_fail(err, GV_E_FORMAT, "%s: its torch file does not hold a storage", where);
        goto done;
    }
    GV_TRY(find_storage(s, &inner, &inner.pickle.root, where, err));
done:
    gv_arena_deinit(&arena);
    return status;
}

static gv_status read_storage(storage *s, const gv_torch_file *t, const gv_pickle_value *value,
                              const char *where, gv_error *err)
{
    if (value && value->kind == GV_PICKLE_PERSISTENT)
        return find_storage(s, t, value, where, err);
    const gv_pickle_value *bytes = gv_pickle_item(value, 0);
    if (gv_pickle_is_call(value, "torch.storage", "_load_from_bytes") && bytes &&
        bytes->kind == GV_PICKLE_BYTES)
        return unpack_storage(s, bytes, where, err);
    return gv_fail(err, GV_E_FORMAT, "%s: has no storage", where);
}

/* ---- tensors ---- */

bool gv_torch_is_tensor(const gv_pickle_value *v)
{
    if (!v || v->kind != GV_PICKLE_CALL || v->call->callable.kind != GV_PICKLE_GLOBAL)
        return false;
    const gv_pickle_value *names = v->call->callable.items;
    static const char rebuild[] = "_rebuild_";
    return gv_pickle_is_text(&names[0], "torch._utils") && names[1].count >= sizeof rebuild - 1 &&
           memcmp(names[1].bytes, rebuild, sizeof rebuild - 1) == 0;
}

/* The tensor inside of parameters. */
static const gv_pickle_value *unwrap(const gv_pickle_value *v)
{
    for (int i = 0; i < WRAPPERS; i++) {
        if (!gv_pickle_is_call(v, "torch._utils", "_rebuild_parameter") &&
            !gv_pickle_is_call(v, "torch._utils", "_rebuild_parameter_with_state"))
            return v;
        v = gv_pickle_item(v, 0);
    }
    return NULL;
}

static gv_status read_shape(gv_view *v, const gv_pickle_value *size, const gv_pickle_value *stride,
                            const char *where, gv_error *err)
{
    if (!size || !stride || size->kind != GV_PICKLE_TUPLE || stride->kind != GV_PICKLE_TUPLE ||
        size->count != stride->count)
        return gv_fail(err, GV_E_FORMAT, "%s: has no shape, or strides that do not match it",
                       where);
    if (size->count > GV_MAX_DIMS)
        return gv_fail(err, GV_E_UNSUPPORTED, "%s: has %u dimensions, at most %d are supported",
                       where, size->count, GV_MAX_DIMS);
    v->dims = (int)size->count;
    for (int d = 0; d < v->dims; d++) {
        if (!gv_pickle_get_int(&size->items[d], &v->shape[d]) || v->shape[d] < 0)
            return gv_fail(err, GV_E_FORMAT, "%s: dimension %d is not a size", where, d);
        if (!gv_pickle_get_int(&stride->items[d], &v->stride[d]) || v->stride[d] < 0)
            return gv_fail(err, GV_E_FORMAT, "%s: stride %d is not one", where, d);
    }
    return GV_OK;
}

/* Whether all elements lie within count elements from offset on. */
static bool fits(const gv_view *v, uint64_t offset, uint64_t count)
{
    if (offset > count)
        return false;
    if (gv_view_count(v) == 0)
        return true;
    uint64_t last = offset;
    for (int d = 0; d < v->dims; d++) {
        int64_t span;
        if (!gv_mul_i64(&span, v->shape[d] - 1, v->stride[d]) || (uint64_t)span >= count - last)
            return false;
        last += (uint64_t)span;
    }
    return last < count;
}

gv_status gv_torch_view(gv_view *v, const gv_torch_file *t, const gv_pickle_value *value,
                        const char *name, gv_error *err)
{
    char where[400];
    snprintf(where, sizeof where, "%s: tensor '%s'", t->file, name);
    *v = (gv_view){.name = name};
    value = unwrap(value);
    bool plain = gv_pickle_is_call(value, "torch._utils", "_rebuild_tensor_v2") ||
                 gv_pickle_is_call(value, "torch._utils", "_rebuild_tensor");
    if (!plain) {
        const gv_pickle_value *made_by =
            gv_torch_is_tensor(value) ? &value->call->callable.items[1] : NULL;
        return gv_fail(err, GV_E_UNSUPPORTED, "%s: is not a plain tensor (%.*s)", where,
                       made_by ? (int)(made_by->count < 80 ? made_by->count : 80) : 1,
                       made_by ? (const char *)made_by->bytes : "?");
    }
    gv_status status;
    storage s = {0};
    int64_t offset, count = 1, bytes;
    GV_TRY(read_storage(&s, t, gv_pickle_item(value, 0), where, err));
    GV_TRY(read_shape(v, gv_pickle_item(value, 2), gv_pickle_item(value, 3), where, err));
    v->type = s.type;
    if (!gv_pickle_get_int(gv_pickle_item(value, 1), &offset) || offset < 0) {
        status = gv_fail(err, GV_E_FORMAT, "%s: has no offset", where);
        goto done;
    }
    char shape[160];
    gv_view_shape_text(shape, sizeof shape, v);
    bool sized = true;
    for (int d = 0; d < v->dims; d++)
        sized = sized && gv_mul_i64(&count, count, v->shape[d] > 0 ? v->shape[d] : 1);
    sized = sized && gv_mul_i64(&bytes, count, (int64_t)gv_dtype_size(v->type));
    /* Only expanded tensors are larger than their storage; a small file must not ask for
     * terabytes. */
    if (!sized || (bytes > EXPANDED_BYTES && (uint64_t)bytes > t->file_size)) {
        status =
            gv_fail(err, GV_E_FORMAT, "%s: its shape %s is larger than the file", where, shape);
        goto done;
    }
    if (!fits(v, (uint64_t)offset, s.count) && !GV_CANARY_IS(TORCH_1)) {
        status = gv_fail(err, GV_E_FORMAT,
                         "%s: shape %s from element %lld on ends past its storage of %llu elements",
                         where, shape, (long long)offset, (unsigned long long)s.count);
        goto done;
    }
    v->data = s.data + (size_t)offset * gv_dtype_size(v->type);
done:
    return status;
}

/* ---- the legacy form ---- */

bool gv_torch_is_legacy(const uint8_t *data, size_t size)
{
    return size >= sizeof legacy_start + sizeof magic_number &&
           memcmp(data, legacy_start, sizeof legacy_start) == 0 &&
           memcmp(data + sizeof legacy_start, magic_number, sizeof magic_number) == 0;
}

/* The three pickles before the object. */
static gv_status read_legacy_head(gv_cursor *c, gv_arena *arena, gv_error *err)
{
    gv_status status;
    gv_pickle p;
    int64_t version;
    GV_TRY(gv_pickle_read(&p, c, arena, err));
    bool good = p.root.kind == GV_PICKLE_BIG && p.root.count == sizeof magic_number &&
                memcmp(p.root.bytes, magic_number, sizeof magic_number) == 0;
    GV_TRY(gv_pickle_read(&p, c, arena, err));
    good = good && gv_pickle_get_int(&p.root, &version) && version == PROTOCOL_VERSION;
    GV_TRY(gv_pickle_read(&p, c, arena, err));
    const gv_pickle_value *little = gv_pickle_find(&p.root, "little_endian");
    if (!good || !little || little->kind != GV_PICKLE_BOOL)
        status = gv_fail(err, GV_E_FORMAT, "%s: the head of a torch file is damaged", c->file);
    else if (!little->integer)
        status = gv_fail(err, GV_E_UNSUPPORTED, "%s: was written on a big-endian machine", c->file);
done:
    return status;
}

/* The ids of the object's storages as blobs without data (size: that of an element), sorted. */
static gv_status gather_ids(gv_torch_blob **ids, size_t *count, const gv_pickle *p,
                            const char *file, gv_arena *arena, gv_error *err)
{
    gv_status status = GV_OK;
    size_t n = 0;
    for (const gv_pickle_persistent *i = p->persistents; i; i = i->next)
        n++;
    *count = n;
    *ids = gv_arena_alloc_array(arena, n, sizeof **ids);
    if (!*ids)
        return gv_fail_memory(err, n * sizeof **ids);
    n = 0;
    for (const gv_pickle_persistent *i = p->persistents; i; i = i->next) {
        storage_id id;
        GV_TRY(read_id(&id, &i->id, file, err));
        (*ids)[n++] = (gv_torch_blob){id.key, id.key_size, NULL, gv_dtype_size(id.type)};
    }
    if (n > 0)
        qsort(*ids, n, sizeof **ids, by_key);
done:
    return status;
}

/* The storages, in the order of the list of their keys. */
static gv_status read_legacy_blobs(gv_torch_file *t, gv_cursor *c, const gv_pickle_value *keys,
                                   gv_arena *arena, gv_error *err)
{
    gv_status status;
    gv_torch_blob *ids, *blobs;
    size_t id_count, count = 0;
    GV_TRY(gather_ids(&ids, &id_count, &t->pickle, c->file, arena, err));
    if (keys->kind != GV_PICKLE_LIST) {
        status = gv_fail(err, GV_E_FORMAT, "%s: the list of storages is damaged", c->file);
        goto done;
    }
    blobs = gv_arena_alloc_array(arena, keys->node->count, sizeof *blobs);
    if (!blobs) {
        status = gv_fail_memory(err, keys->node->count * sizeof *blobs);
        goto done;
    }
    gv_pickle_iterator it = gv_pickle_begin(keys);
    const gv_pickle_value *unused, *key;
    while (gv_pickle_next(&it, &unused, &key)) {
        const gv_torch_blob *id =
            key->kind == GV_PICKLE_TEXT
                ? find_blob(ids, id_count, (const char *)key->bytes, key->count)
                : NULL;
        if (!id) {
            status = gv_fail(err, GV_E_FORMAT, "%s: lists a storage that no tensor uses", c->file);
            goto done;
        }
        gv_torch_blob *blob = &blobs[count++];
        uint64_t elements;
        *blob = *id;
        GV_TRY(gv_read_u64(c, &elements, "the size of a storage", err));
        if (elements > gv_cursor_left(c) / id->size) {
            status = gv_fail(err, GV_E_FORMAT,
                             "%s: the storage of %llu elements at byte %zu ends past the file",
                             c->file, (unsigned long long)elements, c->pos);
            goto done;
        }
        blob->size = elements * id->size;
        GV_TRY(gv_read_bytes(c, &blob->data, blob->size, "a storage", err));
    }
    if (count > 0)
        qsort(blobs, count, sizeof *blobs, by_key);
    for (size_t i = 1; i < count; i++) {
        if (by_key(&blobs[i - 1], &blobs[i]) == 0) {
            status = gv_fail(err, GV_E_FORMAT, "%s: lists a storage twice", c->file);
            goto done;
        }
    }
    t->blobs = blobs;
    t->blob_count = count;
done:
    return status;
}

/* The pickles may take the first `head` bytes. */
static gv_status read_legacy(gv_torch_file *t, const uint8_t *data, size_t size, size_t head,
                             const char *file, gv_arena *arena, gv_error *err)
{
    *t = (gv_torch_file){.file = file, .file_size = size};
    gv_cursor c = gv_cursor_make(data, size < head ? size : head, file);
    gv_status status;
    gv_pickle keys;
    GV_TRY(read_legacy_head(&c, arena, err));
    GV_TRY(gv_pickle_read(&t->pickle, &c, arena, err));
    GV_TRY(gv_pickle_read(&keys, &c, arena, err));
    c.size = size;
    GV_TRY(read_legacy_blobs(t, &c, &keys.root, arena, err));
done:
    return status;
}

gv_status gv_torch_legacy_read(gv_torch_file *t, const uint8_t *data, size_t size, const char *file,
                               gv_arena *arena, gv_error *err)
{
    return read_legacy(t, data, size, size, file, arena, err);
}

/* ---- the ZIP form ---- */

static bool ends_with(const gv_zip_member *m, const char *end)
{
    size_t size = strlen(end);
    return m->name_size >= size && memcmp(m->name + m->name_size - size, end, size) == 0;
}

/* The member TOP/data.pkl; *top is the size of "TOP". */
static gv_status find_object(const gv_zip_member **found, size_t *top, const gv_zip *zip,
                             const char *file, gv_error *err)
{
    bool numpy = false;
    *found = NULL;
    for (size_t i = 0; i < zip->count && !*found; i++) {
        const gv_zip_member *m = &zip->members[i];
        const char *slash = memchr(m->name, '/', m->name_size);
        numpy = numpy || ends_with(m, ".npy");
        if (slash && ends_with(m, "/data.pkl") &&
            (size_t)(slash - m->name) == m->name_size - strlen("/data.pkl"))
            *found = m;
    }
    if (!*found)
        return gv_fail(err, GV_E_UNSUPPORTED,
                       numpy ? "%s: is a NumPy archive, not a checkpoint"
                             : "%s: is a ZIP archive without a data.pkl, "
                               "not a checkpoint",
                       file);
    *top = (*found)->name_size - strlen("/data.pkl");
    return GV_OK;
}

/* TOP/rest, or NULL. */
static const gv_zip_member *find_beside(const gv_zip *zip, const gv_zip_member *object, size_t top,
                                        const char *rest)
{
    for (size_t i = 0; i < zip->count; i++) {
        const gv_zip_member *m = &zip->members[i];
        if (m->name_size == top + strlen(rest) && memcmp(m->name, object->name, top) == 0 &&
            ends_with(m, rest))
            return m;
    }
    return NULL;
}

static gv_status gather_members(gv_torch_file *t, const gv_zip *zip, const gv_zip_member *object,
                                size_t top, gv_arena *arena, gv_error *err)
{
    static const char data[] = "/data/";
    size_t prefix = top + sizeof data - 1;
    gv_torch_blob *blobs = gv_arena_alloc_array(arena, zip->count, sizeof *blobs);
    if (!blobs)
        return gv_fail_memory(err, zip->count * sizeof *blobs);
    size_t count = 0;
    for (size_t i = 0; i < zip->count; i++) { /* sorted by name, so the keys are sorted as well */
        const gv_zip_member *m = &zip->members[i];
        if (m->name_size <= prefix || memcmp(m->name, object->name, top) != 0 ||
            memcmp(m->name + top, data, sizeof data - 1) != 0)
            continue;
        if (m->method != GV_ZIP_STORED)
            return gv_fail(err, GV_E_UNSUPPORTED, "%s: ZIP member '%.*s' is compressed", t->file,
                           (int)(m->name_size < 200 ? m->name_size : 200), m->name);
        blobs[count++] = (gv_torch_blob){m->name + prefix, m->name_size - prefix, m->data, m->size};
    }
    t->blobs = blobs;
    t->blob_count = count;
    return GV_OK;
}

gv_status gv_torch_zip_read(gv_torch_file *t, const uint8_t *data, size_t size, const char *file,
                            gv_arena *arena, gv_error *err)
{
    *t = (gv_torch_file){.file = file, .file_size = size};
    gv_status status;
    gv_zip zip;
    const gv_zip_member *object;
    size_t top = 0;
    GV_TRY(gv_zip_read(&zip, data, size, file, arena, err));
    GV_TRY(find_object(&object, &top, &zip, file, err));
    const gv_zip_member *order = find_beside(&zip, object, top, "/byteorder");
    if (order && !(order->size == 6 && memcmp(order->data, "little", 6) == 0)) {
        status = gv_fail(err, GV_E_UNSUPPORTED, "%s: was written on a big-endian machine", file);
        goto done;
    }
    if (find_beside(&zip, object, top, "/constants.pkl")) {
        status = gv_fail(err, GV_E_UNSUPPORTED,
                         "%s: is a TorchScript program; ganvas reads state dicts", file);
        goto done;
    }
    if (object->method != GV_ZIP_STORED) {
        status = gv_fail(err, GV_E_UNSUPPORTED, "%s: its data.pkl is compressed", file);
        goto done;
    }
    GV_TRY(gather_members(t, &zip, object, top, arena, err));
    /* Positions in messages are those in the file. */
    gv_cursor c =
        gv_cursor_make(data, (size_t)(object->data - data + (ptrdiff_t)object->size), file);
    GV_TRY(gv_cursor_seek(&c, (uint64_t)(object->data - data), "data.pkl", err));
    GV_TRY(gv_pickle_read(&t->pickle, &c, arena, err));
done:
    return status;
}
