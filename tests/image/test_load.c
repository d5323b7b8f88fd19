/* Reading and writing through libvips. Pictures: tools/reference/images.py. */
#include "image/image.h"

#include "base/file.h"
#include "base/memory.h"
#include "image/png.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static gv_status load(gv_image *image, const char *name, gv_image_note *note, gv_error *err)
{
    char path[256];
    snprintf(path, sizeof path, "tests/image/data/%s", name);
    gv_file f;
    assert_int_equal(gv_file_open(&f, gv_test_source(path), NULL), GV_OK);
    gv_status status = gv_image_load(image, f.data, f.size, name, note, err);
    gv_file_close(&f);
    return status;
}

static void assert_pixel(const gv_image *image, int64_t x, int64_t y, const int want[3],
                         int tolerance, const char *name)
{
    const uint8_t *p = image->pixels + (y * image->width + x) * image->channels;
    for (int c = 0; c < 3; c++)
        if (abs(p[c] - want[c]) > tolerance)
            fail_msg("%s: pixel %d,%d is %d,%d,%d, expected %d,%d,%d", name, (int)x, (int)y, p[0],
                     p[1], p[2], want[0], want[1], want[2]);
}

/* Red, green / blue, white. */
static void assert_quadrants(const char *name, int tolerance)
{
    static const int colours[4][3] = {{255, 0, 0}, {0, 255, 0}, {0, 0, 255}, {255, 255, 255}};
    gv_image image;
    gv_error err;
    if (load(&image, name, NULL, &err) != GV_OK)
        fail_msg("%s", err.message);
    assert_int_equal(image.width, 16);
    assert_int_equal(image.height, 8);
    for (int i = 0; i < 4; i++)
        assert_pixel(&image, 4 + i % 2 * 8, 2 + i / 2 * 4, colours[i], tolerance, name);
    gv_image_deinit(&image);
}

static void every_kind_is_read(void **state)
{
    (void)state;
    assert_quadrants("rgb.png", 0);
    assert_quadrants("rgb.webp", 0);
    assert_quadrants("rgb.tif", 0);
    assert_quadrants("palette.png", 0);
    assert_quadrants("two-frames.gif", 0);
    assert_quadrants("rgb.jpg", 6);
}

static void exif_turns_it_upright(void **state)
{
    (void)state;
    for (int orientation = 2; orientation <= 8; orientation++) {
        char name[32];
        snprintf(name, sizeof name, "turned%d.jpg", orientation);
        assert_quadrants(name, 6);
    }
}

static void profiles_are_applied(void **state)
{
    (void)state;
    /* The stored numbers have red and green swapped; gamma 2.2 is not exactly sRGB's curve. */
    assert_quadrants("profile.png", 3);

    gv_image image;
    gv_image_note note;
    assert_int_equal(load(&image, "broken-profile.jpg", &note, NULL), GV_OK);
    assert_string_equal(note.text, "its colour profile cannot be used");
    assert_pixel(&image, 4, 2, (int[]){255, 0, 0}, 6, "broken-profile.jpg");
    gv_image_deinit(&image);
}

static void cmyk_becomes_rgb(void **state)
{
    (void)state;
    gv_image image;
    assert_int_equal(load(&image, "cmyk.jpg", NULL, NULL), GV_OK);
    assert_int_equal(image.channels, 3);
    /* Through a printing profile the primaries are dull, but each stays what it is. */
    const uint8_t *red = image.pixels + (2 * 16 + 4) * 3;
    const uint8_t *green = red + 8 * 3, *blue = red + 4 * 16 * 3, *white = blue + 8 * 3;
    assert_true(red[0] > red[1] + 80 && red[0] > red[2] + 80);
    assert_true(green[1] > green[0] + 80 && green[1] > green[2] + 40);
    assert_true(blue[2] > blue[0] + 60 && blue[2] > blue[1] + 40);
    assert_true(white[0] > 250 && white[1] > 250 && white[2] > 250);
    gv_image_deinit(&image);
}

static void grey_and_16_bit(void **state)
{
    (void)state;
    gv_image deep, flat;
    assert_int_equal(load(&deep, "grey16.png", NULL, NULL), GV_OK);
    assert_int_equal(load(&flat, "grey8.png", NULL, NULL), GV_OK);
    assert_int_equal(deep.channels, 3);
    for (int i = 0; i < 16 * 8 * 3; i++)
        assert_true(abs(deep.pixels[i] - flat.pixels[i]) <= 1);
    assert_int_equal(flat.pixels[0], 0);
    assert_int_equal(flat.pixels[16 * 8 * 3 - 1], 255);
    gv_image_deinit(&deep);
    gv_image_deinit(&flat);
}

static void alpha_is_kept_beside_the_colour(void **state)
{
    (void)state;
    gv_image image;
    assert_int_equal(load(&image, "rgba.png", NULL, NULL), GV_OK);
    assert_int_equal(image.channels, 4);
    const uint8_t green[4] = {0, 255, 0, 64};
    assert_memory_equal(image.pixels + 12 * 4, green, 4);
    gv_image_deinit(&image);
}

/* Every prefix of each file is refused with a sentence, or (where only padding is missing) gives a
 * picture: never less, and nothing is printed or leaked. */
