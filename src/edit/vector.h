/* Dot products and the like over doubles, with a fixed order of summation. */
#ifndef GV_EDIT_VECTOR_H
#define GV_EDIT_VECTOR_H

#include "base/error.h"

#include <math.h>
#include <stdint.h>

/* Four running sums: two registers of any x86 CPU. */
static inline double gv_vec_dot(const double *a, const double *b, int64_t n)
{
    double part[4] = {0.0, 0.0, 0.0, 0.0};
    int64_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (int k = 0; k < 4; k++)
            part[k] += a[i + k] * b[i + k];
    for (; i + 2 <= n; i += 2)
        for (int k = 0; k < 2; k++)
            part[k] += a[i + k] * b[i + k];
    double sum = (part[0] + part[2]) + (part[1] + part[3]);
    if (i < n)
        sum += a[i] * b[i];
    return sum;
}

/* y += a x with one rounding (fma), as torch's add on CPUs that have it: without a line search the
 * path of an optimiser shows the difference after fifty evaluations. */
void gv_vec_axpy(double *y, double a, const double *x, int64_t n);

/* y = a x */
static inline void gv_vec_scale(double *y, double a, const double *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = a * x[i];
}

static inline double gv_vec_max_abs(const double *x, int64_t n)
{
    double most = 0.0;
    for (int64_t i = 0; i < n; i++)
        most = fabs(x[i]) > most ? fabs(x[i]) : most;
    return most;
}

static inline bool gv_vec_finite(const double *x, int64_t n)
{
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += x[i] * 0.0; /* NaN for NaN and infinity, else 0 */
    return sum == 0.0;
}

/* NaN and infinity stop an optimiser with the evaluation (counted from 1) where they arose. */
static inline gv_status gv_check_loss(double loss, int64_t evaluation, gv_error *err)
{
    if (isfinite(loss))
        return GV_OK;
    return gv_fail(err, GV_E_NUMERIC, "evaluation %lld: the loss is %s", (long long)evaluation,
                   isnan(loss) ? "NaN" : "infinite");
}

static inline gv_status gv_check_gradient(const double *grad, int64_t n, int64_t evaluation,
                                          gv_error *err)
{
    if (gv_vec_finite(grad, n))
        return GV_OK;
    return gv_fail(err, GV_E_NUMERIC, "evaluation %lld: the gradient is not finite",
                   (long long)evaluation);
}

#endif
