/* What a run of invert or scribble leaves besides the pictures: report.html, index.csv,
 * latents.npz. Made from the files of the single pictures, so that those of an earlier run that was
 * resumed are in it. */
#ifndef GV_API_INVERT_SUMMARY_H
#define GV_API_INVERT_SUMMARY_H

#include "api/invert_files.h"
#include "job/batch.h"

typedef struct gv_invert_summary {
    const char *out; /* the folder */
    const gv_batch *batch;
    const char *const *errors; /* of each item, NULL where there is none */
    const ganvas_model *model;
    const char *line; /* the command */
    const char *command;
    bool z; /* latents are z */
    bool force;
    bool stopped; /* not all items were tried */
} gv_invert_summary;

/* May the files be written? */
gv_status gv_invert_summary_check(const gv_invert_summary *s, gv_error *err);

gv_status gv_invert_summary_write(const gv_invert_summary *s, gv_error *err);

#endif
