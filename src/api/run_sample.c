/* `ganvas sample`: pictures of seeds or saved latents, as files or as one labelled grid. */
#include "api/api.h"

#include "api/output.h"
#include "api/record.h"
#include "api/saved.h"
#include "base/memory.h"
#include "base/text.h"
#include "checkpoint/npy.h"
#include "image/image.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

typedef enum target { TARGET_FOLDER, TARGET_GRID, TARGET_ARRAY } target;

typedef struct sample {
    const ganvas_settings *settings;
    ganvas_model *model;
    target target;
    const char *out;
    bool raw, force;
    ganvas_space space;
    ganvas_render render;

    int64_t count;
    int64_t *seeds; /* NULL: saved latents */
    gv_arena arena;
    float *latents; /* all saved ones; of seeds, one at a time */

    float *image;    /* the present one, [3,R,R] */
    float *images;   /* TARGET_ARRAY: all */
    gv_image *cells; /* TARGET_GRID: all; TARGET_FOLDER: one */
    char **captions; /* TARGET_GRID, in the arena */
    int64_t done;
    json_t *record;  /* of the run */
    json_t *outputs; /* in it */
} sample;

/* ---- what is asked for ---- */

static gv_status read_target(sample *s, gv_error *err)
{
    size_t length = strlen(s->out);
    struct stat info;
    const char *end = strrchr(s->out, '.');
    if (s->out[length - 1] == '/' || (stat(s->out, &info) == 0 && S_ISDIR(info.st_mode))) {
        s->target = TARGET_FOLDER;
        return gv_output_make_folder(s->out, err);
    }
    if (end != NULL && strcmp(end, ".npy") == 0)
        s->target = TARGET_ARRAY;
    else if (gv_image_kind_of_name(s->out) != GV_IMAGE_UNKNOWN)
        s->target = TARGET_GRID;
    else
        return gv_fail(err, GV_E_ARG, "%s: a folder ends in /, a file in .png, .jpg, .webp or .npy",
                       s->out);
    return gv_output_check(s->out, s->force, err);
}

static void read_options(sample *s)
{
    const ganvas_settings *o = s->settings;
    const char *latent = gv_settings_text(o, "latent"), *noise = gv_settings_text(o, "noise");
    s->out = gv_settings_text(o, "out");
    s->raw = gv_settings_flag(o, "raw");
    s->force = gv_settings_flag(o, "force");
    s->space = strcmp(latent, "z") == 0   ? GANVAS_SPACE_Z
               : strcmp(latent, "w") == 0 ? GANVAS_SPACE_W
                                          : GANVAS_SPACE_W_PLUS;
    s->render.noise = strcmp(noise, "const") == 0    ? GANVAS_NOISE_CONST
                      : strcmp(noise, "random") == 0 ? GANVAS_NOISE_RANDOM
                                                     : GANVAS_NOISE_NONE;
    s->render.noise_seed = (uint64_t)gv_settings_integer(o, "seed");
    s->render.mapping.psi = gv_settings_number(o, "psi");
    s->render.mapping.cutoff = gv_settings_integer_or(o, "cutoff", -1);
    s->render.mapping.class_index = gv_settings_integer_or(o, "class", -1);
}

static gv_status read_saved(sample *s, const char *path, gv_error *err)
{
    gv_saved saved;
    gv_status status = gv_saved_read(&saved, s->model, path, &s->arena, err);
    if (status != GV_OK)
        return status;
    bool w = saved.w != NULL;
    s->space = w ? GANVAS_SPACE_W_PLUS : GANVAS_SPACE_Z;
    s->latents = w ? saved.w : saved.z;
    s->count = w ? saved.w_count : saved.z_count;
    return GV_OK;
}

/* ---- one picture ---- */

static void caption_of(const sample *s, int64_t i, char *text, size_t size)
{
    if (s->seeds != NULL)
        snprintf(text, size, "seed %" PRId64, s->seeds[i]);
    else
        snprintf(text, size, "latent %" PRId64, i);
}

static gv_status make_picture(sample *s, int64_t i, const ganvas_watch *watch, gv_error *err)
{
    const float *latent = s->latents;
    gv_status status;
    ganvas_watch quiet = {.cancel = watch != NULL ? watch->cancel : NULL};
    if (s->seeds != NULL) {
        uint64_t seed = (uint64_t)s->seeds[i];
        GV_TRY(ganvas_latents(s->model, s->latents, s->space, &seed, 1, &s->render.mapping, err));
    } else {
        latent += i * ganvas_latent_size(s->model, s->space);
    }
    GV_TRY(ganvas_generate(s->model, s->image, latent, s->space, 1, &s->render, &quiet, err));
done:
    return status;
}

static gv_status write_raw(const sample *s, const char *path, const float *images, int64_t n,
                           gv_error *err)
{
    int64_t side = s->model->gen->resolution;
    const int64_t shape[4] = {n, 3, side, side};
    gv_view v = gv_view_of(path, GV_F32, 4, shape, images);
    return gv_npy_write(path, &v, err);
}

