/* ganvas: editing photographs on the manifold of a generator. The public interface. */
#ifndef GANVAS_H
#define GANVAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GANVAS_VERSION_MAJOR 0
#define GANVAS_VERSION_MINOR 1
#define GANVAS_VERSION_PATCH 0
#define GANVAS_VERSION "0.1.0"

#if defined(__GNUC__)
#define GANVAS_API __attribute__((visibility("default")))
#else
#define GANVAS_API
#endif
/* clang checks that no status is dropped; gcc knows the attribute only on functions. */
#if defined(__clang__)
#define GANVAS_MUST_USE __attribute__((warn_unused_result))
#else
#define GANVAS_MUST_USE
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- errors ---- */

typedef enum GANVAS_MUST_USE ganvas_status {
    GANVAS_OK = 0,
    GANVAS_E_ARG,         /* an argument is out of its range */
    GANVAS_E_MEMORY,      /* memory could not be had */
    GANVAS_E_IO,          /* the operating system refused a file */
    GANVAS_E_FORMAT,      /* a file is damaged or is not what it must be */
    GANVAS_E_UNSUPPORTED, /* recognised, but ganvas (or this build of it) does not do it */
    GANVAS_E_NUMERIC,     /* NaN or infinity where a finite number must be */
    GANVAS_E_CANCELLED    /* the caller asked to stop */
} ganvas_status;

/* One sentence: what, which file or tensor, found, expected. Valid after a call that did not
 * return GANVAS_OK; empty after one that did. */
typedef struct ganvas_error {
    ganvas_status status;
    char message[508];
} ganvas_error;

#ifdef __cplusplus
}
#endif
#endif
