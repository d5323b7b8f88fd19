/* `ganvas sample` end to end. */
#include "cli_support.h"

#include "base/file.h"
#include "checkpoint/npy.h"
#include "image/image.h"

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SKIP_MODEL gv_test_source("tests/nets/data/sg2_skip.safetensors")
#define COND_MODEL gv_test_source("tests/nets/data/sg2_cond.safetensors")
#define DCGAN_MODEL gv_test_source("tests/nets/data/dcgan_course.pth")

static gv_test_array array(const char *name)
{
    return gv_test_npy_typed(cli_path(name), GV_TEST_F32);
}

static void arrays_equal(const char *a, const char *b)
{
    gv_test_array x = array(a), y = array(b);
    assert_int_equal(x.count, y.count);
    gv_test_same_bits(x.f32, y.f32, (size_t)x.count * sizeof(float), a);
    gv_test_array_free(&x);
    gv_test_array_free(&y);
}

/* ---- numbers: these need no libvips ---- */

/* The pictures of a reference, float32 [4,3,32,32] of seeds 0, 1, 2, 85. */
static void the_official_pictures(void **state)
{
    (void)state;
    const struct {
        const char *noise, *file;
    } cases[] = {{"const", "reference/sg2/tiny/img_psi0.7_const.npy"},
                 {"none", "reference/sg2/tiny/img_psi0.7_none.npy"}};
    for (int i = 0; i < 2; i++) {
        gv_test_array want = gv_test_npy_typed(gv_test_shared(cases[i].file), GV_TEST_F32);
        cli_expect(0, "sample --model '%s' --seeds 0-2,85 --psi 0.7 --noise %s -o ref.npy --force",
                   gv_test_shared("reference/sg2/tiny/tiny.pkl"), cases[i].noise);
        gv_test_array got = array("ref.npy");
        assert_int_equal(got.count, want.count);
        for (int64_t k = 0; k < got.count; k++) /* 4 times the reference's 1.1e-5 */
            assert_float_equal(got.f32[k], want.f32[k], 4.4e-5);
        gv_test_array_free(&got);
        gv_test_array_free(&want);
    }
    gv_test_array want = gv_test_npy_typed(
        gv_test_shared("reference/sg2/tiny/img_psi0.7_random_torchseed123.npy"), GV_TEST_F32);
    cli_expect(0,
               "sample --model '%s' --seeds 0,1 --psi 0.7 --noise random --seed 123 -o random.npy",
               gv_test_shared("reference/sg2/tiny/tiny.pkl"));
    gv_test_array got = array("random.npy");
    for (int64_t k = 0; k < want.count; k++)
        assert_float_equal(got.f32[k], want.f32[k], 4.4e-5);
    gv_test_array_free(&got);
    gv_test_array_free(&want);
}

static void a_picture_depends_on_nothing_but_its_settings(void **state)
{
    (void)state;
    const char *model = SKIP_MODEL;
    cli_expect(0, "sample --model '%s' --seeds 5 --noise random --seed 9 -o one.npy", model);
    cli_expect(0,
               "sample --model '%s' --seeds 7,5,6 --noise random --seed 9 --threads 2 -o three.npy",
               model);
    gv_test_array one = array("one.npy"), three = array("three.npy");
    assert_int_equal(three.count, 3 * one.count);
    gv_test_same_bits(one.f32, three.f32 + one.count, (size_t)one.count * sizeof(float), "seed 5");
    gv_test_array_free(&one);
    gv_test_array_free(&three);

    cli_expect(0, "sample --model '%s' --seeds 1-3 --threads 1 --psi 0.5 --cutoff 2 -o t1.npy",
               model);
    cli_expect(0, "sample --model '%s' --seeds 1-3 --threads 3 --psi 0.5 --cutoff 2 -o t3.npy",
               model);
    arrays_equal("t1.npy", "t3.npy");
}

