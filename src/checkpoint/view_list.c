#include "checkpoint/view_list.h"

#include <stdlib.h>
#include <string.h>

enum { LONGEST_NAME = 1024 };

static const char *const prefixes[] = {"module.", "G.", "generator."};

void gv_view_list_init(gv_view_list *list, gv_arena *arena, const char *file)
{
    *list = (gv_view_list){.arena = arena, .file = file};
}

void gv_view_list_deinit(gv_view_list *list)
{
    gv_mem_free(list->views);
    list->views = NULL;
    list->count = list->capacity = 0;
}

bool gv_utf8_valid(const uint8_t *text, size_t size)
{
    for (size_t i = 0; i < size;) {
        uint8_t lead = text[i];
        size_t more = lead < 0x80 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
        if ((lead >= 0x80 && lead < 0xc2) || lead > 0xf4 || more >= size - i)
            return false;
        uint32_t code = lead & (more == 0 ? 0x7fu : 0x3fu >> more);
        for (size_t k = 1; k <= more; k++) {
            if ((text[i + k] & 0xc0) != 0x80)
                return false;
            code = code << 6 | (text[i + k] & 0x3fu);
        }
        static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
        if (code < least[more] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
            return false;
        i += more + 1;
    }
    return true;
}

static gv_status fail_memory(const gv_view_list *list, size_t bytes, gv_error *err)
{
    const gv_arena *arena = list->arena;
    if (arena->limit == 0 || bytes <= arena->limit - arena->used)
        return gv_fail_memory(err, bytes);
    return gv_fail(err, GV_E_MEMORY,
                   "%s: the list of its tensors would take more than 24 times its size in memory",
                   list->file);
}

gv_status gv_view_list_name(gv_view_list *list, const char **name, const char *parent,
                            const uint8_t *child, size_t child_size, gv_error *err)
{
    *name = NULL;
    size_t parent_size = strlen(parent);
    if (child_size > LONGEST_NAME || parent_size + 1 + child_size > LONGEST_NAME)
        return gv_fail(err, GV_E_FORMAT, "%s: a tensor below '%.60s' has a name of over %d bytes",
                       list->file, parent, LONGEST_NAME);
    if (!gv_utf8_valid(child, child_size) || memchr(child, 0, child_size))
        return gv_fail(err, GV_E_FORMAT,
                       "%s: a tensor below '%s' has a name that is not UTF-8 text", list->file,
                       parent);
    char *text = gv_arena_format(list->arena, "%s%s%.*s", parent, parent_size ? "." : "",
                                 (int)child_size, (const char *)child);
    if (!text)
        return fail_memory(list, parent_size + child_size + 2, err);
    *name = text;
    return GV_OK;
}

gv_status gv_view_list_add(gv_view_list *list, const gv_view *view, gv_error *err)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity + list->capacity / 2 + 64;
        gv_view *views =
            gv_mem_resize(list->views, list->capacity * sizeof *views, capacity * sizeof *views);
        if (!views)
            return gv_fail_memory(err, capacity * sizeof *views);
        list->views = views;
        list->capacity = capacity;
    }
    list->views[list->count++] = *view;
    return GV_OK;
}

static bool all_start_with(const gv_view_list *list, const char *prefix, size_t size)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strncmp(list->views[i].name, prefix, size) != 0)
            return false;
    }
    return list->count > 0;
}

static void strip_prefixes(gv_view_list *list)
{
    for (size_t p = 0; p < sizeof prefixes / sizeof *prefixes;) {
        size_t size = strlen(prefixes[p]);
        if (!all_start_with(list, prefixes[p], size)) {
            p++;
            continue;
        }
        for (size_t i = 0; i < list->count; i++)
            list->views[i].name += size;
        p = 0;
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const gv_view *)a)->name, ((const gv_view *)b)->name);
}

gv_status gv_view_list_finish(gv_view_list *list, gv_view **views, size_t *count, gv_error *err)
{
    *views = NULL;
    *count = 0;
    strip_prefixes(list);
    if (list->count > 0)
        qsort(list->views, list->count, sizeof *list->views, by_name);
    for (size_t i = 1; i < list->count; i++) {
        if (strcmp(list->views[i - 1].name, list->views[i].name) == 0)
            return gv_fail(err, GV_E_FORMAT, "%s: tensor '%s' appears twice", list->file,
                           list->views[i].name);
    }
    gv_view *kept = gv_arena_alloc_array(list->arena, list->count, sizeof *kept);
    if (!kept)
        return fail_memory(list, list->count * sizeof *kept, err);
    if (list->count > 0)
        memcpy(kept, list->views, list->count * sizeof *kept);
    *views = kept;
    *count = list->count;
    gv_view_list_deinit(list);
    return GV_OK;
}
