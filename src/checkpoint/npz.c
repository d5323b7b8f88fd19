#include "checkpoint/npy.h"

#include "base/file.h"
#include "checkpoint/stream.h"
#include "checkpoint/zip.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static const char suffix[] = ".npy";

enum { SUFFIX_SIZE = sizeof suffix - 1, LONGEST_NAME = UINT16_MAX - SUFFIX_SIZE };

/* zlib counts in 32 bits. */
static uInt at_most_1g(uint64_t size)
{
    return size < (1u << 30) ? (uInt)size : 1u << 30;
}

static uint32_t add_crc(uint32_t crc, const void *data, uint64_t size)
{
    const Bytef *bytes = data;
    while (size > 0) {
        uInt part = at_most_1g(size);
        crc = (uint32_t)crc32(crc, bytes, part);
        bytes += part;
        size -= part;
    }
    return crc;
}

/* ---- reading ---- */

static voidpf zlib_alloc(voidpf opaque, uInt items, uInt size)
{
    (void)opaque;
    return gv_mem_alloc_array(items, size);
}

static void zlib_free(voidpf opaque, voidpf block)
{
    (void)opaque;
    gv_mem_free(block);
}

/* out: m->size bytes; the member must fill them exactly. */
static gv_status inflate_into(uint8_t *out, const gv_zip_member *m, const char *name,
                              const char *file, gv_error *err)
{
    z_stream z = {.zalloc = zlib_alloc, .zfree = zlib_free};
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
        return gv_fail_memory(err, sizeof z);
    uint64_t in_left = m->packed_size;
    uint64_t out_left = m->size;
    z.next_in = (z_const Bytef *)m->data;
    z.next_out = out;
    int result = Z_OK;
    while (result == Z_OK) {
        uInt in = at_most_1g(in_left);
        uInt room = at_most_1g(out_left);
        z.avail_in = in;
        z.avail_out = room;
        result = inflate(&z, Z_NO_FLUSH);
        in_left -= in - z.avail_in;
        out_left -= room - z.avail_out;
    }
    inflateEnd(&z);

    if (result == Z_MEM_ERROR)
        return gv_fail_memory(err, 1 << MAX_WBITS);
    if (result != Z_STREAM_END || in_left > 0 || out_left > 0)
        return gv_fail(err, GV_E_FORMAT,
                       "%s: member '%s' does not inflate to the %" PRIu64
                       " bytes that the archive's directory says",
                       file, name, m->size);
    return GV_OK;
}

/* *bytes: m->size unpacked bytes, in the archive or the arena. */
static gv_status unpack(const uint8_t **bytes, const gv_zip_member *m, const char *name,
                        const char *file, gv_arena *arena, gv_error *err)
{
    *bytes = m->data;
    if (m->method == GV_ZIP_DEFLATED) {
        /* No input grows more than 1032-fold: a cheap no to a lying directory. */
        if (m->size / 1032 > m->packed_size)
            return gv_fail(err, GV_E_FORMAT,
                           "%s: member '%s' cannot inflate from %" PRIu64 " to %" PRIu64 " bytes",
                           file, name, m->packed_size, m->size);
        uint8_t *out = gv_arena_alloc_aligned(arena, (size_t)m->size, 64);
        if (!out)
            return gv_fail_memory(err, (size_t)m->size);
        gv_status status = inflate_into(out, m, name, file, err);
        if (status != GV_OK)
            return status;
        *bytes = out;
    } else if (m->method != GV_ZIP_STORED) {
        return gv_fail(err, GV_E_UNSUPPORTED,
                       "%s: member '%s' is packed by method %d, only stored and deflated ones are "
                       "read",
                       file, name, m->method);
    }
#ifndef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION /* a fuzzer does not guess checksums */
    uint32_t crc = add_crc(0, *bytes, m->size);
    if (crc != m->crc)
        return gv_fail(err, GV_E_FORMAT,
                       "%s: member '%s' has the checksum %08" PRIx32 ", expected %08" PRIx32
                       "; the file is damaged",
                       file, name, crc, m->crc);
#endif
    return GV_OK;
}

