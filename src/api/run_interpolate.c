/* `ganvas interpolate`: the way from one picture to the next, as an animation, a strip or frames.
 */
#include "api/api.h"
#include "base/file.h"

#include "api/ends.h"
#include "api/invert_files.h"
#include "api/output.h"
#include "api/record.h"
#include "base/file.h"
#include "base/text.h"
#include "checkpoint/npy.h"
#include "edit/interpolate.h"
#include "image/animation.h"
#include "image/grid.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

typedef enum target { TARGET_FOLDER, TARGET_STRIP, TARGET_ANIMATION } target;

enum { STRIP_CELLS = 8 };

typedef struct journey {
    const ganvas_settings *settings;
    const ganvas_watch *watch;
    ganvas_model *model;
    gv_ends ends;
    gv_path path;
    ganvas_render render;
    target target;
    const char *out, *record_path;
    bool raw, force, slerp;
    double fps;
    int64_t *layers; /* rows that move; NULL: all */
    int64_t layer_count;

    float *between;        /* the latent of a frame */
    float *image, *images; /* the frame [3,R,R]; of the ends, for cross-fades */
    gv_frames frames;      /* all frames as bytes; TARGET_FOLDER: room for one */
    int64_t done;
    gv_neighbours *neighbours; /* NULL: not measured */
    json_t *distances;         /* in the record */
    json_t *record, *outputs;  /* of the run; in it */
    gv_arena arena;
} journey;

/* ---- what is asked for ---- */

static gv_status check_record(const journey *j, gv_error *err)
{
    return j->record_path != NULL ? gv_output_check(j->record_path, j->force, err)
                                  : gv_fail_memory(err, 0);
}

static gv_status read_target(journey *j, gv_error *err)
{
    size_t length = strlen(j->out);
    struct stat info;
    const char *end = strrchr(j->out, '.');
    bool slash = j->out[length - 1] == '/';
    if (slash || (stat(j->out, &info) == 0 && S_ISDIR(info.st_mode))) {
        j->target = TARGET_FOLDER;
        j->record_path =
            gv_arena_format(&j->arena, "%s%sinterpolate.json", j->out, slash ? "" : "/");
        gv_status status = gv_output_make_folder(j->out, err);
        return status == GV_OK ? check_record(j, err) : status;
    }
    gv_animation_kind kind = gv_animation_kind_of_name(j->out);
    if (kind != GV_ANIMATION_UNKNOWN)
        j->target = TARGET_ANIMATION;
    else if (end != NULL && strcmp(end, ".png") == 0)
        j->target = TARGET_STRIP;
    else
        return gv_fail(err, GV_E_ARG,
                       "%s: a folder ends in /, an animation in .gif, .webp or .mp4, a strip in "
                       ".png",
                       j->out);
    if (kind == GV_ANIMATION_GIF && j->fps > GV_GIF_MAX_FPS)
        return gv_fail(err, GV_E_ARG, "--fps: a GIF shows at most %g frames a second, found %g",
                       GV_GIF_MAX_FPS, j->fps);
    if (kind == GV_ANIMATION_MP4) {
        gv_status found = gv_video_check(err);
        if (found != GV_OK)
            return found;
    }
    j->record_path = gv_arena_format(&j->arena, "%.*s.json", (int)(end - j->out), j->out);
    gv_status status = gv_output_check(j->out, j->force, err);
    return status == GV_OK ? check_record(j, err) : status;
}

