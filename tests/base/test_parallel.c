#include "base/parallel.h"
#include "support.h"

#include <fenv.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TASKS = 1000, MAX_TEAM = 8 };

/* ---- loops ---- */

typedef struct loop {
    int64_t tasks;
    int threads; /* of the team, as the job saw it */
    _Atomic int calls[TASKS];
    _Atomic int by_index[MAX_TEAM];
    _Atomic bool bad;
} loop;

static void count_task(void *ctx, int64_t i)
{
    loop *l = ctx;
    int index = gv_parallel_index();
    if (index < 0 || index >= l->threads || gv_parallel_threads() != l->threads) {
        l->bad = true;
        return;
    }
    l->calls[i]++;
    l->by_index[index]++;
}

static void run_loop(void *arg)
{
    loop *l = arg;
    l->threads = gv_parallel_threads();
    gv_parallel_for(l->tasks, count_task, l);
    if (gv_parallel_index() != 0 || gv_parallel_threads() != l->threads)
        l->bad = true;
}

static void assert_each_once(const loop *l)
{
    assert_false(l->bad);
    for (int64_t i = 0; i < TASKS; i++)
        assert_int_equal(l->calls[i], i < l->tasks ? 1 : 0);
}

static void every_task_runs_once(void **state)
{
    (void)state;
    static const int64_t tasks[] = {0, 1, 2, 3, 7, TASKS};
    /* Teams that grow and shrink. */
    static const int teams[] = {1, 2, 3, 8, 2, 5, 1, 3};
    for (size_t t = 0; t < sizeof teams / sizeof teams[0]; t++) {
        for (size_t i = 0; i < sizeof tasks / sizeof tasks[0]; i++) {
            loop l = {.tasks = tasks[i]};
            assert_int_equal(gv_job_run(run_loop, &l, teams[t], NULL), GV_OK);
            assert_int_equal(l.threads, teams[t]);
            assert_each_once(&l);
        }
    }
}

static void without_a_job_the_caller_does_it_alone(void **state)
{
    (void)state;
    loop l = {.tasks = TASKS};
    run_loop(&l);
    assert_int_equal(l.threads, 1);
    assert_each_once(&l);
    assert_int_equal(l.by_index[0], TASKS);
}

/* Ends only when `threads` tasks are inside at the same time. */
typedef struct meeting {
    int threads;
    pthread_barrier_t barrier;
} meeting;

static void meet(void *ctx, int64_t i)
{
    (void)i;
    meeting *m = ctx;
    pthread_barrier_wait(&m->barrier);
}

static void run_meeting(void *arg)
{
    meeting *m = arg;
    gv_parallel_for(m->threads, meet, m);
}

static void the_team_works_at_the_same_time(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 4; threads++) {
        meeting m = {.threads = threads};
        pthread_barrier_init(&m.barrier, NULL, (unsigned)threads);
        alarm(30);
        assert_int_equal(gv_job_run(run_meeting, &m, threads, NULL), GV_OK);
        alarm(0);
        pthread_barrier_destroy(&m.barrier);
    }
}

static void store_threads(void *arg)
{
    *(int *)arg = gv_parallel_threads();
}

static void store_library_threads(void *arg)
{
    int *seen = arg;
    seen[0] = gv_parallel_library_threads(1);
    seen[1] = gv_parallel_library_threads(seen[0]);
    seen[2] = gv_parallel_library_threads(seen[0]);
}

/* With our own pool OpenMP is there if oneDNN is; without it there is nothing to set. */
static void libraries_take_the_teams_size(void **state)
{
    (void)state;
    int first[3], second[3];
    assert_int_equal(gv_job_run(store_library_threads, first, 3, NULL), GV_OK);
    assert_int_equal(gv_job_run(store_library_threads, second, 2, NULL), GV_OK);
    bool none = first[0] == 1;
    assert_int_equal(first[0], none ? 1 : 3);
    assert_int_equal(first[1], 1);
    assert_int_equal(first[2], first[0]);
    assert_int_equal(second[0], none ? 1 : 2);
#ifdef _OPENMP
    assert_false(none);
#endif
}

