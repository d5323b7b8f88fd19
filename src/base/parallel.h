/* Threads: one compute thread per process runs all graphs, with a team beneath it.
 *
 * Kernels call gv_parallel_for; the team has the size the running job asked for. How work is cut
 * into tasks must not depend on the team size: that is what makes the bits the same for 1, 2 and 3
 * threads. Outside a job the loop runs on the calling thread. Built on OpenMP; with
 * -Dthreads=pthread on a pool of our own, which ThreadSanitizer understands. */
#ifndef GV_BASE_PARALLEL_H
#define GV_BASE_PARALLEL_H

#include "base/error.h"

/* Calls fn(ctx, i) once for each i in [0, tasks), in no order; returns when all are done. fn must
 * not call gv_parallel_for. */
typedef void gv_task_fn(void *ctx, int64_t i);
void gv_parallel_for(int64_t tasks, gv_task_fn *fn, void *ctx);

/* Size of the team of the job that runs on this thread; 1 outside a job. For scratch sizes, never
 * for the choice of a kernel or the cutting of a sum. */
int gv_parallel_threads(void);
/* Index of the calling thread within its team, 0 <= index < gv_parallel_threads(). */
int gv_parallel_index(void);

/* Sets how many threads oneDNN takes when called on this thread, and returns how many it took
 * before. A job begins with its team's size; 1 is for calls from within gv_parallel_for. Does
 * nothing, and returns 1, in a program without OpenMP. */
int gv_parallel_library_threads(int threads);

/* ---- jobs ---- */

typedef void gv_job_fn(void *arg);

/* Runs fn(arg) on the compute thread with a team of `threads` (>= 1; 0: all cores) and returns when
 * it is done. Callers on several threads are served first come, first served. Called from within
 * a job, runs fn at once with the team of that job. Errors GV_E_MEMORY if the thread cannot be
 * started. */
gv_status gv_job_run(gv_job_fn *fn, void *arg, int threads, gv_error *err);

/* Long jobs call this between steps: waiting jobs run to their end here, on the same thread, before
 * it returns (they do not nest further). */
void gv_job_yield(void);

/* Number of cores this process may use. */
int gv_cores(void);

/* ---- cancelling and progress ---- */

typedef struct gv_cancel {
    _Atomic bool requested;
} gv_cancel;

/* c may be NULL: never cancelled. */
bool gv_cancel_requested(const gv_cancel *c);
void gv_cancel_request(gv_cancel *c);

#endif
