#include "kernelcheck.h"

#include "base/parallel.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

const int64_t check_shapes[][4] = {
    {1, 3, 1, 1},   {1, 10, 7, 8},  {2, 17, 9, 7},   {1, 100, 8, 9}, {1, 3, 63, 65},
    {2, 17, 65, 1}, {3, 10, 1, 63}, {1, 17, 64, 63}, {3, 33, 9, 65},
};
const int check_shape_count = sizeof check_shapes / sizeof *check_shapes;

static const char *const isa_names[] = {"baseline", "AVX2", "AVX-512"};

static bool writes(check_role role)
{
    return role == CHECK_OUT || role == CHECK_ADDED;
}

static int64_t elements_of(const check_map *m)
{
    return m->n * m->c * m->h * m->w;
}

/* ---- one way of running ---- */

typedef struct way {
    gv_isa isa;
    layout layout;
    int threads;
} way;

typedef struct setup {
    const kernel_call *c;
    guarded maps[CHECK_MAPS];
    void *scratch;
    way way;
} setup;

/* infinite: the input that gets an infinite value; -1: none. */
static setup setup_new(const kernel_call *c, way w, int infinite)
{
    setup s = {.c = c, .way = w};
    for (int i = 0; i < CHECK_MAPS; i++) {
        const check_map *m = &c->maps[i];
        if (m->role == CHECK_ABSENT) {
            s.maps[i].map.n = m->n;
            continue;
        }
        s.maps[i] = guarded_new(m->plane ? gv_map_plane(m->n, m->h, m->w)
                                         : map_of(w.layout, m->n, m->c, m->h, m->w));
        if (m->role == CHECK_OUT)
            continue; /* the guards' NaN everywhere */
        float *values = random_floats(elements_of(m), 100 + (uint64_t)i);
        if (i == infinite)
            values[elements_of(m) / 2] = INFINITY;
        gv_map_import(&s.maps[i].map, values);
        gv_mem_free(values);
    }
    s.scratch = gv_mem_alloc(c->scratch_bytes);
    assert_non_null(s.scratch);
    memset(s.scratch, 0xff, c->scratch_bytes);
    return s;
}

static void setup_free(setup *s)
{
    for (int i = 0; i < CHECK_MAPS; i++)
        guarded_free(&s->maps[i]);
    gv_mem_free(s->scratch);
}

static void run_job(void *arg)
{
    setup *s = arg;
    gv_map m[CHECK_MAPS];
    for (int i = 0; i < CHECK_MAPS; i++)
        m[i] = s->maps[i].map;
    s->c->run(s->way.isa, m, s->scratch, s->c);
}

static void run(setup *s)
{
    gv_error err;
    assert_int_equal(gv_job_run(run_job, s, s->way.threads, &err), GV_OK);
}

static void inspect(const setup *s, bool finite)
{
    for (int i = 0; i < CHECK_MAPS; i++) {
        const guarded *g = &s->maps[i];
        if (!g->memory)
            continue;
        if (!guards_are_whole(g))
            fail_msg("%s, %s: wrote outside of map %d", s->c->name, isa_names[s->way.isa], i);
        if (!gv_map_lanes_are_zero(&g->map))
            fail_msg("%s, %s, [%d,%d,%d,%d]: map %d is not zero beyond its channels%s", s->c->name,
                     isa_names[s->way.isa], (int)g->map.n, (int)g->map.c, (int)g->map.h,
                     (int)g->map.w, i, finite ? "" : " with an infinite input");
        for (int64_t k = 0; finite && k < g->floats; k++)
            if (!isfinite(g->map.data[k]))
                fail_msg("%s, %s: float %lld of map %d is not finite", s->c->name,
                         isa_names[s->way.isa], (long long)k, i);
    }
}

