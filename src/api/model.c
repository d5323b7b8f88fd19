/* Generators behind the public interface. */
#include "api/api.h"

#include "api/record.h"
#include "base/memory.h"
#include "image/image.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static gv_status copy_text(char **copy, const char *text, gv_error *err)
{
    *copy = gv_mem_alloc(strlen(text) + 1);
    if (*copy == NULL)
        return gv_fail_memory(err, strlen(text) + 1);
    memcpy(*copy, text, strlen(text) + 1);
    return GV_OK;
}

/* ck is taken over in every case. */
static gv_status open_checkpoint(ganvas_model **model, ganvas_engine *engine, gv_checkpoint *ck,
                                 const char *name, gv_error *err)
{
    gv_status status;
    ganvas_model *m = gv_mem_alloc(sizeof *m);
    if (m == NULL) {
        gv_checkpoint_close(ck);
        return gv_fail_memory(err, sizeof *m);
    }
    m->engine = engine;
    m->threads = engine->threads;
    status = copy_text(&m->path, gv_checkpoint_path(ck), err);
    if (status == GV_OK)
        status = copy_text(&m->name, name, err);
    if (status != GV_OK) {
        gv_checkpoint_close(ck);
        goto done;
    }
    GV_TRY(gv_generator_load(&m->gen, ck, err));
    if (m->gen->channels != 3) {
        status = gv_fail(err, GV_E_UNSUPPORTED,
                         "%s: makes pictures of %" PRId64 " channels, ganvas needs 3", m->path,
                         m->gen->channels);
        goto done;
    }
    GV_TRY(gv_renderer_new(&m->renderer, m->gen, 1, err));
    gv_engine_log(engine, "%s: opened", m->path);
    *model = m;
    m = NULL;
done:
    ganvas_model_close(m);
    return status;
}

ganvas_status ganvas_model_open(ganvas_model **model, ganvas_engine *engine, const char *name,
                                ganvas_error *err)
{
    gv_error_clear(err);
    *model = NULL;
    char *path = NULL;
    gv_checkpoint *ck = NULL;
    gv_status status;
    GV_TRY(gv_engine_find_model(engine, &path, name, err));
    GV_TRY(gv_checkpoint_open(&ck, path, err));
    status = open_checkpoint(model, engine, ck, name, err);
done:
    gv_mem_free(path);
    return status;
}

ganvas_status ganvas_model_open_memory(ganvas_model **model, ganvas_engine *engine,
                                       const void *data, size_t size, const char *name,
                                       ganvas_error *err)
{
    gv_error_clear(err);
    *model = NULL;
    gv_checkpoint *ck = NULL;
    gv_status status = gv_checkpoint_open_memory(&ck, data, size, name, err);
    return status == GV_OK ? open_checkpoint(model, engine, ck, name, err) : status;
}

void ganvas_model_close(ganvas_model *model)
{
    if (model == NULL)
        return;
    gv_renderer_free(model->renderer);
    gv_generator_free(model->gen);
    gv_mem_free(model->name);
    gv_mem_free(model->path);
    gv_mem_free(model);
}

ganvas_model_dims ganvas_model_get_dims(const ganvas_model *model)
{
    const gv_generator *g = model->gen;
    bool has_w = g->type == GV_NET_STYLEGAN2;
    return (ganvas_model_dims){
        .resolution = g->resolution,
        .z_dim = g->z_dim,
        .w_dim = has_w ? g->row_dim : 0,
        .num_ws = has_w ? g->rows : 0,
        .classes = g->c_dim,
    };
}

json_t *gv_model_to_json(const ganvas_model *model)
{
    ganvas_model_dims d = ganvas_model_get_dims(model);
    const gv_checkpoint *ck = model->gen->net.ck;
    int64_t parameters = 0;
    for (size_t i = 0; i < gv_checkpoint_count(ck); i++)
        parameters += gv_view_count(gv_checkpoint_at(ck, i));
    char hash[20];
    snprintf(hash, sizeof hash, "%016" PRIx64, gv_checkpoint_hash(ck));
    gv_checkpoint_release_pages(ck);
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:s}", "type",
                     model->gen->type == GV_NET_STYLEGAN2 ? "stylegan2" : "dcgan", "name",
                     model->name, "file", model->path, "kind",
                     gv_checkpoint_kind_text(gv_checkpoint_get_kind(ck)), "resolution",
                     (json_int_t)d.resolution, "z_dim", (json_int_t)d.z_dim, "w_dim",
                     (json_int_t)d.w_dim, "num_ws", (json_int_t)d.num_ws, "classes",
                     (json_int_t)d.classes, "parameters", (json_int_t)parameters, "hash", hash);
}

