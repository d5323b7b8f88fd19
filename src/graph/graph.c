/* Building a graph: nodes, steps, and the order in which they run. */
#include "graph/internal.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

gv_status gv_graph_new(gv_graph **out, unsigned modes, gv_error *err)
{
    *out = NULL;
    gv_graph *g = gv_mem_alloc(sizeof *g);
    if (!g)
        return gv_fail_memory(err, sizeof *g);
    gv_arena_init(&g->arena, 0);
    g->modes = modes;
    g->node_count = 1; /* id 0 is GV_NO_NODE */
    *out = g;
    return GV_OK;
}

void gv_graph_free(gv_graph *g)
{
    if (!g)
        return;
    for (int32_t i = 0; i < g->step_count; i++) {
        const gv_op *op = g->steps[i].op;
        if (op->release)
            op->release(g->steps[i].run.attr);
    }
    gv_mem_free(g->memory);
    gv_mem_free(g->nodes);
    gv_mem_free(g->steps);
    gv_arena_deinit(&g->arena);
    gv_mem_free(g);
}

/* ---- what operations ask ---- */

bool gv_graph_has(gv_node x)
{
    return x.id != 0;
}

gv_map gv_graph_shape(const gv_graph *g, gv_node x)
{
    assert(x.id > 0 && x.id < g->node_count);
    gv_map m = g->nodes[x.id].value;
    m.data = NULL;
    return m;
}

unsigned gv_graph_modes(const gv_graph *g)
{
    return g->modes;
}

bool gv_graph_varies(const gv_graph *g, gv_node x)
{
    return x.id != 0 && g->nodes[x.id].varies;
}

void *gv_graph_alloc(gv_graph *g, size_t bytes)
{
    return gv_arena_alloc_aligned(&g->arena, bytes, 64);
}

gv_status gv_graph_refuse(gv_error *err, const char *op, const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return gv_fail(err, GV_E_ARG, "%s: %s", op, text);
}

/* ---- growing ---- */

/* Room for one more element in an array that doubles. */
static gv_status grow(void **array, int32_t count, int32_t *room, size_t size, gv_error *err)
{
    if (count < *room)
        return GV_OK;
    int32_t bigger = *room ? *room * 2 : 64;
    void *p = *array ? gv_mem_resize(*array, (size_t)*room * size, (size_t)bigger * size)
                     : gv_mem_alloc_array((size_t)bigger, size);
    if (!p)
        return gv_fail_memory(err, (size_t)bigger * size);
    *array = p;
    *room = bigger;
    return GV_OK;
}

static gv_status add_node(gv_graph *g, gv_node *y, const gv_map *shape, gv_role role, gv_error *err)
{
    y->id = 0;
    if (g->built)
        return gv_fail(err, GV_E_ARG, "graph: nothing can be added after gv_graph_build");
    void *nodes = g->nodes;
    gv_status status = grow(&nodes, g->node_count, &g->node_room, sizeof *g->nodes, err);
    g->nodes = nodes;
    if (status != GV_OK)
        return status;
    gv_node_info *n = &g->nodes[g->node_count];
    *n = (gv_node_info){.value = *shape, .role = role, .step = -1};
    y->id = g->node_count++;
    return GV_OK;
}

static gv_status check_dims(const char *what, int64_t n, int64_t c, int64_t h, int64_t w,
                            gv_error *err)
{
    const int64_t most = INT64_C(1) << 31;
    if (n < 1 || c < 1 || h < 1 || w < 1 || n > most || c > most || h > most || w > most)
        return gv_fail(err, GV_E_ARG, "graph: %s has the impossible shape [%lld,%lld,%lld,%lld]",
                       what, (long long)n, (long long)c, (long long)h, (long long)w);
    return GV_OK;
}

/* ---- inputs and outputs ---- */

