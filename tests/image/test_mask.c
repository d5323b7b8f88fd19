/* Alpha as a mask. */
#include "image/mask.h"
#include "support.h"

#include <string.h>

static gv_image make(int64_t w, int64_t h, int channels, const uint8_t *pixels)
{
    gv_image image;
    assert_int_equal(gv_image_init(&image, w, h, channels, NULL), GV_OK);
    if (pixels != NULL)
        memcpy(image.pixels, pixels, (size_t)(w * h * channels));
    return image;
}

static void transparent_parts_become_white(void **state)
{
    (void)state;
    const uint8_t pixels[] = {10, 20, 30, 255, 200, 100, 0, 0, 0, 0, 0, 128};
    const uint8_t want[] = {10, 20, 30, 255, 255, 255, 255, 255, 127, 127, 127, 255};
    gv_image image = make(3, 1, 4, pixels);
    assert_true(gv_image_is_transparent(&image));
    gv_image_on_white(&image);
    assert_memory_equal(image.pixels, want, sizeof want);
    assert_false(gv_image_is_transparent(&image));
    gv_image_deinit(&image);
}

static void a_mask_is_its_alpha_or_its_lightness(void **state)
{
    (void)state;
    const uint8_t grey[] = {0, 0, 0, 255, 255, 255, 100, 100, 100, 7, 7, 7};
    gv_image image = make(2, 2, 4, NULL), mask = make(2, 2, 3, grey);
    gv_image_set_mask(&image, &mask);
    const uint8_t want[] = {0, 255, 100, 7};
    for (int i = 0; i < 4; i++)
        assert_int_equal(image.pixels[i * 4 + 3], want[i]);
    gv_image_deinit(&mask);

    const uint8_t clear[] = {255, 255, 255, 3, 0, 0, 0, 4, 9, 9, 9, 5, 8, 8, 8, 255};
    mask = make(2, 2, 4, clear);
    gv_image_set_mask(&image, &mask);
    for (int i = 0; i < 4; i++)
        assert_int_equal(image.pixels[i * 4 + 3], clear[i * 4 + 3]);
    /* Opaque everywhere says nothing: then it is lightness after all. */
    for (int i = 0; i < 4; i++)
        mask.pixels[i * 4 + 3] = 255;
    gv_image_set_mask(&image, &mask);
    assert_int_equal(image.pixels[3], 255);
    assert_int_equal(image.pixels[7], 0);
    gv_image_deinit(&mask);

    /* Stretched. */
    const uint8_t half[] = {255, 255, 255, 0, 0, 0};
    mask = make(2, 1, 3, half);
    gv_image_deinit(&image);
    image = make(6, 4, 4, NULL);
    gv_image_set_mask(&image, &mask);
    for (int i = 0; i < 24; i++)
        assert_int_equal(image.pixels[i * 4 + 3], i % 6 < 3 ? 255 : 0);
    gv_image_deinit(&mask);
    gv_image_deinit(&image);
}

static void the_border_is_background(void **state)
{
    (void)state;
    gv_image image = make(9, 7, 4, NULL);
    for (int i = 0; i < 63; i++) {
        uint8_t *p = image.pixels + i * 4;
        memset(p, 240 + i % 8, 3); /* nearly one colour */
        p[3] = 255;
    }
    uint8_t *dot = image.pixels + (3 * 9 + 4) * 4, background[3];
    dot[0] = 90;
    assert_true(gv_image_mask_border(&image, background));
    assert_in_range(background[0], 240, 247);
    for (int i = 0; i < 63; i++)
        assert_int_equal(image.pixels[i * 4 + 3], image.pixels + i * 4 == dot ? 255 : 0);

    /* A photo's border has many colours. */
    for (int i = 0; i < 63; i++) {
        uint8_t *p = image.pixels + i * 4;
        p[0] = (uint8_t)(i * 37);
        p[1] = (uint8_t)(i * 91);
        p[2] = (uint8_t)(i * 151);
        p[3] = 255;
    }
    assert_false(gv_image_mask_border(&image, NULL));
    assert_false(gv_image_is_transparent(&image));
    gv_image_deinit(&image);

    /* The smallest picture is all border. */
    image = make(1, 1, 4, NULL);
    assert_true(gv_image_mask_border(&image, NULL));
    gv_image_deinit(&image);
}

static void alpha_is_added_opaque(void **state)
{
    (void)state;
    const uint8_t pixels[] = {1, 2, 3, 4, 5, 6};
    const uint8_t want[] = {1, 2, 3, 255, 4, 5, 6, 255};
    gv_image image = make(2, 1, 3, pixels);
    assert_int_equal(gv_image_add_alpha(&image, NULL), GV_OK);
    assert_int_equal(image.channels, 4);
    assert_memory_equal(image.pixels, want, sizeof want);
    gv_image_deinit(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transparent_parts_become_white),
        cmocka_unit_test(a_mask_is_its_alpha_or_its_lightness),
        cmocka_unit_test(the_border_is_background),
        cmocka_unit_test(alpha_is_added_opaque),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
