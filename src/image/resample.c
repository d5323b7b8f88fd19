#include "image/image.h"

#include "base/memory.h"
#include "image/internal.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* The taps of one axis: output i = sum over k < count[i] of weight[i*span + k] * input[first[i]+k].
 */
typedef struct taps {
    int64_t span;
    int64_t *first, *count;
    float *weight;
    int32_t *fixed; /* the same with FIXED_BITS binary places, as Pillow rounds them */
} taps;

#define FIXED_BITS 22

static double sinc(double x)
{
    if (x == 0.0)
        return 1.0;
    x *= 3.14159265358979323846;
    return sin(x) / x;
}

double gv_filter_at(gv_filter filter, double x)
{
    x = fabs(x);
    if (filter == GV_FILTER_LANCZOS)
        return x < 3.0 ? sinc(x) * sinc(x / 3.0) : 0.0;
    const double a = -0.5;
    if (x < 1.0)
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
    if (x < 2.0)
        return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
    return 0.0;
}

static void taps_deinit(taps *t)
{
    gv_mem_free(t->first);
    gv_mem_free(t->count);
    gv_mem_free(t->weight);
    gv_mem_free(t->fixed);
    *t = (taps){0};
}

/* size outputs from the inputs [start, start + length) of an axis of `limit` pixels. */
static gv_status taps_init(taps *t, int64_t size, double start, double length, int64_t limit,
                           gv_filter filter, gv_error *err)
{
    *t = (taps){0};
    double scale = length / (double)size;
    double stretch = scale > 1.0 ? scale : 1.0;
    double support = (filter == GV_FILTER_LANCZOS ? 3.0 : 2.0) * stretch;
    t->span = (int64_t)ceil(support) * 2 + 1;
    t->first = gv_mem_alloc_array((size_t)size, sizeof(int64_t));
    t->count = gv_mem_alloc_array((size_t)size, sizeof(int64_t));
    size_t weights;
    bool fits = gv_mul_size(&weights, (size_t)size, (size_t)t->span);
    t->weight = fits ? gv_mem_alloc_array(weights, sizeof(float)) : NULL;
    t->fixed = fits ? gv_mem_alloc_array(weights, sizeof(int32_t)) : NULL;
    if (t->first == NULL || t->count == NULL || t->weight == NULL || t->fixed == NULL) {
        taps_deinit(t);
        return gv_fail_memory(err, weights * sizeof(float));
    }
    for (int64_t i = 0; i < size; i++) {
        double centre = start + ((double)i + 0.5) * scale;
        int64_t low = (int64_t)(centre - support + 0.5);
        int64_t high = (int64_t)(centre + support + 0.5);
        low = low < 0 ? 0 : low;
        high = high > limit ? limit : high;
        double sum = 0.0;
        for (int64_t k = low; k < high; k++)
            sum += gv_filter_at(filter, ((double)k - centre + 0.5) / stretch);
        t->first[i] = low;
        t->count[i] = high - low;
        for (int64_t k = low; k < high; k++) {
            double weight = gv_filter_at(filter, ((double)k - centre + 0.5) / stretch) / sum;
            double fixed = weight * (double)(1 << FIXED_BITS);
            t->weight[i * t->span + k - low] = (float)weight;
            t->fixed[i * t->span + k - low] = (int32_t)(fixed < 0.0 ? fixed - 0.5 : fixed + 0.5);
        }
    }
    return GV_OK;
}

/* One source row as premultiplied floats, four a pixel, filtered along x. */
static void filter_row(float *dst, float *line, const gv_image *image, int64_t y, const taps *t,
                       int64_t w)
{
    const uint8_t *p = image->pixels + y * image->width * image->channels;
    for (int64_t x = 0; x < image->width; x++, p += image->channels) {
        float a = image->channels == 4 ? (float)p[3] / 255.0f : 1.0f;
        for (int64_t c = 0; c < 3; c++)
            line[x * 4 + c] = ((float)p[c] / 127.5f - 1.0f) * a;
        line[x * 4 + 3] = a;
    }
    for (int64_t x = 0; x < w; x++) {
        float sum[4] = {0};
        const float *weight = t->weight + x * t->span;
        const float *from = line + t->first[x] * 4;
        for (int64_t k = 0; k < t->count[x]; k++)
            for (int64_t c = 0; c < 4; c++)
                sum[c] += weight[k] * from[k * 4 + c];
        for (int64_t c = 0; c < 4; c++)
            dst[x * 4 + c] = sum[c];
    }
}

void gv_store_pixel(float *rgb, float *alpha, int64_t count, int64_t i, const float sum[4])
{
    float a = sum[3] < 1.0f ? sum[3] : 1.0f;
    /* The filters have negative lobes: next to opaque parts a trace below 0 or just above it is
     * ringing, not paint. */
    bool shows = a > 1.0f / 512.0f;
    for (int64_t c = 0; c < 3; c++)
        rgb[c * count + i] = shows ? sum[c] / sum[3] : 0.0f;
    if (alpha != NULL)
        alpha[i] = shows ? a : 0.0f;
}

gv_rect gv_rect_centre_square(const gv_image *image)
{
    double w = (double)image->width, h = (double)image->height;
    double side = w < h ? w : h;
    return (gv_rect){(w - side) / 2.0, (h - side) / 2.0, side, side};
}

static gv_status check_crop(gv_rect crop, const gv_image *image, gv_error *err)
{
    if (!(crop.x >= 0.0 && crop.y >= 0.0 && crop.width > 0.0 && crop.height > 0.0 &&
          crop.x + crop.width <= (double)image->width &&
          crop.y + crop.height <= (double)image->height))
        return gv_fail(err, GV_E_ARG,
                       "crop %g,%g,%g,%g leaves the picture of %" PRId64 " x %" PRId64, crop.x,
                       crop.y, crop.width, crop.height, image->width, image->height);
    return GV_OK;
}

