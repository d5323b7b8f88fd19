#include "image/image.h"

#include "base/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

gv_image_kind gv_image_sniff(const uint8_t *data, size_t size)
{
    static const struct {
        gv_image_kind kind;
        size_t at, size;
        const char *magic;
    } table[] = {
        {GV_IMAGE_PNG, 0, 8, "\x89PNG\r\n\x1a\n"},
        {GV_IMAGE_JPEG, 0, 3, "\xff\xd8\xff"},
        {GV_IMAGE_WEBP, 8, 4, "WEBP"},
        {GV_IMAGE_TIFF, 0, 4, "II*\0"},
        {GV_IMAGE_TIFF, 0, 4, "MM\0*"},
        {GV_IMAGE_TIFF, 0, 4, "II+\0"},
        {GV_IMAGE_TIFF, 0, 4, "MM\0+"},
        {GV_IMAGE_GIF, 0, 4, "GIF8"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (size >= table[i].at + table[i].size &&
            memcmp(data + table[i].at, table[i].magic, table[i].size) == 0)
            return table[i].kind;
    return GV_IMAGE_UNKNOWN;
}

#ifdef GV_HAVE_VIPS

#include "image/vips_edge.h"

#include <vips/vips.h>

/* Opens without decoding: the size is known, the pixels are not yet read. */
static int open_lazily(VipsImage **in, const uint8_t *data, size_t size, gv_image_kind kind)
{
    void *bytes = (void *)(uintptr_t)data; /* vips takes void * and only reads */
    const char *fail = "fail_on", *access = "access";
    VipsFailOn error = VIPS_FAIL_ON_ERROR;
    VipsAccess rows = VIPS_ACCESS_SEQUENTIAL;
    switch (kind) {
    case GV_IMAGE_PNG:
        return vips_pngload_buffer(bytes, size, in, fail, error, access, rows, NULL);
    case GV_IMAGE_JPEG:
        return vips_jpegload_buffer(bytes, size, in, fail, error, access, rows, NULL);
    case GV_IMAGE_WEBP:
        return vips_webpload_buffer(bytes, size, in, fail, error, access, rows, NULL);
    case GV_IMAGE_TIFF:
        return vips_tiffload_buffer(bytes, size, in, fail, error, access, rows, NULL);
    default:
        return vips_gifload_buffer(bytes, size, in, fail, error, access, rows, NULL);
    }
}

/* After a vips operation that wrote *next: puts it in the place of *image. */
static bool take(VipsImage **image, VipsImage **next, bool worked)
{
    if (!worked)
        return false;
    g_object_unref(*image);
    *image = *next;
    *next = NULL;
    return true;
}

/* ICC.1: 128 bytes of header with "acsp" at 36. libvips takes anything and then goes on without. */
static bool profile_is_plausible(const VipsImage *image)
{
    const void *data;
    size_t size;
    return vips_image_get_blob(image, VIPS_META_ICC_NAME, &data, &size) == 0 && size >= 128 &&
           memcmp((const char *)data + 36, "acsp", 4) == 0;
}

/* To sRGB, by the embedded profile where there is a usable one. */
static bool to_srgb(VipsImage **image, gv_image_note *note)
{
    VipsImage *next = NULL;
    if (vips_image_get_typeof(*image, VIPS_META_ICC_NAME) != 0) {
        if (profile_is_plausible(*image) &&
            take(image, &next,
                 vips_icc_transform(*image, &next, "srgb", "embedded", TRUE, "intent",
                                    VIPS_INTENT_RELATIVE, NULL) == 0))
            return true;
        vips_error_clear();
        if (note != NULL)
            snprintf(note->text, sizeof note->text, "its colour profile cannot be used");
    }
    return take(image, &next, vips_colourspace(*image, &next, VIPS_INTERPRETATION_sRGB, NULL) == 0);
}

/* Any picture to upright 8-bit sRGB with 3 or 4 bands; still lazy but for a rotation. */
static bool normalise(VipsImage **image, gv_image_note *note)
{
    VipsImage *next = NULL;
    if (vips_image_get_orientation(*image) > 1) {
        /* Rows arrive from the top, once; a rotation reads columns. */
        next = vips_image_copy_memory(*image);
        if (!take(image, &next, next != NULL) ||
            !take(image, &next, vips_autorot(*image, &next, NULL) == 0))
            return false;
    }
    if (!to_srgb(image, note))
        return false;
    if ((*image)->BandFmt != VIPS_FORMAT_UCHAR &&
        !take(image, &next, vips_cast(*image, &next, VIPS_FORMAT_UCHAR, NULL) == 0))
        return false;
    return (*image)->Bands <= 4 ||
           take(image, &next, vips_extract_band(*image, &next, 0, "n", 4, NULL) == 0);
}

/* VIPS_REGION_ADDR(region, 0, y), whose macro converts between signs. */
static const uint8_t *strip_row(const VipsRegion *region, int y)
{
    return region->data + (ptrdiff_t)(y - region->valid.top) * region->bpl;
}

/* Strips of the lazy image straight into our memory: no picture is held twice. */
static gv_status decode(gv_image *out, VipsImage *image, const char *name, gv_error *err)
{
    enum { STRIP = 16 };
    gv_status status = GV_OK;
    VipsRegion *region = NULL;
    if (image->Bands != 3 && image->Bands != 4)
        return gv_fail(err, GV_E_UNSUPPORTED, "%s: has %d colour channels after conversion to sRGB",
                       name, image->Bands);
    GV_TRY(gv_image_init(out, image->Xsize, image->Ysize, image->Bands, err));
    size_t row = (size_t)out->width * (size_t)out->channels;
    region = vips_region_new(image);
    for (int top = 0; top < image->Ysize; top += STRIP) {
        VipsRect strip = {0, top, image->Xsize, VIPS_MIN(STRIP, image->Ysize - top)};
        if (region == NULL || vips_region_prepare(region, &strip) != 0) {
            status = gv_vips_fail(err, GV_E_FORMAT, name);
            goto done;
        }
        for (int y = top; y < top + strip.height; y++)
            memcpy(out->pixels + (size_t)y * row, strip_row(region, y), row);
    }
done:
    if (region != NULL)
        g_object_unref(region);
    if (status != GV_OK)
        gv_image_deinit(out);
    return status;
}

gv_status gv_image_load(gv_image *image, const uint8_t *data, size_t size, const char *name,
                        gv_image_note *note, gv_error *err)
{
    *image = (gv_image){0};
    if (note != NULL)
        note->text[0] = '\0';
    gv_image_kind kind = gv_image_sniff(data, size);
    if (kind == GV_IMAGE_UNKNOWN)
        return gv_fail(err, GV_E_UNSUPPORTED, "%s: is not a PNG, JPEG, WebP, TIFF or GIF picture",
                       name);
    VipsImage *in = NULL;
    gv_status status;
    GV_TRY(gv_vips_start(err));
    if (open_lazily(&in, data, size, kind) != 0) {
        status = gv_vips_fail(err, GV_E_FORMAT, name);
        goto done;
    }
    int64_t pixels = (int64_t)in->Xsize * in->Ysize;
    if (pixels > GV_IMAGE_MAX_PIXELS) {
        status = gv_fail(err, GV_E_UNSUPPORTED,
                         "%s: is %d x %d pixels, more than the %" PRId64 " that ganvas reads", name,
                         in->Xsize, in->Ysize, GV_IMAGE_MAX_PIXELS);
        goto done;
    }
    if (!normalise(&in, note)) {
        status = gv_vips_fail(err, GV_E_FORMAT, name);
        goto done;
    }
    status = decode(image, in, name, err);
done:
    if (in != NULL)
        g_object_unref(in);
    return status;
}

#else

gv_status gv_image_load(gv_image *image, const uint8_t *data, size_t size, const char *name,
                        gv_image_note *note, gv_error *err)
{
    (void)data, (void)size, (void)note;
    *image = (gv_image){0};
    return gv_fail(err, GV_E_UNSUPPORTED,
                   "%s: this build of ganvas has no libvips and reads no pictures", name);
}

#endif
