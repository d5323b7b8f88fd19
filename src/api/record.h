/* JSON text for records. */
#ifndef GV_API_RECORD_H
#define GV_API_RECORD_H

#include "base/error.h"

#include <jansson.h>

/* Digits of numbers: 15 write 0.7 as people do, 17 keep every bit. */
#define GV_JSON_READABLE 15u
#define GV_JSON_EXACT 17u

/* *text (owned, gv_mem_free) of value, on one line, in ASCII; value is taken over in every case and
 * may be NULL: then memory has run out. */
gv_status gv_json_text(char **text, json_t *value, unsigned digits, gv_error *err);

#endif
