/* JSON from files that nobody vouches for: limits are enforced before jansson sees the text. */
#ifndef GV_CHECKPOINT_JSON_H
#define GV_CHECKPOINT_JSON_H

#include "base/error.h"

#include <jansson.h>

#define GV_JSON_MAX_SIZE ((size_t)16 << 20)
#define GV_JSON_MAX_DEPTH 16
/* What jansson allocates for a text is at most this many times its size, plus the floor, which lets
 * small texts be as dense as they like. */
#define GV_JSON_MAX_GROWTH 20
#define GV_JSON_FLOOR ((size_t)64 << 10)

/* Reads one JSON object or array; white space may surround it, nothing else.
 * value   returned owned (json_decref); NULL after an error
 * text    size bytes, UTF-8, need not end in NUL
 * file    for messages
 * Errors  GV_E_FORMAT: not JSON, a key twice in one object, "\u0000", larger or deeper than the
 *         limits above; GV_E_MEMORY: the value would take more memory than they allow. */
gv_status gv_json_parse(json_t **value, const char *text, size_t size, const char *file,
                        gv_error *err);

#endif
