/* `ganvas invert` and `ganvas scribble` end to end, on small models with random weights. */
#include "cli_support.h"

#include "base/file.h"
#include "base/memory.h"
#include "image/image.h"

#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SKIP_MODEL gv_test_source("tests/nets/data/sg2_skip.safetensors") /* 32 px, 8 x 16 */
#define COND_MODEL gv_test_source("tests/nets/data/sg2_cond.safetensors")
#define DCGAN_MODEL gv_test_source("tests/nets/data/dcgan_course.pth")
#define QUICK "--threads 1 --evals 8"

/* ---- pictures and results ---- */

static void save(const gv_image *image, const char *name)
{
    gv_error err;
    if (gv_image_save(image, cli_path(name), NULL, &err) != GV_OK)
        fail_msg("%s", err.message);
}

/* A photo of smooth colours. */
static void make_photo(const char *name, int64_t w, int64_t h, double phase)
{
    gv_image image;
    assert_int_equal(gv_image_init(&image, w, h, 3, NULL), GV_OK);
    for (int64_t i = 0; i < w * h * 3; i++)
        image.pixels[i] = (uint8_t)lround(127.5 + 100.0 * sin(0.11 * (double)(i / 3 % w) +
                                                              0.07 * (double)(i / 3 / w) + phase +
                                                              (double)(i % 3)));
    save(&image, name);
    gv_image_deinit(&image);
}

/* A sketch: a block and a soft edge; what is not drawn has the colours of the seed. */
static void make_sketch(const char *name, int64_t side, uint32_t seed)
{
    gv_image image;
    assert_int_equal(gv_image_init(&image, side, side, 4, NULL), GV_OK);
    for (int64_t i = 0; i < side * side; i++) {
        uint8_t *p = image.pixels + i * 4;
        int64_t x = i % side, y = i / side;
        bool drawn = x > side / 4 && x < side * 3 / 4 && y > side / 3;
        p[3] = !drawn ? 0 : y < side / 2 ? 90 : 255;
        for (int c = 0; c < 3; c++) {
            seed = seed * 1664525u + 1013904223u;
            p[c] = p[3] == 0 ? (uint8_t)(seed >> 24) : (uint8_t)(60 * c + x);
        }
    }
    save(&image, name);
    gv_image_deinit(&image);
}

/* In the folder of the runs. */
static void shell(const char *line)
{
    char whole[1024];
    snprintf(whole, sizeof whole, "cd '%s' && %s", cli_path(""), line);
    assert_int_equal(system(whole), 0);
}

static json_t *record(const char *name)
{
    char *text = cli_read(name, NULL);
    json_t *r = json_loads(text, 0, NULL);
    if (r == NULL)
        fail_msg("%s is not JSON", name);
    free(text);
    return r;
}

static double result(const json_t *r, const char *key)
{
    return json_number_value(json_object_get(json_object_get(r, "result"), key));
}

static double loss(const json_t *r)
{
    return json_number_value(
        json_object_get(json_object_get(json_object_get(r, "result"), "losses"), "total"));
}

static void same_files(const char *a, const char *b)
{
    size_t size, other;
    char *x = cli_read(a, &size), *y = cli_read(b, &other);
    assert_int_equal(size, other);
    gv_test_same_bits(x, y, size, b);
    free(x);
    free(y);
}

/* ---- what is left ---- */

