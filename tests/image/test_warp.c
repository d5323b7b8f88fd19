/* A turned square of a picture against the straight one. */
#include "image/warp.h"

#include "base/memory.h"
#include "support.h"

#include <math.h>
#include <string.h>

enum { SIDE = 24 };

/* Smooth, coloured, with alpha of its own if asked. */
static gv_image waves(int64_t w, int64_t h, int channels)
{
    gv_image image;
    assert_int_equal(gv_image_init(&image, w, h, channels, NULL), GV_OK);
    for (int64_t i = 0; i < w * h; i++)
        for (int c = 0; c < channels; c++)
            image.pixels[i * channels + c] = (uint8_t)lround(
                127.5 + 110.0 * sin(0.21 * (double)(i % w) + 0.17 * (double)(i / w) + c));
    return image;
}

static void compare(const float *a, const float *b, int64_t count, double bound)
{
    for (int64_t i = 0; i < count; i++)
        if (!(fabs((double)a[i] - (double)b[i]) <= bound))
            fail_msg("element %lld: %g, expected %g", (long long)i, (double)a[i], (double)b[i]);
}

/* In the direction of the picture it is gv_image_resample, away from the border, where one repeats
 * the edge and the other leaves out what is beyond. */
static void straight_squares_are_resampled(void **state)
{
    (void)state;
    static const double squares[][3] = {{20, 15, 24}, {21.25, 18.5, 60}, {40, 40, 9}};
    float rgb[2][3 * SIDE * SIDE], alpha[2][SIDE * SIDE];
    for (int channels = 3; channels <= 4; channels++) {
        gv_image image = waves(110, 100, channels);
        for (int i = 0; i < 3; i++) {
            double x = squares[i][0], y = squares[i][1], s = squares[i][2];
            const double corner[6] = {x, y, x + s, y, x, y + s};
            const gv_rect crop = {x, y, s, s};
            assert_int_equal(gv_image_warp(rgb[0], alpha[0], SIDE, &image, corner, NULL), GV_OK);
            assert_int_equal(gv_image_resample(rgb[1], alpha[1], SIDE, SIDE, &image, crop,
                                               GV_FILTER_LANCZOS, NULL),
                             GV_OK);
            compare(rgb[0], rgb[1], 3 * SIDE * SIDE, 1e-4);
            compare(alpha[0], alpha[1], SIDE * SIDE, 1e-4);
        }
        gv_image_deinit(&image);
    }
}

/* A quarter turn of the picture and of the square gives the same. */
static void turning_both_changes_nothing(void **state)
{
    (void)state;
    gv_image image = waves(80, 60, 3), turned;
    float rgb[2][3 * SIDE * SIDE];
    assert_int_equal(gv_image_init(&turned, 60, 80, 3, NULL), GV_OK);
    for (int64_t y = 0; y < 60; y++) /* (x,y) goes to (59 - y, x) */
        for (int64_t x = 0; x < 80; x++)
            memcpy(turned.pixels + (x * 60 + 59 - y) * 3, image.pixels + (y * 80 + x) * 3, 3);
    const double a[6] = {22, 12, 47, 19, 15, 37};
    double b[6];
    for (int i = 0; i < 6; i += 2) {
        b[i] = 60 - a[i + 1];
        b[i + 1] = a[i];
    }
    assert_int_equal(gv_image_warp(rgb[0], NULL, SIDE, &image, a, NULL), GV_OK);
    assert_int_equal(gv_image_warp(rgb[1], NULL, SIDE, &turned, b, NULL), GV_OK);
    compare(rgb[0], rgb[1], 3 * SIDE * SIDE, 1e-5);
    gv_image_deinit(&image);
    gv_image_deinit(&turned);
}

static void beyond_the_edge_it_is_repeated(void **state)
{
    (void)state;
    gv_image image;
    float rgb[3 * SIDE * SIDE];
    assert_int_equal(gv_image_init(&image, 10, 10, 3, NULL), GV_OK);
    memset(image.pixels, 200, 300);
    const double corner[6] = {-30, -20, 40, -20, -30, 50};
    assert_int_equal(gv_image_warp(rgb, NULL, SIDE, &image, corner, NULL), GV_OK);
    for (int i = 0; i < 3 * SIDE * SIDE; i++)
        assert_true(fabsf(rgb[i] - (200.0f / 127.5f - 1.0f)) < 1e-5f);
    const double point[6] = {5, 5, 5.5, 5, 5, 5.5};
    assert_int_equal(gv_image_warp(rgb, NULL, SIDE, &image, point, NULL), GV_E_ARG);
    gv_mem_fail_nth(1);
    assert_int_equal(gv_image_warp(rgb, NULL, SIDE, &image, corner, NULL), GV_E_MEMORY);
    gv_mem_fail_nth(0);
    gv_image_deinit(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(straight_squares_are_resampled),
        cmocka_unit_test(turning_both_changes_nothing),
        cmocka_unit_test(beyond_the_edge_it_is_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
