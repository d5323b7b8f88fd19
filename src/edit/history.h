/* Curvature pairs of a limited-memory BFGS, oldest first, and the two-loop recursion. */
#ifndef GV_EDIT_HISTORY_H
#define GV_EDIT_HISTORY_H

#include "base/error.h"

typedef struct gv_history {
    int64_t n, room, count, first; /* a ring: pair k is at (first + k) % room */
    double *y, *s;                 /* room x n */
    double *rho, *alpha;           /* 1/(y.s); scratch */
    double scale;                  /* H: y.s / y.y of the newest pair */
} gv_history;

gv_status gv_history_init(gv_history *h, int64_t n, int64_t room, gv_error *err);
void gv_history_deinit(gv_history *h);
void gv_history_clear(gv_history *h);
/* y = g - g_prev, s = t d; ys = y.s > 0. The oldest pair leaves when the ring is full. */
void gv_history_push(gv_history *h, const double *g, const double *g_prev, const double *d,
                     double t, double ys);
/* d = -H g. */
void gv_history_direction(gv_history *h, double *d, const double *g);

#endif