/* Every map as [N,C,H,W]: results must be those of the first way, inputs unchanged. */
static void compare(const setup *s, float **first)
{
    for (int i = 0; i < CHECK_MAPS; i++) {
        const check_map *m = &s->c->maps[i];
        if (m->role == CHECK_ABSENT)
            continue;
        size_t bytes = (size_t)elements_of(m) * sizeof(float);
        float *got = gv_mem_alloc(bytes);
        assert_non_null(got);
        gv_map_export(got, &s->maps[i].map);
        if (!first[i] && writes(m->role)) {
            first[i] = got;
            continue;
        }
        float *want = writes(m->role) ? first[i] : random_floats(elements_of(m), 100 + (uint64_t)i);
        char what[200];
        snprintf(what, sizeof what, "%s, %s, %s, %d threads, map %d", s->c->name,
                 isa_names[s->way.isa], s->way.layout == NHWC ? "NHWC" : "nChw16c", s->way.threads,
                 i);
        gv_test_same_bits(got, want, bytes, what);
        if (!writes(m->role))
            gv_mem_free(want);
        gv_mem_free(got);
    }
}

void kernel_check(const kernel_call *c)
{
    float *first[CHECK_MAPS] = {0};
    for (int isa = GV_ISA_BASE; isa <= (int)gv_isa_best(); isa++) {
        for (int i = 0; i < 4; i++) {
            way w = {(gv_isa)isa, i < 3 ? BLOCKED : NHWC, 1 + i % 3};
            setup s = setup_new(c, w, -1);
            run(&s);
            inspect(&s, true);
            compare(&s, first);
            setup_free(&s);
        }
    }
    for (int i = 0; i < CHECK_MAPS; i++) {
        if (c->maps[i].role != CHECK_IN)
            continue;
        setup s = setup_new(c, (way){gv_isa_best(), BLOCKED, 1}, i);
        run(&s);
        inspect(&s, false);
        setup_free(&s);
    }
    for (int i = 0; i < CHECK_MAPS; i++)
        gv_mem_free(first[i]);
}

/* ---- bench ---- */

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct timing {
    setup *s;
    double best;
} timing;

/* Within one job, so that starting it is not timed. */
static void time_job(void *arg)
{
    timing *t = arg;
    t->best = INFINITY;
    double end = seconds_now() + 0.15;
    for (int i = 0; i < 3 || (i < 2000 && seconds_now() < end); i++) {
        double start = seconds_now();
        run_job(t->s);
        t->best = fmin(t->best, seconds_now() - start);
    }
}

void kernel_bench_header(void)
{
    printf("| call | shape | set | ms, 1 thread | GB/s | ms, 2 threads | GB/s |\n"
           "|---|---|---|---|---|---|---|\n");
}

void kernel_bench(const kernel_call *c)
{
    double bytes = 0;
    const check_map *m = &c->maps[0]; /* the largest */
    for (int i = 1; i < CHECK_MAPS; i++)
        if (c->maps[i].role != CHECK_ABSENT && elements_of(&c->maps[i]) > elements_of(m))
            m = &c->maps[i];
    for (int i = 0; i < CHECK_MAPS; i++)
        if (c->maps[i].role != CHECK_ABSENT)
            bytes += (double)elements_of(&c->maps[i]) * (c->maps[i].role == CHECK_ADDED ? 8 : 4);
    for (int isa = GV_ISA_BASE; isa <= (int)gv_isa_best(); isa++) {
        printf("| %-26s | [%d,%d,%d,%d] | %-8s |", c->name, (int)m->n, (int)m->c, (int)m->h,
               (int)m->w, isa_names[isa]);
        for (int threads = 1; threads <= 2; threads++) {
            gv_error err;
            setup s = setup_new(c, (way){(gv_isa)isa, BLOCKED, threads}, -1);
            timing t = {&s, 0};
            assert_int_equal(gv_job_run(time_job, &t, threads, &err), GV_OK);
            printf(" %8.4f | %5.1f |", t.best * 1e3, bytes / t.best * 1e-9);
            setup_free(&s);
        }
        printf("\n");
    }
}
