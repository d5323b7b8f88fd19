#include "checkpoint/tree.h"

#include "checkpoint/pickle_json.h"
#include "checkpoint/state_dict.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    LONGEST_LINE = 512,
    LONGEST_TEXT = 64 << 20,
    TREE_DEPTH = 24,
    INLINE_ITEMS = 8, /* sequences of plain values up to here stand on one line */
    QUOTED = 60       /* characters of a string that are shown */
};

typedef struct walker {
    gv_tree *tree;
    const gv_torch_file *t;
    uint32_t number;
} walker;

bool gv_tree_line(gv_tree *tree, int depth, const char *format, ...)
{
    if (tree->failed || tree->size > LONGEST_TEXT ||
        (tree->max_lines > 0 && tree->lines >= tree->max_lines))
        return false;
    char line[LONGEST_LINE];
    int indent = 2 * depth;
    memset(line, ' ', (size_t)indent);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line + indent, sizeof line - 1 - (size_t)indent, format, args);
    va_end(args);
    size_t size = n < 0 ? 0 : strlen(line + indent) + (size_t)indent;
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    }
    line[size++] = '\n';

    if (tree->capacity - tree->size <= size) {
        size_t capacity = tree->capacity * 2 + 4096;
        char *data = gv_mem_resize(tree->data, tree->capacity, capacity);
        if (!data) {
            tree->failed = true;
            return false;
        }
        tree->data = data;
        tree->capacity = capacity;
    }
    memcpy(tree->data + tree->size, line, size);
    tree->size += size;
    tree->data[tree->size] = '\0';
    tree->lines++;
    return true;
}

/* ---- one value on one line ---- */

/* Text from the file, cut, at a character's edge, and only if it is UTF-8. */
static void quote(char *out, size_t size, const gv_pickle_value *v, const char *mark)
{
    uint32_t n = v->count < QUOTED ? v->count : QUOTED;
    while (n > 0 && n < v->count && (v->bytes[n] & 0xc0) == 0x80)
        n--;
    if (!gv_utf8_valid(v->bytes, n))
        snprintf(out, size, "%s(not UTF-8)%s", mark, mark);
    else
        snprintf(out, size, "%s%.*s%s%s", mark, (int)n, (const char *)v->bytes, mark,
                 n < v->count ? "..." : "");
}

static bool is_plain(const gv_pickle_value *v)
{
    return v->kind <= GV_PICKLE_BYTES || v->kind == GV_PICKLE_GLOBAL;
}

static bool is_short_sequence(const gv_pickle_value *v)
{
    gv_pickle_iterator it = gv_pickle_begin(v);
    const gv_pickle_value *key, *item;
    int n = 0;
    while (gv_pickle_next(&it, &key, &item)) {
        if (key || !is_plain(item) || ++n > INLINE_ITEMS)
            return false;
    }
    return true;
}

static void describe(char *out, size_t size, walker *w, const gv_pickle_value *v);

static void describe_sequence(char *out, size_t size, walker *w, const gv_pickle_value *v)
{
    const char *kind = v->kind == GV_PICKLE_TUPLE ? "tuple"
                       : v->kind == GV_PICKLE_SET ? "set"
                                                  : "list";
    const char *brackets = v->kind == GV_PICKLE_TUPLE ? "()"
                           : v->kind == GV_PICKLE_SET ? "{}"
                                                      : "[]";
    if (!is_short_sequence(v)) {
        uint32_t count = v->kind == GV_PICKLE_TUPLE ? v->count : v->node->count;
        snprintf(out, size, "%s (%u)", kind, count);
        return;
    }
    size_t used = (size_t)snprintf(out, size, "%c", brackets[0]);
    gv_pickle_iterator it = gv_pickle_begin(v);
    const gv_pickle_value *key, *item;
    for (int i = 0; gv_pickle_next(&it, &key, &item) && used + 4 < size; i++) {
        if (i > 0)
            used += (size_t)snprintf(out + used, size - used, ", ");
        describe(out + used, size - used, w, item);
        used += strlen(out + used);
    }
    if (used + 1 < size)
        snprintf(out + used, size - used, "%c", brackets[1]);
}

static void describe_object(char *out, size_t size, walker *w, const gv_pickle_value *v)
{
    char name[2 * QUOTED + 8];
    double number;
    if (gv_torch_is_tensor(v)) {
        gv_view view;
        gv_status status = gv_torch_view(&view, w->t, v, "", NULL);
        w->tree->failed = w->tree->failed || status == GV_E_MEMORY;
        if (status == GV_OK) {
            size_t used = (size_t)snprintf(out, size, "%s ", gv_dtype_name(view.type));
            gv_view_shape_text(out + used, size - used, &view);
        } else {
            snprintf(out, size, "tensor (not readable)");
        }
    } else if (gv_pickle_get_number(v, &number)) {
        snprintf(out, size, "%.9g", number);
    } else if (gv_module_state(v) && gv_module_class(v)) {
        quote(name, sizeof name, gv_module_class(v), "");
        snprintf(out, size, "%s (module)", name);
    } else if (v->call->callable.kind == GV_PICKLE_GLOBAL) {
        describe(name, sizeof name, w, &v->call->callable);
        snprintf(out, size, "%s(...) (opaque)", name);
    } else {
        snprintf(out, size, "object (opaque)");
    }
}

