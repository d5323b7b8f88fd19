/* Text that grows: help, manual, reports. */
#ifndef GV_BASE_TEXT_H
#define GV_BASE_TEXT_H

#include "base/error.h"

/* Start with {0}. A failed allocation is remembered and reported by gv_text_take. */
typedef struct gv_text {
    char *data; /* NUL-terminated once something was added */
    size_t length, room;
    bool failed;
} gv_text;

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
void gv_text_add(gv_text *t, const char *format, ...);
/* length bytes as they are. */
void gv_text_add_bytes(gv_text *t, const char *bytes, size_t length);
/* Words of text as a paragraph: lines start with `indent` spaces and end before column `width`; the
 * first begins at the present column, `column`. Ends with a newline. */
void gv_text_wrap(gv_text *t, const char *words, size_t column, size_t indent, size_t width);
/* One word, quoted for a POSIX shell where it must be. */
void gv_text_add_quoted(gv_text *t, const char *word);

/* Moves the text out, returned owned (gv_mem_free), also if it is empty; t is then {0}. */
gv_status gv_text_take(gv_text *t, char **text, gv_error *err);
void gv_text_deinit(gv_text *t);

#endif
