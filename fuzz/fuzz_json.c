/* The text is refused, or the value is no deeper than promised and holds every member of the text.
 */
#include "checkpoint/json.h"
#include "fuzz.h"

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

/* Colons outside of strings. */
static size_t colons_of(const uint8_t *text, size_t size)
{
    size_t colons = 0;
    bool in_string = false;
    for (size_t i = 0; i < size; i++) {
        if (in_string && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            in_string = !in_string;
        else if (text[i] == ':' && !in_string)
            colons++;
    }
    return colons;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *value;
    gv_error err = {0};
    fuzz_memory_begin();
    gv_status status = gv_json_parse(&value, (const char *)data, size, "file", &err);
    fuzz_memory_end(size, GV_JSON_FLOOR);
    fuzz_check_status(status, &err);
    CHECK((status == GV_OK) == (value != NULL));
    if (value) {
        CHECK(depth_of(value) <= GV_JSON_MAX_DEPTH);
        CHECK(members_of(value) == colons_of(data, size));
    }
    json_decref(value);
    fuzz_check_leaks();
    return 0;
}
