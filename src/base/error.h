/* The one error type of the library: a status and one sentence. */
#ifndef GV_BASE_ERROR_H
#define GV_BASE_ERROR_H

#include "ganvas.h"

typedef ganvas_status gv_status;
typedef ganvas_error gv_error;

#define GV_OK GANVAS_OK
#define GV_E_ARG GANVAS_E_ARG
#define GV_E_MEMORY GANVAS_E_MEMORY
#define GV_E_IO GANVAS_E_IO
#define GV_E_FORMAT GANVAS_E_FORMAT
#define GV_E_UNSUPPORTED GANVAS_E_UNSUPPORTED
#define GV_E_NUMERIC GANVAS_E_NUMERIC
#define GV_E_CANCELLED GANVAS_E_CANCELLED

/* The compiler compares the arguments from `first` on with the format. */
#if defined(__GNUC__)
#define GV_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define GV_PRINTF(text, first)
#endif

/* Writes the sentence (printf style) into err, which may be NULL, and returns status, so that the
 * deepest failure reads `return gv_fail(err, GV_E_FORMAT, "%s: ...", file)`. Over-long text is cut
 * at the end with "...". Control characters coming from files are replaced by '?'. An argument may
 * be err's own sentence.
 * A macro, for the compiler to see that what is returned is never GV_OK: without that gcc takes the
 * results of the call for uninitialised. status is evaluated twice. */
#define gv_fail(err, status, ...) (gv_fail_text((err), (status), __VA_ARGS__), (status))
void gv_fail_text(gv_error *err, gv_status status, const char *format, ...) GV_PRINTF(3, 4);

/* GV_E_MEMORY with the size that could not be had. */
static inline gv_status gv_fail_memory(gv_error *err, size_t bytes)
{
    return gv_fail(err, GV_E_MEMORY, "out of memory: %zu bytes could not be had", bytes);
}

/* Empties err: public entry points call it first. err may be NULL. */
void gv_error_clear(gv_error *err);

/* Leaves for the function's one `done:` label when call fails; needs `gv_status status`. */
#define GV_TRY(call)                                                                               \
    do {                                                                                           \
        status = (call);                                                                           \
        if (status != GV_OK)                                                                       \
            goto done;                                                                             \
    } while (0)

#endif