static void spaces_psi_and_noise_change_what_they_should(void **state)
{
    (void)state;
    const char *model = SKIP_MODEL;
    cli_expect(0, "sample --model '%s' --seeds 4 --latent z -o z.npy", model);
    cli_expect(0, "sample --model '%s' --seeds 4 --latent w -o w.npy", model);
    arrays_equal("z.npy", "w.npy");
    const char *others[] = {"--latent w+",  "--psi 0.5",      "--psi 0.5 --cutoff 3",
                            "--noise none", "--noise random", "--noise random --seed 1"};
    enum { OTHERS = sizeof others / sizeof others[0] };
    gv_test_array pictures[OTHERS + 1];
    pictures[OTHERS] = array("z.npy");
    for (int i = 0; i < OTHERS; i++) {
        cli_expect(0, "sample --model '%s' --seeds 4 %s -o other.npy --force", model, others[i]);
        pictures[i] = array("other.npy");
    }
    for (int a = 0; a <= OTHERS; a++)
        for (int b = 0; b < a; b++)
            assert_memory_not_equal(pictures[a].f32, pictures[b].f32,
                                    (size_t)pictures[a].count * sizeof(float));
    for (int i = 0; i <= OTHERS; i++)
        gv_test_array_free(&pictures[i]);
}

static void saved_latents_give_the_same_picture(void **state)
{
    (void)state;
    gv_test_array w = gv_test_npz(gv_test_source("tests/nets/data/sg2_skip.npz"), "wplus");
    gv_test_array z = gv_test_npz(gv_test_source("tests/nets/data/sg2_skip.npz"), "z");
    gv_test_array img = gv_test_npz(gv_test_source("tests/nets/data/sg2_skip.npz"), "img_wplus");
    gv_view v = gv_view_of("w", w.dtype == GV_TEST_F64 ? GV_F64 : GV_F32, w.rank, w.shape, w.data);
    assert_int_equal(gv_npz_write(cli_path("w.npz"), &v, 1, NULL), GV_OK);
    cli_expect(0, "sample --model '%s' --latents w.npz -o saved.npy", SKIP_MODEL);
    gv_test_array got = array("saved.npy");
    assert_int_equal(got.count, img.count);
    for (int64_t k = 0; k < img.count; k++)
        assert_float_equal(got.f32[k], img.f32[k], 4.4e-5);
    gv_test_array_free(&got);

    /* One row stands for all; z is mapped. */
    const int64_t row_shape[2] = {2, w.shape[2]};
    v.dims = 2;
    memcpy(v.shape, row_shape, sizeof row_shape);
    v = gv_view_of("w", v.type, 2, row_shape, w.data);
    assert_int_equal(gv_npz_write(cli_path("rows.npz"), &v, 1, NULL), GV_OK);
    cli_expect(0, "sample --model '%s' --latents rows.npz -o rows.npy", SKIP_MODEL);
    v = gv_view_of("z", z.dtype == GV_TEST_F64 ? GV_F64 : GV_F32, 2, z.shape, z.data);
    assert_int_equal(gv_npz_write(cli_path("z.npz"), &v, 1, NULL), GV_OK);
    cli_expect(0, "sample --model '%s' --latents z.npz --psi 0.7 -o zz.npy", SKIP_MODEL);
    got = array("rows.npy");
    assert_int_equal(got.shape[0], 2);
    assert_memory_not_equal(got.f32, got.f32 + got.count / 2,
                            (size_t)got.count / 2 * sizeof(float));
    gv_test_array_free(&got);

    v.name = "something";
    assert_int_equal(gv_npz_write(cli_path("none.npz"), &v, 1, NULL), GV_OK);
    cli_refuse(1, "ganvas sample: none.npz: holds no latents w or z",
               "sample --model '%s' --latents none.npz -o no.npy", SKIP_MODEL);
    cli_refuse(1, "ganvas sample: w.npz: holds no latents z, the only ones of a DCGAN",
               "sample --model '%s' --latents w.npz -o no.npy", DCGAN_MODEL);
    gv_test_array_free(&w);
    gv_test_array_free(&z);
    gv_test_array_free(&img);
}

