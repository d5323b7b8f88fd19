/* `ganvas interpolate` and `ganvas mix` end to end. */
#include "cli_support.h"

#include "base/file.h"
#include "checkpoint/npy.h"
#include "image/image.h"

#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* 32 x 32; z and w have 16 numbers, w+ 8 rows. */
#define MODEL gv_test_source("tests/nets/data/sg2_skip.safetensors")
#define DCGAN_MODEL gv_test_source("tests/nets/data/dcgan_course.pth")

enum { ROWS = 8, DIM = 16, LATENT = ROWS * DIM };

static void write_latent(const char *name, const char *kind, int dims, const int64_t *shape,
                         const float *x)
{
    gv_view v = gv_view_of(kind, GV_F32, dims, shape, x);
    assert_int_equal(gv_npz_write(cli_path(name), &v, 1, NULL), GV_OK);
}

static void write_w(const char *name, const float *w)
{
    write_latent(name, "w", 3, (const int64_t[]){1, ROWS, DIM}, w);
}

/* a.npz and b.npz of w+, za.npz and zb.npz of z; the numbers are also left in a, b. */
static float a[LATENT], b[LATENT];

static int prepare(void **state)
{
    if (cli_make_folder(state) != 0)
        return 1;
    for (int i = 0; i < LATENT; i++) {
        a[i] = sinf((float)i);
        b[i] = cosf(1.7f * (float)i);
    }
    write_w("a.npz", a);
    write_w("b.npz", b);
    write_latent("za.npz", "z", 2, (const int64_t[]){1, DIM}, a);
    write_latent("zb.npz", "z", 2, (const int64_t[]){1, DIM}, b);
    return 0;
}

static void same(const char *one, const char *other)
{
    gv_test_array x = gv_test_npy_typed(cli_path(one), GV_TEST_F32);
    gv_test_array y = gv_test_npy_typed(cli_path(other), GV_TEST_F32);
    assert_int_equal(x.count, y.count);
    gv_test_same_bits(x.f32, y.f32, (size_t)x.count * sizeof(float), one);
    gv_test_array_free(&x);
    gv_test_array_free(&y);
}

static json_t *record(const char *name)
{
    char *text = cli_read(name, NULL);
    json_t *r = json_loads(text, 0, NULL);
    assert_non_null(r);
    free(text);
    return r;
}

static bool holds(const char *name, const char *bytes, size_t count)
{
    size_t size;
    char *data = cli_read(name, &size);
    bool found = memmem(data, size, bytes, count) != NULL;
    free(data);
    return found;
}

/* ---- interpolate ---- */

static void frames_begin_and_end_on_the_latents(void **state)
{
    (void)state;
    float middle[LATENT];
    for (int i = 0; i < LATENT; i++)
        middle[i] = (float)(0.5 * (double)a[i] + 0.5 * (double)b[i]);
    write_w("middle.npz", middle);
    cli_expect(0, "interpolate -m '%s' a.npz b.npz --frames 5 --raw -q -o way/", MODEL);
    const struct {
        const char *latent, *frame;
    } pairs[] = {{"a.npz", "way/frame0000.npy"},
                 {"middle.npz", "way/frame0002.npy"},
                 {"b.npz", "way/frame0004.npy"}};
    for (int i = 0; i < 3; i++) {
        cli_expect(0, "sample -m '%s' --latents %s -q --force -o sample.npy", MODEL,
                   pairs[i].latent);
        same("sample.npy", pairs[i].frame);
    }
    assert_true(cli_exists("way/frame0004.png"));
    assert_false(cli_exists("way/frame0005.png"));

    json_t *r = record("way/interpolate.json");
    const json_t *lpips = json_object_get(r, "lpips");
    const json_t *steps = json_object_get(lpips, "neighbours");
    assert_int_equal(json_array_size(json_object_get(r, "outputs")), 5);
    assert_int_equal(json_array_size(json_object_get(r, "ends")), 2);
    assert_int_equal(json_integer_value(json_object_get(r, "frames")), 5);
    assert_int_equal(json_array_size(steps), 4);
    double largest = json_real_value(json_object_get(lpips, "largest"));
    for (size_t i = 0; i < 4; i++) {
        double step = json_real_value(json_array_get(steps, i));
        assert_true(step > 0.0 && step <= largest);
    }
    json_decref(r);

    /* What a frame says of itself is enough to make it again. */
    cli_result again = cli_run("replay way/frame0002.png");
    assert_non_null(strstr(again.out, "ganvas interpolate --model"));
    assert_non_null(strstr(again.out, "--frames 5 -o way/ --raw a.npz b.npz"));
    cli_free(&again);
}