gv_status gv_image_resample(float *rgb, float *alpha, int64_t h, int64_t w, const gv_image *image,
                            gv_rect crop, gv_filter filter, gv_error *err)
{
    gv_status status = check_crop(crop, image, err);
    if (status != GV_OK)
        return status;
    taps across = {0}, down = {0};
    float *line = NULL, *rows = NULL;
    GV_TRY(taps_init(&across, w, crop.x, crop.width, image->width, filter, err));
    GV_TRY(taps_init(&down, h, crop.y, crop.height, image->height, filter, err));

    /* A ring of filtered rows: only as many as one output row needs. */
    size_t row_floats = (size_t)w * 4;
    line = gv_mem_alloc_array((size_t)image->width * 4, sizeof(float));
    rows = gv_mem_alloc_array((size_t)down.span, row_floats * sizeof(float));
    if (line == NULL || rows == NULL) {
        status = gv_fail_memory(err, (size_t)down.span * row_floats * sizeof(float));
        goto done;
    }
    int64_t next = 0; /* first source row that is not in the ring yet */
    for (int64_t y = 0; y < h; y++) {
        int64_t first = down.first[y], end = first + down.count[y];
        next = next < first ? first : next;
        for (; next < end; next++)
            filter_row(rows + (size_t)(next % down.span) * row_floats, line, image, next, &across,
                       w);
        for (int64_t x = 0; x < w; x++) {
            float sum[4] = {0};
            for (int64_t k = first; k < end; k++) {
                const float *from = rows + (size_t)(k % down.span) * row_floats + x * 4;
                float weight = down.weight[y * down.span + k - first];
                for (int64_t c = 0; c < 4; c++)
                    sum[c] += weight * from[c];
            }
            gv_store_pixel(rgb, alpha, h * w, y * w + x, sum);
        }
    }
done:
    gv_mem_free(rows);
    gv_mem_free(line);
    taps_deinit(&down);
    taps_deinit(&across);
    return status;
}

/* ---- in 8 bits, as Pillow ---- */

static uint8_t clip8(int64_t sum)
{
    int64_t v = (sum + (1 << (FIXED_BITS - 1))) >> FIXED_BITS;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* Pillow's convert("RGBa") and back. */
static void premultiply(uint8_t *p, int64_t count)
{
    for (int64_t i = 0; i < count; i++, p += 4)
        for (int c = 0; c < 3; c++) {
            unsigned v = (unsigned)p[c] * p[3] + 128;
            p[c] = (uint8_t)((v + (v >> 8)) >> 8);
        }
}

static void unmultiply(uint8_t *p, int64_t count)
{
    for (int64_t i = 0; i < count; i++, p += 4)
        for (int c = 0; c < 3 && p[3] != 0 && p[3] != 255; c++) {
            unsigned v = 255u * p[c] / p[3];
            p[c] = (uint8_t)(v < 255 ? v : 255);
        }
}

/* dst, src: rows of `channels` bytes a pixel; n lines, whose pixels are `step` pixels apart and
 * which begin dst_line and src_line pixels apart. */
static void filter_lines(uint8_t *dst, const uint8_t *src, const taps *t, int64_t size, int64_t n,
                         int64_t dst_step, int64_t src_step, int64_t dst_line, int64_t src_line,
                         int channels)
{
    for (int64_t line = 0; line < n; line++)
        for (int64_t i = 0; i < size; i++)
            for (int c = 0; c < channels; c++) {
                const uint8_t *p = src + (line * src_line + t->first[i] * src_step) * channels + c;
                int64_t sum = 0;
                for (int64_t k = 0; k < t->count[i]; k++)
                    sum += (int64_t)p[k * src_step * channels] * t->fixed[i * t->span + k];
                dst[(line * dst_line + i * dst_step) * channels + c] = clip8(sum);
            }
}

gv_status gv_image_resize8(gv_image *out, int64_t h, int64_t w, const gv_image *image, gv_rect crop,
                           gv_filter filter, gv_error *err)
{
    *out = (gv_image){0};
    gv_status status = GV_OK;
    taps across = {0}, down = {0};
    gv_image source = {0}, narrow = {0};
    int channels = image->channels;
    size_t bytes = (size_t)image->width * (size_t)image->height * (size_t)channels;
    GV_TRY(check_crop(crop, image, err));
    if (w == image->width && h == image->height && crop.width == (double)w &&
        crop.height == (double)h) { /* a copy: not even premultiplied and back */
        GV_TRY(gv_image_init(out, w, h, channels, err));
        memcpy(out->pixels, image->pixels, bytes);
        goto done;
    }
    GV_TRY(taps_init(&across, w, crop.x, crop.width, image->width, filter, err));
    GV_TRY(taps_init(&down, h, crop.y, crop.height, image->height, filter, err));
    GV_TRY(gv_image_init(&source, image->width, image->height, channels, err));
    memcpy(source.pixels, image->pixels, bytes);
    if (channels == 4)
        premultiply(source.pixels, image->width * image->height);
    GV_TRY(gv_image_init(&narrow, w, image->height, channels, err));
    filter_lines(narrow.pixels, source.pixels, &across, w, image->height, 1, 1, w, image->width,
                 channels);
    GV_TRY(gv_image_init(out, w, h, channels, err));
    filter_lines(out->pixels, narrow.pixels, &down, h, w, w, w, 1, 1, channels);
    if (channels == 4)
        unmultiply(out->pixels, w * h);
done:
    gv_image_deinit(&source);
    gv_image_deinit(&narrow);
    taps_deinit(&down);
    taps_deinit(&across);
    return status;
}
