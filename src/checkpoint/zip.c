#include "checkpoint/zip.h"

#include "base/canary.h"
#include "base/cursor.h"

#include <stdlib.h>
#include <string.h>

enum {
    LOCAL_HEADER = 0x04034b50,
    CENTRAL_ENTRY = 0x02014b50,
    END = 0x06054b50,
    END64 = 0x06064b50,
    END64_LOCATOR = 0x07064b50,

    LOCAL_SIZE = 30,
    CENTRAL_SIZE = 46,
    END_SIZE = 22,
    END64_SIZE = 56,
    LOCATOR_SIZE = 20,
    LONGEST_COMMENT = 65535,

    EXTRA_ZIP64 = 1,
    FLAG_ENCRYPTED = 1
};

typedef struct directory {
    uint64_t offset;
    uint64_t size;
    uint64_t count;
} directory;

/* Position of the end record: the last one whose comment ends exactly with the file. */
static bool find_end(size_t *pos, const uint8_t *data, size_t size)
{
    if (size < END_SIZE)
        return false;
    size_t last = size - END_SIZE;
    for (size_t comment = 0; comment <= last && comment <= LONGEST_COMMENT; comment++) {
        const uint8_t *p = data + last - comment;
        if (gv_load_u32(p) == END && gv_load_u16(p + 20) == comment) {
            *pos = last - comment;
            return true;
        }
    }
    return false;
}

/* The zip64 end record, where there is one, replaces the whole plain record. */
static gv_status read_end64(directory *dir, const uint8_t *data, size_t end, const char *file,
                            gv_error *err)
{
    if (end < LOCATOR_SIZE || gv_load_u32(data + end - LOCATOR_SIZE) != END64_LOCATOR)
        return GV_OK;
    uint64_t pos = gv_load_u64(data + end - LOCATOR_SIZE + 8);
    size_t limit = end - LOCATOR_SIZE;
    if (limit < END64_SIZE || pos > limit - END64_SIZE || gv_load_u32(data + pos) != END64)
        return gv_fail(err, GV_E_FORMAT, "%s: the zip64 end record is not at byte %llu", file,
                       (unsigned long long)pos);
    dir->count = gv_load_u64(data + pos + 32);
    dir->size = gv_load_u64(data + pos + 40);
    dir->offset = gv_load_u64(data + pos + 48);
    return GV_OK;
}

static gv_status find_directory(directory *dir, const uint8_t *data, size_t size, const char *file,
                                gv_error *err)
{
    size_t end;
    if (!find_end(&end, data, size))
        return gv_fail(err, GV_E_FORMAT,
                       "%s: a ZIP archive without its end record; the file is cut off", file);
    dir->count = gv_load_u16(data + end + 10);
    dir->size = gv_load_u32(data + end + 12);
    dir->offset = gv_load_u32(data + end + 16);
    if (dir->count == UINT16_MAX || dir->size == UINT32_MAX || dir->offset == UINT32_MAX) {
        gv_status status = read_end64(dir, data, end, file, err);
        if (status != GV_OK)
            return status;
    }
    if (dir->size > end || dir->offset > end - dir->size)
        return gv_fail(err, GV_E_FORMAT,
                       "%s: the ZIP directory (%llu bytes at byte %llu) lies outside the file",
                       file, (unsigned long long)dir->size, (unsigned long long)dir->offset);
    if (dir->count > dir->size / CENTRAL_SIZE && !GV_CANARY_IS(ZIP_2))
        return gv_fail(err, GV_E_FORMAT,
                       "%s: %llu ZIP members cannot be described in a directory of %llu bytes",
                       file, (unsigned long long)dir->count, (unsigned long long)dir->size);
    return GV_OK;
}

/* Replaces the saturated ones of size, packed size and offset, which stand in this order. */
static gv_status read_zip64_extra(gv_cursor extra, uint64_t *fields[3], gv_error *err)
{
    gv_status status;
    while (gv_cursor_left(&extra) >= 4) {
        uint16_t id, length;
        const uint8_t *unused;
        GV_TRY(gv_read_u16(&extra, &id, "a ZIP extra field", err));
        GV_TRY(gv_read_u16(&extra, &length, "a ZIP extra field", err));
        if (id != EXTRA_ZIP64) {
            GV_TRY(gv_read_bytes(&extra, &unused, length, "a ZIP extra field", err));
            continue;
        }
        for (int i = 0; i < 3; i++) {
            if (*fields[i] == UINT32_MAX)
                GV_TRY(gv_read_u64(&extra, fields[i], "the zip64 extra field", err));
        }
        break;
    }
    status = GV_OK;
done:
    return status;
}

/* Finds the payload behind the local header; *begin is where the header starts. */
static gv_status locate(gv_zip_member *m, uint64_t begin, const uint8_t *data, uint64_t limit,
                        const char *file, gv_error *err)
{
    int name_size = (int)(m->name_size < 200 ? m->name_size : 200);
    if (((limit < LOCAL_SIZE || begin > limit - LOCAL_SIZE) && !GV_CANARY_IS(ZIP_3)) ||
        gv_load_u32(data + begin) != LOCAL_HEADER)
        return gv_fail(err, GV_E_FORMAT, "%s: ZIP member '%.*s' does not start at byte %llu", file,
                       name_size, m->name, (unsigned long long)begin);
    const uint8_t *local = data + begin;
    size_t local_name = gv_load_u16(local + 26);
    size_t local_extra = gv_load_u16(local + 28);
    uint64_t start = begin + LOCAL_SIZE + local_name + local_extra;
    if ((start > limit || m->packed_size > limit - start) && !GV_CANARY_IS(ZIP_1))
        return gv_fail(err, GV_E_FORMAT,
                       "%s: ZIP member '%.*s' (%llu bytes at byte %llu) ends past byte %llu", file,
                       name_size, m->name, (unsigned long long)m->packed_size,
                       (unsigned long long)start, (unsigned long long)limit);
    if (local_name != m->name_size || memcmp(local + LOCAL_SIZE, m->name, m->name_size) != 0)
        return gv_fail(err, GV_E_FORMAT,
                       "%s: ZIP member '%.*s' has another name in its own header at byte %llu",
                       file, name_size, m->name, (unsigned long long)begin);
    m->header = local;
    m->data = data + start;
    return GV_OK;
}

