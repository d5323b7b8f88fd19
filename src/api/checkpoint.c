/* inspect, convert and the list of embedded models. */
#include "api/api.h"

#include "api/output.h"
#include "api/record.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "checkpoint/safetensors.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TREE_LINES = 2000, LINE = 256 };

/* Sums over all tensors. */
static void count_tensors(const gv_checkpoint *ck, int64_t *parameters, int64_t *bytes)
{
    *parameters = *bytes = 0;
    for (size_t i = 0; i < gv_checkpoint_count(ck); i++) {
        const gv_view *v = gv_checkpoint_at(ck, i);
        *parameters += gv_view_count(v);
        *bytes += gv_view_count(v) * (int64_t)gv_dtype_size(v->type);
    }
}

/* ---- inspect ---- */

static gv_status inspect_text(gv_text *t, gv_checkpoint *ck, const char *loads_as, gv_error *err)
{
    int64_t parameters, bytes;
    count_tensors(ck, &parameters, &bytes);
    gv_text_add(t,
                "file      %s\nkind      %s\nloads as  %s\ntensors   %zu, %" PRId64
                " parameters, %.1f MB\n\n",
                gv_checkpoint_path(ck), gv_checkpoint_kind_text(gv_checkpoint_get_kind(ck)),
                loads_as, gv_checkpoint_count(ck), parameters, (double)bytes / 1e6);
    char *tree = gv_checkpoint_tree_text(ck, TREE_LINES);
    if (tree == NULL)
        return gv_fail_memory(err, 0);
    gv_text_add_bytes(t, tree, strlen(tree));
    gv_mem_free(tree);
    return GV_OK;
}

static json_t *tensor_to_json(const gv_view *v)
{
    json_t *shape = json_array();
    for (int d = 0; shape != NULL && d < v->dims; d++)
        json_array_append_new(shape, json_integer(v->shape[d]));
    return json_pack("{s:s, s:s, s:o}", "name", v->name, "type", gv_dtype_name(v->type), "shape",
                     shape);
}

/* NULL without memory. */
static json_t *inspect_json(const gv_checkpoint *ck, gv_net_type type, const char *loads_as)
{
    int64_t parameters, bytes;
    count_tensors(ck, &parameters, &bytes);
    json_t *tensors = json_array();
    for (size_t i = 0; tensors != NULL && i < gv_checkpoint_count(ck); i++)
        if (json_array_append_new(tensors, tensor_to_json(gv_checkpoint_at(ck, i))) != 0) {
            json_decref(tensors);
            return NULL;
        }
    json_t *config = json_deep_copy(gv_checkpoint_config(ck));
    return json_pack("{s:s, s:s, s:b, s:s, s:I, s:I, s:o*, s:o}", "file", gv_checkpoint_path(ck),
                     "kind", gv_checkpoint_kind_text(gv_checkpoint_get_kind(ck)), "recognised",
                     type != GV_NET_UNKNOWN, "loads_as", loads_as, "parameters",
                     (json_int_t)parameters, "bytes", (json_int_t)bytes, "config", config,
                     "tensors", tensors);
}

ganvas_status ganvas_inspect(const char *path, ganvas_text_kind kind, char **text,
                             ganvas_error *err)
{
    gv_error_clear(err);
    *text = NULL;
    gv_checkpoint *ck = NULL;
    gv_text t = {0};
    gv_net_type type;
    char loads_as[LINE];
    gv_status status;
    GV_TRY(gv_checkpoint_open(&ck, path, err));
    GV_TRY(gv_net_identify(ck, &type, loads_as, sizeof loads_as, err));
    if (kind == GANVAS_JSON) {
        status = gv_json_text(text, inspect_json(ck, type, loads_as), GV_JSON_EXACT, err);
        goto done;
    }
    GV_TRY(inspect_text(&t, ck, loads_as, err));
    status = gv_text_take(&t, text, err);
done:
    gv_text_deinit(&t);
    gv_checkpoint_close(ck);
    return status;
}

/* ---- convert ---- */

/* {"ganvas": architecture, "ganvas_writer": ...}; NULL without memory. */
static json_t *metadata_of(const gv_checkpoint *ck)
{
    json_t *metadata = json_pack("{s:s}", GV_OUTPUT_WRITER_KEY, "ganvas " GANVAS_VERSION);
    const json_t *config = gv_checkpoint_config(ck);
    if (metadata == NULL || config == NULL)
        return metadata;
    char *text = NULL;
    json_t *copy = json_deep_copy(config);
    if (gv_json_text(&text, copy, GV_JSON_EXACT, NULL) != GV_OK ||
        json_object_set_new(metadata, "ganvas", json_string(text)) != 0) {
        json_decref(metadata);
        metadata = NULL;
    }
    gv_mem_free(text);
    return metadata;
}

ganvas_status ganvas_convert(const char *in, const char *out, bool force, ganvas_error *err)
{
    gv_error_clear(err);
    gv_checkpoint *ck = NULL;
    gv_view *views = NULL;
    json_t *metadata = NULL;
    gv_status status;
    const char *end = strrchr(out, '.');
    if (end == NULL || strcmp(end, ".safetensors") != 0)
        return gv_fail(err, GV_E_ARG, "%s: the name of the new file must end in .safetensors", out);
    GV_TRY(gv_checkpoint_open(&ck, in, err));
    GV_TRY(gv_output_check(out, force, err));
    size_t count = gv_checkpoint_count(ck);
    views = gv_mem_alloc_array(count, sizeof *views);
    metadata = metadata_of(ck);
    if (views == NULL || metadata == NULL) {
        status = gv_fail_memory(err, count * sizeof *views);
        goto done;
    }
    for (size_t i = 0; i < count; i++)
        views[i] = *gv_checkpoint_at(ck, i);
    status = gv_safetensors_write(out, views, count, metadata, err);
done:
    json_decref(metadata);
    gv_mem_free(views);
    gv_checkpoint_close(ck);
    return status;
}

