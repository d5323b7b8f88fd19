#include "image/png.h"

#include "base/cursor.h"
#include "base/memory.h"

#include <string.h>

static const uint8_t signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
static const char keyword[] = "ganvas";

/* Chunk lengths are big-endian, unlike everything else that we read. */
static uint32_t big_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

gv_status gv_png_record(const char **text, size_t *length, const uint8_t *data, size_t size,
                        const char *name, gv_error *err)
{
    *text = NULL;
    *length = 0;
    if (size < sizeof signature || memcmp(data, signature, sizeof signature) != 0)
        return gv_fail(err, GV_E_FORMAT, "%s: is not a PNG file", name);
    gv_cursor c = gv_cursor_make(data, size, name);
    gv_status status = gv_cursor_seek(&c, sizeof signature, "the signature", err);
    while (status == GV_OK && gv_cursor_left(&c) > 0) {
        const uint8_t *head, *body, *crc;
        GV_TRY(gv_read_bytes(&c, &head, 8, "a chunk's head", err));
        uint32_t bytes = big_u32(head);
        GV_TRY(gv_read_bytes(&c, &body, bytes, "a chunk", err));
        GV_TRY(gv_read_bytes(&c, &crc, 4, "a chunk's checksum", err));
        if (memcmp(head + 4, "tEXt", 4) == 0 && bytes >= sizeof keyword &&
            memcmp(body, keyword, sizeof keyword) == 0) {
            *text = (const char *)body + sizeof keyword;
            *length = bytes - sizeof keyword;
            return GV_OK;
        }
        if (memcmp(head + 4, "IEND", 4) == 0)
            break;
    }
    status = gv_fail(err, GV_E_FORMAT, "%s: holds no ganvas record", name);
done:
    return status;
}

static void store_big_u32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

/* CRC-32 of ISO 3309, as PNG's annex D; bit by bit is fast enough for a record. */
static uint32_t crc32_of(const uint8_t *p, size_t size)
{
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < size; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? 0xedb88320u ^ crc >> 1 : crc >> 1;
    }
    return ~crc;
}

gv_status gv_png_add_record(uint8_t **out, size_t *out_size, const uint8_t *data, size_t size,
                            const char *record, gv_error *err)
{
    enum { HEADER_END = 8 + 8 + 13 + 4 };
    *out = NULL;
    *out_size = 0;
    record = record == NULL ? "{}" : record;
    size_t length = sizeof keyword + strlen(record);
    if (size < HEADER_END || length > INT32_MAX)
        return gv_fail(err, GV_E_ARG, "a PNG file of %zu bytes cannot take a record of %zu", size,
                       length);
    uint8_t *copy = gv_mem_alloc(size + 12 + length);
    if (copy == NULL)
        return gv_fail_memory(err, size + 12 + length);
    uint8_t *chunk = copy + HEADER_END;
    memcpy(copy, data, HEADER_END);
    store_big_u32(chunk, (uint32_t)length);
    memcpy(chunk + 4, "tEXt", 4);
    memcpy(chunk + 8, keyword, sizeof keyword);
    memcpy(chunk + 8 + sizeof keyword, record, strlen(record));
    store_big_u32(chunk + 8 + length, crc32_of(chunk + 4, 4 + length));
    memcpy(chunk + 12 + length, data + HEADER_END, size - HEADER_END);
    *out = copy;
    *out_size = size + 12 + length;
    return GV_OK;
}
