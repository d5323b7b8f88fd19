#include "image/font.h"
#include "image/grid.h"
#include "support.h"

#include <stdlib.h>
#include <string.h>

static gv_image filled(int64_t side, int channels, uint8_t value)
{
    gv_image image;
    assert_int_equal(gv_image_init(&image, side, side, channels, NULL), GV_OK);
    memset(image.pixels, value, (size_t)(side * side * channels));
    return image;
}

static const uint8_t *at(const gv_image *image, int64_t x, int64_t y)
{
    return image->pixels + (y * image->width + x) * image->channels;
}

static int64_t dark_pixels(const gv_image *image, int64_t x, int64_t y, int64_t w, int64_t h)
{
    int64_t dark = 0;
    for (int64_t v = y; v < y + h; v++)
        for (int64_t u = x; u < x + w; u++)
            dark += at(image, u, v)[0] == 0x22;
    return dark;
}

static void cells_stand_in_rows(void **state)
{
    (void)state;
    gv_image cells[5], grid;
    for (int i = 0; i < 5; i++)
        cells[i] = filled(64, 3, (uint8_t)(100 + i));
    assert_int_equal(gv_image_grid(&grid, cells, 5, &(gv_grid){0}, NULL), GV_OK);
    /* 3 x 2 cells of 64 * 2, margins of 12, gaps of 8. */
    assert_int_equal(grid.width, 3 * 128 + 2 * 8 + 2 * 12);
    assert_int_equal(grid.height, 2 * 128 + 8 + 2 * 12);
    assert_int_equal(at(&grid, 12, 12)[0], 100);
    assert_int_equal(at(&grid, 12 + 127, 12 + 127)[0], 100);
    assert_int_equal(at(&grid, 12 + 128, 12)[0], 255);
    assert_int_equal(at(&grid, 12 + 136, 12)[0], 101);
    assert_int_equal(at(&grid, 12 + 136, 12 + 136)[0], 104);
    assert_int_equal(at(&grid, 12 + 272, 12 + 136)[0], 255); /* the sixth place is empty */
    gv_image_deinit(&grid);
    for (int i = 0; i < 5; i++)
        gv_image_deinit(&cells[i]);
}

static void few_places_stay_empty(void **state)
{
    (void)state;
    const int counts[][2] = {{1, 1}, {2, 2}, {3, 3}, {5, 3}, {8, 4}, {10, 5}, {16, 4}, {24, 6}};
    gv_image cells[24], grid;
    for (int i = 0; i < 24; i++)
        cells[i] = filled(8, 3, 0);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        assert_int_equal(gv_image_grid(&grid, cells, counts[i][0], &(gv_grid){.scale = 1}, NULL),
                         GV_OK);
        assert_int_equal(grid.width, counts[i][1] * (8 + 8) - 8 + 24);
        gv_image_deinit(&grid);
    }
    for (int i = 0; i < 24; i++)
        gv_image_deinit(&cells[i]);
}

static void captions_and_title_are_written_and_cut(void **state)
{
    (void)state;
    gv_image cell = filled(128, 3, 200), grid;
    const char *captions[] = {"seed 85"};
    gv_grid options = {.title = "one \xc3\xa9", .captions = captions, .columns = 1, .scale = 1};
    assert_int_equal(gv_image_grid(&grid, &cell, 1, &options, NULL), GV_OK);
    assert_int_equal(grid.width, 128 + 24);
    assert_int_equal(grid.height, 24 + 18 + 8 + 128 + 9 + 8);
    int64_t title = dark_pixels(&grid, 12, 12, 128, 26);
    int64_t caption = dark_pixels(&grid, 12, 12 + 26 + 128, 128, 17);
    assert_int_equal(dark_pixels(&grid, 0, 0, grid.width, grid.height), title + caption);
    assert_true(title > 100 && caption > 60);
    gv_image_deinit(&grid);

    /* 21 characters of 6 pixels fit into 128; the rest becomes two dots and nothing runs over. */
    captions[0] = "abcdefghijklmnopqrstuvwxyz";
    options.title = NULL;
    assert_int_equal(gv_image_grid(&grid, &cell, 1, &options, NULL), GV_OK);
    assert_int_equal(dark_pixels(&grid, 0, 12 + 128, 12, 17), 0);
    assert_int_equal(dark_pixels(&grid, 12 + 128, 12 + 128, 12, 17), 0);
    assert_int_equal(dark_pixels(&grid, 12 + 1 + 19 * 6, 12 + 128 + 4, 12, 9), 8);
    gv_image_deinit(&grid);
    gv_image_deinit(&cell);
}

static void alpha_shows_white(void **state)
{
    (void)state;
    gv_image cell = filled(128, 4, 0), grid;
    at(&cell, 0, 0);
    cell.pixels[3] = 255;
    cell.pixels[7] = 128;
    assert_int_equal(gv_image_grid(&grid, &cell, 1, &(gv_grid){.scale = 1}, NULL), GV_OK);
    assert_int_equal(at(&grid, 12, 12)[0], 0);
    assert_int_equal(at(&grid, 13, 12)[0], 127);
    assert_int_equal(at(&grid, 14, 12)[0], 255);
    gv_image_deinit(&grid);
    gv_image_deinit(&cell);
}

static void unequal_cells_are_refused(void **state)
{
    (void)state;
    gv_image cells[2] = {filled(4, 3, 0), filled(5, 3, 0)}, grid;
    gv_error err;
    assert_int_equal(gv_image_grid(&grid, cells, 2, &(gv_grid){0}, &err), GV_E_ARG);
    assert_int_equal(gv_image_grid(&grid, cells, 0, &(gv_grid){0}, &err), GV_E_ARG);
    assert_null(grid.pixels);
    gv_image_deinit(&cells[0]);
    gv_image_deinit(&cells[1]);
}

/* No two printable characters look alike, and every one but the space has ink. */
static void letters_differ(void **state)
{
    (void)state;
    for (int a = ' '; a < 127; a++)
        for (int b = a + 1; b < 127; b++) {
            int different = 0, ink = 0;
            for (int y = 0; y < GV_FONT_HEIGHT; y++)
                for (int x = 0; x < GV_FONT_WIDTH; x++) {
                    different += gv_font_pixel((char)a, x, y) != gv_font_pixel((char)b, x, y);
                    ink += gv_font_pixel((char)b, x, y);
                }
            assert_true(different > 0 && ink > 0);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_stand_in_rows),
        cmocka_unit_test(few_places_stay_empty),
        cmocka_unit_test(captions_and_title_are_written_and_cut),
        cmocka_unit_test(alpha_shows_white),
        cmocka_unit_test(unequal_cells_are_refused),
        cmocka_unit_test(letters_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