static gv_status read_options(journey *j, gv_ends_space *space, gv_error *err)
{
    const ganvas_settings *s = j->settings;
    const char *name = gv_settings_text(s, "space"), *noise = gv_settings_text(s, "noise");
    *space = strcmp(name, "z") == 0    ? GV_ENDS_Z
             : strcmp(name, "w") == 0  ? GV_ENDS_W
             : strcmp(name, "w+") == 0 ? GV_ENDS_W_PLUS
                                       : GV_ENDS_PIXEL;
    j->out = gv_settings_text(s, "out");
    j->raw = gv_settings_flag(s, "raw");
    j->force = gv_settings_flag(s, "force");
    j->slerp = gv_settings_flag(s, "slerp");
    j->fps = gv_settings_number(s, "fps");
    j->path.frames = gv_settings_integer(s, "frames");
    j->path.loop = gv_settings_flag(s, "loop");
    j->render.noise = strcmp(noise, "const") == 0    ? GANVAS_NOISE_CONST
                      : strcmp(noise, "random") == 0 ? GANVAS_NOISE_RANDOM
                                                     : GANVAS_NOISE_NONE;
    j->render.noise_seed = (uint64_t)gv_settings_integer(s, "seed");
    j->render.mapping.class_index = gv_settings_integer_or(s, "class", -1);
    if (j->slerp && *space != GV_ENDS_Z)
        return gv_fail(err, GV_E_ARG,
                       "--slerp: is for --space z, whose latents lie about a sphere");
    if (strcmp(gv_settings_text(s, "layers"), "all") != 0 && *space != GV_ENDS_W_PLUS)
        return gv_fail(err, GV_E_ARG, "--layers: is for --space w+, which has rows to choose from");
    if (j->model->gen->type == GV_NET_DCGAN && (*space == GV_ENDS_W || *space == GV_ENDS_W_PLUS))
        return gv_fail(err, GV_E_ARG, "--space %s: %s is a DCGAN, which has z only", name,
                       j->model->name);
    return GV_OK;
}

/* Rows that do not move are those of the first end everywhere. */
static gv_status hold_rows(journey *j, gv_error *err)
{
    const gv_generator *gen = j->model->gen;
    size_t floats = (size_t)(gen->rows * gen->row_dim);
    gv_status status = gv_ends_layers(&j->ends, &j->layers, &j->layer_count, err);
    if (status != GV_OK || j->layers == NULL)
        return status;
    const float *first = j->ends.list[0].latent;
    for (int64_t i = 1; i < j->ends.count; i++) {
        memcpy(j->between, first, floats * sizeof(float));
        gv_rows_copy(j->between, j->ends.list[i].latent, gen->row_dim, j->layers, j->layer_count);
        memcpy(j->ends.list[i].latent, j->between, floats * sizeof(float));
    }
    return GV_OK;
}

static gv_status allocate(journey *j, gv_error *err)
{
    int64_t side = j->model->gen->resolution, count = gv_path_count(&j->path);
    size_t floats = (size_t)(3 * side * side);
    size_t latent = (size_t)ganvas_latent_size(j->model, gv_ends_latent_space(&j->ends));
    size_t kept = j->target == TARGET_FOLDER ? 1 : (size_t)count;
    size_t ends = j->ends.space == GV_ENDS_PIXEL ? (size_t)j->ends.count : 0;
    j->between = gv_arena_alloc_array(&j->arena, latent, sizeof(float));
    j->image = gv_arena_alloc_array(&j->arena, floats, sizeof(float));
    j->images = gv_arena_alloc_array(&j->arena, ends, floats * sizeof(float));
    j->frames = (gv_frames){
        .width = side, .height = side, .pixels = gv_arena_alloc_array(&j->arena, kept, floats)};
    if (j->between == NULL || j->image == NULL || j->images == NULL || j->frames.pixels == NULL)
        return gv_fail_memory(err, kept * floats);
    return GV_OK;
}

/* The network that measures is no part of the result: without it one goes on. */
static gv_status open_neighbours(journey *j, gv_error *err)
{
    enum { SMALLEST = 16 };
    gv_error missing;
    if (j->model->gen->resolution < SMALLEST)
        return GV_OK;
    gv_status status = gv_ends_vgg(&j->ends, &missing);
    if (status == GV_E_IO) {
        gv_engine_notice(j->ends.engine, "LPIPS between frames is not measured: %s",
                         missing.message);
        return GV_OK;
    }
    if (status != GV_OK)
        return gv_fail(err, status, "%s", missing.message);
    return gv_neighbours_new(&j->neighbours, j->ends.vgg, j->model->gen->resolution, err);
}

