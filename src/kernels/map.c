/* Strides of maps, and the way in and out of the blocked layout. */
#include "kernels/map.h"

#include <assert.h>
#include <string.h>

gv_map gv_map_blocked(int64_t n, int64_t c, int64_t h, int64_t w)
{
    int64_t block = h * w * GV_LANES;
    return (gv_map){.n = n,
                    .c = c,
                    .h = h,
                    .w = w,
                    .pixel = GV_LANES,
                    .block = block,
                    .sample = gv_blocks(c) * block};
}

gv_map gv_map_plane(int64_t n, int64_t h, int64_t w)
{
    return (gv_map){.n = n, .c = 1, .h = h, .w = w, .pixel = 1, .block = h * w, .sample = h * w};
}

bool gv_map_is_plane(const gv_map *m)
{
    return m->pixel == 1;
}

/* Lanes of a pixel within one block. */
static int64_t lanes(const gv_map *m)
{
    return gv_map_is_plane(m) ? 1 : GV_LANES;
}

int64_t gv_map_floats(const gv_map *m)
{
    int64_t last =
        (m->n - 1) * m->sample + (gv_blocks(m->c) - 1) * m->block + (m->h * m->w - 1) * m->pixel;
    return last + lanes(m);
}

void gv_map_import(gv_map *y, const float *nchw)
{
    int64_t pixels = y->h * y->w, width = lanes(y);
    for (int64_t n = 0; n < y->n; n++) {
        for (int64_t b = 0; b < gv_blocks(y->c); b++) {
            float *block = y->data + n * y->sample + b * y->block;
            const float *from = nchw + (n * y->c + b * GV_LANES) * pixels;
            int64_t used = y->c - b * GV_LANES < width ? y->c - b * GV_LANES : width;
            for (int64_t p = 0; p < pixels; p++) {
                float *to = block + p * y->pixel;
                for (int64_t i = 0; i < used; i++)
                    to[i] = from[i * pixels + p];
                for (int64_t i = used; i < width; i++)
                    to[i] = 0.0f;
            }
        }
    }
}

void gv_map_export(float *nchw, const gv_map *x)
{
    int64_t pixels = x->h * x->w;
    for (int64_t n = 0; n < x->n; n++) {
        for (int64_t c = 0; c < x->c; c++) {
            const float *from = x->data + n * x->sample + c / GV_LANES * x->block + c % GV_LANES;
            float *to = nchw + (n * x->c + c) * pixels;
            for (int64_t p = 0; p < pixels; p++)
                to[p] = from[p * x->pixel];
        }
    }
}

void gv_map_zero(gv_map *y)
{
    int64_t pixels = y->h * y->w;
    size_t bytes = (size_t)lanes(y) * sizeof(float);
    for (int64_t n = 0; n < y->n; n++)
        for (int64_t b = 0; b < gv_blocks(y->c); b++)
            for (int64_t p = 0; p < pixels; p++)
                memset(y->data + n * y->sample + b * y->block + p * y->pixel, 0, bytes);
}

bool gv_map_lanes_are_zero(const gv_map *x)
{
    int64_t used = x->c % GV_LANES;
    if (gv_map_is_plane(x) || used == 0)
        return true;
    const float *last = x->data + (gv_blocks(x->c) - 1) * x->block;
    for (int64_t n = 0; n < x->n; n++)
        for (int64_t p = 0; p < x->h * x->w; p++)
            for (int64_t i = used; i < GV_LANES; i++)
                if (last[n * x->sample + p * x->pixel + i] != 0.0f) /* true for NaN */
                    return false;
    return true;
}
