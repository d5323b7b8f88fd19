/* Pictures to targets and masks. */
#include "job/target.h"

#include "base/memory.h"
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SIDE = 16 };

static gv_target load(const char *path, const gv_target_options *o)
{
    gv_target t;
    gv_error err;
    if (gv_target_load(&t, path, SIDE, o, &err) != GV_OK)
        fail_msg("%s", err.message);
    return t;
}

static void same_target(const gv_target *a, const gv_target *b)
{
    gv_test_same_bits(a->rgb, b->rgb, 3 * SIDE * SIDE * sizeof(float), "rgb");
    assert_int_equal(a->mask == NULL, b->mask == NULL);
    if (a->mask != NULL)
        gv_test_same_bits(a->mask, b->mask, SIDE * SIDE * sizeof(float), "mask");
}

static const char *data(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "tests/job/data/%s", name);
    return gv_test_source(path);
}

/* Writes RGBA noise whose alpha depends on the place only, and whose colours on the seed. */
static const char *sketch(const char *name, uint32_t seed, int64_t w, int64_t h)
{
    gv_image image;
    assert_int_equal(gv_image_init(&image, w, h, 4, NULL), GV_OK);
    uint32_t visible = 12345;
    for (int64_t i = 0; i < w * h; i++) {
        uint8_t *p = image.pixels + i * 4;
        int64_t x = i % w, y = i / w;
        p[3] = (x * 3 < w || y * 4 > 3 * h) ? 0 : (x * 5 < 2 * w) ? 120 : 255;
        for (int c = 0; c < 3; c++) {
            visible = visible * 1664525u + 1013904223u;
            seed = seed * 1664525u + 1013904223u;
            p[c] = (uint8_t)((p[3] == 0 ? seed : visible) >> 24);
        }
    }
    assert_int_equal(gv_image_save(&image, gv_test_scratch(name), NULL, NULL), GV_OK);
    gv_image_deinit(&image);
    return gv_test_scratch(name);
}

static void colours_under_alpha_0_leave_no_trace(void **state)
{
    (void)state;
    static const int64_t sizes[][2] = {{16, 16}, {64, 64}, {37, 50}, {9, 11}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (int hw5 = 0; hw5 < 2; hw5++)
            for (int eyes = 0; eyes < 2; eyes++) {
                gv_target_options o = gv_target_defaults();
                o.mask = GV_MASK_SKETCH;
                o.hw5 = hw5 == 1;
                o.frame = eyes ? GV_FRAME_EYES : hw5 ? GV_FRAME_SQUASH : GV_FRAME_CENTRE;
                double w = (double)sizes[i][0], h = (double)sizes[i][1];
                o.eyes = (gv_eyes){0.35 * w, 0.4 * h, 0.7 * w, 0.45 * h};
                gv_target a = load(sketch("a.png", 1, sizes[i][0], sizes[i][1]), &o);
                gv_target b = load(sketch("b.png", 99, sizes[i][0], sizes[i][1]), &o);
                assert_non_null(a.mask);
                same_target(&a, &b);
                gv_target_deinit(&a);
                gv_target_deinit(&b);
            }
}

static void a_transparent_photo_is_composited_on_white(void **state)
{
    (void)state;
    gv_target_options o = gv_target_defaults();
    gv_target t = load(sketch("a.png", 1, 16, 16), &o);
    assert_null(t.mask);
    for (int c = 0; c < 3; c++)
        assert_float_equal(t.rgb[c * SIDE * SIDE], 1.0f, 1e-5f);
    gv_target_deinit(&t);
}

/* File and mask stored turned give the very bits of both stored upright. */
static void exif_turns_picture_and_mask_together(void **state)
{
    (void)state;
    gv_target_options o = gv_target_defaults();
    o.mask = GV_MASK_FILE;
    o.frame = GV_FRAME_CROP;
    o.crop = (gv_rect){4, 1, 30, 24};
    o.mask_file = data("mask.tif");
    gv_target upright = load(data("picture.tif"), &o);
    assert_int_equal(upright.width, 40);
    assert_non_null(upright.mask);
    static const int turns[] = {3, 6, 7};
    for (int i = 0; i < 3; i++)
        for (int turned_mask = 0; turned_mask < 2; turned_mask++) {
            char picture[32], mask[32];
            snprintf(picture, sizeof picture, "picture%d.tif", turns[i]);
            snprintf(mask, sizeof mask, "mask%d.tif", turns[i]);
            o.mask_file = data(turned_mask ? mask : "mask.tif");
            gv_target t = load(data(picture), &o);
            assert_string_equal(t.note, "");
            same_target(&upright, &t);
            gv_target_deinit(&t);
        }
    gv_target_deinit(&upright);
}

static void what_a_mask_file_leaves_out_does_not_matter(void **state)
{
    (void)state;
    gv_image image, mask;
    assert_int_equal(gv_image_init(&image, 40, 40, 3, NULL), GV_OK);
    assert_int_equal(gv_image_init(&mask, 20, 20, 3, NULL), GV_OK);
    for (int i = 0; i < 400; i++)
        memset(mask.pixels + i * 3, i % 20 < 10 ? 255 : 0, 3);
    gv_target t[2];
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < 1600; i++)
            memset(image.pixels + i * 3, i % 40 < 20 ? 80 + i % 7 : k * 200, 3);
        assert_int_equal(gv_image_save(&image, gv_test_scratch("p.png"), NULL, NULL), GV_OK);
        assert_int_equal(gv_image_save(&mask, gv_test_scratch("m.png"), NULL, NULL), GV_OK);
        gv_target_options o = gv_target_defaults();
        o.mask = GV_MASK_FILE;
        o.mask_file = gv_test_scratch("m.png");
        t[k] = load(gv_test_scratch("p.png"), &o);
        assert_non_null(strstr(t[k].note, "stretched"));
    }
    same_target(&t[0], &t[1]);
    assert_true(t[0].mask[0] == 1.0f && t[0].mask[SIDE - 1] == 0.0f);
    gv_target_deinit(&t[0]);
    gv_target_deinit(&t[1]);
    gv_image_deinit(&image);
    gv_image_deinit(&mask);
}

