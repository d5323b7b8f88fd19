/* Pictures: 8-bit RGB(A) in memory, tensors in [-1,1], files at the edge through libvips. */
#ifndef GV_IMAGE_IMAGE_H
#define GV_IMAGE_IMAGE_H

#include "base/error.h"

typedef ganvas_image gv_image;

/* More than this and a file is refused before it is decoded: RGBA then takes 512 MiB. */
#define GV_IMAGE_MAX_PIXELS ((int64_t)1 << 27)

/* ---- memory (image.c) ---- */

/* Zeroed pixels. channels is 3 or 4. Errors GV_E_ARG for sizes below 1 or beyond the limit;
 * GV_E_MEMORY. */
gv_status gv_image_init(gv_image *image, int64_t width, int64_t height, int channels,
                        gv_error *err);
void gv_image_deinit(gv_image *image); /* leaves it empty */

/* pixels = trunc(clamp(x * 127.5 + 128, 0, 255)), NaN becomes 0.
 * nchw    one picture [3,h,w]
 * stride  bytes from row to row. Source generate.py of the official StyleGAN2 code. */
void gv_rgb8_from_tensor(uint8_t *pixels, size_t stride, const float *nchw, int64_t h, int64_t w);

/* The way back, x = v / 127.5 - 1, of an RGB or RGBA picture; alpha [h,w] in [0,1] may be NULL, and
 * is 1 for RGB. */
void gv_tensor_from_image(float *nchw, float *alpha, const gv_image *image);

/* ---- resampling (resample.c) ---- */

typedef enum gv_filter { GV_FILTER_BICUBIC, GV_FILTER_LANCZOS } gv_filter;

/* In pixels of the source; may be fractional; must lie inside it. */
typedef struct gv_rect {
    double x, y, width, height;
} gv_rect;

/* The largest centred square. */
gv_rect gv_rect_centre_square(const gv_image *image);

/* rgb [3,h,w] in [-1,1], not clamped; alpha [h,w] in [0,1], may be NULL: of the part `crop` of
 * image, antialiased when it shrinks. Colours are weighted by alpha, so what lies under alpha 0 has
 * no influence; where nothing shows, the colour is mid-grey (0). Errors GV_E_ARG if crop leaves the
 * image; GV_E_MEMORY. Source the filters and the support rule of Pillow's Image.resize(box=crop): a
 * = -0.5 in bicubic, three lobes in Lanczos; in float32, without Pillow's rounding of the passes to
 * 8 bits. */
gv_status gv_image_resample(float *rgb, float *alpha, int64_t h, int64_t w, const gv_image *image,
                            gv_rect crop, gv_filter filter, gv_error *err);

/* Pillow's Image.resize((w, h), filter, box=crop) to the byte: each pass is rounded to 8 bits, and
 * the colours of RGBA are weighted by alpha.
 * out     filled; free with gv_image_deinit
 * Errors  as above. Source Pillow's Resample.c and Convert.c. */
gv_status gv_image_resize8(gv_image *out, int64_t h, int64_t w, const gv_image *image, gv_rect crop,
                           gv_filter filter, gv_error *err);

/* ---- files (load.c, save.c) ---- */

typedef enum gv_image_kind {
    GV_IMAGE_UNKNOWN,
    GV_IMAGE_PNG,
    GV_IMAGE_JPEG,
    GV_IMAGE_WEBP,
    GV_IMAGE_TIFF,
    GV_IMAGE_GIF
} gv_image_kind;

/* From the first bytes. */
gv_image_kind gv_image_sniff(const uint8_t *data, size_t size);
/* From the end of a path or a bare "png"; unknown for what cannot be written. */
gv_image_kind gv_image_kind_of_name(const char *name);

/* What the user should be told about a picture that was read all the same; empty: nothing. */
typedef struct gv_image_note {
    char text[256];
} gv_image_note;

/* ganvas_image_load_memory; note may be NULL. */
gv_status gv_image_load(gv_image *image, const uint8_t *data, size_t size, const char *name,
                        gv_image_note *note, gv_error *err);

/* PNG, JPEG (quality 95, 4:4:4) or lossless WebP. record: see png.h; may be NULL.
 * *data returned owned (gv_mem_free). */
gv_status gv_image_encode(uint8_t **data, size_t *size, const gv_image *image, gv_image_kind kind,
                          const char *record, gv_error *err);

/* Encodes by the end of the path and renames into place. Does not ask what is there: output.h. */
gv_status gv_image_save(const gv_image *image, const char *path, const char *record, gv_error *err);

#endif