/* Adds {"file", "seed", "raw"} to the outputs. */
static gv_status note_output(sample *s, const char *file, const char *raw, int64_t i, gv_error *err)
{
    json_t *o = json_pack("{s:s, s:s*}", "file", file, "raw", raw);
    if (o != NULL && i >= 0)
        json_object_set_new(o, s->seeds != NULL ? "seed" : "latent",
                            json_integer(s->seeds != NULL ? s->seeds[i] : i));
    return json_array_append_new(s->outputs, o) == 0 ? GV_OK : gv_fail_memory(err, 0);
}

/* The record that goes into a picture: command, options, inputs, version, model, and its seed. */
static gv_status picture_record(const sample *s, int64_t i, char **text, gv_error *err)
{
    json_t *r = json_copy(s->record);
    json_object_del(r, "outputs");
    if (r != NULL && i >= 0)
        json_object_set_new(r, s->seeds != NULL ? "seed" : "latent",
                            json_integer(s->seeds != NULL ? s->seeds[i] : i));
    return gv_json_text(text, r, GV_JSON_READABLE, err);
}

/* "out/seed0085" or, beside a grid, "grid-seed0085"; in the arena. */
static char *picture_stem(sample *s, int64_t i)
{
    const char *kind = s->seeds != NULL ? "seed" : "latent";
    int64_t number = s->seeds != NULL ? s->seeds[i] : i;
    size_t length = strlen(s->out);
    if (s->target == TARGET_FOLDER)
        return gv_arena_format(&s->arena, "%s%s%s%04" PRId64, s->out,
                               s->out[length - 1] == '/' ? "" : "/", kind, number);
    int stem = (int)(strrchr(s->out, '.') - s->out);
    return gv_arena_format(&s->arena, "%.*s-%s%04" PRId64, stem, s->out, kind, number);
}

/* Files of one picture, or its place in the grid or array. */
static gv_status keep_picture(sample *s, int64_t i, gv_error *err)
{
    int64_t side = s->model->gen->resolution;
    gv_status status = GV_OK;
    char *raw = NULL, *png = NULL, *text = NULL, caption[48];
    if (s->target == TARGET_ARRAY) {
        memcpy(s->images + i * 3 * side * side, s->image,
               (size_t)(3 * side * side) * sizeof(float));
        return GV_OK;
    }
    gv_image *cell = &s->cells[s->target == TARGET_GRID ? i : 0];
    if (cell->pixels == NULL)
        GV_TRY(gv_image_init(cell, side, side, 3, err));
    gv_rgb8_from_tensor(cell->pixels, (size_t)(3 * side), s->image, side, side);

    char *stem = picture_stem(s, i);
    caption_of(s, i, caption, sizeof caption);
    if (s->target == TARGET_GRID)
        s->captions[i] = gv_arena_copy_text(&s->arena, caption);
    png = stem != NULL ? gv_arena_format(&s->arena, "%s.png", stem) : NULL;
    raw = stem != NULL ? gv_arena_format(&s->arena, "%s.npy", stem) : NULL;
    if (png == NULL || raw == NULL || (s->target == TARGET_GRID && s->captions[i] == NULL)) {
        status = gv_fail_memory(err, 0);
        goto done;
    }
    /* Both are asked before either is written: .npy files are known by the picture beside them. */
    if (s->raw)
        GV_TRY(gv_output_check(raw, s->force, err));
    if (s->target == TARGET_FOLDER) {
        GV_TRY(gv_output_check(png, s->force, err));
        GV_TRY(picture_record(s, i, &text, err));
        GV_TRY(gv_image_save(cell, png, text, err));
    }
    if (s->raw)
        GV_TRY(write_raw(s, raw, s->image, 1, err));
    if (s->target == TARGET_FOLDER)
        GV_TRY(note_output(s, png, s->raw ? raw : NULL, i, err));
    else if (s->raw)
        GV_TRY(note_output(s, raw, NULL, i, err));
done:
    gv_mem_free(text);
    return status;
}

/* ---- all ---- */

static gv_status write_grid(sample *s, gv_error *err)
{
    const ganvas_settings *o = s->settings;
    char *text = NULL, title[160];
    gv_image grid = {0};
    gv_status status;
    const char *name = strrchr(s->model->name, '/');
    snprintf(title, sizeof title, "%.60s  %s  psi %s  noise %s",
             name != NULL ? name + 1 : s->model->name,
             s->seeds != NULL ? gv_settings_text(o, "latent") : "saved latents",
             gv_settings_text(o, "psi"), gv_settings_text(o, "noise"));
    if (s->model->gen->type == GV_NET_DCGAN)
        snprintf(title, sizeof title, "%.60s  z", name != NULL ? name + 1 : s->model->name);
    GV_TRY(ganvas_image_grid(&grid, s->cells, (const char *const *)s->captions, s->done, title, 0,
                             0, err));
    GV_TRY(picture_record(s, -1, &text, err));
    GV_TRY(gv_image_save(&grid, s->out, text, err));
    status = note_output(s, s->out, NULL, -1, err);
done:
    gv_image_deinit(&grid);
    gv_mem_free(text);
    return status;
}

