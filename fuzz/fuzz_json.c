/* The text is refused, or the value is no deeper than promised and holds every member of the text.
 */
#include "checkpoint/json.h"
#include "fuzz.h"

#include <string.h>

static int depth_of(const json_t *value)
{
    int deepest = 0;
    size_t i;
    const char *key;
    json_t *item;
    if (json_is_array(value)) {
        json_array_foreach(value, i, item) {
            int depth = depth_of(item);
            deepest = depth > deepest ? depth : deepest;
        }
    } else if (json_is_object(value)) {
        json_object_foreach((json_t *)(uintptr_t)value, key, item) {
            int depth = depth_of(item);
            deepest = depth > deepest ? depth : deepest;
        }
    } else {
        return 0;
    }
    return deepest + 1;
}

static size_t members_of(const json_t *value)
{
    size_t members = 0, i;
    const char *key;
    json_t *item;
    if (json_is_array(value)) {
        json_array_foreach(value, i, item)
            members += members_of(item);
    } else if (json_is_object(value)) {
        json_object_foreach((json_t *)(uintptr_t)value, key, item)
            members += 1 + members_of(item);
    }
    return members;
}

/* What stands outside of strings. */
typedef struct outline {
    size_t colons;
    int depth; /* of brackets, at most */
} outline;

static outline outline_of(const uint8_t *text, size_t size)
{
    outline found = {0};
    bool in_string = false;
    int depth = 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '"') {
            in_string = !in_string;
        } else if (in_string) {
            i += text[i] == '\\';
        } else if (text[i] == ':') {
            found.colons++;
        } else if (text[i] == '[' || text[i] == '{') {
            depth++;
            found.depth = depth > found.depth ? depth : found.depth;
        } else if ((text[i] == ']' || text[i] == '}') && depth > 0) {
            depth--;
        }
    }
    return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *value;
    gv_error err = {0};
    outline found = outline_of(data, size);
    fuzz_memory_begin();
    gv_status status = gv_json_parse(&value, (const char *)data, size, "file", &err);
    fuzz_memory_end(size, GV_JSON_FLOOR);
    fuzz_check_status(status, &err);
    CHECK((status == GV_OK) == (value != NULL));
    if (value) {
        CHECK(depth_of(value) <= GV_JSON_MAX_DEPTH);
        CHECK(members_of(value) == found.colons);
    }
    /* Whatever else may be wrong with it: jansson does not get to see it. */
    if (found.depth > GV_JSON_MAX_DEPTH)
        CHECK(strstr(err.message, "nested deeper"));
    json_decref(value);
    fuzz_check_leaks();
    return 0;
}
