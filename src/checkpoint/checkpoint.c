#include "checkpoint/checkpoint.h"

#include "base/cursor.h"
#include "base/file.h"
#include "checkpoint/hash.h"
#include "checkpoint/json.h"
#include "checkpoint/nvlabs.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/state_dict.h"
#include "checkpoint/tree.h"

#include <stdlib.h>
#include <string.h>

struct gv_checkpoint {
    gv_file file;
    gv_arena arena;
    gv_checkpoint_kind kind;
    gv_torch_file torch; /* of all kinds but safetensors */
    gv_view *views;
    size_t count;
    json_t *config;
    json_t *metadata; /* of safetensors */
    uint32_t walks;   /* trees shown */
};

/* ---- which kind ---- */

static bool starts_with(const gv_file *f, const char *text)
{
    size_t size = strlen(text);
    return f->size >= size && memcmp(f->data, text, size) == 0;
}

static bool is_safetensors(const gv_file *f)
{
    return f->size > 8 && f->data[8] == '{' && gv_load_u64(f->data) <= f->size - 8;
}

static gv_status find_kind(gv_checkpoint_kind *kind, const gv_file *f, gv_error *err)
{
    *kind = GV_CHECKPOINT_SAFETENSORS;
    if (f->size == 0)
        return gv_fail(err, GV_E_FORMAT, "%s: the file is empty", f->path);
    if (starts_with(f, "PK\3\4")) {
        *kind = GV_CHECKPOINT_TORCH_ZIP;
    } else if (gv_torch_is_legacy(f->data, f->size)) {
        *kind = GV_CHECKPOINT_TORCH_LEGACY;
    } else if (f->data[0] == 0x80 && f->size > 1 && f->data[1] >= 2 && f->data[1] <= 5) {
        *kind = GV_CHECKPOINT_NVLABS_PICKLE;
    } else if (!is_safetensors(f)) {
        /* What downloads leave in place of a checkpoint. */
        if (starts_with(f, "version https://git-lfs"))
            return gv_fail(err, GV_E_FORMAT, "%s: is a Git LFS pointer, not the file itself",
                           f->path);
        if (starts_with(f, "<!DOCTYPE") || starts_with(f, "<html") || starts_with(f, "<!doctype"))
            return gv_fail(err, GV_E_FORMAT, "%s: is a web page, not a checkpoint", f->path);
        if (f->size > 8 && f->data[8] == '{')
            return gv_fail(err, GV_E_FORMAT,
                           "%s: a safetensors header of %llu bytes does not fit into the file",
                           f->path, (unsigned long long)gv_load_u64(f->data));
        return gv_fail(err, GV_E_FORMAT,
                       "%s: is none of safetensors, torch file or StyleGAN2 pickle", f->path);
    }
    return GV_OK;
}

const char *gv_checkpoint_kind_text(gv_checkpoint_kind kind)
{
    static const char *const text[] = {
        [GV_CHECKPOINT_SAFETENSORS] = "safetensors file",
        [GV_CHECKPOINT_TORCH_ZIP] = "torch zip file",
        [GV_CHECKPOINT_TORCH_LEGACY] = "torch legacy file",
        [GV_CHECKPOINT_NVLABS_PICKLE] = "NVlabs pickle",
    };
    return text[kind];
}

/* ---- the kinds ---- */

static gv_status read_safetensors(gv_checkpoint *ck, gv_view_list *list, gv_error *err)
{
    gv_status status;
    gv_view *views;
    size_t count;
    GV_TRY(gv_safetensors_read(ck->file.data, ck->file.size, ck->file.path, &ck->arena, &views,
                               &count, &ck->metadata, err));
    for (size_t i = 0; i < count; i++)
        GV_TRY(gv_view_list_add(list, &views[i], err));
    const json_t *text = json_object_get(ck->metadata, "ganvas");
    if (text) {
        GV_TRY(gv_json_parse(&ck->config, json_string_value(text), json_string_length(text),
                             ck->file.path, err));
        if (!json_is_string(json_object_get(ck->config, "type")))
            status =
                gv_fail(err, GV_E_FORMAT, "%s: its metadata 'ganvas' names no type", ck->file.path);
    }
done:
    return status;
}

static bool has_name(const gv_checkpoint *ck, const char *name)
{
    return gv_checkpoint_find(ck, name) != NULL;
}

/* The state dicts of a PyTorch StyleGAN2 that is not NVlabs'. */
static gv_status refuse_rosinality(const gv_checkpoint *ck, gv_error *err)
{
    if (!has_name(ck, "style.1.weight") || !has_name(ck, "conv1.conv.weight") ||
        !has_name(ck, "convs.0.conv.modulation.weight"))
        return GV_OK;
    return gv_fail(err, GV_E_UNSUPPORTED,
                   "%s: is a StyleGAN2 of rosinality/stylegan2-pytorch; ganvas loads NVlabs' "
                   "pickles",
                   ck->file.path);
}

