/* Resizing in 8 bits: Pillow's bytes. */
#include "image/image.h"
#include "support.h"

#include <stdio.h>
#include <string.h>

/* The first `channels` of the stored RGBA noise. */
static gv_image noise(int channels)
{
    gv_test_array a = gv_test_npy_typed(gv_test_source("tests/image/data/resize8.npy"), GV_TEST_U8);
    gv_image image;
    assert_int_equal(gv_image_init(&image, a.shape[1], a.shape[0], channels, NULL), GV_OK);
    for (int64_t i = 0; i < image.width * image.height; i++)
        memcpy(image.pixels + i * channels, a.u8 + i * 4, (size_t)channels);
    gv_test_array_free(&a);
    return image;
}

static void pillows_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        gv_rect crop;
    } cases[] = {
        {"grow", {0, 0, 41, 29}},
        {"shrink", {0, 0, 41, 29}},
        {"crop", {3.5, 2.25, 34, 18}},
        {"same", {0, 0, 41, 29}},
    };
    for (int channels = 3; channels <= 4; channels++)
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            char name[80];
            snprintf(name, sizeof name, "tests/image/data/resize8-%s-%s.npy", cases[i].name,
                     channels == 3 ? "rgb" : "rgba");
            gv_test_array want = gv_test_npy_typed(gv_test_source(name), GV_TEST_U8);
            gv_image image = noise(channels), out;
            assert_int_equal(gv_image_resize8(&out, want.shape[0], want.shape[1], &image,
                                              cases[i].crop, GV_FILTER_BICUBIC, NULL),
                             GV_OK);
            gv_test_same_bits(out.pixels, want.u8, (size_t)want.count, name);
            gv_image_deinit(&out);
            gv_image_deinit(&image);
            gv_test_array_free(&want);
        }
}

static gv_status resize_once(void *ctx, gv_error *err)
{
    const gv_image *image = ctx;
    gv_image out;
    const gv_rect crop = {1, 1, 30, 20};
    gv_status status = gv_image_resize8(&out, 9, 9, image, crop, GV_FILTER_BICUBIC, err);
    gv_image_deinit(&out);
    return status;
}

static void refusals(void **state)
{
    (void)state;
    gv_image image = noise(4), out;
    const gv_rect outside = {20, 0, 30, 20};
    assert_int_equal(gv_image_resize8(&out, 9, 9, &image, outside, GV_FILTER_BICUBIC, NULL),
                     GV_E_ARG);
    assert_null(out.pixels);
    assert_true(gv_test_fail_each_allocation(resize_once, &image) > 5);
    gv_image_deinit(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pillows_bytes),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
