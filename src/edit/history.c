#include "edit/history.h"

#include "base/memory.h"
#include "edit/vector.h"

gv_status gv_history_init(gv_history *h, int64_t n, int64_t room, gv_error *err)
{
    size_t floats = 0;
    *h = (gv_history){.n = n, .room = room, .scale = 1.0};
    if (!gv_mul_size(&floats, (size_t)n, (size_t)room))
        return gv_fail_memory(err, SIZE_MAX);
    h->y = gv_mem_alloc_array(floats, sizeof *h->y);
    h->s = gv_mem_alloc_array(floats, sizeof *h->s);
    h->rho = gv_mem_alloc_array((size_t)room, sizeof *h->rho);
    h->alpha = gv_mem_alloc_array((size_t)room, sizeof *h->alpha);
    if (h->y && h->s && h->rho && h->alpha)
        return GV_OK;
    gv_history_deinit(h);
    return gv_fail_memory(err, floats * sizeof *h->y);
}

void gv_history_deinit(gv_history *h)
{
    gv_mem_free(h->y);
    gv_mem_free(h->s);
    gv_mem_free(h->rho);
    gv_mem_free(h->alpha);
    *h = (gv_history){0};
}

void gv_history_clear(gv_history *h)
{
    h->count = h->first = 0;
    h->scale = 1.0;
}

void gv_history_push(gv_history *h, const double *g, const double *g_prev, const double *d,
                     double t, double ys)
{
    if (h->count == h->room)
        h->first = (h->first + 1) % h->room;
    else
        h->count++;
    int64_t slot = (h->first + h->count - 1) % h->room;
    double *y = h->y + slot * h->n, *s = h->s + slot * h->n;
    for (int64_t i = 0; i < h->n; i++) {
        y[i] = g[i] - g_prev[i];
        s[i] = t * d[i];
    }
    h->rho[slot] = 1.0 / ys;
    h->scale = ys / gv_vec_dot(y, y, h->n);
}

void gv_history_direction(gv_history *h, double *d, const double *g)
{
    gv_vec_scale(d, -1.0, g, h->n);
    for (int64_t k = h->count - 1; k >= 0; k--) {
        int64_t slot = (h->first + k) % h->room;
        h->alpha[slot] = gv_vec_dot(h->s + slot * h->n, d, h->n) * h->rho[slot];
        gv_vec_axpy(d, -h->alpha[slot], h->y + slot * h->n, h->n);
    }
    gv_vec_scale(d, h->scale, d, h->n);
    for (int64_t k = 0; k < h->count; k++) {
        int64_t slot = (h->first + k) % h->room;
        double beta = gv_vec_dot(h->y + slot * h->n, d, h->n) * h->rho[slot];
        gv_vec_axpy(d, h->alpha[slot] - beta, h->s + slot * h->n, h->n);
    }
}
