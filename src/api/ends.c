#include "api/ends.h"

#include "api/saved.h"
#include "base/file.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void gv_ends_init(gv_ends *ends, ganvas_engine *engine, ganvas_model *model,
                  const ganvas_settings *s, const ganvas_watch *watch, gv_ends_space space)
{
    *ends =
        (gv_ends){.engine = engine, .model = model, .settings = s, .watch = watch, .space = space};
    gv_arena_init(&ends->arena, 0);
}

void gv_ends_deinit(gv_ends *ends)
{
    for (int64_t i = 0; i < ends->count; i++) {
        gv_target_deinit(&ends->list[i].target);
        json_decref(ends->list[i].json);
    }
    gv_mem_free(ends->list);
    if (ends->has_setup)
        gv_invert_setup_deinit(&ends->setup);
    gv_vgg_free(ends->own_vgg);
    gv_arena_deinit(&ends->arena);
    *ends = (gv_ends){0};
}

ganvas_space gv_ends_latent_space(const gv_ends *ends)
{
    bool dcgan = ends->model->gen->type == GV_NET_DCGAN;
    return ends->space == GV_ENDS_Z || dcgan ? GANVAS_SPACE_Z : GANVAS_SPACE_W_PLUS;
}

static int64_t latent_floats(const gv_ends *ends)
{
    return ganvas_latent_size(ends->model, gv_ends_latent_space(ends));
}