static void describe(char *out, size_t size, walker *w, const gv_pickle_value *v)
{
    char module[QUOTED + 8], name[QUOTED + 8];
    switch ((gv_pickle_kind)v->kind) {
    case GV_PICKLE_UNSET:
    case GV_PICKLE_NONE:
        snprintf(out, size, "None");
        break;
    case GV_PICKLE_BOOL:
        snprintf(out, size, "%s", v->integer ? "True" : "False");
        break;
    case GV_PICKLE_INT:
        snprintf(out, size, "%lld", (long long)v->integer);
        break;
    case GV_PICKLE_BIG:
        snprintf(out, size, "integer of %u bytes", v->count);
        break;
    case GV_PICKLE_FLOAT:
        snprintf(out, size, "%.9g", v->real);
        break;
    case GV_PICKLE_TEXT:
        quote(out, size, v, "'");
        break;
    case GV_PICKLE_BYTES:
        snprintf(out, size, "bytes (%u)", v->count);
        break;
    case GV_PICKLE_TUPLE:
    case GV_PICKLE_LIST:
    case GV_PICKLE_SET:
        describe_sequence(out, size, w, v);
        break;
    case GV_PICKLE_DICT:
        snprintf(out, size, "dict (%u)", v->node->count);
        break;
    case GV_PICKLE_GLOBAL:
        quote(module, sizeof module, &v->items[0], "");
        quote(name, sizeof name, &v->items[1], "");
        snprintf(out, size, "%s.%s", module, name);
        break;
    case GV_PICKLE_CALL:
        describe_object(out, size, w, v);
        break;
    case GV_PICKLE_PERSISTENT:
        snprintf(out, size, "storage");
        break;
    }
}

/* ---- the walk ---- */

static bool show(walker *w, int depth, const char *label, const gv_pickle_value *v);

/* Whether this walk has been here; from now on it has. Before anything is looked at: that would
 * cost its size at every reference. */
static bool seen_before(const walker *w, const gv_pickle_value *v)
{
    double number;
    gv_pickle_node *node = v->kind == GV_PICKLE_CALL ? &v->call->node : NULL;
    if (v->kind == GV_PICKLE_LIST || v->kind == GV_PICKLE_DICT || v->kind == GV_PICKLE_SET)
        node = v->node;
    if (!node || gv_torch_is_tensor(v) || gv_pickle_get_number(v, &number))
        return false;
    bool seen = node->seen == (w->number & 0x7fffffff);
    node->seen = w->number & 0x7fffffff;
    return seen;
}

/* Entries, or those whose key starts with '_' left out. */
static bool show_entries(walker *w, int depth, const gv_pickle_value *v, bool hide)
{
    gv_pickle_iterator it = gv_pickle_begin(v);
    const gv_pickle_value *key, *value;
    for (unsigned i = 0; gv_pickle_next(&it, &key, &value); i++) {
        char label[QUOTED + 16];
        if (key && key->kind == GV_PICKLE_TEXT)
            quote(label, sizeof label, key, "");
        else if (key)
            describe(label, sizeof label, w, key);
        else
            snprintf(label, sizeof label, "%u", i);
        if (hide && label[0] == '_')
            continue;
        if (!show(w, depth, label, value))
            return false;
    }
    return true;
}

static bool show_module(walker *w, int depth, const gv_pickle_value *v)
{
    const gv_pickle_value *state = gv_module_state(v);
    return show_entries(w, depth, gv_pickle_find(state, "_parameters"), false) &&
           show_entries(w, depth, gv_pickle_find(state, "_buffers"), false) &&
           show_entries(w, depth, state, true) &&
           show_entries(w, depth, gv_pickle_find(state, "_modules"), false);
}

static bool has_more(const gv_pickle_value *v)
{
    double number;
    switch (v->kind) {
    case GV_PICKLE_TUPLE:
    case GV_PICKLE_LIST:
    case GV_PICKLE_SET:
        return !is_short_sequence(v);
    case GV_PICKLE_DICT:
        return v->node->count > 0;
    case GV_PICKLE_CALL:
        return !gv_torch_is_tensor(v) && !gv_pickle_get_number(v, &number) &&
               (gv_module_state(v) || v->call->node.count > 0 || v->call->state.kind);
    default:
        return false;
    }
}

static bool show(walker *w, int depth, const char *label, const gv_pickle_value *v)
{
    char text[300];
    if (seen_before(w, v))
        return gv_tree_line(w->tree, depth, "%s: shown above", label);
    describe(text, sizeof text, w, v);
    if (!has_more(v))
        return gv_tree_line(w->tree, depth, "%s: %s", label, text);
    if (depth >= TREE_DEPTH)
        return gv_tree_line(w->tree, depth, "%s: %s, nested too deep to show", label, text);
    if (!gv_tree_line(w->tree, depth, "%s: %s", label, text))
        return false;
    if (gv_module_state(v))
        return show_module(w, depth + 1, v);
    return show_entries(w, depth + 1, v, false) &&
           (v->kind != GV_PICKLE_CALL || v->call->state.kind == GV_PICKLE_UNSET ||
            show(w, depth + 1, "state", &v->call->state));
}

void gv_tree_pickle(gv_tree *tree, const gv_torch_file *t, uint32_t walk)
{
    walker w = {tree, t, walk};
    (void)show(&w, 0, "root", &t->pickle.root);
}
