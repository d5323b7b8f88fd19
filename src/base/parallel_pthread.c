/* gv_parallel_for on a pool of our own: slower to start a loop than OpenMP, but made of locks that
 * ThreadSanitizer understands. All of it is driven by the compute thread. */
#include "base/parallel.h"
#include "base/team.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

enum { MAX_WORKERS = 255 };

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t start, end;
    pthread_t workers[MAX_WORKERS];
    bool called[MAX_WORKERS]; /* worker i has a loop to join */
    int count;                /* of workers that exist */
    int wanted;               /* of workers that the current team uses */
    int running;              /* of workers that have not finished the current loop */
    bool leave;

    gv_task_fn *fn;
    void *ctx;
    int64_t tasks;
    int threads;
    _Atomic int64_t next;
} pool = {.mutex = PTHREAD_MUTEX_INITIALIZER,
          .start = PTHREAD_COND_INITIALIZER,
          .end = PTHREAD_COND_INITIALIZER};

/* oneDNN brings its own OpenMP along, which this file must not need. */
__attribute__((weak)) int omp_get_max_threads(void);
__attribute__((weak)) void omp_set_num_threads(int threads);

int gv_parallel_library_threads(int threads)
{
    if (!omp_get_max_threads || !omp_set_num_threads)
        return 1;
    int before = omp_get_max_threads();
    omp_set_num_threads(threads);
    return before;
}

static void run_tasks(int index)
{
    gv_team before = gv_team_here;
    gv_team_here = (gv_team){.threads = pool.threads, .index = index, .in_loop = true};
    for (;;) {
        int64_t i = atomic_fetch_add_explicit(&pool.next, 1, memory_order_relaxed);
        if (i >= pool.tasks)
            break;
        pool.fn(pool.ctx, i);
    }
    gv_team_here = before;
}

static void *worker(void *arg)
{
    int i = (int)(intptr_t)arg;

    pthread_mutex_lock(&pool.mutex);
    while (!pool.leave) {
        if (!pool.called[i]) {
            pthread_cond_wait(&pool.start, &pool.mutex);
            continue;
        }
        pool.called[i] = false;
        pthread_mutex_unlock(&pool.mutex);
        run_tasks(i + 1);
        pthread_mutex_lock(&pool.mutex);
        if (--pool.running == 0)
            pthread_cond_signal(&pool.end);
    }
    pthread_mutex_unlock(&pool.mutex);
    return NULL;
}

void gv_team_resize(int threads)
{
    int wanted = threads - 1 < MAX_WORKERS ? threads - 1 : MAX_WORKERS;
    /* With fewer workers than asked for, the others do their share. */
    while (pool.count < wanted) {
        void *index = (void *)(intptr_t)pool.count;
        if (pthread_create(&pool.workers[pool.count], NULL, worker, index) != 0)
            break;
        pool.count++;
    }
    pool.wanted = wanted < pool.count ? wanted : pool.count;
    (void)gv_parallel_library_threads(threads);
}

void gv_team_stop(void)
{
    pthread_mutex_lock(&pool.mutex);
    pool.leave = true;
    pthread_cond_broadcast(&pool.start);
    pthread_mutex_unlock(&pool.mutex);
    for (int i = 0; i < pool.count; i++)
        pthread_join(pool.workers[i], NULL);
    pool.count = pool.wanted = 0;
    pool.leave = false;
}

void gv_team_forget(void)
{
    pool.count = pool.wanted = 0;
    pthread_mutex_init(&pool.mutex, NULL);
    pthread_cond_init(&pool.start, NULL);
    pthread_cond_init(&pool.end, NULL);
}

void gv_parallel_for(int64_t tasks, gv_task_fn *fn, void *ctx)
{
    gv_team whole = gv_team_here;
    assert(!whole.in_loop);

    if (whole.threads == 1 || tasks <= 1 || pool.wanted == 0) {
        gv_team_here.in_loop = true;
        for (int64_t i = 0; i < tasks; i++)
            fn(ctx, i);
        gv_team_here = whole;
        return;
    }
    pthread_mutex_lock(&pool.mutex);
    pool.fn = fn;
    pool.ctx = ctx;
    pool.tasks = tasks;
    pool.threads = whole.threads;
    atomic_store_explicit(&pool.next, 0, memory_order_relaxed);
    pool.running = pool.wanted;
    for (int i = 0; i < pool.wanted; i++)
        pool.called[i] = true;
    pthread_cond_broadcast(&pool.start);
    pthread_mutex_unlock(&pool.mutex);

    run_tasks(0);

    pthread_mutex_lock(&pool.mutex);
    while (pool.running > 0)
        pthread_cond_wait(&pool.end, &pool.mutex);
    pthread_mutex_unlock(&pool.mutex);
}