static void truncated_files_are_errors(void **state)
{
    (void)state;
    const char *names[] = {"rgb.png", "rgb.jpg", "rgb.webp", "rgb.tif", "turned6.jpg"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[64];
        snprintf(path, sizeof path, "tests/image/data/%s", names[i]);
        gv_file f;
        assert_int_equal(gv_file_open(&f, gv_test_source(path), NULL), GV_OK);
        int64_t live = gv_mem_live();
        int refused = 0;
        for (size_t cut = 0; cut < f.size; cut += 1 + f.size / 97) {
            gv_image image;
            gv_error err = {0};
            if (gv_image_load(&image, f.data, cut, names[i], NULL, &err) != GV_OK) {
                refused++;
                assert_non_null(strstr(err.message, names[i]));
                assert_null(image.pixels);
                assert_null(strchr(err.message, '\n'));
            }
            gv_image_deinit(&image);
        }
        assert_int_equal(gv_mem_live(), live);
        assert_true(refused >= 30);
        gv_file_close(&f);
    }
}

/* A PNG header that claims 30000 x 30000, 900 million pixels, behind which nothing follows. */
static void giants_are_refused_before_decoding(void **state)
{
    (void)state;
    static const uint8_t giant[] = "\x89PNG\r\n\x1a\n"
                                   "\0\0\0\x0dIHDR\0\0\x75\x30\0\0\x75\x30\x08\x02\0\0\0"
                                   "\x5e\x4c\x4a\xb5"
                                   "\0\0\0\0IEND\xae\x42\x60\x82";
    gv_image image;
    gv_error err = {0};
    assert_int_not_equal(gv_image_load(&image, giant, sizeof giant - 1, "giant.png", NULL, &err),
                         GV_OK);
    assert_non_null(strstr(err.message, "giant.png: "));
    assert_null(image.pixels);
}

static void other_kinds_are_refused(void **state)
{
    (void)state;
    static const char svg[] = "<svg xmlns='http://www.w3.org/2000/svg' width='4' height='4'/>";
    gv_image image;
    gv_error err;
    assert_int_equal(
        gv_image_load(&image, (const uint8_t *)svg, sizeof svg - 1, "a.png", NULL, &err),
        GV_E_UNSUPPORTED);
    assert_int_equal(gv_image_load(&image, NULL, 0, "empty.png", NULL, &err), GV_E_UNSUPPORTED);
}

static void written_pictures_come_back(void **state)
{
    (void)state;
    for (int channels = 3; channels <= 4; channels++) {
        gv_image image, again;
        assert_int_equal(gv_image_init(&image, 33, 21, channels, NULL), GV_OK);
        for (int64_t i = 0; i < image.width * image.height * channels; i++)
            image.pixels[i] = (uint8_t)(i * 7 + i / 40);
        const gv_image_kind kinds[] = {GV_IMAGE_PNG, GV_IMAGE_WEBP};
        for (int k = 0; k < 2; k++) {
            uint8_t *data;
            size_t size;
            const char *record = "{\"command\": \"sample\"}";
            assert_int_equal(gv_image_encode(&data, &size, &image, kinds[k], record, NULL), GV_OK);
            gv_error err;
            if (gv_image_load(&again, data, size, "again", NULL, &err) != GV_OK)
                fail_msg("%s", err.message);
            assert_int_equal(again.channels, channels);
            if (channels == 3)
                gv_test_same_bits(again.pixels, image.pixels, (size_t)(33 * 21 * channels), "rgb");
            if (kinds[k] == GV_IMAGE_PNG) {
                const char *text;
                size_t length;
                gv_test_same_bits(again.pixels, image.pixels, (size_t)(33 * 21 * channels), "png");
                assert_int_equal(gv_png_record(&text, &length, data, size, "again", NULL), GV_OK);
                assert_int_equal(length, strlen(record));
                assert_memory_equal(text, record, length);
            }
            gv_image_deinit(&again);
            gv_mem_free(data);
        }
        gv_image_deinit(&image);
    }
}

static gv_status encode_and_load(void *ctx, gv_error *err)
{
    uint8_t *data = NULL;
    size_t size;
    gv_image image;
    gv_status status = gv_image_encode(&data, &size, ctx, GV_IMAGE_PNG, NULL, err);
    if (status == GV_OK)
        status = gv_image_load(&image, data, size, "memory", NULL, err);
    if (status == GV_OK)
        gv_image_deinit(&image);
    gv_mem_free(data);
    return status;
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    gv_image image;
    assert_int_equal(gv_image_init(&image, 5, 5, 3, NULL), GV_OK);
    assert_true(gv_test_fail_each_allocation(encode_and_load, &image) >= 2);
    gv_image_deinit(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_is_read),
        cmocka_unit_test(exif_turns_it_upright),
        cmocka_unit_test(profiles_are_applied),
        cmocka_unit_test(cmyk_becomes_rgb),
        cmocka_unit_test(grey_and_16_bit),
        cmocka_unit_test(alpha_is_kept_beside_the_colour),
        cmocka_unit_test(truncated_files_are_errors),
        cmocka_unit_test(giants_are_refused_before_decoding),
        cmocka_unit_test(other_kinds_are_refused),
        cmocka_unit_test(written_pictures_come_back),
        cmocka_unit_test(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