static gv_status read_member(gv_view *v, const gv_zip_member *m, const char *file, gv_arena *arena,
                             gv_error *err)
{
    if (m->name_size < SUFFIX_SIZE || memchr(m->name, '\0', m->name_size) ||
        memcmp(m->name + m->name_size - SUFFIX_SIZE, suffix, SUFFIX_SIZE) != 0)
        return gv_fail(err, GV_E_FORMAT, "%s: member '%.*s' is not a .npy array", file,
                       m->name_size < 200 ? (int)m->name_size : 200, m->name);
    size_t length = m->name_size - SUFFIX_SIZE;
    char *name = gv_arena_alloc_aligned(arena, length + 1, 1);
    if (!name)
        return gv_fail_memory(err, length + 1);
    memcpy(name, m->name, length);

    const uint8_t *bytes;
    gv_status status;
    GV_TRY(unpack(&bytes, m, name, file, arena, err));
    gv_error inner;
    status = gv_npy_read(v, bytes, (size_t)m->size, name, &inner);
    if (status != GV_OK)
        return gv_fail(err, status, "%s: member %s", file, inner.message);
done:
    return status;
}

gv_status gv_npz_read(gv_view **views, size_t *count, const void *data, size_t size,
                      const char *file, gv_arena *arena, gv_error *err)
{
    *views = NULL;
    *count = 0;
    gv_zip zip;
    gv_status status;
    GV_TRY(gv_zip_read(&zip, data, size, file, arena, err));
    gv_view *made = gv_arena_alloc_array(arena, zip.count, sizeof *made);
    if (!made)
        return gv_fail_memory(err, zip.count * sizeof *made);
    for (size_t i = 0; i < zip.count; i++)
        GV_TRY(read_member(&made[i], &zip.members[i], file, arena, err));
    *views = made;
    *count = zip.count;
done:
    return status;
}

/* ---- writing ---- */

typedef struct entry {
    const gv_view *v;
    uint32_t crc;
    uint32_t size;   /* .npy header and data */
    uint32_t offset; /* of the local header */
} entry;

typedef struct archive {
    const char *path;
    gv_writer *w;
    entry *entries; /* sorted by name */
    size_t count;
    uint64_t written;
} archive;

enum {
    LOCAL_SIZE = 30,
    CENTRAL_SIZE = 46,
    END_SIZE = 22,
    VERSION = 20,
    UTF8_NAMES = 0x800,
    YEAR_1980 = 0x21 /* the first of January: equal arrays give equal files */
};

static uint8_t *store_u16(uint8_t *p, size_t value)
{
    p[0] = (uint8_t)value;
    p[1] = (uint8_t)(value >> 8);
    return p + 2;
}

static uint8_t *store_u32(uint8_t *p, uint64_t value)
{
    return store_u16(store_u16(p, value & 0xffff), (value >> 16) & 0xffff);
}

static gv_status put(void *ctx, const void *data, size_t size, gv_error *err)
{
    archive *a = ctx;
    a->written += size;
    return gv_writer_put(a->w, data, size, err);
}

static gv_status put_crc(void *ctx, const void *data, size_t size, gv_error *err)
{
    (void)err;
    uint32_t *crc = ctx;
    *crc = add_crc(*crc, data, size);
    return GV_OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const entry *)a)->v->name, ((const entry *)b)->v->name);
}

static gv_status make_entries(archive *a, const gv_view *views, size_t count, gv_error *err)
{
    if (count > UINT16_MAX - 1)
        return gv_fail(err, GV_E_UNSUPPORTED, "%s: %zu members, at most %d are written", a->path,
                       count, UINT16_MAX - 1);
    a->entries = gv_mem_alloc_array(count, sizeof *a->entries);
    if (!a->entries)
        return gv_fail_memory(err, count * sizeof *a->entries);
    a->count = count;
    for (size_t i = 0; i < count; i++)
        a->entries[i].v = &views[i];
    if (count > 1)
        qsort(a->entries, count, sizeof *a->entries, compare_names);
    for (size_t i = 1; i < count; i++) {
        if (compare_names(&a->entries[i - 1], &a->entries[i]) == 0)
            return gv_fail(err, GV_E_ARG, "%s: two members of the name '%s'", a->path,
                           a->entries[i].v->name);
    }
    return GV_OK;
}