static gv_status add_input(gv_graph *g, gv_node *y, const char *name, const gv_map *shape,
                           bool varies, gv_error *err)
{
    gv_status status =
        check_dims(name ? name : "input", shape->n, shape->c, shape->h, shape->w, err);
    if (status == GV_OK)
        status = add_node(g, y, shape, GV_ROLE_INPUT, err);
    if (status == GV_OK) {
        gv_node_of(g, *y)->name = name;
        gv_node_of(g, *y)->varies = varies && g->modes != GV_GRAPH_FWD;
    }
    return status;
}

gv_status gv_graph_input(gv_graph *g, gv_node *y, const char *name, int64_t n, int64_t c, int64_t h,
                         int64_t w, bool varies, gv_error *err)
{
    gv_map shape = gv_map_blocked(n, c, h, w);
    return add_input(g, y, name, &shape, varies, err);
}

gv_status gv_graph_input_plane(gv_graph *g, gv_node *y, const char *name, int64_t n, int64_t h,
                               int64_t w, bool varies, gv_error *err)
{
    gv_map shape = gv_map_plane(n, h, w);
    return add_input(g, y, name, &shape, varies, err);
}

gv_status gv_graph_constant(gv_graph *g, gv_node *y, const gv_map *map, gv_error *err)
{
    assert(map->data);
    return add_node(g, y, map, GV_ROLE_CONSTANT, err);
}

static void pack_map(void *dst, const float *src, int64_t count, const void *ctx)
{
    (void)count;
    gv_map m = *(const gv_map *)ctx;
    m.data = dst;
    gv_map_import(&m, src);
}

gv_status gv_graph_weight(gv_graph *g, gv_node *y, gv_param p, int64_t n, int64_t c, int64_t h,
                          int64_t w, bool as_plane, gv_error *err)
{
    *y = GV_NO_NODE;
    gv_status status = check_dims(p.name, n, c, h, w, err);
    if (status != GV_OK)
        return status;
    if (as_plane && c != 1)
        return gv_fail(err, GV_E_ARG, "graph: '%s' has %lld channels, a plane has one", p.name,
                       (long long)c);
    gv_map m = as_plane ? gv_map_plane(1, h, w) : gv_map_blocked(1, c, h, w);
    char layout[96];
    snprintf(layout, sizeof layout, "%s %lldx%lldx%lld", as_plane ? "plane" : "map", (long long)c,
             (long long)h, (long long)w);
    const void *data = NULL;
    status = gv_weights_pack(&data, p, c * h * w, layout, (size_t)gv_map_floats(&m) * sizeof(float),
                             pack_map, &m, err);
    if (status != GV_OK)
        return status;
    /* Constants are only ever read; the map type has no const twin. */
    m.data = (float *)(uintptr_t)data;
    m.n = n;
    m.sample = 0; /* one copy serves all samples */
    return gv_graph_constant(g, y, &m, err);
}

gv_status gv_graph_output(gv_graph *g, gv_node x, const char *name, gv_error *err)
{
    if (x.id <= 0 || x.id >= g->node_count || g->built)
        return gv_fail(err, GV_E_ARG, "graph: output '%s' is not a node of a graph being made",
                       name ? name : "");
    gv_node_info *n = gv_node_of(g, x);
    n->output = true;
    if (name)
        n->name = name;
    return GV_OK;
}

gv_node gv_graph_named(const gv_graph *g, const char *name)
{
    for (int32_t i = 1; i < g->node_count; i++)
        if (g->nodes[i].name && strcmp(g->nodes[i].name, name) == 0)
            return (gv_node){i};
    return GV_NO_NODE;
}

void gv_graph_dims(const gv_graph *g, gv_node x, int64_t dims[4])
{
    const gv_map *m = &gv_node_of(g, x)->value;
    dims[0] = m->n;
    dims[1] = m->c;
    dims[2] = m->h;
    dims[3] = m->w;
}

/* ---- steps ---- */

static bool any_varies(const gv_graph *g, const gv_node *inputs, int count)
{
    for (int i = 0; i < count; i++)
        if (gv_graph_varies(g, inputs[i]))
            return true;
    return false;
}

