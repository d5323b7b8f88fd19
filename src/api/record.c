#include "api/record.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

gv_status gv_json_text(char **text, json_t *value, unsigned digits, gv_error *err)
{
    size_t flags = JSON_ENSURE_ASCII | JSON_ENCODE_ANY | JSON_REAL_PRECISION(digits);
    *text = NULL;
    if (value == NULL)
        return gv_fail_memory(err, 0);
    /* Twice, because jansson would call its own malloc. */
    size_t size = json_dumpb(value, NULL, 0, flags);
    char *copy = size > 0 ? gv_mem_alloc(size + 1) : NULL;
    if (copy != NULL)
        json_dumpb(value, copy, size, flags);
    json_decref(value);
    if (copy == NULL)
        return gv_fail_memory(err, size);
    *text = copy;
    return GV_OK;
}
