/* Moving pictures: looping GIF and WebP through libvips, MP4 through the program ffmpeg. */
#ifndef GV_IMAGE_ANIMATION_H
#define GV_IMAGE_ANIMATION_H

#include "base/parallel.h" /* gv_cancel */
#include "image/image.h"

typedef enum gv_animation_kind {
    GV_ANIMATION_UNKNOWN,
    GV_ANIMATION_GIF,
    GV_ANIMATION_WEBP,
    GV_ANIMATION_MP4
} gv_animation_kind;

/* From the end of a path. */
gv_animation_kind gv_animation_kind_of_name(const char *name);

typedef struct gv_frames {
    uint8_t *pixels; /* RGB, one frame below the other, rows without gaps */
    int64_t width, height, count;
} gv_frames;

/* Above this a GIF's frames would last less than the 20 ms that browsers obey. */
#define GV_GIF_MAX_FPS 50.0

/* Shows for how long frame i stays, in `unit`s of a second (GIF 100, WebP 1000): whole numbers
 * whose sum never strays from i / fps by more than half a unit. */
int64_t gv_frame_delay(int64_t i, double fps, int64_t unit);

/* A GIF or lossless WebP that repeats for ever.
 * record  JSON in ASCII kept in the file (GIF: comments; WebP: EXIF description); NULL: none
 * *data   returned owned (gv_mem_free)
 * Errors  GV_E_ARG for a GIF above GV_GIF_MAX_FPS, or frames beyond 16383 pixels; GV_E_UNSUPPORTED
 *         without libvips; GV_E_MEMORY. */
gv_status gv_animation_encode(uint8_t **data, size_t *size, const gv_frames *frames,
                              gv_animation_kind kind, double fps, const char *record,
                              gv_error *err);

/* Writes the file, renamed into place. Does not ask what is there.
 * cancel  for MP4; may be NULL
 * Errors  those above; for MP4 GV_E_UNSUPPORTED if ffmpeg is not installed, GV_E_IO with its last
 *         words, GV_E_CANCELLED. */
gv_status gv_animation_save(const gv_frames *frames, const char *path, double fps,
                            const char *record, const gv_cancel *cancel, gv_error *err);

/* ---- MP4 by ffmpeg, found in PATH and started without a shell: video.c ---- */

/* GV_E_UNSUPPORTED if there is no ffmpeg: to be asked before long work. */
gv_status gv_video_check(gv_error *err);
gv_status gv_video_save(const gv_frames *frames, const char *path, double fps,
                        const gv_cancel *cancel, gv_error *err);

#endif