static void a_photo_leaves_what_is_promised(void **state)
{
    (void)state;
    make_photo("cat.png", 50, 40, 0.0);
    cli_result r =
        cli_run("invert --model '%s' " QUICK " --snapshots 3,8 --raw cat.png -o one", SKIP_MODEL);
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.out, "one/cat.png  loss "));
    cli_free(&r);
    static const char *const files[] = {"one/cat.png", "one/cat.npz",      "one/cat.json",
                                        "one/cat.csv", "one/cat-0003.png", "one/cat-0008.png",
                                        "one/cat.npy", "one/report.html"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (!cli_exists(files[i]))
            fail_msg("%s is missing", files[i]);
    assert_false(cli_exists("one/index.csv"));
    assert_false(cli_exists("one/latents.npz"));

    gv_test_array w = gv_test_npz(cli_path("one/cat.npz"), "w");
    assert_int_equal(w.dtype, GV_TEST_F32);
    assert_int_equal(w.rank, 3);
    assert_int_equal(w.shape[0], 1);
    assert_int_equal(w.shape[1], 8);
    assert_int_equal(w.shape[2], 16);
    gv_test_array_free(&w);

    json_t *j = record("one/cat.json");
    assert_true(loss(j) < result(j, "first_loss"));
    assert_int_equal((int)result(j, "evaluations"), 8);
    assert_true(result(j, "lpips") > 0.0 && result(j, "psnr") > 0.0);
    assert_int_equal(json_array_size(json_object_get(j, "starts")), 1);
    json_t *corners = json_object_get(json_object_get(j, "source"), "corners");
    assert_true(json_number_value(json_array_get(json_array_get(corners, 0), 0)) == 5.0);
    json_decref(j);

    char want[1024];
    r = cli_run("replay one/cat.png");
    snprintf(want, sizeof want,
             "ganvas invert --model %s --evals 8 --snapshots 3,8 -o one --raw cat.png\n",
             SKIP_MODEL);
    assert_string_equal(r.out, want);
    cli_free(&r);

    char *csv = cli_read("one/cat.csv", NULL);
    assert_int_equal(strncmp(csv, "evaluations,start,seconds,loss\n1,0,", 35), 0);
    free(csv);
}

/* The saved latent renders to the saved picture, and is a start whose loss is the loss reached. */
static void the_latent_goes_there_and_back(void **state)
{
    (void)state;
    static const char *const spaces[] = {"w+", "w", "z"};
    make_photo("photo.png", 40, 40, 1.0);
    for (int i = 0; i < 3; i++) {
        cli_expect(0, "invert --model '%s' " QUICK " --latent %s --raw photo.png -o there",
                   SKIP_MODEL, spaces[i]);
        cli_expect(0, "sample --model '%s' --threads 1 --latents there/photo.npz -f -o again.npy",
                   SKIP_MODEL);
        gv_test_array a = gv_test_npy_typed(cli_path("there/photo.npy"), GV_TEST_F32);
        gv_test_array b = gv_test_npy_typed(cli_path("again.npy"), GV_TEST_F32);
        assert_int_equal(a.count, b.count);
        gv_test_close(a.f32, b.f32, a.count, 1e-5, spaces[i]);
        gv_test_array_free(&a);
        gv_test_array_free(&b);
        if (i == 1) {
            gv_test_array w = gv_test_npz(cli_path("there/photo.npz"), "w");
            for (int row = 1; row < 8; row++)
                assert_memory_equal(w.f32, w.f32 + row * 16, 16 * sizeof(float));
            gv_test_array_free(&w);
        }
        if (i == 2) {
            gv_test_array z = gv_test_npz(cli_path("there/photo.npz"), "z");
            assert_int_equal(z.rank, 2);
            assert_int_equal(z.shape[1], 16);
            gv_test_array_free(&z);
        }
        cli_expect(0,
                   "invert --model '%s' --threads 1 --evals 0 --latent %s --init there/photo.npz "
                   "photo.png -o back",
                   SKIP_MODEL, spaces[i]);
        json_t *there = record("there/photo.json"), *back = record("back/photo.json");
        assert_true(fabs(loss(there) - result(back, "first_loss")) < 1e-4 * loss(there));
        json_decref(there);
        json_decref(back);
    }
}

static void other_models(void **state)
{
    (void)state;
    make_photo("photo.png", 40, 40, 1.0);
    cli_expect(0, "invert --model '%s' " QUICK " --latent z photo.png -o dcgan", DCGAN_MODEL);
    gv_test_array z = gv_test_npz(cli_path("dcgan/photo.npz"), "z");
    assert_int_equal(z.shape[1], 10);
    gv_test_array_free(&z);
    cli_expect(0, "invert --model '%s' " QUICK " --class 2 --latent z photo.png -o cond",
               COND_MODEL);
    cli_expect(2, "invert --model '%s' " QUICK " photo.png -o no", DCGAN_MODEL);
    cli_expect(2, "invert --model '%s' " QUICK " photo.png -o no", COND_MODEL);
    cli_expect(2, "invert --model '%s' " QUICK " --class 1 photo.png -o no", SKIP_MODEL);
    assert_false(cli_exists("no/photo.png"));
}

