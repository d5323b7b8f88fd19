#include "checkpoint/pickle.h"

#include <string.h>

bool gv_pickle_is_text(const gv_pickle_value *v, const char *text)
{
    return v && v->kind == GV_PICKLE_TEXT && v->count == strlen(text) &&
           memcmp(v->bytes, text, v->count) == 0;
}

bool gv_pickle_is_global(const gv_pickle_value *v, const char *module, const char *name)
{
    return v && v->kind == GV_PICKLE_GLOBAL &&
           (!module || gv_pickle_is_text(&v->items[0], module)) &&
           gv_pickle_is_text(&v->items[1], name);
}

bool gv_pickle_is_call(const gv_pickle_value *v, const char *module, const char *name)
{
    return v && v->kind == GV_PICKLE_CALL && gv_pickle_is_global(&v->call->callable, module, name);
}

bool gv_pickle_is_dict(const gv_pickle_value *v)
{
    return v && (v->kind == GV_PICKLE_DICT ||
                 (v->kind == GV_PICKLE_CALL && v->call->node.count > 0 && v->call->node.pairs));
}

bool gv_pickle_get_int(const gv_pickle_value *v, int64_t *out)
{
    *out = 0;
    if (!v || v->kind != GV_PICKLE_INT)
        return false;
    *out = v->integer;
    return true;
}

const gv_pickle_value *gv_pickle_item(const gv_pickle_value *v, uint32_t i)
{
    if (v && v->kind == GV_PICKLE_CALL)
        v = &v->call->args;
    return v && v->kind == GV_PICKLE_TUPLE && i < v->count ? &v->items[i] : NULL;
}

const gv_pickle_value *gv_pickle_find(const gv_pickle_value *v, const char *key)
{
    if (!gv_pickle_is_dict(v))
        return NULL;
    const gv_pickle_value *found = NULL, *k, *value;
    gv_pickle_iterator it = gv_pickle_begin(v);
    while (gv_pickle_next(&it, &k, &value)) {
        if (gv_pickle_is_text(k, key))
            found = value;
    }
    return found;
}

gv_pickle_iterator gv_pickle_begin(const gv_pickle_value *v)
{
    gv_pickle_iterator it = {0};
    if (!v)
        return it;
    switch (v->kind) {
    case GV_PICKLE_TUPLE:
        it.tuple = v->items;
        it.left = v->count;
        break;
    case GV_PICKLE_LIST:
    case GV_PICKLE_DICT:
    case GV_PICKLE_SET:
        it.chunk = v->node->first;
        it.pairs = v->node->pairs;
        break;
    case GV_PICKLE_CALL:
        it.chunk = v->call->node.first;
        it.pairs = v->call->node.pairs;
        break;
    default:
        break;
    }
    return it;
}

bool gv_pickle_next(gv_pickle_iterator *it, const gv_pickle_value **key,
                    const gv_pickle_value **value)
{
    *key = *value = NULL;
    if (it->tuple) {
        if (it->left == 0)
            return false;
        it->left--;
        *value = it->tuple++;
        return true;
    }
    while (it->chunk && it->next >= it->chunk->count) {
        it->chunk = it->chunk->next;
        it->next = 0;
    }
    if (!it->chunk)
        return false;
    if (it->pairs)
        *key = &it->chunk->values[it->next++];
    *value = &it->chunk->values[it->next++];
    return true;
}