static void what_the_model_cannot_do_is_wrong_usage(void **state)
{
    (void)state;
    cli_expect(0, "sample --model '%s' --seeds 1 -o d.npy", DCGAN_MODEL);
    cli_expect(2, "sample --model '%s' --seeds 1 --latent w -o no.npy", DCGAN_MODEL);
    cli_expect(2, "sample --model '%s' --seeds 1 --psi 0.5 -o no.npy", DCGAN_MODEL);
    cli_expect(2, "sample --model '%s' --seeds 1 -o no.npy", COND_MODEL);
    cli_expect(2, "sample --model '%s' --seeds 1 --class 3 -o no.npy", COND_MODEL);
    cli_expect(2, "sample --model '%s' --seeds 1 --class 0 -o no.npy", SKIP_MODEL);
    cli_expect(0, "sample --model '%s' --seeds 1 --class 0 -o c0.npy", COND_MODEL);
    cli_expect(0, "sample --model '%s' --seeds 1 --class 2 -o c2.npy", COND_MODEL);
    gv_test_array a = array("c0.npy"), b = array("c2.npy");
    assert_memory_not_equal(a.f32, b.f32, (size_t)a.count * sizeof(float));
    gv_test_array_free(&a);
    gv_test_array_free(&b);
    assert_false(cli_exists("no.npy"));
    cli_expect(2, "sample --model '%s' -o no.bmp", SKIP_MODEL);
    cli_expect(2, "sample --model '%s' -o folder-without-slash", SKIP_MODEL);
}

#ifdef GV_HAVE_VIPS

/* ---- pictures ---- */

static gv_image picture(const char *name)
{
    gv_image image;
    gv_file f;
    gv_error err;
    assert_int_equal(gv_file_open(&f, cli_path(name), NULL), GV_OK);
    if (gv_image_load(&image, f.data, f.size, name, NULL, &err) != GV_OK)
        fail_msg("%s", err.message);
    gv_file_close(&f);
    return image;
}

static void the_official_bytes(void **state)
{
    (void)state;
    gv_test_array want = gv_test_npy_typed(
        gv_test_shared("reference/sg2/tiny/img_psi0.7_const_u8_nhwc.npy"), GV_TEST_U8);
    cli_expect(0,
               "sample --model '%s' --latent z --seeds 0-2,85 --psi 0.7 --noise const -o official/",
               gv_test_shared("reference/sg2/tiny/tiny.pkl"));
    const int seeds[] = {0, 1, 2, 85};
    int64_t different = 0;
    for (int i = 0; i < 4; i++) {
        char name[64];
        snprintf(name, sizeof name, "official/seed%04d.png", seeds[i]);
        gv_image image = picture(name);
        assert_int_equal(image.channels, 3);
        const uint8_t *w = want.u8 + i * 32 * 32 * 3;
        for (int k = 0; k < 32 * 32 * 3; k++) {
            different += image.pixels[k] != w[k];
            assert_in_range(image.pixels[k] - w[k] + 1, 0, 2);
        }
        gv_image_deinit(&image);
    }
    assert_true(different * 1000 <= want.count);
    gv_test_array_free(&want);
}

static void a_folder_gets_a_picture_a_seed(void **state)
{
    (void)state;
    cli_result r =
        cli_run("sample --model '%s' --seeds 3,12345 --raw --json -o deep/er/", SKIP_MODEL);
    assert_int_equal(r.status, 0);
    json_t *record = json_loads(r.out, 0, NULL);
    json_t *outputs = json_object_get(record, "outputs");
    assert_int_equal(json_array_size(outputs), 2);
    json_t *second = json_array_get(outputs, 1);
    assert_string_equal(json_string_value(json_object_get(second, "file")),
                        "deep/er/seed12345.png");
    assert_string_equal(json_string_value(json_object_get(second, "raw")), "deep/er/seed12345.npy");
    assert_int_equal(json_integer_value(json_object_get(second, "seed")), 12345);
    assert_int_equal(
        strlen(json_string_value(json_object_get(json_object_get(record, "model"), "hash"))), 16);
    json_decref(record);
    cli_free(&r);

    gv_image image = picture("deep/er/seed0003.png");
    gv_test_array raw = array("deep/er/seed0003.npy");
    assert_int_equal(raw.rank, 4);
    assert_int_equal(raw.shape[0], 1);
    assert_int_equal(raw.shape[1], 3);
    assert_int_equal(image.width, 32);
    uint8_t bytes[32 * 32 * 3];
    gv_rgb8_from_tensor(bytes, 32 * 3, raw.f32, 32, 32);
    assert_memory_equal(bytes, image.pixels, sizeof bytes);
    gv_image_deinit(&image);
    gv_test_array_free(&raw);

    /* Each picture replays as the command it came from. */
    r = cli_run("replay deep/er/seed0003.png");
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.out, " --seeds 3,12345 "));
    cli_free(&r);
}

