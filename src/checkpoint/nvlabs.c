#include "checkpoint/nvlabs.h"

#include "checkpoint/pickle_json.h"
#include "checkpoint/state_dict.h"

#include <string.h>

static const char *const sizes[] = {"z_dim",          "c_dim",        "w_dim",
                                    "img_resolution", "img_channels", "num_ws"};

typedef struct reader {
    gv_view_list *list;
    const gv_torch_file *t;
    gv_pickle_json json;
    json_t *modules; /* borrowed */
    const char *architecture;
} reader;

gv_status gv_nvlabs_pickle_read(gv_torch_file *t, const uint8_t *data, size_t size,
                                const char *file, gv_arena *arena, gv_error *err)
{
    *t = (gv_torch_file){.file = file, .file_size = size};
    gv_cursor c = gv_cursor_make(data, size, file);
    return gv_pickle_read(&t->pickle, &c, arena, err);
}

/* ---- which generator it is ---- */

static bool is_tensorflow_class(const gv_pickle_value *global)
{
    static const char module[] = "dnnlib.tflib";
    return global && global->kind == GV_PICKLE_GLOBAL &&
           global->items[0].count >= sizeof module - 1 &&
           memcmp(global->items[0].bytes, module, sizeof module - 1) == 0;
}

/* Objects are made by the class itself or, in older protocols, by copyreg with the class first. */
static bool is_tensorflow(const gv_pickle_value *v)
{
    return v && v->kind == GV_PICKLE_CALL &&
           (is_tensorflow_class(&v->call->callable) || is_tensorflow_class(gv_pickle_item(v, 0)));
}

static const gv_pickle_value *child(const gv_pickle_value *module, const char *name)
{
    return gv_pickle_find(gv_pickle_find(gv_module_state(module), "_modules"), name);
}

/* G_ema, checked to be a StyleGAN2 generator. */
static gv_status find_generator(const gv_pickle_value **generator, const gv_torch_file *t,
                                gv_error *err)
{
    const gv_pickle_value *root = &t->pickle.root, *key, *value;
    *generator = NULL;
    bool tensorflow = is_tensorflow(root);
    gv_pickle_iterator it = gv_pickle_begin(root);
    while (!tensorflow && gv_pickle_next(&it, &key, &value))
        tensorflow = is_tensorflow(value);
    if (tensorflow)
        return gv_fail(err, GV_E_UNSUPPORTED,
                       "%s: is a TensorFlow StyleGAN pickle; convert it with legacy.py of "
                       "stylegan2-ada-pytorch first",
                       t->file);

    const gv_pickle_value *g = gv_module_state(root) ? root : gv_pickle_find(root, "G_ema");
    if (!gv_module_state(g))
        return gv_fail(err, GV_E_FORMAT, "%s: a pickle without a module 'G_ema', not a StyleGAN2",
                       t->file);
    const gv_pickle_value *synthesis = child(g, "synthesis");
    if (child(synthesis, "input") || child(synthesis, "L0_36_1024") ||
        gv_pickle_find(gv_module_state(synthesis), "num_critical"))
        return gv_fail(err, GV_E_UNSUPPORTED,
                       "%s: is a StyleGAN3 generator; ganvas loads StyleGAN2", t->file);
    if (!child(g, "mapping") || !child(synthesis, "b4")) {
        const gv_pickle_value *name = gv_module_class(g);
        return gv_fail(err, GV_E_UNSUPPORTED,
                       "%s: holds a '%.*s' which is not a StyleGAN2 generator", t->file,
                       name ? (int)(name->count < 80 ? name->count : 80) : 1,
                       name ? (const char *)name->bytes : "?");
    }
    *generator = g;
    return GV_OK;
}

/* ---- its description ---- */

static gv_status fail_json(gv_error *err)
{
    return gv_fail(err, GV_E_MEMORY, "out of memory: the description of a network");
}

/* An empty object under key; *part is borrowed. */
static gv_status add_part(json_t **part, json_t *object, const char *key, gv_error *err)
{
    *part = json_object();
    return json_object_set_new(object, key, *part) == 0 ? GV_OK : fail_json(err);
}