/* Every option does something, and none of them breaks. */
static void options_change_the_result(void **state)
{
    (void)state;
    static const char *const options[] = {
        "--init random",
        "--init random --seed 5",
        "--starts 3",
        "--optimizer adam",
        "--optimizer wolfe",
        "--history 1 --evals 16",
        "--mse 3 --l1 0",
        "--layer conv_1",
        "--layer conv_2:1,conv2_2:0.5",
        "--lpips 2",
        "--reg 1",
        "--noise none",
        "--noise random",
        "--crop 3,4,20,10",
        "--eyes 12,14,30,20",
        "--compat hw5",
        "--perc 0",
        "--optimizer adam --lr 0.01",
        "--mask photo.png",
        "--mask photo.png --mask-on features",
    };
    enum { COUNT = sizeof options / sizeof options[0] };
    double losses[COUNT];
    make_photo("photo.png", 48, 40, 2.0);
    for (int i = 0; i < COUNT; i++) {
        cli_expect(0, "invert --model '%s' --quiet " QUICK " %s photo.png -o opt", SKIP_MODEL,
                   options[i]);
        json_t *j = record("opt/photo.json");
        losses[i] = loss(j);
        json_decref(j);
        for (int k = 0; k < i; k++)
            if (losses[k] == losses[i])
                fail_msg("'%s' gives the loss of '%s'", options[i], options[k]);
    }
    cli_expect(0, "invert --model '%s' --quiet " QUICK " --starts 3 photo.png -o opt", SKIP_MODEL);
    json_t *j = record("opt/photo.json");
    json_t *starts = json_object_get(j, "starts");
    assert_int_equal(json_array_size(starts), 3);
    for (size_t i = 0; i < 3; i++)
        assert_non_null(json_object_get(json_array_get(starts, i), "thumbnail"));
    json_decref(j);
}

static void hw5_says_that_it_uses_vgg16(void **state)
{
    (void)state;
    make_photo("photo.png", 48, 40, 2.0);
    cli_result r =
        cli_run("invert --model '%s' " QUICK " --compat hw5 photo.png -o hw5 --raw", SKIP_MODEL);
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.err, "VGG19; this is VGG16"));
    cli_free(&r);
    /* Bytes by truncation of 255 (x / 2 + 0.5). */
    gv_test_array raw = gv_test_npy_typed(cli_path("hw5/photo.npy"), GV_TEST_F32);
    gv_file f;
    gv_image image;
    assert_int_equal(gv_file_open(&f, cli_path("hw5/photo.png"), NULL), GV_OK);
    assert_int_equal(gv_image_load(&image, f.data, f.size, "hw5", NULL, NULL), GV_OK);
    gv_file_close(&f);
    for (int i = 0; i < 32 * 32 * 3; i++) {
        float v = 255.0f * (raw.f32[i % 3 * 1024 + i / 3] / 2.0f + 0.5f);
        v = v < 0.0f ? 0.0f : v > 255.0f ? 255.0f : v;
        assert_int_equal(image.pixels[i], (int)v);
    }
    gv_image_deinit(&image);
    gv_test_array_free(&raw);
}

/* ---- masks ---- */

static void colours_under_alpha_0_change_no_bit(void **state)
{
    (void)state;
    static const char *const options[] = {"", "--mask-on features --lpips 1", "--mask-on both",
                                          "--compat hw5"};
    static const int64_t sides[] = {32, 57};
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        for (int k = 0; k < 2; k++) {
            make_sketch("sketch.png", sides[k], 1);
            cli_expect(0, "scribble --model '%s' --quiet " QUICK " %s sketch.png -o a", SKIP_MODEL,
                       options[i]);
            make_sketch("sketch.png", sides[k], 77);
            cli_expect(0, "scribble --model '%s' --quiet " QUICK " %s sketch.png -o b", SKIP_MODEL,
                       options[i]);
            same_files("a/sketch.npz", "b/sketch.npz");
            json_t *a = record("a/sketch.json"), *b = record("b/sketch.json");
            json_t *x = json_object_get(a, "curve"), *y = json_object_get(b, "curve");
            assert_true(json_equal(json_object_get(x, "loss"), json_object_get(y, "loss")));
            assert_true(result(a, "lpips") == result(b, "lpips"));
            json_decref(a);
            json_decref(b);
        }
}

