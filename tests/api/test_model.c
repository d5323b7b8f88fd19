/* Generators through the public interface. */
#include "ganvas.h"

#include "base/file.h"
#include "base/memory.h"
#include "support.h"

#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SKIP_MODEL gv_test_source("tests/nets/data/sg2_skip.safetensors")
#define COND_MODEL gv_test_source("tests/nets/data/sg2_cond.safetensors")
#define DCGAN_MODEL gv_test_source("tests/nets/data/dcgan_course.pth")

enum { SIDE = 32, FLOATS = 3 * SIDE * SIDE }; /* of SKIP_MODEL */

static ganvas_engine *new_engine(int threads)
{
    ganvas_engine *engine;
    const ganvas_engine_options options = {.threads = threads};
    assert_int_equal(ganvas_engine_new(&engine, &options, NULL), GANVAS_OK);
    return engine;
}

static ganvas_model *open_model(ganvas_engine *engine, const char *path)
{
    ganvas_model *model;
    ganvas_error err;
    if (ganvas_model_open(&model, engine, path, &err) != GANVAS_OK)
        fail_msg("%s", err.message);
    return model;
}

static void a_file_and_its_bytes_are_the_same_model(void **state)
{
    (void)state;
    static float latents[2][16], images[2][FLOATS];
    const uint64_t seed = 85;
    ganvas_engine *engine = new_engine(1);
    ganvas_model *models[2] = {open_model(engine, SKIP_MODEL)};
    gv_file f;
    assert_int_equal(gv_file_open(&f, SKIP_MODEL, NULL), GV_OK);
    assert_int_equal(ganvas_model_open_memory(&models[1], engine, f.data, f.size, "memory", NULL),
                     GANVAS_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ganvas_latent_size(models[i], GANVAS_SPACE_Z), 16);
        assert_int_equal(
            ganvas_latents(models[i], latents[i], GANVAS_SPACE_Z, &seed, 1, NULL, NULL), GANVAS_OK);
        assert_int_equal(
            ganvas_generate(models[i], images[i], latents[i], GANVAS_SPACE_Z, 1, NULL, NULL, NULL),
            GANVAS_OK);
    }
    gv_test_same_bits(images[0], images[1], sizeof images[0], "images");
    ganvas_model_close(models[0]);
    ganvas_model_close(models[1]);
    gv_file_close(&f);
    ganvas_engine_free(engine);
}

static void info_is_json_with_the_dims(void **state)
{
    (void)state;
    ganvas_engine *engine = new_engine(1);
    ganvas_model *model = open_model(engine, COND_MODEL);
    ganvas_model_dims d = ganvas_model_get_dims(model);
    char *text;
    assert_int_equal(ganvas_model_info(model, &text, NULL), GANVAS_OK);
    json_t *info = json_loads(text, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(info, "type")), "stylegan2");
    assert_int_equal(json_integer_value(json_object_get(info, "resolution")), d.resolution);
    assert_int_equal(json_integer_value(json_object_get(info, "classes")), 3);
    assert_int_equal(json_integer_value(json_object_get(info, "parameters")), 3775);
    assert_int_equal(strlen(json_string_value(json_object_get(info, "hash"))), 16);
    assert_int_equal(d.num_ws * d.w_dim, ganvas_latent_size(model, GANVAS_SPACE_W_PLUS));
    json_decref(info);
    ganvas_free(text);
    ganvas_model_close(model);

    model = open_model(engine, DCGAN_MODEL);
    d = ganvas_model_get_dims(model);
    assert_true(d.w_dim == 0 && d.num_ws == 0 && d.z_dim == 10 && d.resolution == 16);
    assert_int_equal(ganvas_latent_size(model, GANVAS_SPACE_W), 0);
    ganvas_model_close(model);
    ganvas_engine_free(engine);
}