static void bits_do_not_depend_on_threads(void **state)
{
    (void)state;
    for (int t = 1; t <= 3; t++)
        cli_expect(0,
                   "interpolate -m '%s' za.npz zb.npz --space z --slerp --frames 4 --raw -q "
                   "--threads %d -o t%d/",
                   MODEL, t, t);
    for (int i = 0; i < 4; i++) {
        char one[64], two[64], three[64];
        snprintf(one, sizeof one, "t1/frame%04d.npy", i);
        snprintf(two, sizeof two, "t2/frame%04d.npy", i);
        snprintf(three, sizeof three, "t3/frame%04d.npy", i);
        same(one, two);
        same(one, three);
    }
    /* Files, too: the same options, other threads. */
    cli_expect(0, "interpolate -m '%s' a.npz b.npz --frames 4 -q --threads 1 -o t.gif", MODEL);
    size_t first_size, second_size;
    char *first = cli_read("t.gif", &first_size);
    cli_expect(0, "interpolate -m '%s' a.npz b.npz --frames 4 -q --threads 3 -o t.gif", MODEL);
    char *second = cli_read("t.gif", &second_size);
    assert_int_equal(first_size, second_size);
    assert_memory_equal(first, second, first_size);
    free(first);
    free(second);
}

static void animations_loop_and_count(void **state)
{
    (void)state;
    cli_expect(0, "interpolate -m '%s' a.npz b.npz a.npz --frames 6 --loop --fps 20 -q -o l.gif",
               MODEL);
    assert_true(holds("l.gif", "NETSCAPE2.0\x03\x01\0\0\0", 16));
    json_t *r = record("l.json");
    assert_int_equal(json_integer_value(json_object_get(r, "frames")), 18);
    /* One for each frame: the step over the seam is measured, too. */
    assert_int_equal(json_array_size(json_object_get(json_object_get(r, "lpips"), "neighbours")),
                     18);
    json_decref(r);
    size_t size, frames = 0;
    char *gif = cli_read("l.gif", &size);
    for (size_t i = 0; i + 8 < size; i++) /* graphic control extensions of 5/100 s */
        frames += memcmp(gif + i, "\x21\xf9\x04", 3) == 0 && gif[i + 4] == 5 && gif[i + 5] == 0;
    assert_int_equal(frames, 18);
    free(gif);

    cli_expect(0, "interpolate -m '%s' a.npz b.npz --frames 6 -q -o l.webp --force", MODEL);
    assert_true(holds("l.webp", "ANIM\x06\0\0\0", 8));
    size_t count = 0;
    char *webp = cli_read("l.webp", &size);
    for (size_t i = 0; i + 4 < size; i++)
        count += memcmp(webp + i, "ANMF", 4) == 0;
    assert_int_equal(count, 6);
    free(webp);
}

static void a_strip_has_8_cells_a_pair(void **state)
{
    (void)state;
    gv_image strip;
    gv_file f;
    cli_expect(0, "interpolate -m '%s' a.npz b.npz a.npz -q -o strip.png", MODEL);
    assert_int_equal(gv_file_open(&f, cli_path("strip.png"), NULL), GV_OK);
    assert_int_equal(gv_image_load(&strip, f.data, f.size, "strip", NULL, NULL), GV_OK);
    gv_file_close(&f);
    /* Cells of 4 x 32 pixels, 8 apart, margins of 12: see test_grid.c. Two rows. */
    assert_int_equal(strip.width, 8 * 128 + 7 * 8 + 2 * 12);
    assert_true(strip.height > 2 * 128 && strip.height < 3 * 128);
    gv_image_deinit(&strip);
    json_t *r = record("strip.json");
    assert_int_equal(json_array_size(json_object_get(json_object_get(r, "lpips"), "neighbours")),
                     14);
    json_decref(r);
}

