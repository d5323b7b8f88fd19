#include "image/warp.h"

#include "base/memory.h"
#include "image/internal.h"

#include <math.h>

/* Lanczos at the distances k / TABLE_STEPS, with linear interpolation between: good to 2e-8. */
enum { TABLE_STEPS = 4096, LOBES = 3, TABLE_SIZE = LOBES * TABLE_STEPS + 2 };

static float filter_at(const float *table, double x)
{
    double at = fabs(x) * TABLE_STEPS;
    if (at >= (double)LOBES * TABLE_STEPS)
        return 0.0f;
    int64_t k = (int64_t)at;
    float t = (float)(at - (double)k);
    return table[k] + t * (table[k + 1] - table[k]);
}

static int64_t clamp(int64_t v, int64_t last)
{
    return v < 0 ? 0 : v > last ? last : v;
}

/* The filter's window around (cx,cy): premultiplied colour and alpha, normalised. */
static void gather(float sum[4], const gv_image *image, const float *table, double cx, double cy,
                   const double across[2], double stretch)
{
    /* The window is a square in the direction of `across`. */
    double reach = LOBES * stretch * (fabs(across[0]) + fabs(across[1]));
    int64_t x0 = (int64_t)floor(cx - reach), x1 = (int64_t)ceil(cx + reach);
    int64_t y0 = (int64_t)floor(cy - reach), y1 = (int64_t)ceil(cy + reach);
    float total = 0.0f;
    sum[0] = sum[1] = sum[2] = sum[3] = 0.0f;
    for (int64_t y = y0; y < y1; y++) {
        const uint8_t *row =
            image->pixels + clamp(y, image->height - 1) * image->width * image->channels;
        double dy = (double)y + 0.5 - cy;
        for (int64_t x = x0; x < x1; x++) {
            double dx = (double)x + 0.5 - cx;
            float weight = filter_at(table, (dx * across[0] + dy * across[1]) / stretch) *
                           filter_at(table, (dy * across[0] - dx * across[1]) / stretch);
            if (weight == 0.0f)
                continue;
            const uint8_t *p = row + clamp(x, image->width - 1) * image->channels;
            float a = weight * (image->channels == 4 ? (float)p[3] / 255.0f : 1.0f);
            for (int c = 0; c < 3; c++)
                sum[c] += a * ((float)p[c] / 127.5f - 1.0f);
            sum[3] += a;
            total += weight;
        }
    }
    for (int c = 0; c < 4; c++)
        sum[c] /= total;
}

gv_status gv_image_warp(float *rgb, float *alpha, int64_t side, const gv_image *image,
                        const double corner[6], gv_error *err)
{
    double ex[2], ey[2]; /* one step of the result, in pixels of the picture */
    for (int i = 0; i < 2; i++) {
        ex[i] = (corner[2 + i] - corner[i]) / (double)side;
        ey[i] = (corner[4 + i] - corner[i]) / (double)side;
    }
    double scale = hypot(ex[0], ex[1]);
    if (!(scale * (double)side >= 1.0))
        return gv_fail(err, GV_E_ARG, "the square to be cut out is smaller than a pixel");
    float *table = gv_mem_alloc_array(TABLE_SIZE, sizeof *table);
    if (table == NULL)
        return gv_fail_memory(err, TABLE_SIZE * sizeof *table);
    for (int i = 0; i < TABLE_SIZE; i++)
        table[i] = (float)gv_filter_at(GV_FILTER_LANCZOS, (double)i / TABLE_STEPS);
    double across[2] = {ex[0] / scale, ex[1] / scale};
    double stretch = scale > 1.0 ? scale : 1.0;
    for (int64_t y = 0; y < side; y++)
        for (int64_t x = 0; x < side; x++) {
            double u = (double)x + 0.5, v = (double)y + 0.5;
            float sum[4];
            gather(sum, image, table, corner[0] + u * ex[0] + v * ey[0],
                   corner[1] + u * ex[1] + v * ey[1], across, stretch);
            gv_store_pixel(rgb, alpha, side * side, y * side + x, sum);
        }
    gv_mem_free(table);
    return GV_OK;
}
