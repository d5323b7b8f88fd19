/* `ganvas mix`: style mixing. Every row's latent with some rows of w+ from every column's. */
#include "api/api.h"

#include "api/ends.h"
#include "api/output.h"
#include "api/record.h"
#include "base/text.h"
#include "checkpoint/npy.h"
#include "edit/interpolate.h"
#include "image/grid.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

typedef struct mix {
    const ganvas_settings *settings;
    const ganvas_watch *watch;
    ganvas_model *model;
    gv_ends ends; /* first the rows, then the columns */
    int64_t rows, columns;
    ganvas_render render;
    bool folder, raw, force, seeds; /* seeds: no end is anything else */
    const char *out;
    int64_t *layers; /* what comes from the column; NULL: everything */
    int64_t layer_count;

    float *latent, *image;
    uint8_t *pixels; /* of all cells */
    gv_image *cells; /* rows + 1 times columns + 1; the first of all stays white */
    const char **captions;
    int64_t done;
    json_t *record, *outputs;
    gv_arena arena;
} mix;

/* ---- what is asked for ---- */

/* The numbers of "85" and "85-88"; false for anything else, which is the name of a file. */
static bool is_seeds(const char *part, int64_t *first, int64_t *last)
{
    if (!gv_parse_integer(&part, first))
        return false;
    *last = *first;
    return *part == '\0' ||
           (*part++ == '-' && gv_parse_integer(&part, last) && *part == '\0' && *last >= *first);
}

/* Adds what a list of seeds and files names, "85,100-102,cat.npz". */
static gv_status add_list(mix *m, const char *option, gv_error *err)
{
    enum { MOST = 256 };
    const char *list = gv_settings_text(m->settings, option);
    double psi = gv_settings_number(m->settings, "psi");
    int64_t before = m->ends.count;
    gv_status status;
    for (const char *p = list; *p != '\0'; p += *p == ',') {
        size_t length = strcspn(p, ",");
        int64_t first, last;
        char *part = gv_arena_format(&m->arena, "%.*s", (int)length, p);
        if (part == NULL)
            return gv_fail_memory(err, length);
        p += length;
        if (!is_seeds(part, &first, &last)) {
            m->seeds = false;
            GV_TRY(gv_ends_add_file(&m->ends, part, err));
            continue;
        }
        if (last - first >= MOST)
            return gv_fail(err, GV_E_ARG, "--%s: more than %d", option, (int)MOST);
        for (int64_t seed = first; seed <= last; seed++)
            GV_TRY(gv_ends_add_seed(&m->ends, seed, psi, err));
    }
    int64_t added = m->ends.count - before;
    if (added < 1 || added > MOST)
        return gv_fail(err, GV_E_ARG, "--%s: %" PRId64 " latents, expected 1 to %d", option, added,
                       (int)MOST);
    return GV_OK;
done:
    return status;
}

static gv_status read_target(mix *m, gv_error *err)
{
    size_t length = strlen(m->out);
    struct stat info;
    m->folder = m->out[length - 1] == '/' || (stat(m->out, &info) == 0 && S_ISDIR(info.st_mode));
    if (m->folder)
        return gv_output_make_folder(m->out, err);
    if (gv_image_kind_of_name(m->out) == GV_IMAGE_UNKNOWN)
        return gv_fail(err, GV_E_ARG, "%s: a folder ends in /, a grid in .png, .jpg or .webp",
                       m->out);
    return gv_output_check(m->out, m->force, err);
}

static gv_status allocate(mix *m, gv_error *err)
{
    int64_t side = m->model->gen->resolution, picture = 3 * side * side;
    size_t cells = (size_t)((m->rows + 1) * (m->columns + 1));
    size_t latent = (size_t)(m->model->gen->rows * m->model->gen->row_dim);
    m->latent = gv_arena_alloc_array(&m->arena, latent, sizeof(float));
    m->image = gv_arena_alloc_array(&m->arena, (size_t)picture, sizeof(float));
    m->pixels = gv_arena_alloc_array(&m->arena, cells, (size_t)picture);
    m->cells = gv_arena_alloc_array(&m->arena, cells, sizeof *m->cells);
    m->captions = gv_arena_alloc_array(&m->arena, cells, sizeof *m->captions);
    if (m->latent == NULL || m->image == NULL || m->pixels == NULL || m->cells == NULL ||
        m->captions == NULL)
        return gv_fail_memory(err, cells * (size_t)picture);
    memset(m->pixels, 0xff, cells * (size_t)picture);
    for (size_t i = 0; i < cells; i++) {
        m->cells[i] = (gv_image){.width = side,
                                 .height = side,
                                 .channels = 3,
                                 .pixels = m->pixels + (int64_t)i * picture};
        m->captions[i] = "";
    }
    return GV_OK;
}

