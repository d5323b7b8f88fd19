/* report.html: pictures, numbers and curves of a run in one file that needs no other. */
#ifndef GV_JOB_REPORT_H
#define GV_JOB_REPORT_H

#include "base/text.h"

typedef struct gv_report_picture {
    const char *caption, *detail; /* detail: a smaller line, may be NULL */
    const char *uri;              /* data:image/png;base64,... */
} gv_report_picture;

typedef struct gv_report_fact {
    const char *name, *value;
} gv_report_fact;

typedef struct gv_report_point {
    double evaluations, seconds, loss;
    int64_t start;
} gv_report_point;

typedef struct gv_report_item {
    const char *title;
    const char *sentence; /* what the reader should know; may be NULL */
    const gv_report_picture *pictures, *starts;
    size_t picture_count, start_count;
    size_t best_start; /* which of starts won */
    const gv_report_fact *facts;
    size_t fact_count;
    const gv_report_point *curve; /* in the order of evaluations */
    size_t curve_count;
} gv_report_item;

/* The page's beginning.
 * line  the command, shown as code
 * All texts may hold any characters. */
void gv_report_begin(gv_text *t, const char *title, const char *line, const gv_report_fact *facts,
                     size_t fact_count);
void gv_report_add(gv_text *t, const gv_report_item *item);
/* A paragraph. */
void gv_report_say(gv_text *t, const char *words);
void gv_report_end(gv_text *t);

/* Bytes of a PNG file as data:image/png;base64,... */
void gv_text_add_png_uri(gv_text *t, const uint8_t *png, size_t size);

#endif