/* z, mapped by hand, is w; bytes with a stride are the floats cut. */
static void spaces_and_formats_agree(void **state)
{
    (void)state;
    enum { STRIDE = SIDE * 3 + 5 };
    static float z[2 * 16], images[2][2 * FLOATS];
    static uint8_t pixels[2 * SIDE * STRIDE];
    const uint64_t seeds[2] = {1, 2};
    const ganvas_mapping mapping = {.psi = 0.7, .cutoff = 3, .class_index = -1};
    ganvas_render render = ganvas_render_default();
    render.mapping = mapping;
    ganvas_engine *engine = new_engine(2);
    ganvas_model *model = open_model(engine, SKIP_MODEL);
    size_t size = (size_t)ganvas_latent_size(model, GANVAS_SPACE_W);
    float *w = calloc(4 * size, sizeof(float)), *mapped = w + 2 * size;
    assert_non_null(w);

    assert_int_equal(ganvas_latents(model, z, GANVAS_SPACE_Z, seeds, 2, NULL, NULL), GANVAS_OK);
    assert_int_equal(ganvas_latents(model, w, GANVAS_SPACE_W, seeds, 2, &mapping, NULL), GANVAS_OK);
    assert_int_equal(ganvas_map(model, mapped, z, 2, &mapping, NULL), GANVAS_OK);
    gv_test_same_bits(w, mapped, 2 * size * sizeof(float), "w");
    assert_int_equal(ganvas_generate(model, images[0], z, GANVAS_SPACE_Z, 2, &render, NULL, NULL),
                     GANVAS_OK);
    assert_int_equal(ganvas_generate(model, images[1], w, GANVAS_SPACE_W_PLUS, 2, NULL, NULL, NULL),
                     GANVAS_OK);
    gv_test_same_bits(images[0], images[1], sizeof images[0], "images");

    memset(pixels, 77, sizeof pixels);
    assert_int_equal(
        ganvas_generate_rgb8(model, pixels, STRIDE, w, GANVAS_SPACE_W, 2, NULL, NULL, NULL),
        GANVAS_OK);
    for (int row = 0; row < 2 * SIDE; row++) {
        const uint8_t *p = pixels + row * STRIDE;
        const float *x = images[0] + row / SIDE * FLOATS + row % SIDE * SIDE;
        for (int i = 0; i < SIDE; i++) {
            double green = trunc(fmin(fmax((double)(x[SIDE * SIDE + i] * 127.5f + 128), 0), 255));
            assert_int_equal(p[i * 3 + 1], green);
        }
        for (int i = SIDE * 3; i < STRIDE; i++)
            assert_int_equal(p[i], 77);
    }
    free(w);
    ganvas_model_close(model);
    ganvas_engine_free(engine);
}

static void wrong_arguments_are_refused(void **state)
{
    (void)state;
    static float z[16], image[FLOATS];
    uint8_t pixel;
    const uint64_t seed = 1, large = (uint64_t)1 << 32;
    ganvas_error err;
    ganvas_engine *engine = new_engine(1);
    ganvas_model *model = open_model(engine, SKIP_MODEL);
    ganvas_render render = ganvas_render_default();

    assert_int_equal(ganvas_latents(model, z, (ganvas_space)7, &seed, 1, NULL, &err), GANVAS_E_ARG);
    assert_int_equal(ganvas_latents(model, z, GANVAS_SPACE_Z, &large, 1, NULL, &err), GANVAS_E_ARG);
    assert_int_equal(ganvas_latents(model, z, GANVAS_SPACE_Z, &seed, 0, NULL, &err), GANVAS_E_ARG);
    assert_int_equal(
        ganvas_generate_rgb8(model, &pixel, 3 * SIDE - 1, z, GANVAS_SPACE_Z, 1, NULL, NULL, &err),
        GANVAS_E_ARG);
    assert_string_equal(err.message, "a stride of 95 bytes, expected 96 or more");
    render.noise = (ganvas_noise)9;
    assert_int_equal(ganvas_generate(model, image, z, GANVAS_SPACE_Z, 1, &render, NULL, &err),
                     GANVAS_E_ARG);
    render = ganvas_render_default();
    render.mapping.class_index = 0;
    assert_int_equal(ganvas_generate(model, image, z, GANVAS_SPACE_Z, 1, &render, NULL, &err),
                     GANVAS_E_ARG);
    /* The handle is still good, and the error is emptied. */
    assert_int_equal(ganvas_generate(model, image, z, GANVAS_SPACE_Z, 1, NULL, NULL, &err),
                     GANVAS_OK);
    assert_string_equal(err.message, "");
    ganvas_model_close(model);

    model = open_model(engine, DCGAN_MODEL);
    assert_int_equal(ganvas_latents(model, z, GANVAS_SPACE_W, &seed, 1, NULL, &err), GANVAS_E_ARG);
    ganvas_model_close(model);
    assert_int_equal(ganvas_model_open(&model, engine, "no-such-model", &err), GANVAS_E_IO);
    assert_null(model);
    assert_non_null(strstr(err.message, "no-such-model: is neither a file nor an embedded model"));
    ganvas_engine_free(engine);

    const ganvas_engine_options bad = {.threads = -1};
    assert_int_equal(ganvas_engine_new(&engine, &bad, &err), GANVAS_E_ARG);
    assert_null(engine);
    ganvas_model_close(NULL);
    ganvas_engine_free(NULL);
    ganvas_settings_free(NULL);
    ganvas_cancel_free(NULL);
    ganvas_image_deinit(NULL);
    ganvas_result_deinit(NULL);
    ganvas_free(NULL);
}

/* ---- progress, cancelling, callbacks ---- */

typedef struct follower {
    ganvas_cancel *cancel;
    int64_t done;
} follower;

static void follow(void *user, const ganvas_progress *p)
{
    follower *f = user;
    assert_int_equal(p->done, f->done + 1);
    assert_int_equal(p->total, 4);
    assert_string_equal(p->what, "pictures");
    f->done = p->done;
    if (p->done == 2)
        ganvas_cancel_request(f->cancel);
}