static gv_status prepare(mix *m, ganvas_engine *engine, gv_error *err)
{
    const ganvas_settings *s = m->settings;
    const char *noise = gv_settings_text(s, "noise");
    gv_status status;
    m->out = gv_settings_text(s, "out");
    m->raw = gv_settings_flag(s, "raw");
    m->force = gv_settings_flag(s, "force");
    m->render.noise = strcmp(noise, "const") == 0    ? GANVAS_NOISE_CONST
                      : strcmp(noise, "random") == 0 ? GANVAS_NOISE_RANDOM
                                                     : GANVAS_NOISE_NONE;
    m->render.noise_seed = (uint64_t)gv_settings_integer(s, "seed");
    m->render.mapping.class_index = gv_settings_integer_or(s, "class", -1);
    GV_TRY(ganvas_model_open(&m->model, engine, gv_settings_text(s, "model"), err));
    m->model->threads = (int)gv_settings_integer_or(s, "threads", engine->threads);
    if (m->model->gen->type == GV_NET_DCGAN) {
        status = gv_fail(err, GV_E_ARG, "mix: %s is a DCGAN, which has no rows of w+ to mix",
                         m->model->name);
        goto done;
    }
    GV_TRY(read_target(m, err));
    gv_ends_init(&m->ends, engine, m->model, s, m->watch, GV_ENDS_W_PLUS);
    GV_TRY(gv_ends_layers(&m->ends, &m->layers, &m->layer_count, err));
    m->seeds = true;
    GV_TRY(add_list(m, "rows", err));
    m->rows = m->ends.count;
    GV_TRY(add_list(m, "columns", err));
    m->columns = m->ends.count - m->rows;
    GV_TRY(allocate(m, err));
    GV_TRY(gv_ends_finish(&m->ends, err));
    if (json_object_set_new(m->record, "model", gv_model_to_json(m->model)) != 0 ||
        json_object_set_new(m->record, "ends", gv_ends_to_json(&m->ends)) != 0)
        status = gv_fail_memory(err, 0);
done:
    return status;
}

/* ---- one cell: row and column from 0, where 0 is the latents themselves ---- */

/* "out/85-55" as NVlabs' script names them, or "out/row0-column1"; in the arena. */
static char *cell_stem(mix *m, int64_t row, int64_t column)
{
    const gv_end *list = m->ends.list;
    size_t length = strlen(m->out);
    char name[64];
    const gv_end *a = row > 0 ? &list[row - 1] : &list[m->rows + column - 1];
    const gv_end *b = column > 0 ? &list[m->rows + column - 1] : a;
    if (m->seeds)
        snprintf(name, sizeof name, "%" PRId64 "-%" PRId64, a->number, b->number);
    else if (row == 0)
        snprintf(name, sizeof name, "column%" PRId64, column - 1);
    else if (column == 0)
        snprintf(name, sizeof name, "row%" PRId64, row - 1);
    else
        snprintf(name, sizeof name, "row%" PRId64 "-column%" PRId64, row - 1, column - 1);
    if (m->folder)
        return gv_arena_format(&m->arena, "%s%s%s", m->out, m->out[length - 1] == '/' ? "" : "/",
                               name);
    return gv_arena_format(&m->arena, "%.*s-%s", (int)(strrchr(m->out, '.') - m->out), m->out,
                           name);
}

static gv_status note_output(mix *m, const char *file, const char *raw, gv_error *err)
{
    json_t *o = json_pack("{s:s, s:s*}", "file", file, "raw", raw);
    return json_array_append_new(m->outputs, o) == 0 ? GV_OK : gv_fail_memory(err, 0);
}

static gv_status record_text(const mix *m, char **text, gv_error *err)
{
    json_t *r = json_copy(m->record);
    json_object_del(r, "outputs");
    return gv_json_text(text, r, GV_JSON_READABLE, err);
}

static gv_status make_picture(mix *m, int64_t row, int64_t column, gv_error *err)
{
    const gv_generator *gen = m->model->gen;
    const gv_end *list = m->ends.list;
    const ganvas_watch quiet = {.cancel = m->watch != NULL ? m->watch->cancel : NULL};
    const float *of_row = row > 0 ? list[row - 1].latent : list[m->rows + column - 1].latent;
    const float *of_column = column > 0 ? list[m->rows + column - 1].latent : of_row;
    memcpy(m->latent, m->layers != NULL ? of_row : of_column,
           (size_t)(gen->rows * gen->row_dim) * sizeof(float));
    gv_rows_copy(m->latent, of_column, gen->row_dim, m->layers, m->layer_count);
    return ganvas_generate(m->model, m->image, m->latent, GANVAS_SPACE_W_PLUS, 1, &m->render,
                           &quiet, err);
}