static gv_status prepare(journey *j, ganvas_engine *engine, gv_error *err)
{
    const ganvas_settings *s = j->settings;
    gv_ends_space space;
    gv_status status;
    GV_TRY(ganvas_model_open(&j->model, engine, gv_settings_text(s, "model"), err));
    j->model->threads = (int)gv_settings_integer_or(s, "threads", engine->threads);
    GV_TRY(read_options(j, &space, err));
    GV_TRY(read_target(j, err));
    gv_ends_init(&j->ends, engine, j->model, s, j->watch, space);
    for (int i = 0; i < s->inputs_count; i++)
        GV_TRY(gv_ends_add_file(&j->ends, s->inputs[i], err));
    j->path.ends = j->ends.count;
    if (j->target == TARGET_STRIP) {
        j->path.frames = STRIP_CELLS;
        j->path.closed = true;
    }
    if (j->path.ends < 2) {
        status = gv_fail(err, GV_E_ARG, "interpolate needs two ends or more, %s holds one",
                         s->inputs[0]);
        goto done;
    }
    GV_TRY(allocate(j, err));
    GV_TRY(gv_ends_finish(&j->ends, err));
    GV_TRY(hold_rows(j, err));
    if (space == GV_ENDS_PIXEL)
        for (int64_t i = 0; i < j->ends.count; i++) {
            int64_t floats = 3 * j->frames.width * j->frames.height;
            GV_TRY(gv_ends_render(&j->ends, j->images + i * floats, i, &j->render, err));
        }
    status = open_neighbours(j, err);
done:
    return status;
}

/* ---- the record ---- */

static gv_status begin_record(journey *j, gv_error *err)
{
    json_t *r = j->record;
    j->distances = json_array();
    bool fine =
        json_object_set_new(r, "model", gv_model_to_json(j->model)) == 0 &&
        json_object_set_new(r, "ends", gv_ends_to_json(&j->ends)) == 0 &&
        json_object_set_new(r, "frames", json_integer(gv_path_count(&j->path))) == 0 &&
        (j->neighbours == NULL ||
         json_object_set_new(r, "lpips", json_pack("{s:o}", "neighbours", j->distances)) == 0);
    return fine ? GV_OK : gv_fail_memory(err, 0);
}

/* The mean and the largest of the distances: how far, and how evenly. */
static gv_status sum_up(journey *j, gv_error *err)
{
    double sum = 0.0, largest = 0.0;
    size_t n = json_array_size(j->distances);
    for (size_t i = 0; i < n; i++) {
        double d = json_real_value(json_array_get(j->distances, i));
        sum += d;
        largest = d > largest ? d : largest;
    }
    json_t *lpips = json_object_get(j->record, "lpips");
    if (lpips == NULL || n == 0)
        return GV_OK;
    return json_object_set_new(lpips, "mean", json_real(sum / (double)n)) == 0 &&
                   json_object_set_new(lpips, "largest", json_real(largest)) == 0
               ? GV_OK
               : gv_fail_memory(err, 0);
}

/* What is kept in a picture: the record without the list of files, and of a frame its place. */
static gv_status record_text(const journey *j, int64_t frame, char **text, gv_error *err)
{
    json_t *r = json_copy(j->record);
    json_object_del(r, "outputs");
    if (r != NULL && frame >= 0) {
        json_object_del(r, "lpips");
        json_object_set_new(r, "frame", json_integer(frame));
    }
    return gv_json_text(text, r, GV_JSON_READABLE, err);
}

static gv_status note_output(journey *j, const char *file, const char *raw, gv_error *err)
{
    json_t *o = json_pack("{s:s, s:s*}", "file", file, "raw", raw);
    return json_array_append_new(j->outputs, o) == 0 ? GV_OK : gv_fail_memory(err, 0);
}

/* ---- one frame ---- */

static gv_status make_frame(journey *j, int64_t i, gv_error *err)
{
    const ganvas_watch quiet = {.cancel = j->watch != NULL ? j->watch->cancel : NULL};
    gv_path_place at = gv_path_at(&j->path, i);
    if (j->ends.space == GV_ENDS_PIXEL) {
        int64_t floats = 3 * j->frames.width * j->frames.height;
        gv_lerp(j->image, j->images + at.from * floats, j->images + at.to * floats, floats, at.t);
        return GV_OK;
    }
    ganvas_space space = gv_ends_latent_space(&j->ends);
    const float *a = j->ends.list[at.from].latent, *b = j->ends.list[at.to].latent;
    (j->slerp ? gv_slerp : gv_lerp)(j->between, a, b, ganvas_latent_size(j->model, space), at.t);
    return ganvas_generate(j->model, j->image, j->between, space, 1, &j->render, &quiet, err);
}

static gv_status measure(journey *j, int64_t i, gv_error *err)
{
    double distance;
    if (j->neighbours == NULL)
        return GV_OK;
    if (j->path.closed && i % j->path.frames == 0)
        gv_neighbours_restart(j->neighbours);
    gv_status status = gv_neighbours_next(j->neighbours, &distance, j->image, j->model->threads,
                                          gv_watch_cancel(j->watch), err);
    if (status != GV_OK || distance < 0.0)
        return status;
    return json_array_append_new(j->distances, json_real(distance)) == 0 ? GV_OK
                                                                         : gv_fail_memory(err, 0);
}