gv_status gv_graph_append(gv_graph *g, gv_node *y, const gv_op *op, const gv_map *shape,
                          const gv_node *inputs, int count, const void *attr, size_t attr_size,
                          size_t scratch_bytes, gv_error *err)
{
    assert(count >= 1 && count <= GV_MAX_INPUTS);
    *y = GV_NO_NODE;
    if (inputs[0].id == 0)
        return gv_graph_refuse(err, op->name, "its first input is missing");
    for (int i = 0; i < count; i++)
        if (inputs[i].id < 0 || inputs[i].id >= g->node_count)
            return gv_graph_refuse(err, op->name, "input %d is not a node of this graph", i);
    bool varies = any_varies(g, inputs, count);
    if (varies && (g->modes & GV_GRAPH_BWD) && !op->bwd)
        return gv_graph_refuse(err, op->name, "has no gradient");
    if (varies && (g->modes & GV_GRAPH_JVP) && !op->jvp)
        return gv_graph_refuse(err, op->name, "has no tangent");
    gv_status status = check_dims(op->name, shape->n, shape->c, shape->h, shape->w, err);
    if (status != GV_OK)
        return status;

    void *copy = NULL;
    if (attr_size > 0) {
        copy = gv_graph_alloc(g, attr_size);
        if (!copy)
            return gv_fail_memory(err, attr_size);
        memcpy(copy, attr, attr_size);
    }
    void *steps = g->steps;
    status = grow(&steps, g->step_count, &g->step_room, sizeof *g->steps, err);
    g->steps = steps;
    if (status == GV_OK)
        status = add_node(g, y, shape, GV_ROLE_RESULT, err);
    if (status != GV_OK)
        return status;

    gv_step_info *s = &g->steps[g->step_count];
    *s = (gv_step_info){.op = op, .count = count, .y = *y, .scratch_bytes = scratch_bytes};
    s->varies = varies;
    memcpy(s->inputs, inputs, (size_t)count * sizeof *inputs);
    s->run.inputs = count;
    s->run.attr = copy;
    gv_node_info *n = gv_node_of(g, *y);
    n->step = g->step_count++;
    n->varies = varies;
    return GV_OK;
}

/* ---- building ---- */

/* Marks the steps some output depends on; steps are in topological order by construction. */
static void mark_live(gv_graph *g)
{
    for (int32_t i = g->step_count - 1; i >= 0; i--) {
        gv_step_info *s = &g->steps[i];
        if (gv_node_of(g, s->y)->output)
            s->live = true;
        if (!s->live)
            continue;
        for (int k = 0; k < s->count; k++) {
            int32_t from = s->inputs[k].id ? gv_node_of(g, s->inputs[k])->step : -1;
            if (from >= 0)
                g->steps[from].live = true;
        }
    }
}

/* Steps that do not vary first: they depend on no step that does. */
static gv_status make_order(gv_graph *g, gv_error *err)
{
    g->order = gv_arena_alloc_array(&g->arena, (size_t)g->step_count + 1, sizeof *g->order);
    if (!g->order)
        return gv_fail_memory(err, ((size_t)g->step_count + 1) * sizeof *g->order);
    int32_t count = 0;
    for (int varying = 0; varying < 2; varying++) {
        if (varying)
            g->first_varying = count;
        for (int32_t i = 0; i < g->step_count; i++)
            if (g->steps[i].live && g->steps[i].varies == (bool)varying)
                g->order[count++] = i;
    }
    g->order_count = count;
    return GV_OK;
}

gv_status gv_graph_build(gv_graph *g, gv_error *err)
{
    if (g->built)
        return gv_fail(err, GV_E_ARG, "graph: built twice");
    mark_live(g);
    gv_status status = make_order(g, err);
    if (status == GV_OK)
        status = gv_plan(g, err);
    if (status == GV_OK)
        g->built = true;
    return status;
}
