#include "image/image.h"

#include "base/file.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

gv_image_kind gv_image_kind_of_name(const char *name)
{
    static const struct {
        gv_image_kind kind;
        const char *end;
    } table[] = {
        {GV_IMAGE_PNG, "png"},
        {GV_IMAGE_JPEG, "jpg"},
        {GV_IMAGE_JPEG, "jpeg"},
        {GV_IMAGE_WEBP, "webp"},
    };
    const char *dot = strrchr(name, '.');
    const char *end = dot == NULL ? name : dot + 1;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcasecmp(end, table[i].end) == 0)
            return table[i].kind;
    return GV_IMAGE_UNKNOWN;
}

gv_status gv_image_save(const gv_image *image, const char *path, const char *record, gv_error *err)
{
    gv_image_kind kind = gv_image_kind_of_name(path);
    uint8_t *data = NULL;
    size_t size = 0;
    gv_status status;
    if (kind == GV_IMAGE_UNKNOWN)
        return gv_fail(err, GV_E_ARG, "%s: a picture's name must end in .png, .jpg or .webp", path);
    GV_TRY(gv_image_encode(&data, &size, image, kind, record, err));
    GV_TRY(gv_file_write(path, data, size, err));
done:
    gv_mem_free(data);
    return status;
}

#ifdef GV_HAVE_VIPS

#include "image/png.h"
#include "image/vips_edge.h"

#include <vips/vips.h>

/* By these words output.c knows a file of ours again. */
#define SOFTWARE "ganvas " GANVAS_VERSION

static int encode(VipsImage *in, void **data, size_t *size, gv_image_kind kind)
{
    switch (kind) {
    case GV_IMAGE_PNG:
        return vips_pngsave_buffer(in, data, size, "compression", 6, NULL);
    case GV_IMAGE_JPEG:
        return vips_jpegsave_buffer(in, data, size, "Q", 95, "subsample_mode",
                                    VIPS_FOREIGN_SUBSAMPLE_OFF, NULL);
    default:
        return vips_webpsave_buffer(in, data, size, "lossless", TRUE, NULL);
    }
}

gv_status gv_image_encode(uint8_t **data, size_t *size, const gv_image *image, gv_image_kind kind,
                          const char *record, gv_error *err)
{
    *data = NULL;
    *size = 0;
    if (kind != GV_IMAGE_PNG && kind != GV_IMAGE_JPEG && kind != GV_IMAGE_WEBP)
        return gv_fail(err, GV_E_ARG, "pictures are written as PNG, JPEG or WebP only");
    VipsImage *wrapped = NULL, *in = NULL;
    void *bytes = NULL;
    gv_status status;
    GV_TRY(gv_vips_start(err));
    size_t total = (size_t)image->width * (size_t)image->height * (size_t)image->channels;
    wrapped = vips_image_new_from_memory(image->pixels, total, (int)image->width,
                                         (int)image->height, image->channels, VIPS_FORMAT_UCHAR);
    /* A copy of the header, which may carry metadata; the pixels are shared. */
    if (wrapped == NULL ||
        vips_copy(wrapped, &in, "interpretation", VIPS_INTERPRETATION_sRGB, NULL) != 0) {
        status = gv_vips_fail(err, GV_E_MEMORY, "picture");
        goto done;
    }
    if (kind != GV_IMAGE_PNG)
        vips_image_set_string(in, "exif-ifd0-Software", SOFTWARE " (" SOFTWARE ", ASCII)");
    size_t encoded = 0;
    if (encode(in, &bytes, &encoded, kind) != 0) {
        status = gv_vips_fail(err, GV_E_IO, "picture");
        goto done;
    }
    if (kind == GV_IMAGE_PNG) {
        status = gv_png_add_record(data, size, bytes, encoded, record, err);
        goto done;
    }
    *data = gv_mem_alloc(encoded);
    if (*data == NULL) {
        status = gv_fail_memory(err, encoded);
        goto done;
    }
    memcpy(*data, bytes, encoded);
    *size = encoded;
done:
    g_free(bytes);
    if (in != NULL)
        g_object_unref(in);
    if (wrapped != NULL)
        g_object_unref(wrapped);
    return status;
}

#else

gv_status gv_image_encode(uint8_t **data, size_t *size, const gv_image *image, gv_image_kind kind,
                          const char *record, gv_error *err)
{
    (void)image, (void)kind, (void)record;
    *data = NULL;
    *size = 0;
    return gv_fail(err, GV_E_UNSUPPORTED,
                   "this build of ganvas has no libvips and writes no pictures; --raw writes .npy");
}

#endif