static gv_status keep_picture(mix *m, int64_t row, int64_t column, gv_error *err)
{
    int64_t side = m->model->gen->resolution, i = row * (m->columns + 1) + column;
    const gv_image *cell = &m->cells[i];
    char *text = NULL;
    gv_status status = GV_OK;
    gv_rgb8_from_tensor(cell->pixels, (size_t)(3 * side), m->image, side, side);
    m->captions[i] = row == 0      ? m->ends.list[m->rows + column - 1].name
                     : column == 0 ? m->ends.list[row - 1].name
                                   : "";
    if (!m->folder && !m->raw)
        return GV_OK;
    char *stem = cell_stem(m, row, column);
    char *png = stem != NULL ? gv_arena_format(&m->arena, "%s.png", stem) : NULL;
    char *raw = stem != NULL ? gv_arena_format(&m->arena, "%s.npy", stem) : NULL;
    if (png == NULL || raw == NULL) {
        status = gv_fail_memory(err, 0);
        goto done;
    }
    if (m->raw)
        GV_TRY(gv_output_check(raw, m->force, err));
    if (m->folder) {
        GV_TRY(gv_output_check(png, m->force, err));
        GV_TRY(record_text(m, &text, err));
        GV_TRY(gv_image_save(cell, png, text, err));
    }
    if (m->raw) {
        const int64_t shape[4] = {1, 3, side, side};
        gv_view v = gv_view_of(raw, GV_F32, 4, shape, m->image);
        GV_TRY(gv_npy_write(raw, &v, err));
    }
    status = note_output(m, m->folder ? png : raw, m->folder && m->raw ? raw : NULL, err);
done:
    gv_mem_free(text);
    return status;
}

/* ---- all ---- */

static gv_status make_pictures(mix *m, gv_error *err)
{
    int64_t width = m->columns + 1, count = (m->rows + 1) * width - 1;
    double start = gv_now();
    gv_status status = GV_OK;
    gv_watch_tell(m->watch, "pictures", 0, count, 0.0);
    for (; m->done < count; m->done++) {
        int64_t row = (m->done + 1) / width, column = (m->done + 1) % width;
        if (gv_cancel_requested(gv_watch_cancel(m->watch))) {
            status = gv_fail(err, GV_E_CANCELLED, "interrupted");
            goto done;
        }
        GV_TRY(make_picture(m, row, column, err));
        GV_TRY(keep_picture(m, row, column, err));
        gv_watch_tell(m->watch, "pictures", m->done + 1, count, gv_now() - start);
    }
done:
    return status;
}

static gv_status write_grid(mix *m, gv_error *err)
{
    const char *model = strrchr(m->model->name, '/');
    char title[160], *text = NULL;
    gv_image grid = {0};
    size_t length = strlen(m->out);
    gv_status status;
    const char *path = m->out;
    if (m->folder)
        path = gv_arena_format(&m->arena, "%s%sgrid.png", m->out,
                               m->out[length - 1] == '/' ? "" : "/");
    if (path == NULL)
        return gv_fail_memory(err, length);
    snprintf(title, sizeof title, "%.60s  rows %.40s of w+ from the columns",
             model != NULL ? model + 1 : m->model->name, gv_settings_text(m->settings, "layers"));
    const gv_grid layout = {.title = title, .captions = m->captions, .columns = m->columns + 1};
    int64_t cells = (m->rows + 1) * (m->columns + 1);
    GV_TRY(gv_output_check(path, m->force, err));
    GV_TRY(gv_image_grid(&grid, m->cells, cells, &layout, err));
    GV_TRY(record_text(m, &text, err));
    GV_TRY(gv_image_save(&grid, path, text, err));
    status = note_output(m, path, NULL, err);
done:
    gv_image_deinit(&grid);
    gv_mem_free(text);
    return status;
}

static void mix_deinit(mix *m)
{
    gv_mem_free(m->layers);
    gv_ends_deinit(&m->ends);
    ganvas_model_close(m->model);
    gv_arena_deinit(&m->arena);
}

gv_status gv_run_mix(ganvas_engine *engine, const ganvas_settings *settings,
                     const ganvas_watch *watch, gv_text *text, json_t *record, gv_error *err)
{
    mix m = {
        .settings = settings, .watch = watch, .render = ganvas_render_default(), .record = record};
    gv_arena_init(&m.arena, 0);
    gv_status status;
    m.outputs = json_array();
    if (json_object_set_new(record, "outputs", m.outputs) != 0) {
        status = gv_fail_memory(err, 0);
        goto done;
    }
    GV_TRY(prepare(&m, engine, err));
    status = make_pictures(&m, err);
    if (status != GV_OK && status != GV_E_CANCELLED)
        goto done;
    /* What is finished is kept, and an interruption stays one. */
    if (m.done > 0) {
        gv_error kept;
        gv_status wrote = write_grid(&m, &kept);
        if (wrote != GV_OK) {
            status = wrote;
            if (err != NULL)
                *err = kept;
        }
    }
    gv_text_add(text, "%s  (%" PRId64 " x %" PRId64 "%s)\n", m.out, m.rows, m.columns,
                status == GV_E_CANCELLED ? ", interrupted" : "");
done:
    mix_deinit(&m);
    return status;
}