static void a_file_gets_a_grid_that_replays(void **state)
{
    (void)state;
    cli_expect(0, "sample --model '%s' --seeds 0-4 --psi 0.7 --raw -o grid.png", SKIP_MODEL);
    gv_image image = picture("grid.png");
    /* 3 x 2 cells of 32 * 4 pixels, captions of 17, a title of 26, margins of 12, gaps of 8. */
    assert_int_equal(image.width, 3 * 128 + 2 * 8 + 24);
    assert_int_equal(image.height, 2 * (128 + 17) + 8 + 26 + 24);
    gv_image_deinit(&image);
    assert_true(cli_exists("grid-seed0004.npy"));

    char line[1024];
    cli_result r = cli_run("replay grid.png");
    snprintf(line, sizeof line,
             "ganvas sample --model %s --seeds 0-4 --psi 0.7 -o grid.png --raw\n", SKIP_MODEL);
    assert_string_equal(r.out, line);
    cli_free(&r);
    cli_expect(0, "sample --model '%s' --seeds 0-4 -o grid.webp", SKIP_MODEL);
    cli_expect(0, "sample --model '%s' --seeds 0-4 -o grid.jpg", SKIP_MODEL);
    cli_expect(1, "replay grid.webp");

    /* What ganvas wrote may be written again; raw pictures beside a grid need the grid. */
    cli_expect(0, "sample --model '%s' --seeds 0-3 -o grid.png", SKIP_MODEL);
    cli_expect(0, "sample --model '%s' --seeds 0-3 -o grid.jpg", SKIP_MODEL);
}

static void foreign_files_are_kept(void **state)
{
    (void)state;
    cli_write("mine.png", "my own", 6);
    cli_refuse(1,
               "ganvas sample: mine.png: is there already and ganvas did not write it; --force "
               "overwrites it",
               "sample --model '%s' -o mine.png", SKIP_MODEL);
    char *kept = cli_read("mine.png", NULL);
    assert_string_equal(kept, "my own");
    free(kept);
    cli_expect(0, "sample --model '%s' --seeds 1 -f -o mine.png", SKIP_MODEL);
    gv_image image = picture("mine.png");
    gv_image_deinit(&image);

    cli_write("file", "x", 1);
    cli_expect(1, "sample --model '%s' -o file/x.png", SKIP_MODEL);
    cli_expect(1, "sample --model '%s' -o file/", SKIP_MODEL);
    cli_expect(1, "sample --model '%s' -o no/such/folder/x.png", SKIP_MODEL);
    cli_expect(1, "sample --model '%s' -o /proc/x.png", SKIP_MODEL);
}

static void ctrl_c_keeps_what_is_finished(void **state)
{
    (void)state;
    char model[600];
    snprintf(model, sizeof model, "%s", SKIP_MODEL);
    const char *words[] = {"sample", "--model", model, "--seeds", "0-200000", "-o", "many/", NULL};
    int process = cli_start(words);
    for (int i = 0; i < 6000 && !cli_exists("many/seed0001.png"); i++)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    assert_int_equal(kill(process, SIGINT), 0);
    assert_int_equal(cli_wait(process), 130);
    char *err = cli_read(".err", NULL);
    assert_non_null(strstr(err, "ganvas sample: "));
    assert_non_null(strstr(err, "interrupted)")); /* the count, on standard output */
    free(err);
    gv_image image = picture("many/seed0001.png");
    gv_image_deinit(&image);
    char command[600];
    snprintf(command, sizeof command, "test -z \"$(find '%s' -name '*.tmp*')\"", cli_path("many"));
    assert_int_equal(system(command), 0);
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_official_pictures),
        cmocka_unit_test(a_picture_depends_on_nothing_but_its_settings),
        cmocka_unit_test(spaces_psi_and_noise_change_what_they_should),
        cmocka_unit_test(saved_latents_give_the_same_picture),
        cmocka_unit_test(what_the_model_cannot_do_is_wrong_usage),
#ifdef GV_HAVE_VIPS
        cmocka_unit_test(the_official_bytes),
        cmocka_unit_test(a_folder_gets_a_picture_a_seed),
        cmocka_unit_test(a_file_gets_a_grid_that_replays),
        cmocka_unit_test(foreign_files_are_kept),
        cmocka_unit_test(ctrl_c_keeps_what_is_finished),
#endif
    };
    return cmocka_run_group_tests(tests, cli_make_folder, cli_remove_folder);
}