static gv_status add_attributes(reader *r, const char *path, const gv_pickle_value *module,
                                gv_error *err)
{
    const gv_pickle_value *class = gv_module_class(module);
    json_t *entry;
    gv_status status;
    GV_TRY(gv_pickle_json_charge(&r->json, strlen(path), err));
    GV_TRY(add_part(&entry, r->modules, path, err));
    GV_TRY(gv_pickle_entries_to_json(&r->json, entry, gv_module_state(module), err));
    (void)json_object_del(entry, "training");
    if (class) {
        json_t *name;
        GV_TRY(gv_pickle_to_json(&r->json, &name, class, err));
        if (json_object_set_new(entry, "class", name) != 0)
            status = fail_json(err);
    }
    /* All blocks have the same one; the constructor's arguments name it only when it is not the
     * default. */
    const char *architecture = json_string_value(json_object_get(entry, "architecture"));
    if (architecture)
        r->architecture = architecture;
done:
    return status;
}

static gv_status add_module(void *ctx, const char *path, const gv_pickle_value *module,
                            gv_error *err)
{
    reader *r = ctx;
    gv_status status = gv_module_tensors(r->list, r->t, path, module, err);
    return status == GV_OK && *path ? add_attributes(r, path, module, err) : status;
}

static gv_status add_sizes(reader *r, json_t *config, const gv_pickle_value *generator,
                           gv_error *err)
{
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int64_t n;
        if (!gv_pickle_get_int(gv_pickle_find(gv_module_state(generator), sizes[i]), &n) || n < 0)
            return gv_fail(err, GV_E_FORMAT, "%s: G_ema has no attribute '%s'", r->t->file,
                           sizes[i]);
        if (json_object_set_new(config, sizes[i], json_integer((json_int_t)n)) != 0)
            return fail_json(err);
    }
    return GV_OK;
}

/* The constructor's arguments. stylegan2-ada-pytorch groups those of the synthesis network, the
 * stylegan3 repository passes them flat. */
static gv_status add_arguments(reader *r, json_t *mapping, json_t *synthesis,
                               const gv_pickle_value *generator, gv_error *err)
{
    const gv_pickle_value *all = gv_pickle_find(gv_module_state(generator), "_init_kwargs");
    const gv_pickle_value *grouped = gv_pickle_find(all, "synthesis_kwargs");
    gv_status status;
    GV_TRY(
        gv_pickle_entries_to_json(&r->json, mapping, gv_pickle_find(all, "mapping_kwargs"), err));
    GV_TRY(gv_pickle_entries_to_json(&r->json, synthesis, grouped ? grouped : all, err));
    for (size_t i = 0; !grouped && i < sizeof sizes / sizeof *sizes; i++)
        (void)json_object_del(synthesis, sizes[i]);
    (void)json_object_del(synthesis, "mapping_kwargs");
done:
    return status;
}

/* What the modules know better than the arguments. */
static gv_status add_facts(reader *r, json_t *mapping, json_t *synthesis, gv_error *err)
{
    json_t *layers = json_object_get(json_object_get(r->modules, "mapping"), "num_layers");
    if (layers && json_object_set(mapping, "num_layers", layers) != 0)
        return fail_json(err);
    if (r->architecture &&
        json_object_set_new(synthesis, "architecture", json_string(r->architecture)) != 0)
        return fail_json(err);
    return GV_OK;
}

gv_status gv_nvlabs_read(gv_view_list *list, json_t **config, const gv_torch_file *t, gv_error *err)
{
    *config = NULL;
    const gv_pickle_value *generator;
    gv_status status = find_generator(&generator, t, err);
    if (status != GV_OK)
        return status;
    json_t *object = json_pack("{s:s}", "type", "stylegan2");
    if (!object)
        return fail_json(err);
    reader r = {.list = list, .t = t};
    r.json = gv_pickle_json_make(t->file, &t->pickle);
    GV_TRY(add_sizes(&r, object, generator, err));
    json_t *mapping, *synthesis;
    GV_TRY(add_part(&mapping, object, "mapping_kwargs", err));
    GV_TRY(add_part(&synthesis, object, "synthesis_kwargs", err));
    GV_TRY(add_part(&r.modules, object, "modules", err));
    GV_TRY(add_arguments(&r, mapping, synthesis, generator, err));
    GV_TRY(gv_module_walk(list, t, generator, add_module, &r, err));
    GV_TRY(add_facts(&r, mapping, synthesis, err));
    *config = object;
    object = NULL;
done:
    json_decref(object);
    return status;
}