static void cancelling_leaves_whole_pictures(void **state)
{
    (void)state;
    static float z[4 * 16], images[4 * FLOATS], want[4 * FLOATS];
    const uint64_t seeds[4] = {1, 2, 3, 4};
    ganvas_engine *engine = new_engine(1);
    ganvas_model *model = open_model(engine, SKIP_MODEL);
    ganvas_error err;
    follower f = {0};
    assert_int_equal(ganvas_cancel_new(&f.cancel, NULL), GANVAS_OK);
    const ganvas_watch watch = {.progress = follow, .user = &f, .cancel = f.cancel};
    assert_int_equal(ganvas_latents(model, z, GANVAS_SPACE_Z, seeds, 4, NULL, NULL), GANVAS_OK);
    assert_int_equal(ganvas_generate(model, want, z, GANVAS_SPACE_Z, 4, NULL, NULL, NULL),
                     GANVAS_OK);
    assert_int_equal(ganvas_generate(model, images, z, GANVAS_SPACE_Z, 4, NULL, &watch, &err),
                     GANVAS_E_CANCELLED);
    assert_int_equal(f.done, 2);
    gv_test_same_bits(images, want, 2 * FLOATS * sizeof(float), "finished pictures");
    ganvas_cancel_free(f.cancel);
    ganvas_model_close(model);
    ganvas_engine_free(engine);
}

static void remember(void *user, const char *text)
{
    snprintf(user, 256, "%s", text);
}

static void messages_go_to_the_callbacks(void **state)
{
    (void)state;
    char log[256] = "";
    const ganvas_engine_options options = {.log = remember, .user = log};
    ganvas_engine *engine;
    assert_int_equal(ganvas_engine_new(&engine, &options, NULL), GANVAS_OK);
    ganvas_model *model = open_model(engine, SKIP_MODEL);
    assert_non_null(strstr(log, "sg2_skip.safetensors: opened"));
    ganvas_model_close(model);
    ganvas_engine_free(engine);
}

/* ---- two threads ---- */

typedef struct worker {
    const char *path;
    int threads;
    float image[FLOATS];
    float expected[FLOATS];
    int wrong;
} worker;

/* An engine and a model of its own; every picture must be the one that a lonely thread gets. */
static void *work(void *arg)
{
    worker *w = arg;
    float z[16];
    ganvas_engine *engine = NULL;
    ganvas_model *model = NULL;
    const ganvas_engine_options options = {.threads = w->threads};
    const uint64_t seed = 7;
    if (ganvas_engine_new(&engine, &options, NULL) != GANVAS_OK ||
        ganvas_model_open(&model, engine, w->path, NULL) != GANVAS_OK)
        w->wrong++;
    for (int i = 0; i < 20 && w->wrong == 0; i++) {
        if (ganvas_latents(model, z, GANVAS_SPACE_Z, &seed, 1, NULL, NULL) != GANVAS_OK ||
            ganvas_generate(model, w->image, z, GANVAS_SPACE_Z, 1, NULL, NULL, NULL) != GANVAS_OK)
            w->wrong++;
        if (i == 0)
            memcpy(w->expected, w->image, sizeof w->image);
        else
            w->wrong += memcmp(w->expected, w->image, sizeof w->image) != 0;
    }
    ganvas_model_close(model);
    ganvas_engine_free(engine);
    return NULL;
}

static void two_handles_in_two_threads(void **state)
{
    (void)state;
    static worker alone, pair[2];
    pthread_t threads[2];
    char path[512];
    snprintf(path, sizeof path, "%s", SKIP_MODEL);
    alone = (worker){.path = path, .threads = 1};
    work(&alone);
    assert_int_equal(alone.wrong, 0);
    for (int i = 0; i < 2; i++) {
        pair[i] = (worker){.path = path, .threads = i + 1};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &pair[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(pair[i].wrong, 0);
        gv_test_same_bits(pair[i].image, alone.image, sizeof alone.image, "thread");
    }
}

/* ---- memory ---- */

static gv_status open_and_generate(void *ctx, gv_error *err)
{
    static float z[16], image[FLOATS];
    ganvas_engine *engine = NULL;
    ganvas_model *model = NULL;
    const uint64_t seed = 3;
    gv_status status;
    GV_TRY(ganvas_engine_new(&engine, NULL, err));
    GV_TRY(ganvas_model_open(&model, engine, ctx, err));
    GV_TRY(ganvas_latents(model, z, GANVAS_SPACE_Z, &seed, 1, NULL, err));
    status = ganvas_generate(model, image, z, GANVAS_SPACE_Z, 1, NULL, NULL, err);
done:
    ganvas_model_close(model);
    ganvas_engine_free(engine);
    return status;
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    char path[512];
    snprintf(path, sizeof path, "%s", DCGAN_MODEL);
    assert_true(gv_test_fail_each_allocation(open_and_generate, path) > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_and_its_bytes_are_the_same_model),
        cmocka_unit_test(info_is_json_with_the_dims),
        cmocka_unit_test(spaces_and_formats_agree),
        cmocka_unit_test(wrong_arguments_are_refused),
        cmocka_unit_test(cancelling_leaves_whole_pictures),
        cmocka_unit_test(messages_go_to_the_callbacks),
        cmocka_unit_test(two_handles_in_two_threads),
        cmocka_unit_test(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
