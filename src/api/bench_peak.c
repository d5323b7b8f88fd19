#include "api/bench_peak.h"

#include "api/api.h"

#if defined(__x86_64__)
#include <immintrin.h>

/* 12 chains hide the latency of 4 cycles on two units (8 would, if nothing else ran). */
enum { CHAINS = 12, ROUNDS = 500000, RUNS = 40 };

#define SUM_OF_CHAINS(type, set, fma, lanes)                                                       \
    type sum[CHAINS], factor = set(seed), step = set(seed * 0.5f);                                 \
    _Pragma("GCC unroll 12") for (int c = 0; c < CHAINS; c++) sum[c] = set(seed + (float)c);       \
    for (int r = 0; r < ROUNDS; r++) {                                                             \
        _Pragma("GCC unroll 12") for (int c = 0; c < CHAINS; c++) sum[c] =                         \
            fma(sum[c], factor, step);                                                             \
    }                                                                                              \
    for (int c = 1; c < CHAINS; c++)                                                               \
        sum[0] = fma(sum[c], factor, sum[0]);                                                      \
    return ((const float *)&sum[0])[lanes - 1]

__attribute__((target("avx512f"))) static float chains_avx512(float seed)
{
    SUM_OF_CHAINS(__m512, _mm512_set1_ps, _mm512_fmadd_ps, 16);
}

__attribute__((target("avx2,fma"))) static float chains_avx2(float seed)
{
    SUM_OF_CHAINS(__m256, _mm256_set1_ps, _mm256_fmadd_ps, 8);
}

typedef struct peak {
    float (*chains)(float seed);
    int threads, lanes;
    double best[1024]; /* rate of each thread, undisturbed */
    float out[1024];   /* results, so that no loop is left out */
} peak;

static void run_one(void *ctx, int64_t i)
{
    peak *p = ctx;
    double start = gv_now();
    p->out[i] = p->chains(0.25f);
    double rate = 2.0 * CHAINS * ROUNDS * p->lanes / (gv_now() - start);
    p->best[i] = rate > p->best[i] ? rate : p->best[i];
}

static void run_all(void *ctx)
{
    peak *p = ctx;
    for (int run = 0; run < RUNS; run++)
        gv_parallel_for(p->threads, run_one, p);
}

double gv_bench_peak(int threads)
{
    peak p = {.threads = threads};
    if (threads < 1 || threads > 1024)
        return 0.0;
    if (__builtin_cpu_supports("avx512f"))
        p.chains = chains_avx512, p.lanes = 16;
    else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        p.chains = chains_avx2, p.lanes = 8;
    else
        return 0.0;
    if (gv_job_run(run_all, &p, threads, NULL) != GV_OK)
        return 0.0;
    double sum = 0.0;
    for (int i = 0; i < threads; i++)
        sum += p.best[i];
    return sum;
}

#else

double gv_bench_peak(int threads)
{
    (void)threads;
    return 0.0;
}

#endif
