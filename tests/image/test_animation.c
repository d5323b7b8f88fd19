/* Animations: read back byte by byte, not by the library that wrote them. */
#include "image/animation.h"

#include "base/memory.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { SIDE = 16, COUNT = 7, FRAME = SIDE * SIDE * 3 };

/* Each frame has colours of its own; few enough for a GIF's palette to hold them exactly. */
static gv_frames frames_of(uint8_t pixels[COUNT * FRAME])
{
    for (int f = 0; f < COUNT; f++)
        for (int i = 0; i < FRAME; i++)
            pixels[f * FRAME + i] = (uint8_t)(f * 30 + i % 3 * 10 + (i / 3 % SIDE / 8) * 20);
    return (gv_frames){.pixels = pixels, .width = SIDE, .height = SIDE, .count = COUNT};
}

static void delays_add_up(void **state)
{
    (void)state;
    const double rates[] = {25.0, 30.0, 24.0, 7.3, 50.0, 0.5};
    for (size_t r = 0; r < sizeof rates / sizeof rates[0]; r++)
        for (int64_t unit = 100; unit <= 1000; unit += 900) {
            int64_t sum = 0;
            for (int64_t i = 0; i < 500; i++) {
                int64_t delay = gv_frame_delay(i, rates[r], unit);
                sum += delay;
                assert_true(delay >= 1);
                double ideal = (double)(i + 1) * (double)unit / rates[r];
                assert_true((double)sum - ideal <= 0.5 + 1e-9 && ideal - (double)sum <= 0.5 + 1e-9);
            }
        }
    assert_int_equal(gv_frame_delay(3, 25.0, 100), 4);
}

static void kinds_come_from_the_end(void **state)
{
    (void)state;
    assert_int_equal(gv_animation_kind_of_name("a/b.gif"), GV_ANIMATION_GIF);
    assert_int_equal(gv_animation_kind_of_name("x.WEBP"), GV_ANIMATION_WEBP);
    assert_int_equal(gv_animation_kind_of_name("x.gif.mp4"), GV_ANIMATION_MP4);
    assert_int_equal(gv_animation_kind_of_name("gif"), GV_ANIMATION_UNKNOWN);
    assert_int_equal(gv_animation_kind_of_name("x.png"), GV_ANIMATION_UNKNOWN);
}

/* ---- MP4: a program named ffmpeg that writes down how it was called ---- */

static void put_ffmpeg(const char *script)
{
    char path[512];
    snprintf(path, sizeof path, "%s", gv_test_scratch("bin"));
    mkdir(path, 0755);
    setenv("PATH", path, 1);
    strncat(path, "/ffmpeg", sizeof path - strlen(path) - 1);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(script, f);
    fclose(f);
    assert_int_equal(chmod(path, 0755), 0);
}

static void ffmpeg_gets_every_byte_and_no_shell(void **state)
{
    (void)state;
    static uint8_t pixels[COUNT * FRAME], got[COUNT * FRAME + 1];
    const gv_frames frames = frames_of(pixels);
    char *old = strdup(getenv("PATH")), path[512], words[8192] = "";
    gv_error err;
    assert_non_null(old);
    /* A name that a shell, or ffmpeg's protocols, would take apart. */
    snprintf(path, sizeof path, "%s", gv_test_scratch("-a $(touch x);b:'c.mp4"));
    put_ffmpeg("#!/bin/sh\nfor last; do :; done\nto=${last#file:}\n"
               "printf '%s\\n' \"$@\" >\"$(/usr/bin/dirname \"$to\")/words\"\n/bin/cat >\"$to\"\n");
    gv_status status = gv_animation_save(&frames, path, 12.5, NULL, NULL, &err);
    if (status != GV_OK)
        fail_msg("%s", err.message);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fread(got, 1, sizeof got, f), sizeof pixels);
    fclose(f);
    gv_test_same_bits(got, pixels, sizeof pixels, "standard input of ffmpeg");
    f = fopen(gv_test_scratch("words"), "r");
    assert_non_null(f);
    words[fread(words, 1, sizeof words - 1, f)] = '\0';
    fclose(f);
    assert_non_null(strstr(words, "\n-s\n16x16\n-r\n12.5\n"));
    assert_non_null(strstr(words, "\nrgb24\n"));
    assert_non_null(strstr(words, "\ncomment=ganvas "));
    assert_non_null(strstr(words, "\nfile:/"));
    setenv("PATH", old, 1);
    free(old);
}

