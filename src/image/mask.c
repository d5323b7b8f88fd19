#include "image/mask.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

/* How far from the border's colour a channel may be: JPEG's noise around lines. */
#define NEAR 32

bool gv_image_is_transparent(const gv_image *image)
{
    if (image->channels != 4)
        return false;
    int64_t count = image->width * image->height;
    for (int64_t i = 0; i < count; i++)
        if (image->pixels[i * 4 + 3] != 255)
            return true;
    return false;
}

gv_status gv_image_add_alpha(gv_image *image, gv_error *err)
{
    if (image->channels == 4)
        return GV_OK;
    gv_image out;
    gv_status status = gv_image_init(&out, image->width, image->height, 4, err);
    if (status != GV_OK)
        return status;
    int64_t count = image->width * image->height;
    for (int64_t i = 0; i < count; i++) {
        memcpy(out.pixels + i * 4, image->pixels + i * 3, 3);
        out.pixels[i * 4 + 3] = 255;
    }
    gv_image_deinit(image);
    *image = out;
    return GV_OK;
}

void gv_image_on_white(gv_image *image)
{
    if (image->channels != 4)
        return;
    int64_t count = image->width * image->height;
    for (int64_t i = 0; i < count; i++) {
        uint8_t *p = image->pixels + i * 4;
        unsigned a = p[3];
        for (int c = 0; c < 3; c++)
            p[c] = (uint8_t)((p[c] * a + 255 * (255 - a) + 127) / 255);
        p[3] = 255;
    }
}

void gv_image_set_mask(gv_image *image, const gv_image *mask)
{
    bool alpha = gv_image_is_transparent(mask);
    for (int64_t y = 0; y < image->height; y++)
        for (int64_t x = 0; x < image->width; x++) {
            int64_t from =
                y * mask->height / image->height * mask->width + x * mask->width / image->width;
            const uint8_t *m = mask->pixels + from * mask->channels;
            /* Rec. 601, which leaves grey as it is. */
            unsigned light = (299u * m[0] + 587u * m[1] + 114u * m[2] + 500u) / 1000u;
            image->pixels[(y * image->width + x) * 4 + 3] = alpha ? m[3] : (uint8_t)light;
        }
}

static bool is_near(const uint8_t *p, const uint8_t colour[3])
{
    for (int c = 0; c < 3; c++)
        if (abs((int)p[c] - (int)colour[c]) > NEAR)
            return false;
    return true;
}

/* Pixel i of the border, 0 <= i < border_length. */
static const uint8_t *border_pixel(const gv_image *image, int64_t i)
{
    int64_t w = image->width, h = image->height, x, y;
    if (i < 2 * w) {
        x = i % w;
        y = i < w ? 0 : h - 1;
    } else {
        x = (i - 2 * w) % 2 == 0 ? 0 : w - 1;
        y = (i - 2 * w) / 2;
    }
    return image->pixels + (y * w + x) * 4;
}

static uint8_t median_of(const int64_t histogram[256], int64_t total)
{
    int64_t seen = 0;
    for (int v = 0; v < 256; v++) {
        seen += histogram[v];
        if (seen * 2 >= total)
            return (uint8_t)v;
    }
    return 255;
}

bool gv_image_mask_border(gv_image *image, uint8_t background[3])
{
    int64_t border = 2 * (image->width + image->height), same = 0;
    uint8_t colour[3];
    for (int c = 0; c < 3; c++) {
        int64_t histogram[256] = {0};
        for (int64_t i = 0; i < border; i++)
            histogram[border_pixel(image, i)[c]]++;
        colour[c] = median_of(histogram, border);
    }
    for (int64_t i = 0; i < border; i++)
        same += is_near(border_pixel(image, i), colour);
    if (same * 2 < border)
        return false;
    int64_t count = image->width * image->height;
    for (int64_t i = 0; i < count; i++)
        if (is_near(image->pixels + i * 4, colour))
            image->pixels[i * 4 + 3] = 0;
    if (background != NULL)
        memcpy(background, colour, 3);
    return true;
}