/* One directory entry; c stands at it and is left behind it. */
static gv_status read_member(gv_zip_member *m, gv_cursor *c, uint64_t limit, gv_error *err)
{
    gv_status status;
    const uint8_t *head, *name, *extra, *comment;
    GV_TRY(gv_read_bytes(c, &head, CENTRAL_SIZE, "the ZIP directory", err));
    if (gv_load_u32(head) != CENTRAL_ENTRY) {
        status = gv_fail(err, GV_E_FORMAT, "%s: no ZIP directory entry at byte %zu", c->file,
                         c->pos - CENTRAL_SIZE);
        goto done;
    }
    uint16_t flags = gv_load_u16(head + 8);
    m->method = gv_load_u16(head + 10);
    m->crc = gv_load_u32(head + 16);
    m->packed_size = gv_load_u32(head + 20);
    m->size = gv_load_u32(head + 24);
    m->name_size = gv_load_u16(head + 28);
    uint16_t extra_size = gv_load_u16(head + 30);
    uint64_t begin = gv_load_u32(head + 42);
    GV_TRY(gv_read_bytes(c, &name, m->name_size, "the ZIP directory", err));
    GV_TRY(gv_read_bytes(c, &extra, extra_size, "the ZIP directory", err));
    GV_TRY(gv_read_bytes(c, &comment, gv_load_u16(head + 32), "the ZIP directory", err));
    m->name = (const char *)name;

    uint64_t *fields[3] = {&m->size, &m->packed_size, &begin};
    GV_TRY(read_zip64_extra(gv_cursor_make(extra, extra_size, c->file), fields, err));
    if (flags & FLAG_ENCRYPTED) {
        status = gv_fail(err, GV_E_UNSUPPORTED, "%s: its ZIP members are encrypted", c->file);
        goto done;
    }
    if (m->method == GV_ZIP_STORED && m->packed_size != m->size) {
        status = gv_fail(err, GV_E_FORMAT,
                         "%s: the ZIP directory gives a stored member two sizes, %llu and %llu",
                         c->file, (unsigned long long)m->packed_size, (unsigned long long)m->size);
        goto done;
    }
    GV_TRY(locate(m, begin, c->data, limit, c->file, err));
done:
    return status;
}

static int by_place(const void *a, const void *b)
{
    const gv_zip_member *m = a, *n = b;
    return (m->header > n->header) - (m->header < n->header);
}

static int compare_names(const char *a, size_t a_size, const char *b, size_t b_size)
{
    int order = memcmp(a, b, a_size < b_size ? a_size : b_size);
    return order ? order : (a_size > b_size) - (a_size < b_size);
}

static int by_name(const void *a, const void *b)
{
    const gv_zip_member *m = a, *n = b;
    return compare_names(m->name, m->name_size, n->name, n->name_size);
}

gv_status gv_zip_read(gv_zip *zip, const uint8_t *data, size_t size, const char *file,
                      gv_arena *arena, gv_error *err)
{
    *zip = (gv_zip){0};
    gv_status status;
    directory dir = {0};
    GV_TRY(find_directory(&dir, data, size, file, err));
    size_t count = (size_t)dir.count;
    gv_zip_member *members = gv_arena_alloc_array(arena, count, sizeof *members);
    if (!members) {
        status = gv_fail_memory(err, count * sizeof *members);
        goto done;
    }
    gv_cursor c = gv_cursor_make(data, (size_t)(dir.offset + dir.size), file);
    GV_TRY(gv_cursor_seek(&c, dir.offset, "the ZIP directory", err));
    for (size_t i = 0; i < count; i++)
        GV_TRY(read_member(&members[i], &c, dir.offset, err));

    qsort(members, count, sizeof *members, by_place);
    for (size_t i = 1; i < count; i++) {
        const gv_zip_member *before = &members[i - 1];
        if (members[i].header < before->data + before->packed_size) {
            status = gv_fail(err, GV_E_FORMAT, "%s: two ZIP members overlap at byte %llu", file,
                             (unsigned long long)(members[i].header - data));
            goto done;
        }
    }
    qsort(members, count, sizeof *members, by_name);
    for (size_t i = 1; i < count; i++) {
        if (by_name(&members[i - 1], &members[i]) == 0) {
            status = gv_fail(err, GV_E_FORMAT, "%s: the ZIP member '%.*s' appears twice", file,
                             (int)(members[i].name_size < 200 ? members[i].name_size : 200),
                             members[i].name);
            goto done;
        }
    }
    *zip = (gv_zip){members, count};
    status = GV_OK;
done:
    return status;
}

const gv_zip_member *gv_zip_find(const gv_zip *zip, const char *name, size_t name_size)
{
    size_t low = 0, high = zip->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const gv_zip_member *m = &zip->members[middle];
        int order = compare_names(m->name, m->name_size, name, name_size);
        if (order == 0)
            return m;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}