/* "out/frame0007" or, beside a file, "morph-frame0007"; in the arena. */
static char *frame_stem(journey *j, int64_t i)
{
    size_t length = strlen(j->out);
    if (j->target == TARGET_FOLDER)
        return gv_arena_format(&j->arena, "%s%sframe%04" PRId64, j->out,
                               j->out[length - 1] == '/' ? "" : "/", i);
    int stem = (int)(strrchr(j->out, '.') - j->out);
    return gv_arena_format(&j->arena, "%.*s-frame%04" PRId64, stem, j->out, i);
}

static gv_status write_raw(const journey *j, const char *path, gv_error *err)
{
    const int64_t shape[4] = {1, 3, j->frames.height, j->frames.width};
    gv_view v = gv_view_of(path, GV_F32, 4, shape, j->image);
    return gv_npy_write(path, &v, err);
}

/* Files of a frame, and its place among the bytes. */
static gv_status keep_frame(journey *j, int64_t i, gv_error *err)
{
    int64_t side = j->frames.width;
    bool folder = j->target == TARGET_FOLDER;
    uint8_t *pixels = j->frames.pixels + (folder ? 0 : i * side * side * 3);
    char *text = NULL;
    gv_status status = GV_OK;
    gv_rgb8_from_tensor(pixels, (size_t)(3 * side), j->image, side, side);
    if (!folder && !j->raw)
        return GV_OK;
    char *stem = frame_stem(j, i);
    char *png = stem != NULL ? gv_arena_format(&j->arena, "%s.png", stem) : NULL;
    char *raw = stem != NULL ? gv_arena_format(&j->arena, "%s.npy", stem) : NULL;
    if (png == NULL || raw == NULL) {
        status = gv_fail_memory(err, 0);
        goto done;
    }
    /* Both are asked before either is written: .npy files are known by the picture beside them. */
    if (j->raw)
        GV_TRY(gv_output_check(raw, j->force, err));
    if (folder) {
        const gv_image image = {.width = side, .height = side, .channels = 3, .pixels = pixels};
        GV_TRY(gv_output_check(png, j->force, err));
        GV_TRY(record_text(j, i, &text, err));
        GV_TRY(gv_image_save(&image, png, text, err));
    }
    if (j->raw)
        GV_TRY(write_raw(j, raw, err));
    status = note_output(j, folder ? png : raw, folder && j->raw ? raw : NULL, err);
done:
    gv_mem_free(text);
    return status;
}

static gv_status make_frames(journey *j, gv_error *err)
{
    int64_t count = gv_path_count(&j->path);
    double start = gv_now();
    gv_status status = GV_OK;
    gv_watch_tell(j->watch, "frames", 0, count, 0.0);
    while (j->done < count) {
        if (gv_cancel_requested(gv_watch_cancel(j->watch))) {
            status = gv_fail(err, GV_E_CANCELLED, "interrupted");
            goto done;
        }
        GV_TRY(make_frame(j, j->done, err));
        GV_TRY(measure(j, j->done, err));
        GV_TRY(keep_frame(j, j->done, err));
        j->done++;
        gv_watch_tell(j->watch, "frames", j->done, count, gv_now() - start);
    }
    if (j->path.loop && !j->path.closed) { /* the step over the seam */
        GV_TRY(make_frame(j, 0, err));
        GV_TRY(measure(j, 0, err));
    }
done:
    return status;
}

/* ---- the whole ---- */

