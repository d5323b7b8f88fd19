#include "api/invert_setup.h"

#include "base/file.h"
#include "checkpoint/npy.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where VGG16 and LPIPS's layers are: an embedded model. */
#define VGG16_NAME "vgg16-lpips"

/* ---- values of options that a command may lack ---- */

static bool is_set_to(const ganvas_settings *s, const char *name, const char *word)
{
    const char *text = gv_settings_text(s, name);
    return text != NULL && strcmp(text, word) == 0;
}

static void read_number(const ganvas_settings *s, const char *name, double *value)
{
    if (gv_settings_text(s, name) != NULL)
        *value = gv_settings_number(s, name);
}

static void read_integer(const ganvas_settings *s, const char *name, int64_t *value)
{
    if (gv_settings_text(s, name) != NULL)
        *value = gv_settings_integer_or(s, name, *value);
}

/* Four numbers of "x,y,w,h". */
static gv_status read_four(double v[4], const ganvas_settings *s, const char *name,
                           const char *form, gv_error *err)
{
    const char *text = gv_settings_text(s, name), *p = text;
    for (int i = 0; i < 4; i++) {
        char *end;
        v[i] = strtod(p, &end);
        bool fits = end != p && isfinite(v[i]) && *end == (i < 3 ? ',' : '\0');
        if (!fits)
            return gv_fail(err, GV_E_ARG, "--%s: '%s' is not four numbers %s", name, text, form);
        p = end + 1;
    }
    return GV_OK;
}

/* ---- objective ---- */

/* "conv_4:1,conv_5:0.5"; a layer without weight has 1. */
static gv_status read_layers(gv_objective_options *o, const gv_vgg *vgg, const char *text,
                             gv_error *err)
{
    o->layer_count = 0;
    for (const char *p = text;; p++) {
        size_t length = strcspn(p, ",");
        char item[64], *end;
        if (length == 0 || length >= sizeof item || o->layer_count == GV_VGG_MAX_CONVS)
            return gv_fail(err, GV_E_ARG, "--layer: '%s' is not a list such as conv_4:1,conv_5:0.5",
                           text);
        memcpy(item, p, length);
        item[length] = '\0';
        gv_perceptual_layer *layer = &o->layers[o->layer_count++];
        layer->weight = 1.0;
        char *colon = strchr(item, ':');
        if (colon != NULL) {
            *colon = '\0';
            layer->weight = strtod(colon + 1, &end);
            if (end == colon + 1 || *end != '\0' || !(layer->weight > 0.0) ||
                !isfinite(layer->weight))
                return gv_fail(err, GV_E_ARG, "--layer: the weight of %s is not above 0", item);
        }
        gv_status status = gv_vgg_parse_layer(vgg, &layer->conv, item, err);
        if (status != GV_OK)
            return status;
        for (int i = 0; i + 1 < o->layer_count; i++)
            if (o->layers[i].conv == layer->conv)
                return gv_fail(err, GV_E_ARG, "--layer: %s is named twice", item);
        p += length;
        if (*p == '\0')
            return GV_OK;
    }
}

