/* Which pictures a run has, and what its results are called. */
#ifndef GV_JOB_BATCH_H
#define GV_JOB_BATCH_H

#include "base/memory.h"

typedef struct gv_batch_item {
    const char *path; /* as it is opened */
    const char *name; /* of the results below the output folder: "s1/cat", or "s1/cat.jpg" where two
                         would be called the same */
} gv_batch_item;

typedef struct gv_batch {
    gv_batch_item *items; /* in the order of the inputs; folders sorted by name */
    int64_t count;
    bool many; /* a folder, a list, or more than one picture was named */
    gv_arena arena;
} gv_batch;

/* Expands pictures, folders (all pictures below, told by the ends of their names; hidden files and
 * out_dir left out) and lists (files ending in .txt or .lst: a path a line, relative to the list;
 * empty lines and those beginning with # are skipped). A picture that is named twice counts once.
 * Whether pictures exist is not looked at.
 * *batch     free with gv_batch_deinit in every case
 * snapshots  evaluations, count of them: names like cat-0250 that a picture's own results may have
 * Errors     GV_E_IO; GV_E_ARG if there is no picture. */
gv_status gv_batch_init(gv_batch *batch, char *const *inputs, int count, const char *out_dir,
                        const int64_t *snapshots, int64_t snapshot_count, gv_error *err);
void gv_batch_deinit(gv_batch *batch);

#endif