static void what_ffmpeg_says_is_told(void **state)
{
    (void)state;
    static uint8_t pixels[COUNT * FRAME];
    const gv_frames frames = frames_of(pixels);
    char *old = strdup(getenv("PATH")), path[512];
    gv_error err;
    assert_non_null(old);
    snprintf(path, sizeof path, "%s", gv_test_scratch("no.mp4"));
    put_ffmpeg("#!/bin/sh\necho first >&2\necho 'no such encoder' >&2\nexit 3\n");
    assert_int_equal(gv_animation_save(&frames, path, 25, NULL, NULL, &err), GV_E_IO);
    assert_non_null(strstr(err.message, "no.mp4: ffmpeg failed: no such encoder"));
    put_ffmpeg("#!/bin/sh\nexit 3\n");
    assert_int_equal(gv_animation_save(&frames, path, 25, NULL, NULL, &err), GV_E_IO);
    assert_non_null(strstr(err.message, "exit status 3"));

    /* Ctrl-C ends it at once, and nothing is left. */
    put_ffmpeg("#!/bin/sh\nfor last; do :; done\necho x >\"${last#file:}\"\nexec /bin/sleep 30\n");
    gv_cancel cancel = {0};
    gv_cancel_request(&cancel);
    time_t start = time(NULL);
    assert_int_equal(gv_animation_save(&frames, path, 25, NULL, &cancel, &err), GV_E_CANCELLED);
    assert_true(time(NULL) - start < 10);
    assert_int_not_equal(access(path, F_OK), 0);

    setenv("PATH", gv_test_scratch("empty"), 1);
    assert_int_equal(gv_animation_save(&frames, path, 25, NULL, NULL, &err), GV_E_UNSUPPORTED);
    assert_non_null(strstr(err.message, "ffmpeg, which is not installed"));
    assert_int_equal(gv_video_check(&err), GV_E_UNSUPPORTED);
    setenv("PATH", old, 1);
    free(old);
}

#ifdef GV_HAVE_VIPS