/* The sixteen bytes from the version to the checksum, that both kinds of header have. */
static uint8_t *store_common(uint8_t *p, const entry *e)
{
    bool ascii = true;
    for (const char *c = e->v->name; *c; c++)
        ascii = ascii && (unsigned char)*c < 0x80;
    p = store_u16(p, VERSION);
    p = store_u16(p, ascii ? 0 : UTF8_NAMES);
    p = store_u16(p, GV_ZIP_STORED);
    p = store_u16(p, 0);
    p = store_u16(p, YEAR_1980);
    p = store_u32(p, e->crc);
    p = store_u32(p, e->size);
    p = store_u32(p, e->size);
    p = store_u16(p, strlen(e->v->name) + SUFFIX_SIZE);
    return store_u16(p, 0);
}

static gv_status put_name(archive *a, const entry *e, gv_error *err)
{
    gv_status status = put(a, e->v->name, strlen(e->v->name), err);
    return status == GV_OK ? put(a, suffix, SUFFIX_SIZE, err) : status;
}

static gv_status put_member(archive *a, entry *e, gv_error *err)
{
    char header[GV_NPY_HEADER_MAX];
    size_t header_size;
    uint8_t local[LOCAL_SIZE];
    gv_status status;
    GV_TRY(gv_npy_make_header(header, &header_size, e->v, a->path, err));
    uint64_t size = header_size + gv_view_bytes(e->v);
    if (strlen(e->v->name) > LONGEST_NAME || a->written + size > UINT32_MAX)
        return gv_fail(err, GV_E_UNSUPPORTED,
                       "%s: names over 64 KiB and archives over 4 GiB are not written", a->path);
    e->size = (uint32_t)size;
    e->offset = (uint32_t)a->written;
    e->crc = add_crc(0, header, header_size);
    GV_TRY(gv_view_stream(e->v, put_crc, &e->crc, err));

    store_common(store_u32(local, 0x04034b50), e);
    GV_TRY(put(a, local, sizeof local, err));
    GV_TRY(put_name(a, e, err));
    GV_TRY(put(a, header, header_size, err));
    GV_TRY(gv_view_stream(e->v, put, a, err));
done:
    return status;
}

static gv_status put_directory(archive *a, gv_error *err)
{
    gv_status status = GV_OK;
    uint64_t begin = a->written;
    for (size_t i = 0; i < a->count; i++) {
        uint8_t central[CENTRAL_SIZE] = {0}; /* no comment, first disk, no attributes */
        store_common(store_u16(store_u32(central, 0x02014b50), VERSION), &a->entries[i]);
        store_u32(central + 42, a->entries[i].offset);
        GV_TRY(put(a, central, sizeof central, err));
        GV_TRY(put_name(a, &a->entries[i], err));
    }
    if (a->written > UINT32_MAX)
        return gv_fail(err, GV_E_UNSUPPORTED, "%s: archives over 4 GiB are not written", a->path);

    uint8_t end[END_SIZE] = {0};
    store_u32(end, 0x06054b50);
    store_u16(end + 8, a->count);
    store_u16(end + 10, a->count);
    store_u32(end + 12, a->written - begin);
    store_u32(end + 16, begin);
    GV_TRY(put(a, end, sizeof end, err));
done:
    return status;
}

gv_status gv_npz_write(const char *path, const gv_view *views, size_t count, gv_error *err)
{
    archive a = {.path = path};
    gv_status status;
    GV_TRY(make_entries(&a, views, count, err));
    GV_TRY(gv_writer_open(&a.w, path, err));
    for (size_t i = 0; i < a.count; i++)
        GV_TRY(put_member(&a, &a.entries[i], err));
    GV_TRY(put_directory(&a, err));
done:
    gv_mem_free(a.entries);
    if (status != GV_OK) {
        gv_writer_abort(a.w);
        return status;
    }
    return gv_writer_commit(a.w, err);
}
