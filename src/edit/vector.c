#include "edit/vector.h"

static void axpy_any(double *y, double a, const double *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = fma(a, x[i], y[i]);
}

/* fma is exact: the same bits, twenty times faster where the CPU has it. */
#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) static void axpy_fma(double *y, double a, const double *x,
                                                         int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        y[i] = __builtin_fma(a, x[i], y[i]);
}
#endif

void gv_vec_axpy(double *y, double a, const double *x, int64_t n)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        axpy_fma(y, a, x, n);
        return;
    }
#endif
    axpy_any(y, a, x, n);
}
