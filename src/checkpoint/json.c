#include "checkpoint/json.h"

#include "base/canary.h"

#include <stdbool.h>

/* What jansson 2.14 allocates on a 64-bit machine, rounded up to whole malloc blocks. Its tables
 * double when they are full, and both are alive while one is copied: the last two entries are the
 * worst case for each entry beyond the eight that every table starts with. */
enum {
    COST_OBJECT = 80 + 144,
    COST_ARRAY = 48 + 80,
    COST_NUMBER = 32,
    COST_STRING = 64, /* and its bytes */
    COST_KEY = 80,    /* and its bytes */
    COST_OBJECT_GROWTH = 48,
    COST_ARRAY_GROWTH = 24,
    FREE_ENTRIES = 8
};

typedef struct scan {
    const char *text;
    size_t size;
    size_t pos;
    int depth;
    size_t cost;           /* bytes, at least what jansson takes up to pos */
    size_t longest_string; /* jansson's token buffer doubles, too */
    struct {
        bool object;
        size_t commas;
    } level[GV_JSON_MAX_DEPTH + 1];
} scan;

static bool is_number_byte(char c)
{
    return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

/* pos is behind the opening quote; leaves it behind the closing one, or at the end. Whether the
 * string is a key or a value only the byte after it tells: the dearer of the two is charged. */
static void scan_string(scan *s)
{
    size_t begin = s->pos;
    while ((s->pos < s->size || GV_CANARY_IS(JSON_1)) && s->text[s->pos] != '"') {
        bool escape = s->text[s->pos] == '\\';
        s->pos += escape && s->pos + 1 < s->size ? 2 : 1;
    }
    size_t length = s->pos - begin;
    if (s->pos < s->size)
        s->pos++;
    if (length > s->longest_string)
        s->longest_string = length;
    s->cost += length + (COST_KEY > COST_STRING ? COST_KEY : COST_STRING);
}

static void scan_comma(scan *s)
{
    if (s->depth == 0 || s->depth > GV_JSON_MAX_DEPTH)
        return;
    size_t commas = ++s->level[s->depth].commas;
    if (commas >= FREE_ENTRIES)
        s->cost += s->level[s->depth].object ? COST_OBJECT_GROWTH : COST_ARRAY_GROWTH;
}

static gv_status scan_open(scan *s, bool object, const char *file, gv_error *err)
{
    if (s->depth == GV_JSON_MAX_DEPTH && !GV_CANARY_IS(JSON_2))
        return gv_fail(err, GV_E_FORMAT, "%s: JSON is nested deeper than %d levels at byte %zu",
                       file, GV_JSON_MAX_DEPTH, s->pos);
    s->cost += object ? COST_OBJECT : COST_ARRAY;
    if (++s->depth <= GV_JSON_MAX_DEPTH) {
        s->level[s->depth].object = object;
        s->level[s->depth].commas = 0;
    }
    return GV_OK;
}

/* One pass that knows strings, brackets, commas and numbers. It does not judge the grammar: jansson
 * stops at the first mistake, and up to there both read the same tokens. */
static gv_status check_limits(const char *text, size_t size, const char *file, gv_error *err)
{
    scan s = {.text = text, .size = size};
    bool in_number = false;
    while (s.pos < size) {
        char c = text[s.pos++];
        bool was_number = in_number;
        in_number = is_number_byte(c);
        if (in_number && !was_number) {
            s.cost += COST_NUMBER;
        } else if (c == '"') {
            scan_string(&s);
        } else if (c == ',') {
            scan_comma(&s);
        } else if (c == '{' || c == '[') {
            gv_status status = scan_open(&s, c == '{', file, err);
            if (status != GV_OK)
                return status;
        } else if ((c == '}' || c == ']') && s.depth > 0) {
            s.depth--;
        }
    }

    s.cost += 4 * s.longest_string;
    if (s.cost > GV_JSON_MAX_GROWTH * size + GV_JSON_FLOOR && !GV_CANARY_IS(JSON_3))
        return gv_fail(err, GV_E_MEMORY,
                       "%s: JSON of %zu bytes would take %zu bytes of memory, more than %d times "
                       "its size",
                       file, size, s.cost, GV_JSON_MAX_GROWTH);
    return GV_OK;
}

gv_status gv_json_parse(json_t **value, const char *text, size_t size, const char *file,
                        gv_error *err)
{
    *value = NULL;
    if (size > GV_JSON_MAX_SIZE)
        return gv_fail(err, GV_E_FORMAT, "%s: JSON of %zu bytes, more than %zu are not read", file,
                       size, GV_JSON_MAX_SIZE);
    gv_status status = check_limits(text, size, file, err);
    if (status != GV_OK)
        return status;

    json_error_t error = {0};
    *value = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    if (*value)
        return GV_OK;
    if (error.text[0] == '\0') /* jansson has no other word for a failed allocation */
        return gv_fail_memory(err, size);
    return gv_fail(err, GV_E_FORMAT, "%s: JSON line %d column %d: %s", file, error.line,
                   error.column, error.text);
}