static gv_status write_strip(journey *j, const char *record, gv_error *err)
{
    int64_t side = j->frames.width, frame = side * side * 3;
    gv_image *cells = gv_arena_alloc_array(&j->arena, (size_t)j->done, sizeof *cells);
    const char **captions = gv_arena_alloc_array(&j->arena, (size_t)j->done, sizeof *captions);
    const char *model = strrchr(j->model->name, '/');
    char title[160];
    gv_image strip = {0};
    gv_status status;
    if (cells == NULL || captions == NULL)
        return gv_fail_memory(err, (size_t)j->done * sizeof *cells);
    for (int64_t i = 0; i < j->done; i++) {
        gv_path_place at = gv_path_at(&j->path, i);
        cells[i] = (gv_image){
            .width = side, .height = side, .channels = 3, .pixels = j->frames.pixels + i * frame};
        captions[i] = at.t == 0.0   ? j->ends.list[at.from].name
                      : at.t == 1.0 ? j->ends.list[at.to].name
                                    : gv_arena_format(&j->arena, "%.2f", at.t);
        if (captions[i] == NULL)
            return gv_fail_memory(err, 0);
    }
    bool pixel = j->ends.space == GV_ENDS_PIXEL;
    snprintf(title, sizeof title, "%.60s  %s%s%s", model != NULL ? model + 1 : j->model->name,
             pixel ? "cross-fade of pixels" : "interpolation in ",
             pixel ? "" : gv_settings_text(j->settings, "space"), j->slerp ? ", spherical" : "");
    const gv_grid grid = {.title = title, .captions = captions, .columns = STRIP_CELLS};
    GV_TRY(gv_image_grid(&strip, cells, j->done, &grid, err));
    status = gv_image_save(&strip, j->out, record, err);
done:
    gv_image_deinit(&strip);
    return status;
}

/* The record beside the file or in the folder; it begins with the mark of our .json files. */
static gv_status write_record(journey *j, gv_error *err)
{
    char *text = NULL;
    gv_status status;
    json_t *record = json_pack("{s:s}", "ganvas", GANVAS_VERSION);
    if (json_object_update(record, j->record) != 0) {
        json_decref(record);
        record = NULL;
    }
    GV_TRY(gv_json_text(&text, record, GV_JSON_READABLE, err));
    status = gv_file_write(j->record_path, text, strlen(text), err);
done:
    gv_mem_free(text);
    return status;
}

static gv_status finish(journey *j, gv_error *err)
{
    char *text = NULL;
    gv_status status;
    GV_TRY(sum_up(j, err));
    GV_TRY(record_text(j, -1, &text, err));
    j->frames.count = j->done;
    if (j->target == TARGET_ANIMATION)
        GV_TRY(gv_animation_save(&j->frames, j->out, j->fps, text, NULL, err));
    else if (j->target == TARGET_STRIP)
        GV_TRY(write_strip(j, text, err));
    if (j->target != TARGET_FOLDER)
        GV_TRY(note_output(j, j->out, NULL, err));
    status = write_record(j, err);
done:
    gv_mem_free(text);
    return status;
}

static void tell_result(const journey *j, gv_text *text)
{
    json_t *lpips = json_object_get(j->record, "lpips");
    gv_text_add(text, "%s  (%" PRId64 " frames%s)\n", j->out, j->done,
                j->done < gv_path_count(&j->path) ? ", interrupted" : "");
    if (json_object_get(lpips, "mean") != NULL)
        gv_text_add(text, "LPIPS from frame to frame: %.4f, at most %.4f\n",
                    json_real_value(json_object_get(lpips, "mean")),
                    json_real_value(json_object_get(lpips, "largest")));
}

static void journey_deinit(journey *j)
{
    gv_neighbours_free(j->neighbours);
    gv_mem_free(j->layers);
    gv_ends_deinit(&j->ends);
    ganvas_model_close(j->model);
    gv_arena_deinit(&j->arena);
}

gv_status gv_run_interpolate(ganvas_engine *engine, const ganvas_settings *settings,
                             const ganvas_watch *watch, gv_text *text, json_t *record,
                             gv_error *err)
{
    journey j = {
        .settings = settings, .watch = watch, .render = ganvas_render_default(), .record = record};
    gv_arena_init(&j.arena, 0);
    gv_status status;
    j.outputs = json_array();
    if (json_object_set_new(record, "outputs", j.outputs) != 0) {
        status = gv_fail_memory(err, 0);
        goto done;
    }
    GV_TRY(prepare(&j, engine, err));
    GV_TRY(begin_record(&j, err));
    status = make_frames(&j, err);
    if (status != GV_OK && status != GV_E_CANCELLED)
        goto done;
    /* What is finished is kept, and an interruption stays one. */
    if (j.done > 0) {
        gv_error kept;
        gv_status wrote = finish(&j, &kept);
        if (wrote != GV_OK) {
            status = wrote;
            if (err != NULL)
                *err = kept;
        }
    }
    tell_result(&j, text);
done:
    journey_deinit(&j);
    return status;
}