/* ---- models ---- */

typedef struct listing {
    json_t *models; /* name -> {...}: of two with one name the first folder's counts */
    bool failed;
} listing;

/* The cell beside "licence" in the model card, a Markdown file; "" if there is none. */
static void read_licence(char *licence, size_t size, const char *card)
{
    licence[0] = '\0';
    gv_file f;
    if (gv_file_open(&f, card, NULL) != GV_OK)
        return;
    static const char key[] = "| licence | ";
    const char *text = (const char *)f.data;
    const char *found = f.size > 0 ? memmem(text, f.size, key, sizeof key - 1) : NULL;
    if (found != NULL) {
        found += sizeof key - 1;
        size_t left = (size_t)(text + f.size - found), n = 0;
        while (n < left && n < size - 1 && found[n] != '|' && found[n] != '\n')
            n++;
        while (n > 0 && found[n - 1] == ' ')
            n--;
        memcpy(licence, found, n);
        licence[n] = '\0';
    }
    gv_file_close(&f);
}

/* NULL without memory. A file that cannot be read is listed with the reason. */
static json_t *describe_model(const char *name, const char *path, const char *card)
{
    gv_checkpoint *ck = NULL;
    gv_error err = {0};
    gv_net_type type = GV_NET_UNKNOWN;
    char what[LINE], licence[LINE];
    int64_t parameters = 0, bytes = 0;
    gv_status status = gv_checkpoint_open(&ck, path, &err);
    if (status == GV_OK) {
        count_tensors(ck, &parameters, &bytes);
        status = gv_net_identify(ck, &type, what, sizeof what, &err);
    }
    if (status != GV_OK)
        snprintf(what, sizeof what, "%.250s", err.message);
    gv_checkpoint_close(ck);
    read_licence(licence, sizeof licence, card);
    bool generator = type == GV_NET_DCGAN || type == GV_NET_STYLEGAN2;
    return json_pack("{s:s, s:s, s:s, s:b, s:I, s:I, s:s, s:s}", "name", name, "file", path, "what",
                     what, "generator", generator, "parameters", (json_int_t)parameters, "bytes",
                     (json_int_t)bytes, "licence", licence, "card", card);
}

static bool list_folder(void *ctx, const char *folder)
{
    listing *l = ctx;
    DIR *dir = opendir(folder);
    if (dir == NULL)
        return false;
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char name[LINE], path[4096], card[4096];
        const char *end = strrchr(entry->d_name, '.');
        if (end == NULL || strcmp(end, ".safetensors") != 0 || end == entry->d_name)
            continue;
        snprintf(name, sizeof name, "%.*s", (int)(end - entry->d_name), entry->d_name);
        if (json_object_get(l->models, name) != NULL ||
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) >= (int)sizeof path ||
            snprintf(card, sizeof card, "%s/%s.md", folder, name) >= (int)sizeof card)
            continue;
        if (json_object_set_new(l->models, name, describe_model(name, path, card)) != 0)
            l->failed = true;
    }
    closedir(dir);
    return l->failed;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* [{...}, ...] sorted by name, or NULL without memory. */
static json_t *list_models(const ganvas_engine *engine)
{
    listing l = {.models = json_object()};
    json_t *sorted = json_array();
    const char **names = NULL;
    if (l.models == NULL || sorted == NULL)
        goto fail;
    gv_engine_each_folder(engine, list_folder, &l);
    size_t count = json_object_size(l.models), i = 0;
    names = gv_mem_alloc_array(count, sizeof *names);
    if (l.failed || names == NULL)
        goto fail;
    const char *name;
    json_t *model;
    json_object_foreach(l.models, name, model)
        names[i++] = name;
    qsort(names, count, sizeof *names, by_name);
    for (i = 0; i < count; i++)
        if (json_array_append(sorted, json_object_get(l.models, names[i])) != 0)
            goto fail;
    gv_mem_free(names);
    json_decref(l.models);
    return sorted;
fail:
    gv_mem_free(names);
    json_decref(l.models);
    json_decref(sorted);
    return NULL;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

ganvas_status ganvas_models(ganvas_engine *engine, ganvas_text_kind kind, char **text,
                            ganvas_error *err)
{
    gv_error_clear(err);
    *text = NULL;
    json_t *models = list_models(engine);
    if (models == NULL)
        return gv_fail_memory(err, 0);
    if (kind == GANVAS_JSON)
        return gv_json_text(text, models, GV_JSON_READABLE, err);
    gv_text t = {0};
    for (size_t i = 0; i < json_array_size(models); i++) {
        const json_t *m = json_array_get(models, i);
        gv_text_add(&t, "%s%s\n    %s\n    %.1f MB, %s\n", i > 0 ? "\n" : "", text_of(m, "name"),
                    text_of(m, "what"),
                    (double)json_integer_value(json_object_get(m, "bytes")) / 1e6,
                    text_of(m, "file"));
        if (text_of(m, "licence")[0] != '\0')
            gv_text_add(&t, "    licence: %s\n", text_of(m, "licence"));
    }
    if (json_array_size(models) == 0)
        gv_text_add(&t, "no embedded models found; $GANVAS_MODELS may name their folder\n");
    json_decref(models);
    return gv_text_take(&t, text, err);
}