static void thread_counts(void **state)
{
    (void)state;
    int threads;
    gv_error err;
    assert_true(gv_cores() >= 1);
    assert_int_equal(gv_job_run(store_threads, &threads, 0, NULL), GV_OK);
    assert_int_equal(threads, gv_cores());
    assert_int_equal(gv_job_run(store_threads, &threads, -1, &err), GV_E_ARG);
    assert_string_equal(err.message, "threads is -1, expected 0 (all cores) to 1024");
    assert_int_equal(gv_job_run(store_threads, &threads, 1025, &err), GV_E_ARG);
}

/* ---- the compute thread ---- */

static void store_self(void *arg)
{
    *(pthread_t *)arg = pthread_self();
}

static void one_thread_runs_all_jobs(void **state)
{
    (void)state;
    pthread_t first, second;
    assert_int_equal(gv_job_run(store_self, &first, 1, NULL), GV_OK);
    assert_int_equal(gv_job_run(store_self, &second, 3, NULL), GV_OK);
    assert_true(pthread_equal(first, second));
    assert_false(pthread_equal(first, pthread_self()));
}

static void store_mask(void *arg)
{
    pthread_sigmask(SIG_SETMASK, NULL, arg);
}

static void signals_stay_with_the_program(void **state)
{
    (void)state;
    sigset_t mask;
    assert_int_equal(gv_job_run(store_mask, &mask, 1, NULL), GV_OK);
    assert_true(sigismember(&mask, SIGINT) && sigismember(&mask, SIGTERM));
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    assert_false(sigismember(&mask, SIGINT));
}

typedef struct nested {
    int inner_threads;
    pthread_t inner, outer;
    gv_status status;
} nested;

static void inner_job(void *arg)
{
    nested *n = arg;
    n->inner_threads = gv_parallel_threads();
    n->inner = pthread_self();
}

static void outer_job(void *arg)
{
    nested *n = arg;
    n->outer = pthread_self();
    n->status = gv_job_run(inner_job, n, 1, NULL);
}

static void a_job_within_a_job_runs_at_once(void **state)
{
    (void)state;
    nested n = {.status = GV_E_ARG};
    assert_int_equal(gv_job_run(outer_job, &n, 3, NULL), GV_OK);
    assert_int_equal(n.status, GV_OK);
    assert_int_equal(n.inner_threads, 3);
    assert_true(pthread_equal(n.inner, n.outer));
}

/* ---- many callers ---- */

typedef struct order {
    _Atomic int arrived; /* callers about to queue up */
    int log[8];          /* written on the compute thread alone */
    int count;
    int team_after_yield;
    bool yield_within;
    int logged_at_yield;
} order;

typedef struct caller {
    pthread_t thread;
    order *order;
    int name;
} caller;

static void log_name(void *arg)
{
    caller *c = arg;
    order *o = c->order;
    o->log[o->count++] = c->name;
    if (o->yield_within)
        gv_job_yield(); /* at depth two: does nothing */
}

static void *call(void *arg)
{
    caller *c = arg;
    c->order->arrived++;
    assert_int_equal(gv_job_run(log_name, c, 2, NULL), GV_OK);
    return NULL;
}

/* Holds the compute thread until five callers queue up, one after the other. */
static void hold(void *arg)
{
    caller *callers = arg;
    order *o = callers[0].order;
    for (int i = 0; i < 5; i++) {
        pthread_create(&callers[i].thread, NULL, call, &callers[i]);
        while (o->arrived <= i)
            usleep(100);
        usleep(20000); /* from `arrived` to the queue */
    }
    o->logged_at_yield = o->count;
}

static void hold_and_yield(void *arg)
{
    caller *callers = arg;
    order *o = callers[0].order;
    hold(arg);
    gv_job_yield();
    o->logged_at_yield = o->count;
    o->team_after_yield = gv_parallel_threads();
    loop l = {.tasks = TASKS};
    run_loop(&l);
    if (l.bad || l.threads != 3)
        o->team_after_yield = -1;
}

static void check_order(gv_job_fn *first, int logged_at_yield, bool yield_within)
{
    order o = {.yield_within = yield_within};
    caller callers[5];
    for (int i = 0; i < 5; i++)
        callers[i] = (caller){.order = &o, .name = i};
    assert_int_equal(gv_job_run(first, callers, 3, NULL), GV_OK);
    for (int i = 0; i < 5; i++)
        pthread_join(callers[i].thread, NULL);
    assert_int_equal(o.logged_at_yield, logged_at_yield);
    assert_int_equal(o.count, 5);
    for (int i = 0; i < 5; i++)
        assert_int_equal(o.log[i], i);
    if (first == hold_and_yield)
        assert_int_equal(o.team_after_yield, 3);
}