/* A new end at the end of the list, with room for its latent. */
static gv_status add(gv_ends *ends, gv_end **end, gv_end_kind kind, gv_error *err)
{
    size_t old = (size_t)ends->count * sizeof *ends->list;
    gv_end *list = ends->list == NULL ? gv_mem_alloc(sizeof *list)
                                      : gv_mem_resize(ends->list, old, old + sizeof *list);
    if (list == NULL)
        return gv_fail_memory(err, old + sizeof *list);
    ends->list = list;
    *end = &list[ends->count++];
    **end = (gv_end){.kind = kind, .json = json_object()};
    if ((*end)->json == NULL)
        return gv_fail_memory(err, 0);
    if (kind == GV_END_PICTURE && ends->space == GV_ENDS_PIXEL)
        return GV_OK;
    size_t floats = (size_t)latent_floats(ends);
    (*end)->latent = gv_arena_alloc_array(&ends->arena, floats, sizeof(float));
    return (*end)->latent != NULL ? GV_OK : gv_fail_memory(err, floats * sizeof(float));
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static int64_t class_of(const gv_ends *ends)
{
    return gv_settings_integer_or(ends->settings, "class", -1);
}

/* ---- saved latents ---- */

static bool rows_are_alike(const float *w, const gv_generator *gen)
{
    for (int64_t k = 1; k < gen->rows; k++)
        if (memcmp(w, w + k * gen->row_dim, (size_t)gen->row_dim * sizeof(float)) != 0)
            return false;
    return true;
}

/* Latent i of the file, in the space of the ends. */
static gv_status place(gv_ends *ends, gv_end *end, const gv_saved *saved, int64_t i, gv_error *err)
{
    const gv_generator *gen = ends->model->gen;
    size_t bytes = (size_t)latent_floats(ends) * sizeof(float);
    if (gv_ends_latent_space(ends) == GANVAS_SPACE_Z) {
        memcpy(end->latent, saved->z + i * gen->z_dim, bytes);
        return GV_OK;
    }
    if (saved->w == NULL) {
        ganvas_mapping mapping = ganvas_mapping_default();
        mapping.class_index = class_of(ends);
        return ganvas_map(ends->model, end->latent, saved->z + i * gen->z_dim, 1, &mapping, err);
    }
    memcpy(end->latent, saved->w + i * gen->rows * gen->row_dim, bytes);
    if (ends->space == GV_ENDS_W && !rows_are_alike(end->latent, gen))
        return gv_fail(err, GV_E_ARG,
                       "%s: latent %" PRId64 " is of w+ (its rows differ); --space w+ takes it",
                       end->file, i);
    return GV_OK;
}

static gv_status add_saved(gv_ends *ends, const char *path, gv_error *err)
{
    gv_saved saved;
    gv_arena arena;
    gv_arena_init(&arena, 0);
    gv_status status;
    GV_TRY(gv_saved_read(&saved, ends->model, path, &arena, err));
    bool z = gv_ends_latent_space(ends) == GANVAS_SPACE_Z;
    if (z && saved.z == NULL) {
        status = gv_fail(err, GV_E_ARG, "%s: holds no z, which --space z needs at every end", path);
        goto done;
    }
    int64_t count = !z && saved.w != NULL ? saved.w_count : saved.z_count;
    for (int64_t i = 0; i < count; i++) {
        gv_end *end;
        GV_TRY(add(ends, &end, GV_END_SAVED, err));
        end->file = path;
        end->number = i;
        end->name = count == 1 ? base_name(path)
                               : gv_arena_format(&ends->arena, "%s %" PRId64, base_name(path), i);
        GV_TRY(place(ends, end, &saved, i, err));
        if (end->name == NULL || json_object_set_new(end->json, "kind", json_string("saved")) ||
            json_object_set_new(end->json, "file", json_string(path)) ||
            json_object_set_new(end->json, "latent", json_integer(i))) {
            status = gv_fail_memory(err, 0);
            goto done;
        }
    }
done:
    gv_arena_deinit(&arena);
    return status;
}

/* ---- seeds ---- */

gv_status gv_ends_add_seed(gv_ends *ends, int64_t seed, double psi, gv_error *err)
{
    gv_end *end;
    const uint64_t number = (uint64_t)seed;
    ganvas_mapping mapping = {.psi = psi, .cutoff = -1, .class_index = class_of(ends)};
    bool z = gv_ends_latent_space(ends) == GANVAS_SPACE_Z;
    gv_status status;
    GV_TRY(add(ends, &end, GV_END_SEED, err));
    end->number = seed;
    end->name = gv_arena_format(&ends->arena, "seed %" PRId64, seed);
    if (end->name == NULL || json_object_set_new(end->json, "kind", json_string("seed")) != 0 ||
        json_object_set_new(end->json, "seed", json_integer(seed)) != 0) {
        status = gv_fail_memory(err, 0);
        goto done;
    }
    status = ganvas_latents(ends->model, end->latent, z ? GANVAS_SPACE_Z : GANVAS_SPACE_W, &number,
                            1, &mapping, err);
done:
    return status;
}

/* ---- pictures ---- */

static gv_status open_setup(gv_ends *ends, gv_error *err)
{
    if (ends->has_setup)
        return GV_OK;
    ends->has_setup = true; /* it is to be freed in every case */
    return gv_invert_setup_init(&ends->setup, ends->engine, ends->model, ends->settings,
                                gv_watch_cancel(ends->watch), err);
}

static gv_status add_picture(gv_ends *ends, const char *path, gv_error *err)
{
    gv_end *end;
    gv_status status;
    GV_TRY(open_setup(ends, err));
    GV_TRY(add(ends, &end, GV_END_PICTURE, err));
    ends->pictures++;
    end->file = path;
    end->name = base_name(path);
    GV_TRY(gv_target_load(&end->target, path, ends->model->gen->resolution, &ends->setup.picture,
                          err));
    if (end->target.note[0] != '\0')
        gv_engine_notice(ends->engine, "%s", end->target.note);
    if (json_object_set_new(end->json, "kind", json_string("picture")) != 0 ||
        json_object_set_new(end->json, "file", json_string(path)) != 0)
        status = gv_fail_memory(err, 0);
done:
    return status;
}

gv_status gv_ends_add_file(gv_ends *ends, const char *path, gv_error *err)
{
    gv_file file;
    gv_status status = gv_file_open(&file, path, err);
    if (status != GV_OK)
        return status;
    bool zip = file.size >= 4 && memcmp(file.data, "PK\x03\x04", 4) == 0;
    gv_file_close(&file);
    return zip ? add_saved(ends, path, err) : add_picture(ends, path, err);
}

/* ---- inverting ---- */

static void on_evaluation(void *ctx, const gv_invert_progress *p)
{
    const gv_ends *ends = ctx;
    gv_watch_tell(ends->watch, "evaluations", ends->inverted * p->total + p->evaluations,
                  ends->pictures * p->total, gv_now() - ends->start);
}

static gv_status invert(gv_ends *ends, gv_end *end, gv_error *err)
{
    gv_inversion found = {0};
    gv_quality q;
    gv_status status;
    GV_TRY(gv_inverter_run(ends->setup.inverter, &found, &end->target, &ends->setup.invert, err));
    if (gv_ends_latent_space(ends) == GANVAS_SPACE_Z)
        for (int64_t i = 0; i < found.n; i++)
            end->latent[i] = (float)found.x[i];
    else
        memcpy(end->latent, found.rows, (size_t)latent_floats(ends) * sizeof(float));
    GV_TRY(gv_inverter_measure(ends->setup.inverter, &q, &end->target, found.image, err));
    if (!q.reached)
        gv_engine_notice(ends->engine,
                         "%s: the model does not reach this picture: LPIPS %.3f, its mean picture "
                         "has %.3f",
                         end->file, q.lpips, q.mean_lpips);
    json_t *numbers =
        json_pack("{s:I, s:f, s:f, s:f, s:f, s:f}", "evaluations", (json_int_t)found.evaluations,
                  "seconds", found.seconds, "loss", found.terms.total, "lpips", q.lpips, "psnr",
                  q.psnr, "mean_lpips", q.mean_lpips);
    if (numbers == NULL || json_object_update(end->json, numbers) != 0)
        status = gv_fail_memory(err, 0);
    json_decref(numbers);
done:
    gv_inversion_deinit(&found);
    return status;
}

gv_status gv_ends_finish(gv_ends *ends, gv_error *err)
{
    if (ends->space == GV_ENDS_PIXEL || ends->pictures == 0)
        return GV_OK;
    ends->start = gv_now();
    ends->setup.invert.progress = on_evaluation;
    ends->setup.invert.ctx = ends;
    for (int64_t i = 0; i < ends->count; i++) {
        if (ends->list[i].kind != GV_END_PICTURE)
            continue;
        gv_status status = invert(ends, &ends->list[i], err);
        if (status != GV_OK)
            return status;
        ends->inverted++;
    }
    return GV_OK;
}

/* ---- what they show ---- */

gv_status gv_ends_render(gv_ends *ends, float *picture, int64_t i, const ganvas_render *render,
                         gv_error *err)
{
    const gv_end *end = &ends->list[i];
    int64_t side = ends->model->gen->resolution;
    const ganvas_watch quiet = {.cancel = ends->watch != NULL ? ends->watch->cancel : NULL};
    if (end->latent != NULL)
        return ganvas_generate(ends->model, picture, end->latent, gv_ends_latent_space(ends), 1,
                               render, &quiet, err);
    memcpy(picture, end->target.rgb, (size_t)(3 * side * side) * sizeof(float));
    return GV_OK;
}

gv_status gv_ends_vgg(gv_ends *ends, gv_error *err)
{
    char *path = NULL;
    gv_checkpoint *ck;
    gv_status status = GV_OK;
    ends->vgg = ends->has_setup ? ends->setup.vgg16 : ends->own_vgg;
    if (ends->vgg != NULL)
        return GV_OK;
    GV_TRY(gv_engine_find_model(ends->engine, &path, "vgg16-lpips", err));
    GV_TRY(gv_checkpoint_open(&ck, path, err));
    GV_TRY(gv_vgg_load(&ends->own_vgg, ck, err));
    ends->vgg = ends->own_vgg;
done:
    gv_mem_free(path);
    return status;
}

json_t *gv_ends_to_json(const gv_ends *ends)
{
    json_t *list = json_array();
    for (int64_t i = 0; list != NULL && i < ends->count; i++)
        if (json_array_append(list, ends->list[i].json) != 0) {
            json_decref(list);
            list = NULL;
        }
    return list;
}

gv_status gv_ends_layers(const gv_ends *ends, int64_t **rows, int64_t *count, gv_error *err)
{
    const char *text = gv_settings_text(ends->settings, "layers");
    int64_t has = ends->model->gen->rows;
    *rows = NULL;
    *count = 0;
    if (text == NULL || strcmp(text, "all") == 0)
        return GV_OK;
    gv_status status = gv_parse_numbers(rows, count, text, err);
    for (int64_t i = 0; status == GV_OK && i < *count; i++)
        if ((*rows)[i] >= has)
            status = gv_fail(err, GV_E_ARG,
                             "--layers: there is no row %" PRId64 ", w+ of %s has 0 to %" PRId64,
                             (*rows)[i], ends->model->name, has - 1);
    return status;
}
