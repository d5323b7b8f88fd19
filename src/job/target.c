#include "job/target.h"

#include "base/file.h"
#include "base/memory.h"
#include "image/mask.h"
#include "image/warp.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

gv_eyes gv_model_eyes_default(void)
{
    /* Of the mean of the first 3,000 faces that cats64 was trained on. */
    return (gv_eyes){0.2875, 0.403, 0.728, 0.403};
}

gv_target_options gv_target_defaults(void)
{
    return (gv_target_options){
        .mask = GV_MASK_PHOTO, .frame = GV_FRAME_CENTRE, .model_eyes = gv_model_eyes_default()};
}

/* ---- reading ---- */

static void add_note(gv_target *t, const char *text)
{
    size_t length = strlen(t->note);
    snprintf(t->note + length, sizeof t->note - length, "%s%s", length > 0 ? "; " : "", text);
}

static gv_status load(gv_image *image, gv_target *t, const char *path, gv_error *err)
{
    gv_file f;
    gv_image_note note;
    *image = (gv_image){0};
    gv_status status = gv_file_open(&f, path, err);
    if (status != GV_OK)
        return status;
    status = gv_image_load(image, f.data, f.size, path, &note, err);
    gv_file_close(&f);
    if (status == GV_OK && note.text[0] != '\0')
        add_note(t, note.text);
    return status;
}

static void mask_by_border(gv_target *t, gv_image *image)
{
    uint8_t colour[3];
    char text[160];
    if (gv_image_mask_border(image, colour))
        snprintf(text, sizeof text,
                 "no alpha and no mask: the border's colour, #%02x%02x%02x, is taken for "
                 "background",
                 colour[0], colour[1], colour[2]);
    else
        snprintf(text, sizeof text,
                 "no alpha, no mask and no border of one colour: all of it is constrained");
    add_note(t, text);
}

/* Puts what counts into the picture's alpha channel. Opaque everywhere: all of it. */
static gv_status mark(gv_image *image, gv_target *t, const gv_target_options *o, gv_error *err)
{
    gv_image mask = {0};
    gv_status status = GV_OK;
    switch (o->mask) {
    case GV_MASK_PHOTO:
        gv_image_on_white(image);
        break;
    case GV_MASK_SKETCH:
        if (gv_image_is_transparent(image))
            break;
        GV_TRY(gv_image_add_alpha(image, err));
        mask_by_border(t, image);
        break;
    case GV_MASK_FILE:
        gv_image_on_white(image);
        GV_TRY(gv_image_add_alpha(image, err));
        GV_TRY(load(&mask, t, o->mask_file, err));
        if (mask.width != image->width || mask.height != image->height) {
            char text[160];
            snprintf(text, sizeof text,
                     "the mask of %" PRId64 " x %" PRId64 " is stretched over the picture of "
                     "%" PRId64 " x %" PRId64,
                     mask.width, mask.height, image->width, image->height);
            add_note(t, text);
        }
        gv_image_set_mask(image, &mask);
        break;
    }
done:
    gv_image_deinit(&mask);
    return status;
}

/* ---- the frame ---- */

static void frame_of_rect(gv_target *t, gv_rect r)
{
    const double corner[6] = {r.x, r.y, r.x + r.width, r.y, r.x, r.y + r.height};
    memcpy(t->corner, corner, sizeof corner);
}

/* The similarity that takes the model's eyes to the picture's: points as complex numbers, p -> a p
 * + b. */
static gv_status frame_of_eyes(gv_target *t, const gv_target_options *o, const char *path,
                               gv_error *err)
{
    gv_eyes e = o->eyes;
    const gv_eyes *m = &o->model_eyes;
    if (e.x1 > e.x2) /* whichever was named first */
        e = (gv_eyes){e.x2, e.y2, e.x1, e.y1};
    const double points[4] = {e.x1, e.y1, e.x2, e.y2};
    for (int i = 0; i < 4; i++)
        if (points[i] < 0.0 || points[i] > (double)(i % 2 == 0 ? t->width : t->height))
            return gv_fail(err, GV_E_ARG,
                           "%s: the eye %g,%g lies outside the picture of %" PRId64 " x %" PRId64,
                           path, points[i / 2 * 2], points[i / 2 * 2 + 1], t->width, t->height);
    double px = e.x2 - e.x1, py = e.y2 - e.y1, mx = m->x2 - m->x1, my = m->y2 - m->y1;
    double square = mx * mx + my * my;
    if (hypot(px, py) < 1.0)
        return gv_fail(err, GV_E_ARG, "%s: both eyes are at %g,%g", path, e.x1, e.y1);
    double ax = (px * mx + py * my) / square, ay = (py * mx - px * my) / square;
    double bx = e.x1 - (ax * m->x1 - ay * m->y1), by = e.y1 - (ax * m->y1 + ay * m->x1);
    const double corner[8] = {bx,      by,      bx + ax,      by + ay,
                              bx - ay, by + ax, bx + ax - ay, by + ay + ax};
    memcpy(t->corner, corner, sizeof t->corner);
    bool leaves = false;
    for (int i = 0; i < 8; i++)
        leaves |= corner[i] < 0.0 || corner[i] > (double)(i % 2 == 0 ? t->width : t->height);
    if (leaves)
        add_note(t, "the frame around the eyes leaves the picture, whose edge is repeated");
    return GV_OK;
}

