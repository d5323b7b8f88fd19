#include "base/cursor.h"

#include <assert.h>

gv_cursor gv_cursor_make(const void *data, size_t size, const char *file)
{
    return (gv_cursor){.data = data, .size = size, .file = file};
}

size_t gv_cursor_left(const gv_cursor *c)
{
    assert(c->pos <= c->size);
    return c->size - c->pos;
}

gv_status gv_read_bytes(gv_cursor *c, const uint8_t **out, uint64_t count, const char *what,
                        gv_error *err)
{
    *out = NULL;
    if (count > gv_cursor_left(c))
        return gv_fail(err, GV_E_FORMAT, "%s: ends at byte %zu inside %s", c->file, c->size, what);
    *out = c->data + c->pos;
    c->pos += (size_t)count;
    return GV_OK;
}

gv_status gv_read_u8(gv_cursor *c, uint8_t *out, const char *what, gv_error *err)
{
    const uint8_t *p;
    gv_status status = gv_read_bytes(c, &p, sizeof *out, what, err);
    *out = status == GV_OK ? *p : 0;
    return status;
}

gv_status gv_read_u16(gv_cursor *c, uint16_t *out, const char *what, gv_error *err)
{
    const uint8_t *p;
    gv_status status = gv_read_bytes(c, &p, sizeof *out, what, err);
    *out = status == GV_OK ? gv_load_u16(p) : 0;
    return status;
}

gv_status gv_read_u32(gv_cursor *c, uint32_t *out, const char *what, gv_error *err)
{
    const uint8_t *p;
    gv_status status = gv_read_bytes(c, &p, sizeof *out, what, err);
    *out = status == GV_OK ? gv_load_u32(p) : 0;
    return status;
}

gv_status gv_read_u64(gv_cursor *c, uint64_t *out, const char *what, gv_error *err)
{
    const uint8_t *p;
    gv_status status = gv_read_bytes(c, &p, sizeof *out, what, err);
    *out = status == GV_OK ? gv_load_u64(p) : 0;
    return status;
}

gv_status gv_cursor_seek(gv_cursor *c, uint64_t pos, const char *what, gv_error *err)
{
    if (pos > c->size)
        return gv_fail(err, GV_E_FORMAT, "%s: %s is said to be at byte %llu, the file has %zu",
                       c->file, what, (unsigned long long)pos, c->size);
    c->pos = (size_t)pos;
    return GV_OK;
}

/* Compilers make one load of these. */

uint16_t gv_load_u16(const void *p)
{
    const uint8_t *b = p;
    return (uint16_t)(b[0] | b[1] << 8);
}

uint32_t gv_load_u32(const void *p)
{
    const uint8_t *b = p;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

uint64_t gv_load_u64(const void *p)
{
    const uint8_t *b = p;
    return gv_load_u32(b) | (uint64_t)gv_load_u32(b + 4) << 32;
}