static void only_the_layers_named_move(void **state)
{
    (void)state;
    float end[LATENT];
    memcpy(end, a, sizeof end);
    for (int row = 0; row < ROWS; row++)
        if (row <= 2 || row == 7)
            memcpy(end + row * DIM, b + row * DIM, DIM * sizeof(float));
    write_w("end.npz", end);
    cli_expect(0, "interpolate -m '%s' a.npz b.npz --layers 0-2,7 --frames 3 --raw -q -o rows/",
               MODEL);
    cli_expect(0, "sample -m '%s' --latents end.npz -q --force -o sample.npy", MODEL);
    same("sample.npy", "rows/frame0002.npy");
    cli_refuse(2, "ganvas interpolate: --layers: is for --space w+, which has rows to choose from",
               "interpolate -m '%s' za.npz zb.npz --space z --layers 0 -q -o no/", MODEL);
    cli_expect(2, "interpolate -m '%s' a.npz b.npz --layers 8 -q -o no.gif", MODEL);
}

static void a_great_circle_is_another_way_in_z(void **state)
{
    (void)state;
    cli_expect(0, "interpolate -m '%s' za.npz zb.npz --space z --frames 4 --raw -q -o line/",
               MODEL);
    cli_expect(0,
               "interpolate -m '%s' za.npz zb.npz --space z --slerp --frames 4 --raw -q -o round/",
               MODEL);
    same("line/frame0000.npy", "round/frame0000.npy");
    same("line/frame0003.npy", "round/frame0003.npy");
    gv_test_array x = gv_test_npy(cli_path("line/frame0001.npy"));
    gv_test_array y = gv_test_npy(cli_path("round/frame0001.npy"));
    assert_memory_not_equal(x.f32, y.f32, (size_t)x.count * sizeof(float));
    gv_test_array_free(&x);
    gv_test_array_free(&y);
    /* z is mapped where w+ is wanted. */
    cli_expect(0, "interpolate -m '%s' za.npz b.npz --frames 2 --raw -q -o mapped/", MODEL);
    cli_expect(0, "sample -m '%s' --latents za.npz -q --force -o sample.npy", MODEL);
    same("sample.npy", "mapped/frame0000.npy");
}

static void wrong_usage_is_told_before_any_work(void **state)
{
    (void)state;
    const char *model = MODEL;
    cli_refuse(2, "ganvas interpolate: a.npz: holds no z, which --space z needs at every end",
               "interpolate -m '%s' za.npz a.npz --space z -o no.gif", model);
    cli_refuse(
        2, "ganvas interpolate: a.npz: latent 0 is of w+ (its rows differ); --space w+ takes it",
        "interpolate -m '%s' a.npz b.npz --space w -o no.gif", model);
    cli_refuse(2, "ganvas interpolate: interpolate needs two ends or more, a.npz holds one",
               "interpolate -m '%s' a.npz -o no.gif", model);
    cli_refuse(2, "ganvas interpolate: --slerp: is for --space z, whose latents lie about a sphere",
               "interpolate -m '%s' a.npz b.npz --slerp -o no.gif", model);
    cli_refuse(2, "ganvas interpolate: --fps: a GIF shows at most 50 frames a second, found 60",
               "interpolate -m '%s' a.npz b.npz --fps 60 -o no.gif", model);
    cli_expect(2, "interpolate -m '%s' a.npz b.npz -o no.avi", model);
    cli_expect(2, "interpolate -m '%s' a.npz b.npz --frames 1 -o no.gif", model);
    cli_expect(2, "interpolate -m '%s' za.npz zb.npz -o no.gif", DCGAN_MODEL);
    cli_expect(1, "interpolate -m '%s' a.npz nothing.npz -o no.gif", model);
    assert_false(cli_exists("no.gif"));
    assert_false(cli_exists("no.json"));

    char *path = strdup(getenv("PATH"));
    assert_non_null(path);
    setenv("PATH", "/nowhere", 1);
    cli_refuse(1,
               "ganvas interpolate: .mp4 needs the program ffmpeg, which is not installed; .gif "
               "and .webp do without",
               "interpolate -m '%s' a.npz b.npz -o no.mp4", model);
    setenv("PATH", path, 1);
    free(path);
}

