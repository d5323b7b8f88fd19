/* A bounded reader of bytes: every parser reads through it and cannot leave its range. */
#ifndef GV_BASE_CURSOR_H
#define GV_BASE_CURSOR_H

#include "base/error.h"

typedef struct gv_cursor {
    const uint8_t *data; /* borrowed */
    size_t size;
    size_t pos;       /* <= size */
    const char *file; /* for messages, borrowed */
} gv_cursor;

gv_cursor gv_cursor_make(const void *data, size_t size, const char *file);
size_t gv_cursor_left(const gv_cursor *c);

/* Little-endian integers. GV_E_FORMAT "<file>: ends at byte P inside <what>", pos unchanged. */
gv_status gv_read_u8(gv_cursor *c, uint8_t *out, const char *what, gv_error *err);
gv_status gv_read_u16(gv_cursor *c, uint16_t *out, const char *what, gv_error *err);
gv_status gv_read_u32(gv_cursor *c, uint32_t *out, const char *what, gv_error *err);
gv_status gv_read_u64(gv_cursor *c, uint64_t *out, const char *what, gv_error *err);
/* *out points into the data. */
gv_status gv_read_bytes(gv_cursor *c, const uint8_t **out, uint64_t count, const char *what,
                        gv_error *err);
/* Absolute position; errors if past the end. */
gv_status gv_cursor_seek(gv_cursor *c, uint64_t pos, const char *what, gv_error *err);

/* The same integers from unaligned memory that the caller has checked. */
uint16_t gv_load_u16(const void *p);
uint32_t gv_load_u32(const void *p);
uint64_t gv_load_u64(const void *p);

#endif