static gv_status cut_8_bits(gv_target *t, const gv_image *image, gv_rect crop, gv_error *err)
{
    gv_image small;
    gv_status status =
        gv_image_resize8(&small, t->side, t->side, image, crop, GV_FILTER_BICUBIC, err);
    if (status != GV_OK)
        return status;
    gv_tensor_from_image(t->rgb, t->mask, &small);
    gv_image_deinit(&small);
    return GV_OK;
}

static gv_status cut(gv_target *t, const gv_image *image, const gv_target_options *o,
                     const char *path, gv_error *err)
{
    gv_rect crop = {0.0, 0.0, (double)t->width, (double)t->height};
    if (o->frame == GV_FRAME_EYES) {
        gv_status status = frame_of_eyes(t, o, path, err);
        return status != GV_OK ? status
                               : gv_image_warp(t->rgb, t->mask, t->side, image, t->corner, err);
    }
    if (o->frame == GV_FRAME_CENTRE)
        crop = gv_rect_centre_square(image);
    if (o->frame == GV_FRAME_CROP)
        crop = o->crop;
    frame_of_rect(t, crop);
    gv_error reason;
    gv_status status = o->hw5 ? cut_8_bits(t, image, crop, &reason)
                              : gv_image_resample(t->rgb, t->mask, t->side, t->side, image, crop,
                                                  GV_FILTER_LANCZOS, &reason);
    return status == GV_OK ? GV_OK : gv_fail(err, status, "%s: %s", path, reason.message);
}

/* ---- */

/* A mask that is 1 everywhere is none. */
static gv_status tidy_mask(gv_target *t, const char *path, gv_error *err)
{
    int64_t count = t->side * t->side, full = 0, empty = 0;
    for (int64_t i = 0; i < count; i++) {
        if (t->mask[i] > 0.9999f) /* weights of a filter add up to 1 but for rounding */
            t->mask[i] = 1.0f;
        full += t->mask[i] == 1.0f;
        empty += t->mask[i] == 0.0f;
        for (int64_t c = 0; c < 3; c++) {
            float *v = &t->rgb[c * count + i];
            *v = t->mask[i] == 0.0f ? 0.0f : *v < -1.0f ? -1.0f : *v > 1.0f ? 1.0f : *v;
        }
    }
    if (empty == count)
        return gv_fail(err, GV_E_ARG, "%s: the mask leaves nothing of the picture", path);
    if (full == count) {
        gv_mem_free(t->mask);
        t->mask = NULL;
    }
    return GV_OK;
}

gv_status gv_target_load(gv_target *t, const char *path, int64_t side,
                         const gv_target_options *options, gv_error *err)
{
    *t = (gv_target){.side = side};
    gv_image image = {0};
    gv_status status;
    GV_TRY(load(&image, t, path, err));
    t->width = image.width;
    t->height = image.height;
    GV_TRY(mark(&image, t, options, err));
    size_t count = (size_t)(side * side);
    t->rgb = gv_mem_alloc_array(count * 3, sizeof *t->rgb);
    t->mask = gv_mem_alloc_array(count, sizeof *t->mask);
    if (t->rgb == NULL || t->mask == NULL) {
        status = gv_fail_memory(err, count * 4 * sizeof(float));
        goto done;
    }
    GV_TRY(cut(t, &image, options, path, err));
    status = tidy_mask(t, path, err);
done:
    gv_image_deinit(&image);
    if (status != GV_OK)
        gv_target_deinit(t);
    return status;
}

void gv_target_deinit(gv_target *t)
{
    gv_mem_free(t->rgb);
    gv_mem_free(t->mask);
    *t = (gv_target){0};
}