static void only_own_files_are_overwritten(void **state)
{
    (void)state;
    const char *model = MODEL;
    const char *outs[] = {"mine.gif", "mine.webp", "mine.png"};
    for (int i = 0; i < 3; i++)
        for (int again = 0; again < 2; again++)
            cli_expect(0, "interpolate -m '%s' a.npz b.npz --frames 2 -q -o %s", model, outs[i]);
    cli_write("foreign.gif", "GIF89a of somebody", 18);
    cli_expect(1, "interpolate -m '%s' a.npz b.npz --frames 2 -q -o foreign.gif", model);
    assert_true(holds("foreign.gif", "somebody", 8));
    cli_write("notes.json", "{\"notes\": 1}", 12);
    cli_expect(1, "interpolate -m '%s' a.npz b.npz --frames 2 -q -o notes.gif", model);
    assert_false(cli_exists("notes.gif"));
    cli_expect(0, "interpolate -m '%s' a.npz b.npz --frames 2 -q --force -o notes.gif", model);
}

static void photographs_are_inverted_first(void **state)
{
    (void)state;
    const char *model = MODEL;
    char photos[2][512];
    snprintf(photos[0], sizeof photos[0], "%s", gv_test_source("examples/images/tabby.jpg"));
    snprintf(photos[1], sizeof photos[1], "%s", gv_test_source("examples/images/white.jpg"));
    cli_expect(0, "interpolate -m '%s' '%s' '%s' a.npz --evals 6 --frames 2 --raw -q -o photos/",
               model, photos[0], photos[1]);
    json_t *r = record("photos/interpolate.json");
    const json_t *ends = json_object_get(r, "ends");
    assert_int_equal(json_array_size(ends), 3);
    for (size_t i = 0; i < 2; i++) {
        const json_t *end = json_array_get(ends, i);
        assert_string_equal(json_string_value(json_object_get(end, "kind")), "picture");
        assert_int_equal(json_integer_value(json_object_get(end, "evaluations")), 6);
        assert_true(json_real_value(json_object_get(end, "lpips")) > 0.0);
    }
    assert_string_equal(json_string_value(json_object_get(json_array_get(ends, 2), "kind")),
                        "saved");
    json_decref(r);

    /* The same latent as invert finds, so the same picture. */
    cli_expect(0, "invert -m '%s' '%s' --evals 6 -q -o inverted", model, photos[0]);
    cli_expect(0, "sample -m '%s' --latents inverted/tabby.npz -q --force -o sample.npy", model);
    same("sample.npy", "photos/frame0000.npy");

    /* A cross-fade begins and ends with the photographs themselves, of which one inverts none. */
    cli_expect(0, "interpolate -m '%s' '%s' '%s' --space pixel --frames 3 --raw -q -o fade/", model,
               photos[0], photos[1]);
    gv_test_array x = gv_test_npy(cli_path("fade/frame0000.npy"));
    gv_test_array y = gv_test_npy(cli_path("fade/frame0001.npy"));
    gv_test_array z = gv_test_npy(cli_path("fade/frame0002.npy"));
    for (int64_t i = 0; i < x.count; i++)
        assert_float_equal(y.f32[i], 0.5f * (x.f32[i] + z.f32[i]), 1e-6);
    gv_test_array_free(&x);
    gv_test_array_free(&y);
    gv_test_array_free(&z);
    /* A DCGAN gives it its size alone. */
    cli_expect(0, "interpolate -m '%s' '%s' '%s' --space pixel --frames 2 -q -o fade.gif",
               DCGAN_MODEL, photos[0], photos[1]);
}

