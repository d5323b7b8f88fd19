#include "image/animation.h"

#include "base/file.h"
#include "base/memory.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <strings.h>

gv_animation_kind gv_animation_kind_of_name(const char *name)
{
    const char *dot = strrchr(name, '.');
    if (dot == NULL)
        return GV_ANIMATION_UNKNOWN;
    return strcasecmp(dot, ".gif") == 0    ? GV_ANIMATION_GIF
           : strcasecmp(dot, ".webp") == 0 ? GV_ANIMATION_WEBP
           : strcasecmp(dot, ".mp4") == 0  ? GV_ANIMATION_MP4
                                           : GV_ANIMATION_UNKNOWN;
}

int64_t gv_frame_delay(int64_t i, double fps, int64_t unit)
{
    return llround((double)(i + 1) * (double)unit / fps) - llround((double)i * (double)unit / fps);
}

gv_status gv_animation_save(const gv_frames *frames, const char *path, double fps,
                            const char *record, const gv_cancel *cancel, gv_error *err)
{
    gv_animation_kind kind = gv_animation_kind_of_name(path);
    uint8_t *data = NULL;
    size_t size;
    gv_status status;
    if (kind == GV_ANIMATION_MP4)
        return gv_video_save(frames, path, fps, cancel, err);
    GV_TRY(gv_animation_encode(&data, &size, frames, kind, fps, record, err));
    GV_TRY(gv_file_write(path, data, size, err));
done:
    gv_mem_free(data);
    return status;
}

#ifdef GV_HAVE_VIPS

#include "image/vips_edge.h"

#include <vips/vips.h>

/* By these words output.c knows a file of ours again. */
#define SOFTWARE "ganvas " GANVAS_VERSION

/* Comment extensions of a GIF: the mark and the record in blocks of at most 255 bytes, put before
 * the trailer. */
static gv_status add_comments(uint8_t **out, size_t *out_size, const uint8_t *gif, size_t size,
                              const char *record, gv_error *err)
{
    enum { EXTENSION = 0x21, COMMENT = 0xfe, TRAILER = 0x3b, BLOCK = 255 };
    const char *texts[2] = {SOFTWARE, record};
    size_t room = size;
    *out = NULL;
    if (size < 14 || gif[size - 1] != TRAILER)
        return gv_fail(err, GV_E_IO, "animation: libvips wrote a GIF without an end");
    for (int i = 0; i < 2 && texts[i] != NULL; i++)
        room += strlen(texts[i]) + strlen(texts[i]) / BLOCK + 4;
    uint8_t *to = *out = gv_mem_alloc(room);
    if (to == NULL)
        return gv_fail_memory(err, room);
    memcpy(to, gif, size - 1);
    to += size - 1;
    for (int i = 0; i < 2 && texts[i] != NULL; i++) {
        *to++ = EXTENSION;
        *to++ = COMMENT;
        for (size_t at = 0, left = strlen(texts[i]); left > 0;) {
            size_t n = left < BLOCK ? left : BLOCK;
            *to++ = (uint8_t)n;
            memcpy(to, texts[i] + at, n);
            to += n;
            at += n;
            left -= n;
        }
        *to++ = 0;
    }
    *to++ = TRAILER;
    *out_size = (size_t)(to - *out);
    return GV_OK;
}

/* Header fields that tell libvips about frames; in ms whatever the kind. loop 0: for ever. */
static gv_status set_timing(VipsImage *in, const gv_frames *frames, gv_animation_kind kind,
                            double fps, gv_error *err)
{
    int64_t unit = kind == GV_ANIMATION_GIF ? 100 : 1000;
    int *delay = gv_mem_alloc_array((size_t)frames->count, sizeof *delay);
    if (delay == NULL)
        return gv_fail_memory(err, (size_t)frames->count * sizeof *delay);
    for (int64_t i = 0; i < frames->count; i++)
        delay[i] = (int)(gv_frame_delay(i, fps, unit) * (1000 / unit));
    vips_image_set_array_int(in, "delay", delay, (int)frames->count);
    vips_image_set_int(in, "loop", 0);
    vips_image_set_int(in, VIPS_META_PAGE_HEIGHT, (int)frames->height);
    gv_mem_free(delay);
    return GV_OK;
}

static gv_status take_webp(uint8_t **data, size_t *size, const void *bytes, size_t encoded,
                           gv_error *err)
{
    *data = gv_mem_alloc(encoded);
    if (*data == NULL)
        return gv_fail_memory(err, encoded);
    memcpy(*data, bytes, encoded);
    *size = encoded;
    return GV_OK;
}

gv_status gv_animation_encode(uint8_t **data, size_t *size, const gv_frames *frames,
                              gv_animation_kind kind, double fps, const char *record, gv_error *err)
{
    enum { SIDE_MAX = 16383 }; /* of WebP */
    VipsImage *wrapped = NULL, *in = NULL;
    void *bytes = NULL;
    size_t encoded = 0;
    gv_status status;
    *data = NULL;
    *size = 0;
    if (kind == GV_ANIMATION_GIF && fps > GV_GIF_MAX_FPS)
        return gv_fail(err, GV_E_ARG, "a GIF shows at most %g frames a second, found %g",
                       GV_GIF_MAX_FPS, fps);
    if (frames->width > SIDE_MAX || frames->height > SIDE_MAX)
        return gv_fail(err, GV_E_ARG,
                       "an animation of %" PRId64 " x %" PRId64 " pixels, at most %d are possible",
                       frames->width, frames->height, (int)SIDE_MAX);
    GV_TRY(gv_vips_start(err));
    size_t total = (size_t)frames->width * (size_t)frames->height * (size_t)frames->count * 3;
    wrapped =
        vips_image_new_from_memory(frames->pixels, total, (int)frames->width,
                                   (int)(frames->height * frames->count), 3, VIPS_FORMAT_UCHAR);
    if (wrapped == NULL ||
        vips_copy(wrapped, &in, "interpretation", VIPS_INTERPRETATION_sRGB, NULL) != 0) {
        status = gv_vips_fail(err, GV_E_MEMORY, "animation");
        goto done;
    }
    GV_TRY(set_timing(in, frames, kind, fps, err));
    vips_image_set_string(in, "exif-ifd0-Software", SOFTWARE " (" SOFTWARE ", ASCII)");
    if (record != NULL)
        vips_image_set_string(in, "exif-ifd0-ImageDescription", record);
    bool gif = kind == GV_ANIMATION_GIF;
    if ((gif ? vips_gifsave_buffer(in, &bytes, &encoded, NULL)
             : vips_webpsave_buffer(in, &bytes, &encoded, "lossless", TRUE, NULL)) != 0) {
        status = gv_vips_fail(err, GV_E_IO, "animation");
        goto done;
    }
    status = gif ? add_comments(data, size, bytes, encoded, record, err)
                 : take_webp(data, size, bytes, encoded, err);
done:
    g_free(bytes);
    if (in != NULL)
        g_object_unref(in);
    if (wrapped != NULL)
        g_object_unref(wrapped);
    return status;
}

#else

gv_status gv_animation_encode(uint8_t **data, size_t *size, const gv_frames *frames,
                              gv_animation_kind kind, double fps, const char *record, gv_error *err)
{
    (void)frames, (void)kind, (void)fps, (void)record;
    *data = NULL;
    *size = 0;
    return gv_fail(err, GV_E_UNSUPPORTED,
                   "this build of ganvas has no libvips and writes no animations; --raw writes "
                   ".npy");
}

#endif