static void turned_files_change_no_bit(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++)
        cli_expect(
            0,
            "scribble --model '%s' --quiet " QUICK " --crop 2,1,30,26 --mask '%s' -o t%d "
            "'%s'",
            SKIP_MODEL,
            gv_test_source(k == 0 ? "tests/job/data/mask.tif" : "tests/job/data/mask6.tif"), k,
            gv_test_source(k == 0 ? "tests/job/data/picture.tif" : "tests/job/data/picture6.tif"));
    same_files("t0/picture.npz", "t1/picture6.npz");
}

static void a_sketch_without_alpha_is_told_about(void **state)
{
    (void)state;
    gv_image image;
    assert_int_equal(gv_image_init(&image, 32, 32, 3, NULL), GV_OK);
    memset(image.pixels, 255, 32 * 32 * 3);
    memset(image.pixels + 12 * 32 * 3, 9, 6 * 32 * 3 - 9);
    save(&image, "opaque.png");
    gv_image_deinit(&image);
    cli_result r = cli_run("scribble --model '%s' " QUICK " opaque.png -o border", SKIP_MODEL);
    assert_int_equal(r.status, 0);
    assert_non_null(
        strstr(r.err, "opaque.png: no alpha and no mask: the border's colour, #ffffff"));
    cli_free(&r);
    json_t *j = record("border/opaque.json");
    assert_true(json_is_true(json_object_get(json_object_get(j, "source"), "masked")));
    json_decref(j);
    cli_expect(0, "scribble --model '%s' " QUICK " --mask none opaque.png -o border", SKIP_MODEL);
    j = record("border/opaque.json");
    assert_true(json_is_false(json_object_get(json_object_get(j, "source"), "masked")));
    json_decref(j);
}

/* ---- refusals ---- */

static void wrong_usage_is_one_sentence(void **state)
{
    (void)state;
    static const struct {
        const char *options, *error;
    } cases[] = {
        {"--crop 1,2,3", "--crop: '1,2,3' is not four numbers x,y,w,h"},
        {"--eyes 1,2,3,x", "--eyes: '1,2,3,x' is not four numbers x1,y1,x2,y2"},
        {"--eyes 1,2,3,4 --crop 1,2,3,4", "--crop and --eyes cannot both say where the face is"},
        {"--l1 0 --perc 0", "one of --l1, --mse, --perc and --lpips must be above 0"},
        {"--init nearby", "--init: 'nearby' is neither mean, random nor a .npz file"},
        {"--snapshots 9", "--snapshots: 9 is beyond --evals 8"},
        {"--layer conv_5:0", "--layer: the weight of conv_5 is not above 0"},
        {"--layer conv_5,conv3_1", "--layer: conv3_1 is named twice"},
        {"--starts 9", "--starts 9 needs at least as many --evals, found 8"},
        {"--crop 40,0,40,40", "photo.png: crop 40,0,40,40 leaves the picture of 48 x 40"},
    };
    make_photo("photo.png", 48, 40, 2.0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cli_result r = cli_run("invert --model '%s' " QUICK " %s photo.png -o refused", SKIP_MODEL,
                               cases[i].options);
        if (r.status != 2 || strstr(r.err, cases[i].error) == NULL)
            fail_msg("%s: status %d, %s", cases[i].options, r.status, r.err);
        cli_free(&r);
    }
    cli_expect(2, "invert --model '%s' " QUICK " --layer conv_8 photo.png -o refused", SKIP_MODEL);
    cli_expect(2, "invert --model '%s' photo.png", SKIP_MODEL);
    cli_expect(2, "invert --model '%s' -o refused", SKIP_MODEL);
    cli_expect(1, "invert --model '%s' " QUICK " --init no.npz photo.png -o refused", SKIP_MODEL);
    cli_expect(1, "invert --model '%s' " QUICK " --mask no.png photo.png -o refused", SKIP_MODEL);
    cli_expect(1, "invert --model '%s' " QUICK " --perceptual no.pth photo.png -o refused",
               SKIP_MODEL);
    assert_false(cli_exists("refused/photo.png"));
    /* Options of later versions are not there yet. */
    static const char *const later[] = {"--noise-maps optimise", "--prior 1", "--paste",
                                        "--precision mixed", "--align auto"};
    for (size_t i = 0; i < sizeof later / sizeof later[0]; i++)
        cli_expect(2, "invert --model '%s' " QUICK " %s photo.png -o refused", SKIP_MODEL,
                   later[i]);
    cli_expect(2, "invert --optimizer gn photo.png -o refused");
}

