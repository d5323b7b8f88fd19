#include "image/image.h"
#include "support.h"

#include <math.h>
#include <string.h>

static void bytes_are_cut_not_rounded(void **state)
{
    (void)state;
    const float x[3 * 8] = {-2.0f,  -1.0f, -0.5f, 0.0f, 0.5f,     0.9999f,   1.0f,  2.0f,
                            -1.01f, NAN,   0.25f, 0.1f, INFINITY, -INFINITY, 0.99f, -0.99f};
    /* trunc(clamp(x * 127.5 + 128, 0, 255)) */
    const uint8_t first[8] = {0, 0, 64, 128, 191, 255, 255, 255};
    const uint8_t second[8] = {0, 0, 159, 140, 255, 0, 254, 1};
    uint8_t pixels[8 * 3];
    gv_rgb8_from_tensor(pixels, sizeof pixels, x, 1, 8);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(pixels[i * 3], first[i]);
        assert_int_equal(pixels[i * 3 + 1], second[i]);
        assert_int_equal(pixels[i * 3 + 2], 128);
    }
}

static void the_stride_is_kept(void **state)
{
    (void)state;
    const float x[3 * 4] = {-1, 1, -1, 1, 1, 1, 1, 1, -1, -1, -1, -1};
    uint8_t pixels[2 * 10];
    memset(pixels, 77, sizeof pixels);
    gv_rgb8_from_tensor(pixels, 10, x, 2, 2);
    const uint8_t row[10] = {0, 255, 0, 255, 255, 0, 77, 77, 77, 77};
    assert_memory_equal(pixels, row, 10);
    assert_memory_equal(pixels + 10, row, 10);
}

static void there_and_back_is_the_same_byte(void **state)
{
    (void)state;
    gv_image image;
    assert_int_equal(gv_image_init(&image, 256, 1, 4, NULL), GV_OK);
    for (int i = 0; i < 256; i++)
        for (int c = 0; c < 4; c++)
            image.pixels[i * 4 + c] = (uint8_t)i;
    float nchw[3 * 256], alpha[256];
    uint8_t pixels[3 * 256];
    gv_tensor_from_image(nchw, alpha, &image);
    gv_rgb8_from_tensor(pixels, sizeof pixels, nchw, 1, 256);
    for (int i = 0; i < 256; i++) {
        assert_int_equal(pixels[i * 3 + 2], i);
        assert_true(alpha[i] == (float)i / 255.0f);
    }
    gv_image_deinit(&image);
    assert_null(image.pixels);
}

static void sizes_are_checked(void **state)
{
    (void)state;
    gv_image image;
    gv_error err;
    assert_int_equal(gv_image_init(&image, 0, 5, 3, &err), GV_E_ARG);
    assert_int_equal(gv_image_init(&image, 5, 5, 2, &err), GV_E_ARG);
    assert_int_equal(gv_image_init(&image, INT64_MAX, 3, 3, &err), GV_E_ARG);
    assert_int_equal(gv_image_init(&image, 1 << 14, (1 << 13) + 1, 3, &err), GV_E_ARG);
    assert_null(image.pixels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_cut_not_rounded),
        cmocka_unit_test(the_stride_is_kept),
        cmocka_unit_test(there_and_back_is_the_same_byte),
        cmocka_unit_test(sizes_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
