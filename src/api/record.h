/* JSON text for records. */
#ifndef GV_API_RECORD_H
#define GV_API_RECORD_H

#include "base/error.h"

#include <jansson.h>

/* *text (owned, gv_mem_free) of value, on one line, in ASCII; value is taken over in every case and
 * may be NULL: then memory has run out. */
gv_status gv_json_text(char **text, json_t *value, gv_error *err);

#endif