static gv_status read_objective(gv_invert_setup *setup, const ganvas_model *model,
                                const ganvas_settings *s, gv_error *err)
{
    gv_objective_options *o = &setup->objective;
    bool dcgan = model->gen->type == GV_NET_DCGAN;
    *o = gv_objective_defaults();
    /* interpolate calls it --space, and has pixel besides. */
    const char *option = gv_settings_text(s, "latent") != NULL ? "latent" : "space";
    bool z = is_set_to(s, option, "z") || (dcgan && is_set_to(s, option, "pixel"));
    o->space = z ? GV_SPACE_Z : is_set_to(s, option, "w") ? GV_SPACE_W : GV_SPACE_WPLUS;
    if (dcgan && o->space != GV_SPACE_Z)
        return gv_fail(err, GV_E_ARG, "--%s %s: %s is a DCGAN, which has z only", option,
                       o->space == GV_SPACE_W ? "w" : "w+", model->name);
    read_number(s, "l1", &o->l1);
    read_number(s, "mse", &o->mse);
    read_number(s, "perc", &o->perc);
    read_number(s, "lpips", &o->lpips);
    read_number(s, "reg", &o->reg);
    if (!(o->l1 > 0.0 || o->mse > 0.0 || o->perc > 0.0 || o->lpips > 0.0))
        return gv_fail(err, GV_E_ARG, "one of --l1, --mse, --perc and --lpips must be above 0");
    o->mask_on = is_set_to(s, "mask-on", "features") ? GV_MASK_ON_FEATURES
                 : is_set_to(s, "mask-on", "both")   ? GV_MASK_ON_BOTH
                                                     : GV_MASK_ON_IMAGE;
    o->noise = is_set_to(s, "noise", "random") ? GV_NOISE_RANDOM
               : is_set_to(s, "noise", "none") ? GV_NOISE_NONE
                                               : GV_NOISE_CONST;
    o->hw5 = is_set_to(s, "compat", "hw5");
    int64_t seed = 0;
    read_integer(s, "seed", &seed);
    o->noise_seed = (uint64_t)seed;
    read_integer(s, "class", &o->label);
    if (model->gen->c_dim > 0 && (o->label < 0 || o->label >= model->gen->c_dim))
        return gv_fail(err, GV_E_ARG, "%s has %" PRId64 " classes: --class must be 0 to %" PRId64,
                       model->name, model->gen->c_dim, model->gen->c_dim - 1);
    if (model->gen->c_dim == 0 && o->label >= 0)
        return gv_fail(err, GV_E_ARG, "--class: %s has no classes", model->name);
    return GV_OK;
}

/* ---- search ---- */

/* The unknowns to start from: one saved latent, w for w and w+, z for z. */
static gv_status read_init(gv_invert_setup *setup, const gv_generator *gen, const char *path,
                           gv_error *err)
{
    gv_file f;
    gv_view *views;
    size_t count;
    gv_arena arena;
    gv_arena_init(&arena, 0);
    gv_status status = gv_file_open(&f, path, err);
    if (status != GV_OK)
        return status;
    GV_TRY(gv_npz_read(&views, &count, f.data, f.size, path, &arena, err));
    bool z = setup->objective.space == GV_SPACE_Z;
    const char *name = z ? "z" : "w";
    const gv_view *v = NULL;
    for (size_t i = 0; i < count; i++)
        if (strcmp(views[i].name, name) == 0)
            v = &views[i];
    if (v == NULL) {
        status = gv_fail(err, GV_E_FORMAT, "%s: holds no latent %s", path, name);
        goto done;
    }
    int64_t rows = z ? 1 : gen->rows, width = z ? gen->z_dim : gen->row_dim;
    int64_t found = gv_view_count(v);
    bool one_row = found == width && v->dims >= 1 && v->shape[v->dims - 1] == width;
    bool all = found == rows * width && v->dims == 3 && v->shape[1] == rows;
    char shape[128];
    if (!one_row && !all) {
        status = gv_fail(err, GV_E_FORMAT,
                         "%s: %s is %s, one latent of the model is [1,%" PRId64 ",%" PRId64 "]",
                         path, name, gv_view_shape_text(shape, sizeof shape, v), rows, width);
        goto done;
    }
    float *given = gv_arena_alloc_array(&setup->arena, (size_t)(rows * width), sizeof *given);
    if (given == NULL) {
        status = gv_fail_memory(err, (size_t)(rows * width) * sizeof *given);
        goto done;
    }
    GV_TRY(gv_view_read_f32(given, v, path, err));
    for (int64_t i = 1; one_row && i < rows; i++)
        memcpy(given + i * width, given, (size_t)width * sizeof *given);
    setup->invert.init = GV_INIT_GIVEN;
    setup->invert.given = given;
done:
    gv_arena_deinit(&arena);
    gv_file_close(&f);
    return status;
}

