/* The directory of a ZIP archive in memory: torch's checkpoints and NumPy's .npz. Source FORMATS
 * section 2.1 and PKWARE's APPNOTE. Nothing is unpacked here. */
#ifndef GV_CHECKPOINT_ZIP_H
#define GV_CHECKPOINT_ZIP_H

#include "base/memory.h"

#define GV_ZIP_STORED 0
#define GV_ZIP_DEFLATED 8

typedef struct gv_zip_member {
    const char *name; /* in the archive, not terminated */
    size_t name_size;
    const uint8_t *header; /* the member's local header */
    const uint8_t *data;   /* packed_size bytes in the archive */
    uint64_t packed_size;
    uint64_t size; /* after unpacking; equals packed_size for GV_ZIP_STORED */
    uint32_t crc;  /* of the unpacked bytes, as the directory says; not checked here */
    uint16_t method;
} gv_zip_member;

typedef struct gv_zip {
    const gv_zip_member *members; /* sorted by name, in the arena */
    size_t count;
} gv_zip;

/* Reads the central directory, zip64 included, and finds every payload through its local header;
 * sizes come from the directory alone, because torch writes zeros into the local headers.
 * data    the whole archive; members point into it
 * Errors  GV_E_FORMAT for anything that points past the end, members that overlap or share a name,
 *         local headers that disagree with the directory; GV_E_UNSUPPORTED for encryption;
 *         GV_E_MEMORY. */
gv_status gv_zip_read(gv_zip *zip, const uint8_t *data, size_t size, const char *file,
                      gv_arena *arena, gv_error *err);

/* NULL if there is no such member. */
const gv_zip_member *gv_zip_find(const gv_zip *zip, const char *name, size_t name_size);

#endif
