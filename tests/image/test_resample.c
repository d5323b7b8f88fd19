/* Resampling against Pillow's floats (tools/reference/images.py), and what alpha must do. */
#include "image/image.h"
#include "support.h"

#include <stdlib.h>
#include <string.h>

/* The picture that images.py resized. */
static gv_image noise_picture(void)
{
    gv_test_array a = gv_test_npy_typed(gv_test_source("tests/image/data/noise.npy"), GV_TEST_U8);
    gv_image image;
    assert_int_equal(gv_image_init(&image, a.shape[1], a.shape[0], 3, NULL), GV_OK);
    memcpy(image.pixels, a.u8, (size_t)a.count);
    gv_test_array_free(&a);
    return image;
}

static void check(const char *name, gv_rect crop, gv_filter filter)
{
    gv_image image = noise_picture();
    gv_test_array want = gv_test_npy_typed(gv_test_source(name), GV_TEST_F32);
    float *got = malloc((size_t)want.count * sizeof(float));
    assert_non_null(got);
    int64_t h = want.shape[1], w = want.shape[2];
    assert_int_equal(gv_image_resample(got, NULL, h, w, &image, crop, filter, NULL), GV_OK);
    /* Two passes of at most 33 terms of size 1 in float32: 2 * 33 * 6e-8 and a little. */
    for (int64_t i = 0; i < want.count; i++)
        assert_float_equal(got[i], want.f32[i], 1e-5);
    free(got);
    gv_test_array_free(&want);
    gv_image_deinit(&image);
}

static void as_pillow(void **state)
{
    (void)state;
    check("tests/image/data/bicubic-shrink.npy", (gv_rect){0, 0, 53, 37}, GV_FILTER_BICUBIC);
    check("tests/image/data/bicubic-crop-grow.npy", (gv_rect){10.5, 3.25, 20, 22},
          GV_FILTER_BICUBIC);
    check("tests/image/data/lanczos-shrink.npy", (gv_rect){8, 0, 37, 37}, GV_FILTER_LANCZOS);
    check("tests/image/data/lanczos-grow.npy", (gv_rect){20, 10, 20, 20}, GV_FILTER_LANCZOS);
}

static void colours_under_alpha_0_have_no_influence(void **state)
{
    (void)state;
    gv_image image;
    assert_int_equal(gv_image_init(&image, 40, 30, 4, NULL), GV_OK);
    float rgb[2][3 * 8 * 8], alpha[2][8 * 8];
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < 40 * 30; i++) {
            uint8_t *p = image.pixels + i * 4;
            bool shown = i % 40 >= 20;
            for (int c = 0; c < 3; c++)
                p[c] = (uint8_t)(shown ? 200 - c * 90 : pass * 255);
            p[3] = shown ? 255 : 0;
        }
        assert_int_equal(gv_image_resample(rgb[pass], alpha[pass], 8, 8, &image,
                                           (gv_rect){0, 0, 40, 30}, GV_FILTER_BICUBIC, NULL),
                         GV_OK);
    }
    gv_test_same_bits(rgb[0], rgb[1], sizeof rgb[0], "rgb");
    gv_test_same_bits(alpha[0], alpha[1], sizeof alpha[0], "alpha");
    /* At the edge the colour is the shown one, not a mixture with what is hidden. */
    for (int x = 0; x < 8; x++) {
        if (alpha[0][x] > 0.0f)
            assert_float_equal(rgb[0][x], 200.0f / 127.5f - 1.0f, 1e-3);
        else
            assert_true(rgb[0][x] == 0.0f);
    }
    assert_true(alpha[0][0] == 0.0f);
    assert_true(alpha[0][7] > 0.999f);
    gv_image_deinit(&image);
}

static void a_crop_outside_is_refused(void **state)
{
    (void)state;
    gv_image image;
    gv_error err;
    float rgb[3];
    assert_int_equal(gv_image_init(&image, 4, 4, 3, NULL), GV_OK);
    const gv_rect bad[] = {{-1, 0, 2, 2}, {0, 0, 0, 2}, {3, 0, 2, 2}, {0, 0, 2, 4.5}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(
            gv_image_resample(rgb, NULL, 1, 1, &image, bad[i], GV_FILTER_BICUBIC, &err), GV_E_ARG);
    gv_image_deinit(&image);
}

static void the_centre_square(void **state)
{
    (void)state;
    gv_rect r = gv_rect_centre_square(&(gv_image){.width = 9, .height = 4, .channels = 3});
    assert_true(r.x == 2.5 && r.y == 0.0 && r.width == 4.0 && r.height == 4.0);
}

static gv_status resample(void *ctx, gv_error *err)
{
    float rgb[3 * 4];
    return gv_image_resample(rgb, NULL, 2, 2, ctx, (gv_rect){0, 0, 16, 16}, GV_FILTER_BICUBIC, err);
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    gv_image image;
    assert_int_equal(gv_image_init(&image, 16, 16, 3, NULL), GV_OK);
    assert_true(gv_test_fail_each_allocation(resample, &image) >= 8);
    gv_image_deinit(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_pillow),
        cmocka_unit_test(colours_under_alpha_0_have_no_influence),
        cmocka_unit_test(a_crop_outside_is_refused),
        cmocka_unit_test(the_centre_square),
        cmocka_unit_test(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
