/* Packed weights: a table from (tensor, layout) to memory, filled on demand under a lock. */
#include "graph/weights.h"

#include "base/memory.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

typedef struct entry {
    char *name, *layout;
    void *data;
    size_t bytes;
} entry;

struct gv_weights {
    gv_weights_read_fn *read;
    void *model;
    pthread_mutex_t lock;
    gv_arena text; /* the keys */
    entry *entries;
    size_t count, room, bytes;
};

gv_status gv_weights_new(gv_weights **out, gv_weights_read_fn *read, void *model, gv_error *err)
{
    *out = NULL;
    gv_weights *w = gv_mem_alloc(sizeof *w);
    if (!w)
        return gv_fail_memory(err, sizeof *w);
    if (pthread_mutex_init(&w->lock, NULL) != 0) {
        gv_mem_free(w);
        return gv_fail(err, GV_E_MEMORY, "weights: no lock could be made");
    }
    gv_arena_init(&w->text, 0);
    w->read = read;
    w->model = model;
    *out = w;
    return GV_OK;
}

void gv_weights_free(gv_weights *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->count; i++)
        gv_mem_free(w->entries[i].data);
    gv_mem_free(w->entries);
    gv_arena_deinit(&w->text);
    pthread_mutex_destroy(&w->lock);
    gv_mem_free(w);
}

size_t gv_weights_bytes(const gv_weights *w)
{
    return w->bytes;
}

gv_status gv_weights_floats(float *dst, gv_param p, int64_t count, gv_error *err)
{
    assert(p.weights && p.name);
    return p.weights->read(p.weights->model, p.name, dst, count, err);
}

/* A few hundred tensors, looked up only while graphs are built: a scan is enough. */
static const entry *find(const gv_weights *w, const char *name, const char *layout)
{
    for (size_t i = 0; i < w->count; i++)
        if (strcmp(w->entries[i].name, name) == 0 && strcmp(w->entries[i].layout, layout) == 0)
            return &w->entries[i];
    return NULL;
}

static gv_status make_room(gv_weights *w, gv_error *err)
{
    if (w->count < w->room)
        return GV_OK;
    size_t room = w->room ? w->room * 2 : 64;
    entry *p = w->entries ? gv_mem_resize(w->entries, w->room * sizeof *p, room * sizeof *p)
                          : gv_mem_alloc_array(room, sizeof *p);
    if (!p)
        return gv_fail_memory(err, room * sizeof *p);
    w->entries = p;
    w->room = room;
    return GV_OK;
}

/* Reads the tensor and packs it into e->data. */
static gv_status fill(entry *e, gv_param p, int64_t count, gv_pack_fn *pack, const void *ctx,
                      gv_error *err)
{
    if (!pack) {
        assert(e->bytes == (size_t)count * sizeof(float));
        return gv_weights_floats(e->data, p, count, err);
    }
    float *raw = gv_mem_alloc_array((size_t)count, sizeof *raw);
    if (!raw)
        return gv_fail_memory(err, (size_t)count * sizeof *raw);
    gv_status status = gv_weights_floats(raw, p, count, err);
    if (status == GV_OK)
        pack(e->data, raw, count, ctx);
    gv_mem_free(raw);
    return status;
}

static gv_status add(gv_weights *w, const void **packed, gv_param p, int64_t count,
                     const char *layout, size_t bytes, gv_pack_fn *pack, const void *ctx,
                     gv_error *err)
{
    gv_status status = make_room(w, err);
    if (status != GV_OK)
        return status;
    entry e = {.name = gv_arena_copy_text(&w->text, p.name),
               .layout = gv_arena_copy_text(&w->text, layout),
               .data = gv_mem_alloc(bytes),
               .bytes = bytes};
    if (!e.name || !e.layout || !e.data)
        status = gv_fail_memory(err, bytes);
    else
        status = fill(&e, p, count, pack, ctx, err);
    if (status != GV_OK) {
        gv_mem_free(e.data);
        return status;
    }
    w->entries[w->count++] = e;
    w->bytes += bytes;
    *packed = e.data;
    return GV_OK;
}

gv_status gv_weights_pack(const void **packed, gv_param p, int64_t count, const char *layout,
                          size_t bytes, gv_pack_fn *pack, const void *ctx, gv_error *err)
{
    assert(p.weights && p.name && count >= 0);
    *packed = NULL;
    gv_weights *w = p.weights;
    gv_status status = GV_OK;
    pthread_mutex_lock(&w->lock);
    const entry *known = find(w, p.name, layout);
    if (known)
        *packed = known->data;
    else
        status = add(w, packed, p, count, layout, bytes, pack, ctx, err);
    pthread_mutex_unlock(&w->lock);
    return status;
}