static void a_sketch_without_alpha_says_what_it_took(void **state)
{
    (void)state;
    gv_image image;
    assert_int_equal(gv_image_init(&image, 32, 32, 3, NULL), GV_OK);
    memset(image.pixels, 250, 32 * 32 * 3);
    for (int y = 10; y < 20; y++)
        memset(image.pixels + (y * 32 + 8) * 3, 30, 16 * 3);
    assert_int_equal(gv_image_save(&image, gv_test_scratch("s.png"), NULL, NULL), GV_OK);
    gv_target_options o = gv_target_defaults();
    o.mask = GV_MASK_SKETCH;
    gv_target t = load(gv_test_scratch("s.png"), &o);
    assert_non_null(strstr(t.note, "#fafafa"));
    assert_non_null(t.mask);
    assert_true(t.mask[0] == 0.0f && t.mask[7 * SIDE + 8] > 0.99f);
    gv_target_deinit(&t);

    /* All of one colour: nothing is drawn. */
    gv_error err;
    memset(image.pixels, 250, 32 * 32 * 3);
    assert_int_equal(gv_image_save(&image, gv_test_scratch("s.png"), NULL, NULL), GV_OK);
    assert_int_equal(gv_target_load(&t, gv_test_scratch("s.png"), SIDE, &o, &err), GV_E_ARG);
    assert_non_null(strstr(err.message, "the mask leaves nothing"));
    assert_null(t.rgb);
    gv_image_deinit(&image);
}