static gv_status read_tensors(gv_checkpoint *ck, gv_view_list *list, gv_error *err)
{
    gv_status status;
    const gv_file *f = &ck->file;
    GV_TRY(find_kind(&ck->kind, f, err));
    switch (ck->kind) {
    case GV_CHECKPOINT_SAFETENSORS:
        GV_TRY(read_safetensors(ck, list, err));
        break;
    case GV_CHECKPOINT_TORCH_ZIP:
        GV_TRY(gv_torch_zip_read(&ck->torch, f->data, f->size, f->path, &ck->arena, err));
        GV_TRY(gv_state_dict_read(list, &ck->torch, err));
        break;
    case GV_CHECKPOINT_TORCH_LEGACY:
        GV_TRY(gv_torch_legacy_read(&ck->torch, f->data, f->size, f->path, &ck->arena, err));
        GV_TRY(gv_state_dict_read(list, &ck->torch, err));
        break;
    case GV_CHECKPOINT_NVLABS_PICKLE:
        GV_TRY(gv_nvlabs_pickle_read(&ck->torch, f->data, f->size, f->path, &ck->arena, err));
        GV_TRY(gv_nvlabs_read(list, &ck->config, &ck->torch, err));
        break;
    }
    GV_TRY(gv_view_list_finish(list, &ck->views, &ck->count, err));
    if (ck->count == 0)
        status = gv_fail(err, GV_E_FORMAT, "%s: holds no tensors", f->path);
    else
        status = refuse_rosinality(ck, err);
done:
    return status;
}

/* Takes over the open file, also when it fails. */
static gv_status open_file(gv_checkpoint **out, gv_file *f, gv_error *err)
{
    gv_view_list list;
    gv_checkpoint *ck = gv_mem_alloc(sizeof *ck);
    if (!ck) {
        gv_file_close(f);
        return gv_fail_memory(err, sizeof *ck);
    }
    ck->file = *f;
    gv_arena_init(&ck->arena, 0);
    gv_view_list_init(&list, &ck->arena, ck->file.path);
    gv_status status = read_tensors(ck, &list, err);
    gv_view_list_deinit(&list);
    if (status == GV_OK)
        *out = ck;
    else
        gv_checkpoint_close(ck);
    return status;
}

gv_status gv_checkpoint_open(gv_checkpoint **ck, const char *path, gv_error *err)
{
    gv_file file;
    *ck = NULL;
    gv_status status = gv_file_open(&file, path, err);
    return status == GV_OK ? open_file(ck, &file, err) : status;
}

gv_status gv_checkpoint_open_memory(gv_checkpoint **ck, const void *data, size_t size,
                                    const char *name, gv_error *err)
{
    gv_file file;
    *ck = NULL;
    gv_status status = gv_file_wrap(&file, data, size, name, err);
    return status == GV_OK ? open_file(ck, &file, err) : status;
}

void gv_checkpoint_close(gv_checkpoint *ck)
{
    if (!ck)
        return;
    json_decref(ck->config);
    json_decref(ck->metadata);
    gv_arena_deinit(&ck->arena);
    gv_file_close(&ck->file);
    gv_mem_free(ck);
}

/* ---- questions ---- */

gv_checkpoint_kind gv_checkpoint_get_kind(const gv_checkpoint *ck)
{
    return ck->kind;
}

const char *gv_checkpoint_path(const gv_checkpoint *ck)
{
    return ck->file.path;
}

size_t gv_checkpoint_count(const gv_checkpoint *ck)
{
    return ck->count;
}

const gv_view *gv_checkpoint_at(const gv_checkpoint *ck, size_t i)
{
    return &ck->views[i];
}

static int compare_name(const void *name, const void *view)
{
    return strcmp(name, ((const gv_view *)view)->name);
}

const gv_view *gv_checkpoint_find(const gv_checkpoint *ck, const char *name)
{
    return ck->count ? bsearch(name, ck->views, ck->count, sizeof *ck->views, compare_name) : NULL;
}

const json_t *gv_checkpoint_config(const gv_checkpoint *ck)
{
    return ck->config;
}

gv_status gv_checkpoint_need(const gv_checkpoint *ck, const gv_view **v, const char *name, int dims,
                             const int64_t *shape, gv_error *err)
{
    const gv_view *found = gv_checkpoint_find(ck, name);
    *v = NULL;
    if (!found)
        return gv_fail(err, GV_E_FORMAT, "%s: tensor '%s' is missing", ck->file.path, name);
    bool same = found->dims == dims;
    for (int d = 0; same && d < dims; d++)
        same = shape[d] < 0 || shape[d] == found->shape[d];
    if (!same) {
        gv_view wanted = {.dims = dims};
        char have[160], want[160];
        for (int d = 0; d < dims; d++)
            wanted.shape[d] = shape[d];
        return gv_fail(err, GV_E_FORMAT, "%s: tensor '%s' is %s, must be %s", ck->file.path, name,
                       gv_view_shape_text(have, sizeof have, found),
                       gv_view_shape_text(want, sizeof want, &wanted));
    }
    *v = found;
    return GV_OK;
}

char *gv_checkpoint_tree_text(gv_checkpoint *ck, int64_t max_lines)
{
    gv_tree tree = {.max_lines = max_lines};
    if (ck->kind != GV_CHECKPOINT_SAFETENSORS) {
        gv_tree_pickle(&tree, &ck->torch, ++ck->walks);
    } else {
        const char *key;
        json_t *value;
        (void)gv_tree_line(&tree, 0, "root: %zu tensors", ck->count);
        json_object_foreach(ck->metadata, key, value)
            (void)gv_tree_line(&tree, 1, "metadata %s: '%s'", key, json_string_value(value));
        for (size_t i = 0; i < ck->count; i++) {
            const gv_view *v = &ck->views[i];
            char shape[160];
            if (!gv_tree_line(&tree, 1, "%s: %s %s", v->name, gv_dtype_name(v->type),
                              gv_view_shape_text(shape, sizeof shape, v)))
                break;
        }
    }
    if (tree.failed) {
        gv_mem_free(tree.data);
        return NULL;
    }
    return tree.data;
}

void gv_checkpoint_release_pages(const gv_checkpoint *ck)
{
    gv_file_release(&ck->file);
}

uint64_t gv_checkpoint_hash(const gv_checkpoint *ck)
{
    return gv_hash64(ck->file.data, ck->file.size);
}
