/* gv_parallel_for on OpenMP, whose pool belongs to the compute thread and which oneDNN shares. */
#include "base/parallel.h"
#include "base/team.h"

#include <assert.h>
#include <omp.h>

void gv_team_resize(int threads)
{
    (void)gv_parallel_library_threads(threads);
}

int gv_parallel_library_threads(int threads)
{
    /* oneDNN asks for it on the thread that runs a primitive. */
    int before = omp_get_max_threads();
    omp_set_num_threads(threads);
    return before;
}

void gv_team_stop(void)
{
    /* The pool ends with the thread that owns it. */
}

void gv_team_forget(void)
{
    /* The next compute thread gets a pool of its own. */
}

void gv_parallel_for(int64_t tasks, gv_task_fn *fn, void *ctx)
{
    gv_team whole = gv_team_here;
    assert(!whole.in_loop);
    int threads = tasks < whole.threads ? (int)tasks : whole.threads;

    if (threads <= 1) {
        gv_team_here.in_loop = true;
        for (int64_t i = 0; i < tasks; i++)
            fn(ctx, i);
        gv_team_here = whole;
        return;
    }
#pragma omp parallel num_threads(threads)
    {
        gv_team before = gv_team_here;
        gv_team_here =
            (gv_team){.threads = whole.threads, .index = omp_get_thread_num(), .in_loop = true};
#pragma omp for schedule(dynamic, 1) nowait
        for (int64_t i = 0; i < tasks; i++)
            fn(ctx, i);
        gv_team_here = before;
    }
}