static void foreign_files_are_kept(void **state)
{
    (void)state;
    static const char *const ends[] = {"png", "npz", "json", "csv"};
    make_photo("photo.png", 48, 40, 2.0);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        char name[64];
        shell("rm -rf mine; mkdir mine");
        snprintf(name, sizeof name, "mine/photo.%s", ends[i]);
        cli_write(name, "my own", 6);
        cli_expect(1, "invert --model '%s' " QUICK " photo.png -o mine", SKIP_MODEL);
        char *kept = cli_read(name, NULL);
        assert_string_equal(kept, "my own");
        free(kept);
        cli_expect(0, "invert --model '%s' " QUICK " --force photo.png -o mine", SKIP_MODEL);
        cli_expect(0, "invert --model '%s' " QUICK " photo.png -o mine", SKIP_MODEL);
    }
}

/* ---- hostile pictures and disks ---- */

/* A PNG whose header promises 30000 x 30000 pixels. */
static void make_bomb(const char *name)
{
    static const uint8_t bytes[] = {
        0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48, 0x44,
        0x52, 0x00, 0x00, 0x75, 0x30, 0x00, 0x00, 0x75, 0x30, 0x08, 0x02, 0x00, 0x00, 0x00, 0xe9,
        0x45, 0x6f, 0xed, 0x00, 0x00, 0x00, 0x00, 0x49, 0x44, 0x41, 0x54, 0x35, 0xaf, 0x06, 0x1e,
        0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82};
    cli_write(name, bytes, sizeof bytes);
}

static void a_batch_survives_hostile_pictures(void **state)
{
    (void)state;
    shell("mkdir -p hostile/below");
    make_photo("hostile/below/good.png", 40, 40, 0.0);
    make_photo("hostile/one.png", 1, 1, 0.0);
    make_photo("hostile/thin.png", 400, 1, 0.0);
    size_t size;
    char *bytes = cli_read("hostile/below/good.png", &size);
    cli_write("hostile/cut.png", bytes, size / 2);
    cli_write("hostile/empty.png", "", 0);
    cli_write("hostile/misnamed.jpg", bytes, size); /* read by its content */
    cli_write("hostile/text.png", "not a picture at all", 20);
    free(bytes);
    make_bomb("hostile/bomb.png");
    FILE *gif = fopen(gv_test_source("tests/image/data/two-frames.gif"), "rb");
    assert_non_null(gif);
    char frames[4096];
    size_t length = fread(frames, 1, sizeof frames, gif);
    fclose(gif);
    cli_write("hostile/moving.gif", frames, length);

    cli_result r = cli_run("invert --model '%s' " QUICK " --json hostile -o survived", SKIP_MODEL);
    assert_int_equal(r.status, 1);
    assert_non_null(strstr(r.err, "4 of 9 pictures failed: "));
    json_t *j = json_loads(r.out, 0, NULL);
    json_t *failures = json_object_get(j, "failures");
    static const char *const bad[] = {"bomb.png", "cut.png", "empty.png", "text.png"};
    assert_int_equal(json_array_size(failures), 4);
    for (size_t i = 0; i < 4; i++)
        assert_non_null(strstr(
            json_string_value(json_object_get(json_array_get(failures, i), "file")), bad[i]));
    assert_int_equal(json_array_size(json_object_get(j, "outputs")), 5);
    json_decref(j);
    cli_free(&r);
    assert_true(cli_exists("survived/below/good.png"));
    assert_true(cli_exists("survived/moving.json"));
    assert_false(cli_exists("survived/cut.json"));

    char *index = cli_read("survived/index.csv", NULL);
    int lines = 0;
    for (const char *p = index; *p != '\0'; p++)
        lines += *p == '\n';
    assert_int_equal(lines, 10);
    assert_non_null(strstr(index, "\nbelow/good,hostile/below/good.png,done,"));
    assert_non_null(strstr(index, "\ncut,hostile/cut.png,failed,,,,,,,,"));
    free(index);
    gv_test_array w = gv_test_npz(cli_path("survived/latents.npz"), "w");
    assert_int_equal(w.shape[0], 5);
    gv_test_array_free(&w);

    cli_expect(1, "invert --model '%s' " QUICK " hostile/bomb.png -o survived", SKIP_MODEL);
#if !defined(__SANITIZE_ADDRESS__)
    struct rusage usage;
    getrusage(RUSAGE_CHILDREN, &usage);
    assert_true(usage.ru_maxrss < 400 * 1024);
#endif
}

