/* Tensors gathered while a file is walked, then named canonically and sorted. */
#ifndef GV_CHECKPOINT_VIEW_LIST_H
#define GV_CHECKPOINT_VIEW_LIST_H

#include "base/memory.h"
#include "checkpoint/view.h"

typedef struct gv_view_list {
    gv_arena *arena;  /* names and the finished views, borrowed */
    const char *file; /* for messages, borrowed */
    gv_view *views;   /* owned until finished */
    size_t count, capacity;
} gv_view_list;

void gv_view_list_init(gv_view_list *list, gv_arena *arena, const char *file);
void gv_view_list_deinit(gv_view_list *list);

/* "parent.child" in the arena; parent may be "". Errors GV_E_FORMAT unless child is UTF-8 without
 * NUL and the whole has at most 1024 bytes; GV_E_MEMORY. */
gv_status gv_view_list_name(gv_view_list *list, const char **name, const char *parent,
                            const uint8_t *child, size_t child_size, gv_error *err);

/* view->name must live as long as the arena. */
gv_status gv_view_list_add(gv_view_list *list, const gv_view *view, gv_error *err);

/* Removes prefixes that all names share, of `module.`, `G.`, `generator.`, again and again; sorts;
 * refuses names that appear twice. *views live in the arena; the list is empty afterwards. */
gv_status gv_view_list_finish(gv_view_list *list, gv_view **views, size_t *count, gv_error *err);

bool gv_utf8_valid(const uint8_t *text, size_t size);

#endif