static void first_come_first_served(void **state)
{
    (void)state;
    check_order(hold, 0, false);
}

static void a_yield_lets_the_waiting_run(void **state)
{
    (void)state;
    check_order(hold_and_yield, 5, false);
}

static void yields_do_not_nest(void **state)
{
    (void)state;
    check_order(hold_and_yield, 5, true);
    gv_job_yield(); /* outside a job: nothing */
}

static void *call_often(void *arg)
{
    _Atomic int64_t *sum = arg;
    for (int i = 0; i < 200; i++) {
        loop l = {.tasks = i % 20};
        assert_int_equal(gv_job_run(run_loop, &l, 1 + i % 3, NULL), GV_OK);
        *sum += l.tasks;
    }
    return NULL;
}

static void callers_from_many_threads(void **state)
{
    (void)state;
    pthread_t threads[4];
    _Atomic int64_t sum = 0;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, &sum), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(sum, 4 * 10 * (0 + 19) * 10);
}

/* ---- the process: run in children, where an alarm ends what hangs ---- */

static void assert_child(void (*work)(void), int expected)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(20);
        work();
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), expected);
}

static void run_and_leave(void)
{
    loop l = {.tasks = TASKS};
    gv_status status = gv_job_run(run_loop, &l, 3, NULL);
    /* _exit: the child's copy of this program's tests is not to be ended twice. */
    _exit(status == GV_OK && l.calls[TASKS - 1] == 1 && l.threads == 3 ? 5 : 6);
}

static void a_forked_child_starts_its_own(void **state)
{
    (void)state;
    loop l = {.tasks = TASKS};
    assert_int_equal(gv_job_run(run_loop, &l, 3, NULL), GV_OK);
    assert_child(run_and_leave, 5);
    memset(&l, 0, sizeof l);
    l.tasks = TASKS;
    assert_int_equal(gv_job_run(run_loop, &l, 3, NULL), GV_OK);
    assert_each_once(&l);
}

static void leave(void *arg)
{
    (void)arg;
    exit(7);
}

static void exit_within_a_job(void)
{
    (void)gv_job_run(leave, NULL, 2, NULL);
    _exit(8);
}

static void a_job_may_end_the_process(void **state)
{
    (void)state;
    assert_child(exit_within_a_job, 7);
}

/* ---- cancelling, and the rounding mode ---- */

static void cancelling(void **state)
{
    (void)state;
    gv_cancel c = {0};
    assert_false(gv_cancel_requested(NULL));
    assert_false(gv_cancel_requested(&c));
    gv_cancel_request(&c);
    assert_true(gv_cancel_requested(&c));
}

static void store_rounding(void *arg)
{
    *(int *)arg = fegetround();
}

static void start_while_rounding_up(void)
{
    int mode = -1;
    fesetround(FE_UPWARD);
    gv_status status = gv_job_run(store_rounding, &mode, 1, NULL);
    _exit(status == GV_OK && mode == FE_TONEAREST ? 5 : 6);
}

static void the_callers_rounding_mode_does_not_matter(void **state)
{
    (void)state;
    assert_child(start_while_rounding_up, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_task_runs_once),
        cmocka_unit_test(without_a_job_the_caller_does_it_alone),
        cmocka_unit_test(the_team_works_at_the_same_time),
        cmocka_unit_test(libraries_take_the_teams_size),
        cmocka_unit_test(thread_counts),
        cmocka_unit_test(one_thread_runs_all_jobs),
        cmocka_unit_test(signals_stay_with_the_program),
        cmocka_unit_test(a_job_within_a_job_runs_at_once),
        cmocka_unit_test(first_come_first_served),
        cmocka_unit_test(a_yield_lets_the_waiting_run),
        cmocka_unit_test(yields_do_not_nest),
        cmocka_unit_test(callers_from_many_threads),
        cmocka_unit_test(a_forked_child_starts_its_own),
        cmocka_unit_test(a_job_may_end_the_process),
        cmocka_unit_test(cancelling),
        cmocka_unit_test(the_callers_rounding_mode_does_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
