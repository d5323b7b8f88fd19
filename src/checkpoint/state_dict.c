#include "checkpoint/state_dict.h"

enum {
    WRAPPER_DEPTH = 2,
    MODULE_DEPTH = 16,
    STEPS_BASE = 65536,
    LONGEST_STATE = 512 /* entries of a module's __dict__; it is searched at every reference */
};

static const char *const wrappers[] = {"state_dict", "G_ema", "g_ema", "generator", "G"};

/* ---- modules ---- */

static bool is_persistent_object(const gv_pickle_value *v)
{
    return gv_pickle_is_call(v, "torch_utils.persistence", "_reconstruct_persistent_obj");
}

static const gv_pickle_value *small_dict(const gv_pickle_value *v)
{
    return v && v->kind == GV_PICKLE_DICT && v->node->count <= LONGEST_STATE ? v : NULL;
}

const gv_pickle_value *gv_module_state(const gv_pickle_value *v)
{
    if (!v || v->kind != GV_PICKLE_CALL)
        return NULL;
    const gv_pickle_value *state = &v->call->state;
    if (is_persistent_object(v))
        state = gv_pickle_find(small_dict(gv_pickle_item(v, 0)), "state");
    state = small_dict(state);
    return gv_pickle_is_dict(gv_pickle_find(state, "_parameters")) ? state : NULL;
}

const gv_pickle_value *gv_module_class(const gv_pickle_value *v)
{
    if (is_persistent_object(v)) {
        const gv_pickle_value *name =
            gv_pickle_find(small_dict(gv_pickle_item(v, 0)), "class_name");
        return name && name->kind == GV_PICKLE_TEXT ? name : NULL;
    }
    if (v && v->kind == GV_PICKLE_CALL && v->call->callable.kind == GV_PICKLE_GLOBAL)
        return &v->call->callable.items[1];
    return NULL;
}

typedef struct walk {
    gv_view_list *list;
    gv_module_fn *fn;
    void *ctx;
    size_t steps; /* entries that may still be looked at: shared modules multiply */
} walk;

/* Entries that a visit looks at, many times over. */
static size_t count_entries(const gv_pickle_value *module)
{
    static const char *const parts[] = {"_parameters", "_buffers", "_modules"};
    const gv_pickle_value *state = gv_module_state(module);
    size_t count = state->node->count;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const gv_pickle_value *part = gv_pickle_find(state, parts[i]);
        if (gv_pickle_is_dict(part))
            count += part->kind == GV_PICKLE_DICT ? part->node->count : part->call->node.count;
    }
    return count;
}

static gv_status walk_module(walk *w, const char *path, const gv_pickle_value *module, int depth,
                             gv_error *err)
{
    size_t entries = count_entries(module);
    if (depth > MODULE_DEPTH || entries > w->steps)
        return gv_fail(err, GV_E_FORMAT, "%s: the modules at '%s' are nested without end",
                       w->list->file, path);
    w->steps -= entries;
    gv_status status;
    GV_TRY(w->fn(w->ctx, path, module, err));
    gv_pickle_iterator it = gv_pickle_begin(gv_pickle_find(gv_module_state(module), "_modules"));
    const gv_pickle_value *key, *child;
    while (gv_pickle_next(&it, &key, &child)) {
        const char *name;
        if (!key || key->kind != GV_PICKLE_TEXT || !gv_module_state(child))
            continue; /* None stands for a module that is left out */
        GV_TRY(gv_view_list_name(w->list, &name, path, key->bytes, key->count, err));
        GV_TRY(walk_module(w, name, child, depth + 1, err));
    }
done:
    return status;
}

gv_status gv_module_walk(gv_view_list *list, const gv_torch_file *t, const gv_pickle_value *module,
                         gv_module_fn *fn, void *ctx, gv_error *err)
{
    walk w = {list, fn, ctx, STEPS_BASE + 4 * t->pickle.opcode_bytes};
    return walk_module(&w, "", module, 0, err);
}

/* The tensors among the entries of a dict. */
static gv_status add_entries(gv_view_list *list, const gv_torch_file *t, const char *path,
                             const gv_pickle_value *dict, gv_error *err)
{
    gv_status status = GV_OK;
    gv_pickle_iterator it = gv_pickle_begin(dict);
    const gv_pickle_value *key, *value;
    while (gv_pickle_next(&it, &key, &value)) {
        gv_view view;
        const char *name;
        if (!gv_torch_is_tensor(value))
            continue;
        if (!key || key->kind != GV_PICKLE_TEXT) {
            status =
                gv_fail(err, GV_E_FORMAT, "%s: a tensor below '%s' has no name", list->file, path);
            goto done;
        }
        GV_TRY(gv_view_list_name(list, &name, path, key->bytes, key->count, err));
        GV_TRY(gv_torch_view(&view, t, value, name, err));
        GV_TRY(gv_view_list_add(list, &view, err));
    }
done:
    return status;
}

gv_status gv_module_tensors(gv_view_list *list, const gv_torch_file *t, const char *path,
                            const gv_pickle_value *module, gv_error *err)
{
    const gv_pickle_value *state = gv_module_state(module);
    gv_status status;
    GV_TRY(add_entries(list, t, path, gv_pickle_find(state, "_parameters"), err));
    GV_TRY(add_entries(list, t, path, gv_pickle_find(state, "_buffers"), err));
done:
    return status;
}

/* ---- state dicts ---- */

static bool has_tensor(const gv_pickle_value *dict)
{
    gv_pickle_iterator it = gv_pickle_begin(dict);
    const gv_pickle_value *key, *value;
    while (gv_pickle_next(&it, &key, &value)) {
        if (key && gv_torch_is_tensor(value))
            return true;
    }
    return false;
}

/* The state dict or module at v or, rather, in one of its wrappers. */
static const gv_pickle_value *find_state(const gv_pickle_value *v, int depth)
{
    if (gv_module_state(v))
        return v;
    if (!gv_pickle_is_dict(v))
        return NULL;
    for (size_t i = 0; depth < WRAPPER_DEPTH && i < sizeof wrappers / sizeof *wrappers; i++) {
        const gv_pickle_value *found = find_state(gv_pickle_find(v, wrappers[i]), depth + 1);
        if (found)
            return found;
    }
    return has_tensor(v) ? v : NULL;
}

typedef struct target {
    gv_view_list *list;
    const gv_torch_file *t;
} target;

static gv_status add_module(void *ctx, const char *path, const gv_pickle_value *module,
                            gv_error *err)
{
    target *to = ctx;
    return gv_module_tensors(to->list, to->t, path, module, err);
}

gv_status gv_state_dict_read(gv_view_list *list, const gv_torch_file *t, gv_error *err)
{
    const gv_pickle_value *state = find_state(&t->pickle.root, 0);
    if (!state)
        return gv_fail(err, GV_E_FORMAT,
                       "%s: holds no state dict, neither at the root nor under 'state_dict', "
                       "'G_ema', 'g_ema', 'generator' or 'G'",
                       t->file);
    target to = {list, t};
    if (gv_module_state(state))
        return gv_module_walk(list, t, state, add_module, &to, err);
    return add_entries(list, t, "", state, err);
}
