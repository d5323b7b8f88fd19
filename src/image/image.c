#include "image/image.h"

#include "base/memory.h"

#include <inttypes.h>
#include <string.h>

gv_status gv_image_init(gv_image *image, int64_t width, int64_t height, int channels, gv_error *err)
{
    *image = (gv_image){0};
    if (channels != 3 && channels != 4)
        return gv_fail(err, GV_E_ARG, "a picture of %d channels, expected 3 or 4", channels);
    int64_t count;
    if (width < 1 || height < 1 || !gv_mul_i64(&count, width, height) ||
        count > GV_IMAGE_MAX_PIXELS)
        return gv_fail(err, GV_E_ARG,
                       "a picture of %" PRId64 " x %" PRId64 " pixels, expected 1 to %" PRId64
                       " pixels in all",
                       width, height, GV_IMAGE_MAX_PIXELS);
    size_t bytes = (size_t)count * (size_t)channels;
    uint8_t *pixels = gv_mem_alloc(bytes);
    if (pixels == NULL)
        return gv_fail_memory(err, bytes);
    *image = (gv_image){width, height, channels, pixels};
    return GV_OK;
}

void gv_image_deinit(gv_image *image)
{
    gv_mem_free(image->pixels);
    *image = (gv_image){0};
}

static uint8_t byte_of(float x)
{
    float v = x * 127.5f + 128.0f;
    /* In this order NaN fails the first test. */
    if (!(v > 0.0f))
        return 0;
    return v < 255.0f ? (uint8_t)v : 255;
}

void gv_rgb8_from_tensor(uint8_t *pixels, size_t stride, const float *nchw, int64_t h, int64_t w)
{
    for (int64_t y = 0; y < h; y++) {
        uint8_t *row = pixels + (size_t)y * stride;
        for (int64_t x = 0; x < w; x++)
            for (int64_t c = 0; c < 3; c++)
                row[x * 3 + c] = byte_of(nchw[(c * h + y) * w + x]);
    }
}

void gv_tensor_from_image(float *nchw, float *alpha, const gv_image *image)
{
    int64_t count = image->width * image->height;
    for (int64_t i = 0; i < count; i++) {
        const uint8_t *p = image->pixels + i * image->channels;
        for (int64_t c = 0; c < 3; c++)
            nchw[c * count + i] = (float)p[c] / 127.5f - 1.0f;
        if (alpha != NULL)
            alpha[i] = image->channels == 4 ? (float)p[3] / 255.0f : 1.0f;
    }
}