static void a_disk_that_refuses_is_one_sentence(void **state)
{
    (void)state;
    make_photo("photo.png", 48, 40, 2.0);
    cli_expect(1, "invert --model '%s' " QUICK " photo.png -o /proc/ganvas", SKIP_MODEL);
    cli_write("file", "x", 1);
    cli_expect(1, "invert --model '%s' " QUICK " photo.png -o file/below", SKIP_MODEL);
    if (geteuid() != 0) {
        shell("mkdir -p closed; chmod 555 closed");
        cli_expect(1, "invert --model '%s' " QUICK " photo.png -o closed", SKIP_MODEL);
    }
    /* A disk with room for the first small files only. */
    char line[2048];
    snprintf(line, sizeof line,
             "cd '%s' && mkdir -p full && trap '' XFSZ && ulimit -f 4 && "
             "'%s' invert --model '%s' " QUICK " photo.png -o full > /dev/null 2> .err",
             cli_path(""), getenv("GANVAS_BIN"), SKIP_MODEL);
    int status = system(line);
    assert_int_equal(WEXITSTATUS(status), 1);
    char *err = cli_read(".err", NULL);
    assert_non_null(strstr(err, "ganvas invert: full/photo."));
    assert_non_null(strstr(err, "File too large"));
    free(err);
    assert_false(cli_exists("full/photo.json"));
    snprintf(line, sizeof line, "test -z \"$(find '%s' -name '*.tmp*')\"", cli_path("full"));
    assert_int_equal(system(line), 0);
}

/* ---- interruptions ---- */

static void ctrl_c_keeps_the_best_so_far(void **state)
{
    (void)state;
    char model[600];
    snprintf(model, sizeof model, "%s", SKIP_MODEL);
    shell("mkdir -p two");
    make_photo("two/a.png", 40, 40, 0.0);
    make_photo("two/b.png", 40, 40, 1.0);
    const char *words[] = {"invert",  "--model", model, "--optimizer", "adam",    "--threads", "1",
                           "--evals", "1000000", "two", "-o",          "stopped", NULL};
    int process = cli_start(words);
    bool running = false;
    for (int i = 0; i < 3000 && !running; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
        char *err = cli_read(".err", NULL);
        running = strstr(err, "evaluations ") != NULL;
        free(err);
    }
    assert_int_equal(kill(process, SIGINT), 0);
    assert_int_equal(cli_wait(process), 130);
    json_t *j = record("stopped/a.json");
    assert_true(json_is_true(json_object_get(json_object_get(j, "result"), "interrupted")));
    assert_true(loss(j) <= result(j, "first_loss"));
    json_decref(j);
    assert_true(cli_exists("stopped/a.png") && cli_exists("stopped/a.npz"));
    assert_false(cli_exists("stopped/b.json"));
    char *index = cli_read("stopped/index.csv", NULL);
    assert_non_null(strstr(index, "\na,two/a.png,interrupted,"));
    assert_non_null(strstr(index, "\nb,two/b.png,missing,"));
    free(index);
}