static uint32_t little(const uint8_t *p, int bytes)
{
    uint32_t v = 0;
    for (int i = bytes - 1; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

typedef struct seen {
    int frames, loops; /* loops -1: it plays once */
    int delay[COUNT];
    char comment[2][1024];
    int comments;
} seen;

/* Sub-blocks from p; collects their bytes if text is not NULL. */
static const uint8_t *skip_blocks(const uint8_t *p, char *text)
{
    size_t at = 0;
    for (; *p != 0; p += *p + 1)
        for (int i = 0; text != NULL && i < *p && at < 1023; i++)
            text[at++] = (char)p[1 + i];
    if (text != NULL)
        text[at] = '\0';
    return p + 1;
}

static seen read_gif(const uint8_t *data, size_t size)
{
    seen s = {.loops = -1};
    assert_memory_equal(data, "GIF89a", 6);
    const uint8_t *p = data + 13, *end = data + size;
    if (data[10] & 0x80)
        p += 3 << ((data[10] & 7) + 1);
    while (p < end && *p != 0x3b) {
        if (*p == 0x2c) {
            assert_true(s.frames++ < COUNT);
            int flags = p[9];
            p += 10 + (flags & 0x80 ? 3 << ((flags & 7) + 1) : 0) + 1;
            p = skip_blocks(p, NULL);
            continue;
        }
        assert_int_equal(*p, 0x21);
        if (p[1] == 0xf9)
            s.delay[s.frames] = (int)little(p + 4, 2);
        if (p[1] == 0xff && memcmp(p + 3, "NETSCAPE2.0", 11) == 0)
            s.loops = (int)little(p + 16, 2);
        bool comment = p[1] == 0xfe && s.comments < 2;
        p = skip_blocks(p + 2, comment ? s.comment[s.comments++] : NULL);
    }
    assert_ptr_equal(p, end - 1); /* the trailer, and nothing behind it */
    return s;
}

static seen read_webp(const uint8_t *data, size_t size)
{
    seen s = {.loops = -1};
    assert_memory_equal(data, "RIFF", 4);
    assert_memory_equal(data + 8, "WEBPVP8X", 8);
    for (size_t at = 12; at + 8 <= size; at += 8 + (little(data + at + 4, 4) + 1) / 2 * 2) {
        const uint8_t *body = data + at + 8;
        if (memcmp(data + at, "ANIM", 4) == 0)
            s.loops = (int)little(body + 4, 2);
        if (memcmp(data + at, "ANMF", 4) == 0) {
            assert_true(s.frames < COUNT);
            assert_memory_equal(body + 16, "VP8L", 4); /* lossless */
            s.delay[s.frames++] = (int)little(body + 12, 3);
        }
        if (memcmp(data + at, "EXIF", 4) == 0)
            s.comments = memmem(body, size - at - 8, "ganvas " GANVAS_VERSION, 8) != NULL &&
                         memmem(body, size - at - 8, "{\"made\": \"by a test", 19) != NULL;
    }
    return s;
}

static void animations_repeat_for_ever(void **state)
{
    (void)state;
    static uint8_t pixels[COUNT * FRAME];
    const gv_frames frames = frames_of(pixels);
    const double rates[] = {25.0, 30.0};
    /* Longer than one block of a comment. */
    char record[600];
    memset(record, 'x', sizeof record);
    memcpy(record, "{\"made\": \"by a test", 19);
    memcpy(record + sizeof record - 3, "\"}", 3);
    for (int r = 0; r < 2; r++)
        for (int webp = 0; webp < 2; webp++) {
            uint8_t *data;
            size_t size;
            gv_error err;
            gv_status status = gv_animation_encode(&data, &size, &frames,
                                                   webp ? GV_ANIMATION_WEBP : GV_ANIMATION_GIF,
                                                   rates[r], record, &err);
            if (status != GV_OK)
                fail_msg("%s", err.message);
            seen s = webp ? read_webp(data, size) : read_gif(data, size);
            assert_int_equal(s.loops, 0);
            assert_int_equal(s.frames, COUNT);
            for (int i = 0; i < COUNT; i++)
                assert_int_equal(s.delay[i], gv_frame_delay(i, rates[r], webp ? 1000 : 100));
            if (webp) {
                assert_int_equal(s.comments, 1);
            } else {
                assert_int_equal(s.comments, 2);
                assert_string_equal(s.comment[0], "ganvas " GANVAS_VERSION);
                assert_string_equal(s.comment[1], record);
            }
            gv_mem_free(data);
        }
}

static void pixels_survive(void **state)
{
    (void)state;
    static uint8_t pixels[COUNT * FRAME];
    const gv_frames frames = frames_of(pixels);
    for (int webp = 0; webp < 2; webp++) {
        uint8_t *data;
        size_t size;
        gv_image first;
        gv_error err;
        assert_int_equal(gv_animation_encode(&data, &size, &frames,
                                             webp ? GV_ANIMATION_WEBP : GV_ANIMATION_GIF, 25.0,
                                             NULL, &err),
                         GV_OK);
        assert_int_equal(gv_image_load(&first, data, size, "animation", NULL, &err), GV_OK);
        assert_int_equal(first.width, SIDE);
        assert_int_equal(first.height, SIDE);
        for (int64_t i = 0; i < SIDE * SIDE; i++)
            for (int c = 0; c < 3; c++)
                assert_in_range(first.pixels[i * first.channels + c] + 4 - pixels[i * 3 + c],
                                webp ? 4 : 0, webp ? 4 : 8);
        gv_image_deinit(&first);
        gv_mem_free(data);
    }
}

static void too_fast_for_a_gif_is_refused(void **state)
{
    (void)state;
    static uint8_t pixels[COUNT * FRAME];
    const gv_frames frames = frames_of(pixels);
    uint8_t *data;
    size_t size;
    gv_error err;
    assert_int_equal(gv_animation_encode(&data, &size, &frames, GV_ANIMATION_GIF, 60, NULL, &err),
                     GV_E_ARG);
    assert_null(data);
    assert_non_null(strstr(err.message, "at most 50"));
}

static gv_status encode_once(void *ctx, gv_error *err)
{
    uint8_t *data;
    size_t size;
    gv_status status = gv_animation_encode(&data, &size, ctx, GV_ANIMATION_GIF, 25.0, "{}", err);
    gv_mem_free(data);
    return status;
}

static void allocations_may_fail(void **state)
{
    (void)state;
    static uint8_t pixels[COUNT * FRAME];
    gv_frames frames = frames_of(pixels);
    assert_true(gv_test_fail_each_allocation(encode_once, &frames) >= 2);
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delays_add_up),
        cmocka_unit_test(kinds_come_from_the_end),
        cmocka_unit_test(ffmpeg_gets_every_byte_and_no_shell),
        cmocka_unit_test(what_ffmpeg_says_is_told),
#ifdef GV_HAVE_VIPS
        cmocka_unit_test(animations_repeat_for_ever),
        cmocka_unit_test(pixels_survive),
        cmocka_unit_test(too_fast_for_a_gif_is_refused),
        cmocka_unit_test(allocations_may_fail),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