static int ascending(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static gv_status read_snapshots(gv_invert_setup *setup, const ganvas_settings *s, gv_error *err)
{
    const char *text = gv_settings_text(s, "snapshots");
    int64_t count, kept = 0;
    if (text == NULL)
        return GV_OK;
    gv_status status = gv_parse_numbers(&setup->snapshots, &count, text, err);
    if (status != GV_OK)
        return status;
    qsort(setup->snapshots, (size_t)count, sizeof(int64_t), ascending);
    for (int64_t i = 0; i < count; i++)
        if (kept == 0 || setup->snapshots[i] != setup->snapshots[kept - 1])
            setup->snapshots[kept++] = setup->snapshots[i];
    if (kept > GV_SNAPSHOTS_MAX)
        return gv_fail(err, GV_E_ARG, "--snapshots: %" PRId64 " are more than %d", kept,
                       GV_SNAPSHOTS_MAX);
    if (setup->snapshots[kept - 1] > setup->invert.evals)
        return gv_fail(err, GV_E_ARG, "--snapshots: %" PRId64 " is beyond --evals %" PRId64,
                       setup->snapshots[kept - 1], setup->invert.evals);
    setup->invert.snapshots = setup->snapshots;
    setup->invert.snapshot_count = kept;
    return GV_OK;
}

static gv_status read_search(gv_invert_setup *setup, const ganvas_model *model,
                             const ganvas_settings *s, gv_error *err)
{
    gv_invert_options *o = &setup->invert;
    const char *init = gv_settings_text(s, "init");
    int64_t seed = 0;
    *o = gv_invert_defaults();
    o->hw5 = setup->objective.hw5;
    o->optimizer = is_set_to(s, "optimizer", "adam")              ? GV_OPTIMIZER_ADAM
                   : is_set_to(s, "optimizer", "wolfe") || o->hw5 ? GV_OPTIMIZER_WOLFE
                                                                  : GV_OPTIMIZER_LBFGS;
    read_integer(s, "seed", &seed);
    o->seed = (uint64_t)seed;
    o->label = setup->objective.label;
    read_integer(s, "starts", &o->starts);
    read_integer(s, "evals", &o->evals);
    read_integer(s, "history", &o->history);
    read_number(s, "lr", &o->lr);
    if (o->starts > 1 && o->evals < o->starts)
        return gv_fail(err, GV_E_ARG,
                       "--starts %" PRId64 " needs at least as many --evals, found %" PRId64,
                       o->starts, o->evals);
    gv_status status = read_snapshots(setup, s, err);
    if (status != GV_OK || init == NULL || strcmp(init, "mean") == 0)
        return status;
    if (strcmp(init, "random") == 0) {
        o->init = GV_INIT_RANDOM;
        return GV_OK;
    }
    const char *end = strrchr(init, '.');
    if (end == NULL || strcmp(end, ".npz") != 0)
        return gv_fail(err, GV_E_ARG, "--init: '%s' is neither mean, random nor a .npz file", init);
    return read_init(setup, model->gen, init, err);
}

/* ---- pictures ---- */

/* A model says in its architecture where its faces have their eyes, in shares of the side: {"eyes":
 * [x1, y1, x2, y2]}. */
static void read_model_eyes(gv_eyes *eyes, const ganvas_model *model)
{
    const json_t *config = gv_checkpoint_config(model->gen->net.ck);
    const json_t *list = config != NULL ? json_object_get(config, "eyes") : NULL;
    double v[4];
    if (json_array_size(list) != 4)
        return;
    for (size_t i = 0; i < 4; i++)
        v[i] = json_number_value(json_array_get(list, i));
    if (hypot(v[2] - v[0], v[3] - v[1]) > 0.01)
        *eyes = (gv_eyes){v[0], v[1], v[2], v[3]};
}

static gv_status read_picture(gv_invert_setup *setup, const ganvas_model *model,
                              const ganvas_settings *s, gv_error *err)
{
    gv_target_options *p = &setup->picture;
    const char *mask = gv_settings_text(s, "mask");
    double v[4];
    *p = gv_target_defaults();
    read_model_eyes(&p->model_eyes, model);
    p->hw5 = setup->objective.hw5;
    p->frame = p->hw5 ? GV_FRAME_SQUASH : GV_FRAME_CENTRE;
    if (mask == NULL)
        p->mask = s->command->id == GV_COMMAND_SCRIBBLE ? GV_MASK_SKETCH : GV_MASK_PHOTO;
    else if (strcmp(mask, "none") != 0) {
        p->mask = GV_MASK_FILE;
        p->mask_file = mask;
    }
    bool crop = gv_settings_text(s, "crop") != NULL, eyes = gv_settings_text(s, "eyes") != NULL;
    if (crop && eyes)
        return gv_fail(err, GV_E_ARG, "--crop and --eyes cannot both say where the face is");
    gv_status status = GV_OK;
    if (crop) {
        GV_TRY(read_four(v, s, "crop", "x,y,w,h", err));
        p->frame = GV_FRAME_CROP;
        p->crop = (gv_rect){v[0], v[1], v[2], v[3]};
    }
    if (eyes) {
        GV_TRY(read_four(v, s, "eyes", "x1,y1,x2,y2", err));
        p->frame = GV_FRAME_EYES;
        p->eyes = (gv_eyes){v[0], v[1], v[2], v[3]};
    }
done:
    return status;
}

/* ---- networks ---- */

static gv_status open_vgg(gv_vgg **vgg, const char *path, gv_error *err)
{
    gv_checkpoint *ck;
    gv_status status = gv_checkpoint_open(&ck, path, err);
    return status == GV_OK ? gv_vgg_load(vgg, ck, err) : status;
}

static gv_status open_networks(gv_invert_setup *setup, ganvas_engine *engine,
                               const ganvas_settings *s, gv_error *err)
{
    char *path = NULL;
    const char *own = gv_settings_text(s, "perceptual"), *layers = gv_settings_text(s, "layer");
    gv_status status;
    GV_TRY(gv_engine_find_model(engine, &path, VGG16_NAME, err));
    GV_TRY(open_vgg(&setup->vgg16, path, err));
    if (own != NULL)
        GV_TRY(open_vgg(&setup->perceptual, own, err));
    else if (setup->objective.hw5 && setup->objective.perc > 0.0)
        gv_engine_notice(engine, "--compat hw5: the course took its features from VGG19; this is "
                                 "VGG16, whose conv_1 to conv_7 sit in the same places. "
                                 "--perceptual vgg19.pth takes torchvision's file");
    const gv_vgg *vgg = own != NULL ? setup->perceptual : setup->vgg16;
    status = read_layers(&setup->objective, vgg, layers != NULL ? layers : "conv_5", err);
done:
    gv_mem_free(path);
    return status;
}

gv_status gv_invert_setup_init(gv_invert_setup *setup, ganvas_engine *engine, ganvas_model *model,
                               const ganvas_settings *s, const gv_cancel *cancel, gv_error *err)
{
    gv_status status;
    *setup = (gv_invert_setup){0};
    gv_arena_init(&setup->arena, 0);
    GV_TRY(read_objective(setup, model, s, err));
    GV_TRY(read_search(setup, model, s, err));
    GV_TRY(read_picture(setup, model, s, err));
    GV_TRY(open_networks(setup, engine, s, err));
    const gv_inverter_options o = {
        .objective = setup->objective, .threads = model->threads, .cancel = cancel};
    const gv_vgg *perceptual = setup->perceptual != NULL ? setup->perceptual : setup->vgg16;
    status = gv_inverter_new(&setup->inverter, model->gen, perceptual, setup->vgg16, &o, err);
done:
    return status;
}

void gv_invert_setup_deinit(gv_invert_setup *setup)
{
    gv_inverter_free(setup->inverter);
    gv_vgg_free(setup->perceptual);
    gv_vgg_free(setup->vgg16);
    gv_mem_free(setup->snapshots);
    gv_arena_deinit(&setup->arena);
    *setup = (gv_invert_setup){0};
}