/* Two dark dots as eyes, anywhere, in any direction, come to where the model has its eyes. */
static void eyes_come_to_where_the_model_has_them(void **state)
{
    (void)state;
    static const gv_eyes eyes[] = {{60, 70, 130, 70}, {50, 100, 110, 60}, {130, 120, 70, 80}};
    const gv_eyes model = gv_model_eyes_default();
    gv_image image;
    assert_int_equal(gv_image_init(&image, 200, 180, 3, NULL), GV_OK);
    for (size_t k = 0; k < sizeof eyes / sizeof eyes[0]; k++) {
        const double points[2][2] = {{eyes[k].x1, eyes[k].y1}, {eyes[k].x2, eyes[k].y2}};
        for (int i = 0; i < 200 * 180; i++) {
            double x = i % 200 + 0.5, y = i / 200 + 0.5, near = 1e9;
            for (int e = 0; e < 2; e++)
                near = fmin(near, hypot(x - points[e][0], y - points[e][1]));
            memset(image.pixels + i * 3, near < 9.0 ? 0 : 255, 3);
        }
        assert_int_equal(gv_image_save(&image, gv_test_scratch("e.png"), NULL, NULL), GV_OK);
        gv_target_options o = gv_target_defaults();
        o.frame = GV_FRAME_EYES;
        o.eyes = eyes[k];
        gv_target t;
        assert_int_equal(gv_target_load(&t, gv_test_scratch("e.png"), 64, &o, NULL), GV_OK);
        const double want[2][2] = {{model.x1 * 64, model.y1 * 64}, {model.x2 * 64, model.y2 * 64}};
        for (int e = 0; e < 2; e++) { /* the centre of the dark pixels of that half */
            double sum = 0.0, sx = 0.0, sy = 0.0;
            for (int i = 0; i < 64 * 64; i++) {
                double dark = 1.0 - (double)t.rgb[i];
                if ((i % 64 < 32) != (e == 0) || dark < 1.0)
                    continue;
                sum += dark;
                sx += dark * (i % 64 + 0.5);
                sy += dark * (i / 64 + 0.5);
            }
            assert_true(hypot(sx / sum - want[e][0], sy / sum - want[e][1]) < 0.35);
        }
        gv_target_deinit(&t);
    }
    gv_image_deinit(&image);
}

static void refusals(void **state)
{
    (void)state;
    gv_target t;
    gv_error err;
    const char *path = data("picture.tif");
    gv_target_options o = gv_target_defaults();
    o.frame = GV_FRAME_CROP;
    o.crop = (gv_rect){30, 0, 20, 20};
    assert_int_equal(gv_target_load(&t, path, SIDE, &o, &err), GV_E_ARG);
    assert_non_null(strstr(err.message, "leaves the picture of 40 x 28"));
    o.frame = GV_FRAME_EYES;
    o.eyes = (gv_eyes){10, 10, 10.2, 10};
    assert_int_equal(gv_target_load(&t, path, SIDE, &o, &err), GV_E_ARG);
    o.eyes = (gv_eyes){10, 10, 50, 10};
    assert_int_equal(gv_target_load(&t, path, SIDE, &o, &err), GV_E_ARG);
    assert_non_null(strstr(err.message, "50,10 lies outside"));
    o = gv_target_defaults();
    o.mask = GV_MASK_FILE;
    o.mask_file = "no-such-mask.png";
    assert_int_equal(gv_target_load(&t, path, SIDE, &o, &err), GV_E_IO);
    assert_int_equal(gv_target_load(&t, "no-such.png", SIDE, &o, &err), GV_E_IO);
    assert_null(t.rgb);
    gv_target_deinit(&t);
}

static gv_status load_once(void *ctx, gv_error *err)
{
    const gv_target_options *o = ctx;
    gv_target t;
    gv_status status = gv_target_load(&t, data("picture.tif"), SIDE, o, err);
    gv_target_deinit(&t);
    return status;
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    char mask[512];
    snprintf(mask, sizeof mask, "%s", data("mask.tif"));
    gv_target_options o = gv_target_defaults();
    o.mask = GV_MASK_FILE;
    o.mask_file = mask;
    assert_true(gv_test_fail_each_allocation(load_once, &o) > 5);
    o.hw5 = true;
    o.frame = GV_FRAME_SQUASH;
    assert_true(gv_test_fail_each_allocation(load_once, &o) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(colours_under_alpha_0_leave_no_trace),
        cmocka_unit_test(a_transparent_photo_is_composited_on_white),
        cmocka_unit_test(exif_turns_picture_and_mask_together),
        cmocka_unit_test(what_a_mask_file_leaves_out_does_not_matter),
        cmocka_unit_test(a_sketch_without_alpha_says_what_it_took),
        cmocka_unit_test(eyes_come_to_where_the_model_has_them),
        cmocka_unit_test(refusals),
        cmocka_unit_test(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
