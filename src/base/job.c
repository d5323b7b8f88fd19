/* The compute thread and its queue.
 *
 * The thread is started by the first job, and then waits for more: OpenMP keeps a pool for each
 * thread that opens a parallel region, so that a single thread that opens them all means a single
 * pool. It is joined when the library is unloaded or the process exits, if no job runs then, so
 * that leak checkers find nothing; a process that exits in the middle of a job does not wait for
 * it. The state below is one of the few of the library that belong to the process: so do its
 * cores. */
#include "base/parallel.h"
#include "base/team.h"

#include <assert.h>
#include <fenv.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

enum { MAX_THREADS = 1024 };

/* On the stack of the caller that waits for it. */
typedef struct gv_job {
    struct gv_job *next;
    gv_job_fn *fn;
    void *arg;
    int threads;
    bool finished;
    pthread_cond_t end;
} gv_job;

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t arrival;
    gv_job *first, *last;
    pthread_t thread;
    bool started;
    bool busy; /* a job runs */
    bool leave;
} queue = {.mutex = PTHREAD_MUTEX_INITIALIZER, .arrival = PTHREAD_COND_INITIALIZER};

_Thread_local gv_team gv_team_here = {.threads = 1};
/* How deep the calling thread is in jobs: 0 everywhere but on the compute thread. */
static _Thread_local int depth;

int gv_parallel_threads(void)
{
    return gv_team_here.threads;
}

int gv_parallel_index(void)
{
    return gv_team_here.index;
}

int gv_cores(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return CPU_COUNT(&set);
    /* More cores than a cpu_set_t holds. */
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (int)count : 1;
}

/* ---- queue: the mutex is held by the caller of these ---- */

static void queue_put(gv_job *job)
{
    if (queue.last)
        queue.last->next = job;
    else
        queue.first = job;
    queue.last = job;
}

static gv_job *queue_take(void)
{
    gv_job *job = queue.first;
    if (job) {
        queue.first = job->next;
        if (!queue.first)
            queue.last = NULL;
    }
    return job;
}

/* Runs job without the mutex, and wakes its caller, whose stack holds it. */
static void queue_run(gv_job *job)
{
    gv_team before = gv_team_here;
    pthread_mutex_unlock(&queue.mutex);

    depth++;
    gv_team_here = (gv_team){.threads = job->threads};
    gv_team_resize(job->threads);
    job->fn(job->arg);
    gv_team_here = before;
    if (--depth > 0)
        gv_team_resize(before.threads);

    pthread_mutex_lock(&queue.mutex);
    job->finished = true;
    pthread_cond_signal(&job->end);
}

static void *compute_thread(void *unused)
{
    (void)unused;
    /* The starter's rounding mode is inherited; the results must not depend on who came first. */
    fesetenv(FE_DFL_ENV);

    pthread_mutex_lock(&queue.mutex);
    while (!queue.leave) {
        gv_job *job = queue_take();
        if (!job) {
            pthread_cond_wait(&queue.arrival, &queue.mutex);
            continue;
        }
        queue.busy = true;
        queue_run(job);
        queue.busy = false;
    }
    pthread_mutex_unlock(&queue.mutex);
    gv_team_stop();
    return NULL;
}

/* ---- start and end of the thread ---- */

static void before_fork(void)
{
    pthread_mutex_lock(&queue.mutex);
}

static void after_fork_parent(void)
{
    pthread_mutex_unlock(&queue.mutex);
}

/* The child has no compute thread and nobody who waits for one. */
static void after_fork_child(void)
{
    queue.first = queue.last = NULL;
    queue.started = queue.busy = false;
    pthread_cond_init(&queue.arrival, NULL);
    pthread_mutex_init(&queue.mutex, NULL);
    gv_team_forget();
}

static void register_fork(void)
{
    pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

static gv_status start_thread(gv_error *err)
{
    if (queue.started)
        return GV_OK;

    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, register_fork);

    queue.leave = false;
    /* Signals are the program's: they must not land on our threads. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&queue.thread, NULL, compute_thread, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code != 0) {
        char text[128];
        return gv_fail(err, GV_E_MEMORY, "the compute thread cannot be started: %s",
                       strerror_r(code, text, sizeof text));
    }
    queue.started = true;
    return GV_OK;
}

__attribute__((destructor)) static void end_thread(void)
{
    pthread_mutex_lock(&queue.mutex);
    bool join = queue.started && !queue.busy && !queue.first && depth == 0;
    if (join) {
        queue.leave = true;
        queue.started = false;
        pthread_cond_signal(&queue.arrival);
    }
    pthread_mutex_unlock(&queue.mutex);
    if (join)
        pthread_join(queue.thread, NULL);
}

/* ---- jobs ---- */

gv_status gv_job_run(gv_job_fn *fn, void *arg, int threads, gv_error *err)
{
    if (threads < 0 || threads > MAX_THREADS)
        return gv_fail(err, GV_E_ARG, "threads is %d, expected 0 (all cores) to %d", threads,
                       MAX_THREADS);
    assert(!gv_team_here.in_loop);
    if (depth > 0) {
        fn(arg);
        return GV_OK;
    }

    gv_job job = {.fn = fn, .arg = arg, .threads = threads > 0 ? threads : gv_cores()};
    pthread_cond_init(&job.end, NULL);
    pthread_mutex_lock(&queue.mutex);
    gv_status status = start_thread(err);
    if (status == GV_OK) {
        queue_put(&job);
        pthread_cond_signal(&queue.arrival);
        while (!job.finished)
            pthread_cond_wait(&job.end, &queue.mutex);
    }
    pthread_mutex_unlock(&queue.mutex);
    pthread_cond_destroy(&job.end);
    return status;
}

void gv_job_yield(void)
{
    if (depth != 1)
        return;
    assert(!gv_team_here.in_loop);
    pthread_mutex_lock(&queue.mutex);
    for (gv_job *job = queue_take(); job; job = queue_take())
        queue_run(job);
    pthread_mutex_unlock(&queue.mutex);
}

/* ---- cancelling ---- */

bool gv_cancel_requested(const gv_cancel *c)
{
    return c && atomic_load_explicit(&c->requested, memory_order_relaxed);
}

void gv_cancel_request(gv_cancel *c)
{
    atomic_store_explicit(&c->requested, true, memory_order_relaxed);
}