enum { PICTURES = 10 };

/* Times of the records that are there; 0 where there is none. */
static void look(int64_t times[PICTURES])
{
    for (int i = 0; i < PICTURES; i++) {
        char name[64];
        struct stat info;
        snprintf(name, sizeof name, "killed/p%d.json", i);
        times[i] = stat(cli_path(name), &info) == 0
                       ? (int64_t)info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec
                       : 0;
    }
}

/* GANVAS_TEST_KILLS: how often; the release check asks for 20. */
static void killed_batches_are_resumed(void **state)
{
    (void)state;
    char model[600], name[64];
    snprintf(model, sizeof model, "%s", SKIP_MODEL);
    const char *asked = getenv("GANVAS_TEST_KILLS");
    int kills = asked != NULL ? atoi(asked) : 4;
    unsigned seed = (unsigned)time(NULL);
    print_message("seed %u\n", seed);
    shell("mkdir -p ten");
    for (int i = 0; i < PICTURES; i++) {
        snprintf(name, sizeof name, "ten/p%d.png", i);
        make_photo(name, 40, 40, i);
    }
    const char *words[] = {"invert",  "--model", model, "--threads", "1",        "--evals", "6",
                           "--quiet", "ten",     "-o",  "killed",    "--resume", NULL};
    int64_t before[PICTURES], after[PICTURES];
    for (int k = 0; k < kills; k++) {
        look(before);
        int process = cli_start(words);
        seed = seed * 1664525u + 1013904223u;
        nanosleep(&(struct timespec){.tv_nsec = 20000000 + seed % 700000000}, NULL);
        kill(process, SIGKILL);
        cli_wait(process);
        look(after);
        for (int i = 0; i < PICTURES; i++)
            if (before[i] != 0)
                assert_int_equal(after[i], before[i]);
    }
    look(before);
    cli_result r =
        cli_run("invert --model '%s' --threads 1 --evals 6 ten -o killed --resume", model);
    assert_int_equal(r.status, 0);
    cli_free(&r);
    look(after);
    for (int i = 0; i < PICTURES; i++) {
        assert_true(after[i] != 0 && (before[i] == 0 || before[i] == after[i]));
        snprintf(name, sizeof name, "killed/p%d.json", i);
        json_decref(record(name));
        snprintf(name, sizeof name, "killed/p%d.npz", i);
        gv_test_array w = gv_test_npz(cli_path(name), "w");
        gv_test_array_free(&w);
    }
    /* Finished ones are as if nothing had happened. */
    cli_expect(0, "invert --model '%s' --threads 1 --evals 6 ten/p7.png -o whole", model);
    same_files("whole/p7.npz", "killed/p7.npz");
    /* Other settings are other results. */
    cli_expect(0, "invert --model '%s' --threads 1 --evals 7 ten/p7.png -o whole --resume", model);
    json_t *j = record("whole/p7.json");
    assert_int_equal((int)result(j, "evaluations"), 7);
    json_decref(j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_photo_leaves_what_is_promised),
        cmocka_unit_test(the_latent_goes_there_and_back),
        cmocka_unit_test(other_models),
        cmocka_unit_test(options_change_the_result),
        cmocka_unit_test(hw5_says_that_it_uses_vgg16),
        cmocka_unit_test(colours_under_alpha_0_change_no_bit),
        cmocka_unit_test(turned_files_change_no_bit),
        cmocka_unit_test(a_sketch_without_alpha_is_told_about),
        cmocka_unit_test(wrong_usage_is_one_sentence),
        cmocka_unit_test(foreign_files_are_kept),
        cmocka_unit_test(a_batch_survives_hostile_pictures),
        cmocka_unit_test(a_disk_that_refuses_is_one_sentence),
        cmocka_unit_test(ctrl_c_keeps_the_best_so_far),
        cmocka_unit_test(killed_batches_are_resumed),
    };
    return cmocka_run_group_tests(tests, cli_make_folder, cli_remove_folder);
}