ganvas_status ganvas_model_info(const ganvas_model *model, char **json, ganvas_error *err)
{
    gv_error_clear(err);
    return gv_json_text(json, gv_model_to_json(model), GV_JSON_READABLE, err);
}

/* ---- latents ---- */

ganvas_mapping ganvas_mapping_default(void)
{
    return (ganvas_mapping){.psi = 1.0, .cutoff = -1, .class_index = -1};
}

ganvas_render ganvas_render_default(void)
{
    return (ganvas_render){.noise = GANVAS_NOISE_CONST, .mapping = ganvas_mapping_default()};
}

int64_t ganvas_latent_size(const ganvas_model *model, ganvas_space space)
{
    const gv_generator *g = model->gen;
    if (space == GANVAS_SPACE_Z)
        return g->z_dim;
    return g->type == GV_NET_STYLEGAN2 ? g->rows * g->row_dim : 0;
}

static gv_status check_space(const ganvas_model *model, ganvas_space space, gv_error *err)
{
    if (space != GANVAS_SPACE_Z && space != GANVAS_SPACE_W && space != GANVAS_SPACE_W_PLUS)
        return gv_fail(err, GV_E_ARG, "%d is no latent space", (int)space);
    if (ganvas_latent_size(model, space) == 0)
        return gv_fail(err, GV_E_ARG, "%s: a DCGAN has the latent z only", model->name);
    return GV_OK;
}

static gv_status check_count(int64_t count, gv_error *err)
{
    return count >= 1 ? GV_OK
                      : gv_fail(err, GV_E_ARG, "%" PRId64 " latents, expected 1 or more", count);
}

static gv_truncation truncation_of(const ganvas_mapping *mapping)
{
    ganvas_mapping m = mapping != NULL ? *mapping : ganvas_mapping_default();
    return (gv_truncation){.psi = (float)m.psi, .cutoff = m.cutoff, .label = m.class_index};
}

/* Every row of one latent from a z of its own: RandomState(seed).randn(num_ws, z_dim). */
static gv_status map_rows_of_seed(ganvas_model *model, float *latent, uint64_t seed,
                                  const gv_truncation *t, gv_error *err)
{
    gv_generator *g = model->gen;
    int64_t count = g->rows * g->z_dim;
    double *drawn = gv_mem_alloc_array((size_t)count, sizeof(double));
    float *z = gv_mem_alloc_array((size_t)count, sizeof(float));
    gv_status status;
    if (drawn == NULL || z == NULL) {
        status = gv_fail_memory(err, (size_t)count * sizeof(double));
        goto done;
    }
    gv_numpy_rng rng;
    gv_numpy_seed(&rng, seed);
    gv_numpy_randn(&rng, drawn, count);
    for (int64_t i = 0; i < count; i++)
        z[i] = (float)drawn[i];
    status = gv_generator_map_rows(g, latent, z, 1, t, model->threads, NULL, err);
done:
    gv_mem_free(drawn);
    gv_mem_free(z);
    return status;
}

ganvas_status ganvas_latents(ganvas_model *model, float *latents, ganvas_space space,
                             const uint64_t *seeds, int64_t count, const ganvas_mapping *mapping,
                             ganvas_error *err)
{
    gv_error_clear(err);
    gv_generator *g = model->gen;
    float *z = NULL;
    gv_status status;
    GV_TRY(check_space(model, space, err));
    GV_TRY(check_count(count, err));
    z = gv_mem_alloc_array((size_t)g->z_dim, sizeof(float));
    if (z == NULL) {
        status = gv_fail_memory(err, (size_t)g->z_dim * sizeof(float));
        goto done;
    }
    gv_truncation t = truncation_of(mapping);
    int64_t size = ganvas_latent_size(model, space);
    for (int64_t i = 0; i < count; i++) {
        float *latent = latents + i * size;
        if (seeds[i] > UINT32_MAX) {
            status = gv_fail(err, GV_E_ARG, "seed %" PRIu64 " is not in 0 to %" PRIu32, seeds[i],
                             UINT32_MAX);
            goto done;
        }
        if (space == GANVAS_SPACE_Z) {
            gv_generator_seed_z(g, latent, seeds[i]);
        } else if (space == GANVAS_SPACE_W) {
            gv_generator_seed_z(g, z, seeds[i]);
            GV_TRY(gv_generator_map(g, latent, z, 1, &t, model->threads, NULL, err));
        } else {
            GV_TRY(map_rows_of_seed(model, latent, seeds[i], &t, err));
        }
    }
done:
    gv_mem_free(z);
    return status;
}

