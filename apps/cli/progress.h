/* Progress of long work on standard error. */
#ifndef GANVAS_CLI_PROGRESS_H
#define GANVAS_CLI_PROGRESS_H

#include "ganvas.h"

typedef struct progress {
    bool terminal; /* a bar that is drawn over; else plain lines */
    bool drawn;    /* a bar stands on the line */
    double last;   /* seconds at the last line or bar */
} progress;

/* Looks whether standard error is a terminal. */
void progress_init(progress *p);
/* A ganvas_progress_fn; user is the progress. */
void progress_show(void *user, const ganvas_progress *now);
/* Clears the bar, so that other text may be printed. */
void progress_clear(progress *p);

#endif
