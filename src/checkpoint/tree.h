/* A pickle's tree as text for people. */
#ifndef GV_CHECKPOINT_TREE_H
#define GV_CHECKPOINT_TREE_H

#include "checkpoint/torch_file.h"

/* Text that grows by lines, up to a number of them. Once memory has failed, data is NULL. */
typedef struct gv_tree {
    char *data; /* NUL-terminated; owned (gv_mem_free) */
    size_t size, capacity;
    int64_t lines, max_lines; /* max_lines 0: all */
    bool failed;
} gv_tree;

/* Adds one line, two spaces for each level of depth; control characters become '?'. False once
 * there is no room for more. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
bool gv_tree_line(gv_tree *tree, int depth, const char *format, ...);

/* The object of t: one line for each entry; lists, dicts and objects that are shared appear once.
 * walk  a number that no walk of this tree had before, from 1 */
void gv_tree_pickle(gv_tree *tree, const gv_torch_file *t, uint32_t walk);

#endif