ganvas_status ganvas_map(ganvas_model *model, float *w, const float *z, int64_t count,
                         const ganvas_mapping *mapping, ganvas_error *err)
{
    gv_error_clear(err);
    gv_truncation t = truncation_of(mapping);
    gv_status status;
    GV_TRY(check_space(model, GANVAS_SPACE_W, err));
    GV_TRY(check_count(count, err));
    status = gv_generator_map(model->gen, w, z, count, &t, model->threads, NULL, err);
done:
    return status;
}

/* ---- pictures ---- */

/* One picture [3,R,R]; rows: room for one mapped latent. */
static gv_status generate_one(ganvas_model *model, float *image, const float *latent,
                              ganvas_space space, const ganvas_render *r, float *rows,
                              const gv_cancel *cancel, gv_error *err)
{
    gv_status status;
    if (space == GANVAS_SPACE_Z) {
        gv_truncation t = truncation_of(&r->mapping);
        GV_TRY(gv_generator_map(model->gen, rows, latent, 1, &t, model->threads, cancel, err));
        latent = rows;
    }
    gv_noise_mode mode = r->noise == GANVAS_NOISE_CONST    ? GV_NOISE_CONST
                         : r->noise == GANVAS_NOISE_RANDOM ? GV_NOISE_RANDOM
                                                           : GV_NOISE_NONE;
    gv_torch_rng rng;
    gv_torch_seed(&rng, r->noise_seed);
    status =
        gv_renderer_run(model->renderer, image, latent, 1, mode,
                        mode == GV_NOISE_RANDOM ? &rng : NULL, NULL, model->threads, cancel, err);
done:
    return status;
}

/* Pictures as floats, as bytes, or both: the one that is NULL is not wanted. */
static gv_status generate(ganvas_model *model, float *images, uint8_t *pixels, size_t stride,
                          const float *latents, ganvas_space space, int64_t count,
                          const ganvas_render *render, const ganvas_watch *watch, gv_error *err)
{
    ganvas_render r = render != NULL ? *render : ganvas_render_default();
    const gv_generator *g = model->gen;
    int64_t side = g->resolution;
    size_t floats = (size_t)(3 * side * side);
    float *rows = NULL, *own = NULL;
    gv_status status;
    GV_TRY(check_space(model, space, err));
    GV_TRY(check_count(count, err));
    if (r.noise != GANVAS_NOISE_CONST && r.noise != GANVAS_NOISE_RANDOM &&
        r.noise != GANVAS_NOISE_NONE) {
        status = gv_fail(err, GV_E_ARG, "%d is no noise mode", (int)r.noise);
        goto done;
    }
    rows = gv_mem_alloc_array((size_t)(g->rows * g->row_dim), sizeof(float));
    own = gv_mem_alloc_array(images == NULL ? floats : 0, sizeof(float));
    if (rows == NULL || own == NULL) {
        status = gv_fail_memory(err, floats * sizeof(float));
        goto done;
    }
    double start = gv_now();
    for (int64_t i = 0; i < count; i++) {
        float *image = images != NULL ? images + (size_t)i * floats : own;
        GV_TRY(generate_one(model, image, latents + i * ganvas_latent_size(model, space), space, &r,
                            rows, gv_watch_cancel(watch), err));
        if (pixels != NULL)
            gv_rgb8_from_tensor(pixels + (size_t)(i * side) * stride, stride, image, side, side);
        gv_watch_tell(watch, "pictures", i + 1, count, gv_now() - start);
    }
done:
    gv_mem_free(rows);
    gv_mem_free(own);
    return status;
}

ganvas_status ganvas_generate(ganvas_model *model, float *images, const float *latents,
                              ganvas_space space, int64_t count, const ganvas_render *render,
                              const ganvas_watch *watch, ganvas_error *err)
{
    gv_error_clear(err);
    return generate(model, images, NULL, 0, latents, space, count, render, watch, err);
}

ganvas_status ganvas_generate_rgb8(ganvas_model *model, uint8_t *pixels, size_t stride,
                                   const float *latents, ganvas_space space, int64_t count,
                                   const ganvas_render *render, const ganvas_watch *watch,
                                   ganvas_error *err)
{
    gv_error_clear(err);
    if (stride < (size_t)(3 * model->gen->resolution))
        return gv_fail(err, GV_E_ARG, "a stride of %zu bytes, expected %" PRId64 " or more", stride,
                       3 * model->gen->resolution);
    return generate(model, NULL, pixels, stride, latents, space, count, render, watch, err);
}