static gv_status prepare(sample *s, ganvas_engine *engine, gv_error *err)
{
    gv_status status;
    const char *saved = gv_settings_text(s->settings, "latents");
    read_options(s);
    GV_TRY(ganvas_model_open(&s->model, engine, gv_settings_text(s->settings, "model"), err));
    s->model->threads = (int)gv_settings_integer_or(s->settings, "threads", engine->threads);
    if (saved != NULL)
        GV_TRY(read_saved(s, saved, err));
    else
        GV_TRY(gv_parse_numbers(&s->seeds, &s->count, gv_settings_text(s->settings, "seeds"), err));
    size_t latent = (size_t)ganvas_latent_size(s->model, s->space);
    if (latent == 0) {
        status = gv_fail(err, GV_E_ARG, "--latent %s: %s is a DCGAN, which has z only",
                         gv_settings_text(s->settings, "latent"), s->model->name);
        goto done;
    }
    GV_TRY(read_target(s, err));
    int64_t side = s->model->gen->resolution;
    size_t floats = (size_t)(3 * side * side),
           all = s->target == TARGET_ARRAY ? (size_t)s->count : 0;
    size_t cells = s->target == TARGET_GRID ? (size_t)s->count : 1;
    if (s->seeds != NULL)
        s->latents = gv_arena_alloc_array(&s->arena, latent, sizeof(float));
    s->image = gv_arena_alloc_array(&s->arena, floats, sizeof(float));
    s->images = gv_mem_alloc_array(all, floats * sizeof(float));
    s->cells = gv_arena_alloc_array(&s->arena, cells, sizeof *s->cells);
    s->captions = gv_arena_alloc_array(&s->arena, cells, sizeof *s->captions);
    json_t *model = gv_model_to_json(s->model);
    if (json_object_set_new(s->record, "model", model) != 0 || s->latents == NULL ||
        s->image == NULL || s->images == NULL || s->cells == NULL || s->captions == NULL)
        status = gv_fail_memory(err, (all + 1) * floats * sizeof(float));
done:
    return status;
}

static void tell_result(const sample *s, gv_text *text)
{
    gv_text_add(text, "%s  (%" PRId64 " picture%s%s)\n", s->out, s->done, s->done == 1 ? "" : "s",
                s->done < s->count ? ", interrupted" : "");
}

static void sample_deinit(sample *s)
{
    for (int64_t i = 0; s->cells != NULL && i < (s->target == TARGET_GRID ? s->count : 1); i++)
        gv_image_deinit(&s->cells[i]);
    gv_mem_free(s->images);
    gv_mem_free(s->seeds);
    gv_arena_deinit(&s->arena);
    ganvas_model_close(s->model);
}

gv_status gv_run_sample(ganvas_engine *engine, const ganvas_settings *settings,
                        const ganvas_watch *watch, gv_text *text, json_t *record, gv_error *err)
{
    sample s = {.settings = settings, .render = ganvas_render_default(), .record = record};
    gv_arena_init(&s.arena, 0);
    gv_status status;
    s.outputs = json_array();
    if (json_object_set_new(record, "outputs", s.outputs) != 0) {
        status = gv_fail_memory(err, 0);
        goto done;
    }
    GV_TRY(prepare(&s, engine, err));
    double start = gv_now();
    gv_watch_tell(watch, "pictures", 0, s.count, 0.0);
    for (; s.done < s.count && status == GV_OK; s.done += status == GV_OK) {
        if (gv_cancel_requested(gv_watch_cancel(watch)))
            status = gv_fail(err, GV_E_CANCELLED, "interrupted");
        if (status == GV_OK)
            status = make_picture(&s, s.done, watch, err);
        if (status == GV_OK)
            status = keep_picture(&s, s.done, err);
        if (status == GV_OK)
            gv_watch_tell(watch, "pictures", s.done + 1, s.count, gv_now() - start);
    }
    if (status != GV_OK && status != GV_E_CANCELLED)
        goto done;
    /* What is finished is kept, and an interruption stays one. */
    if (s.done > 0 && s.target != TARGET_FOLDER) {
        gv_error kept;
        gv_status wrote = s.target == TARGET_GRID ? write_grid(&s, &kept)
                                                  : write_raw(&s, s.out, s.images, s.done, &kept);
        if (wrote == GV_OK && s.target == TARGET_ARRAY)
            wrote = note_output(&s, s.out, NULL, -1, &kept);
        if (wrote != GV_OK) {
            status = wrote;
            if (err != NULL)
                *err = kept;
        }
    }
    tell_result(&s, text);
done:
    sample_deinit(&s);
    return status;
}
