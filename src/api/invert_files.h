/* What invert and scribble leave of one picture, and how it is read again. */
#ifndef GV_API_INVERT_FILES_H
#define GV_API_INVERT_FILES_H

#include "api/invert_setup.h"

/* One picture on its way. Texts are borrowed. */
typedef struct gv_invert_item {
    const char *source; /* the picture's file */
    const char *stem;   /* "out/s1/cat" */
    const gv_invert_setup *setup;
    const ganvas_model *model;
    const json_t *run; /* {"ganvas", "command", "options", "model"} */
    bool raw, force;

    /* What came out. */
    gv_target target;
    gv_inversion result;
    gv_quality quality;
    bool interrupted;
} gv_invert_item;

/* stem + end in memory of the caller: gv_mem_free. NULL without memory. */
char *gv_invert_path(const char *stem, const char *end);

/* The same from printf's pieces. */
char *gv_invert_format(const char *format, ...) GV_PRINTF(1, 2);

/* May all files of the item be written? Also makes their folder. */
gv_status gv_invert_check(const gv_invert_item *item, gv_error *err);

/* Writes them; .json comes last, so that its being there says that all others are.
 * *record  what .json holds; returned owned (json_decref) */
gv_status gv_invert_write(gv_invert_item *item, json_t **record, gv_error *err);

/* The .json of a stem, or NULL if there is none or it cannot be read. Returned owned. */
json_t *gv_invert_read(const char *stem);

/* Is that record one of the same picture, model and options, not interrupted, with its files? */
bool gv_invert_is_finished(const gv_invert_item *item, const json_t *record);

/* The sentence about a picture that the model cannot reach; NULL if it does. In `text`. */
const char *gv_invert_sentence(char *text, size_t size, const json_t *record);

#endif