static void ctrl_c_keeps_the_frames_there_are(void **state)
{
    (void)state;
    char model[512];
    snprintf(model, sizeof model, "%s", MODEL);
    const char *words[] = {"interpolate", "-m", model, "a.npz",    "b.npz", "--frames",
                           "10000",       "-q", "-o",  "stopped/", NULL};
    int process = cli_start(words);
    const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
    for (int i = 0; i < 3000 && !cli_exists("stopped/frame0003.png"); i++)
        nanosleep(&pause, NULL);
    kill(process, SIGINT);
    assert_int_equal(cli_wait(process), 130);
    json_t *r = record("stopped/interpolate.json");
    size_t kept = json_array_size(json_object_get(r, "outputs"));
    char name[64];
    assert_true(kept >= 4 && kept < 10000);
    snprintf(name, sizeof name, "stopped/frame%04zu.png", kept - 1);
    assert_true(cli_exists(name));
    json_decref(r);
}

/* ---- mix ---- */

static void a_mixture_has_the_rows_of_both(void **state)
{
    (void)state;
    float mixed[LATENT];
    memcpy(mixed, a, sizeof mixed);
    memcpy(mixed + 4 * DIM, b + 4 * DIM, 4 * DIM * sizeof(float));
    write_w("mixed.npz", mixed);
    cli_expect(0, "mix -m '%s' --rows 3,a.npz --columns b.npz,7-8 --layers 4-7 --raw -q -o mix/",
               MODEL);
    cli_expect(0, "sample -m '%s' --latents mixed.npz -q --force -o sample.npy", MODEL);
    same("sample.npy", "mix/row1-column0.npy");
    cli_expect(0, "sample -m '%s' --seeds 8 -q --force -o sample.npy", MODEL);
    same("sample.npy", "mix/column2.npy");
    assert_true(cli_exists("mix/grid.png"));
    assert_true(cli_exists("mix/row1-column2.png"));

    cli_expect(0, "mix -m '%s' --rows 3 --columns 7,8 --layers all --psi 0.7 --raw -q -o nv/",
               MODEL);
    cli_expect(0, "sample -m '%s' --seeds 7 --psi 0.7 -q --force -o sample.npy", MODEL);
    same("sample.npy", "nv/3-7.npy"); /* every row is the column's */
    same("sample.npy", "nv/7-7.npy");
    cli_result again = cli_run("replay nv/3-7.png");
    assert_non_null(strstr(again.out, "--rows 3 --columns 7,8 --layers all"));
    cli_free(&again);
}

static void a_mixture_that_cannot_be_is_refused(void **state)
{
    (void)state;
    cli_expect(2, "mix -m '%s' --layers 8 -o no.png", MODEL);
    cli_expect(2, "mix -m '%s' --layers 4 -o no.gif", MODEL);
    cli_expect(2, "mix -m '%s' --rows 1 --columns 2 --layers 0 -o no.png", DCGAN_MODEL);
    cli_expect(1, "mix -m '%s' --rows nothing.png --layers 0 -o no.png", MODEL);
    assert_false(cli_exists("no.png"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_begin_and_end_on_the_latents),
        cmocka_unit_test(bits_do_not_depend_on_threads),
        cmocka_unit_test(animations_loop_and_count),
        cmocka_unit_test(a_strip_has_8_cells_a_pair),
        cmocka_unit_test(only_the_layers_named_move),
        cmocka_unit_test(a_great_circle_is_another_way_in_z),
        cmocka_unit_test(wrong_usage_is_told_before_any_work),
        cmocka_unit_test(only_own_files_are_overwritten),
        cmocka_unit_test(photographs_are_inverted_first),
        cmocka_unit_test(ctrl_c_keeps_the_frames_there_are),
        cmocka_unit_test(a_mixture_has_the_rows_of_both),
        cmocka_unit_test(a_mixture_that_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, prepare, cli_remove_folder);
}
