/* Memory of a graph, planned once: every value, gradient and tangent is live for an interval of
 * time, and intervals that do not meet share memory.
 *
 * Time, with F live steps:  fwd of the step at position p happens at p, its jvp at F + p, its bwd
 * at 3F - 1 - p. What must survive from run to run (inputs, outputs) lives from START to 3F. */
#include "graph/internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define START (-1)
#define ALIGN ((size_t)64)

/* One stretch of memory over one interval of time, both ends inclusive. */
typedef struct span {
    size_t size, offset;
    int64_t first, last;
} span;

typedef struct plan {
    gv_graph *g;
    int64_t live;                           /* F */
    int64_t *position;                      /* of each step; -1: not live */
    int32_t *value, *grad, *tangent, *seed; /* span of each node; -1: none */
    span *spans;
    int32_t count;
} plan;

static int64_t time_bwd(const plan *p, int64_t position)
{
    return 3 * p->live - 1 - position;
}

static int64_t time_end(const plan *p)
{
    return 3 * p->live;
}

static int32_t add_span(plan *p, const gv_map *m, int64_t first, int64_t last)
{
    span *s = &p->spans[p->count];
    *s = (span){.first = first, .last = last};
    s->size = ((size_t)gv_map_floats(m) * sizeof(float) + ALIGN - 1) / ALIGN * ALIGN;
    return p->count++;
}

/* ---- lifetimes ---- */

/* The last time at which the value of each node is read, by fwd, jvp or bwd. */
static void find_last_reads(const plan *p, int64_t *last)
{
    const gv_graph *g = p->g;
    for (int32_t i = 1; i < g->node_count; i++) {
        const gv_node_info *n = &g->nodes[i];
        bool lasting = n->output || n->role == GV_ROLE_INPUT;
        last[i] = lasting ? time_end(p) : START;
    }
    for (int32_t o = 0; o < g->order_count; o++) {
        const gv_step_info *s = &g->steps[g->order[o]];
        bool again = s->varies && g->modes != GV_GRAPH_FWD;
        int64_t late = g->modes & GV_GRAPH_JVP ? time_end(p) : time_bwd(p, o);
        for (int k = 0; k < s->count; k++) {
            int32_t id = s->inputs[k].id;
            /* What crosses from the part that is computed once into the loop stays. */
            bool kept = s->varies && !g->nodes[id].varies;
            int64_t t = again && (s->op->needs & GV_NEED_X(k)) ? late : o;
            if (kept)
                t = time_end(p);
            if (t > last[id])
                last[id] = t;
        }
        if (again && (s->op->needs & GV_NEED_Y) && late > last[s->y.id])
            last[s->y.id] = late;
    }
}

static bool same_strides(const gv_map *a, const gv_map *b)
{
    return a->n == b->n && a->c == b->c && a->h == b->h && a->w == b->w && a->pixel == b->pixel &&
           a->block == b->block && a->sample == b->sample;
}

/* May y of the step at position o take the memory of its first input? */
static bool runs_in_place(const plan *p, const gv_step_info *s, int64_t o, const int64_t *last)
{
    const gv_node_info *x = gv_node_of(p->g, s->inputs[0]);
    const gv_node_info *y = gv_node_of(p->g, s->y);
    if (!s->op->in_place || x->role != GV_ROLE_RESULT || last[s->inputs[0].id] != o)
        return false;
    for (int k = 1; k < s->count; k++)
        if (s->inputs[k].id == s->inputs[0].id)
            return false;
    return same_strides(&x->value, &y->value);
}

static void plan_values(plan *p, const int64_t *last)
{
    gv_graph *g = p->g;
    for (int32_t i = 1; i < g->node_count; i++)
        if (g->nodes[i].role == GV_ROLE_INPUT)
            p->value[i] = add_span(p, &g->nodes[i].value, START, time_end(p));
    for (int32_t o = 0; o < g->order_count; o++) {
        const gv_step_info *s = &g->steps[g->order[o]];
        int32_t y = s->y.id;
        int64_t until = last[y] > o ? last[y] : o;
        if (runs_in_place(p, s, o, last)) {
            p->value[y] = p->value[s->inputs[0].id];
            p->spans[p->value[y]].last = until;
        } else {
            p->value[y] = add_span(p, &g->nodes[y].value, o, until);
        }
    }
}

/* A gradient lives from its first contribution (the last reader in forward order, or the seed) to
 * the bwd of the step that made the value. */
static void plan_gradients(plan *p, int64_t *last_reader)
{
    gv_graph *g = p->g;
    for (int32_t i = 1; i < g->node_count; i++)
        last_reader[i] = -1;
    for (int32_t o = 0; o < g->order_count; o++) {
        const gv_step_info *s = &g->steps[g->order[o]];
        for (int k = 0; s->varies && k < s->count; k++)
            last_reader[s->inputs[k].id] = o;
    }
    for (int32_t i = 1; i < g->node_count; i++) {
        const gv_node_info *n = &g->nodes[i];
        if (!n->varies || (n->role == GV_ROLE_RESULT && p->position[n->step] < 0))
            continue;
        if (n->output)
            p->seed[i] = add_span(p, &n->value, START, time_end(p));
        if (n->role == GV_ROLE_INPUT)
            p->grad[i] = add_span(p, &n->value, START, time_end(p));
        else if (last_reader[i] < 0)
            p->grad[i] = p->seed[i]; /* a leaf: the seed is the whole gradient */
        else
            p->grad[i] =
                add_span(p, &n->value, n->output ? 2 * p->live : time_bwd(p, last_reader[i]),
                         time_bwd(p, p->position[n->step]));
    }
}

static void plan_tangents(plan *p)
{
    gv_graph *g = p->g;
    for (int32_t i = 1; i < g->node_count; i++)
        if (g->nodes[i].varies && g->nodes[i].role == GV_ROLE_INPUT)
            p->tangent[i] = add_span(p, &g->nodes[i].value, START, time_end(p));
    for (int32_t o = 0; o < g->order_count; o++) {
        const gv_step_info *s = &g->steps[g->order[o]];
        if (!s->varies)
            continue;
        for (int k = 0; k < s->count; k++) {
            int32_t t = p->tangent[s->inputs[k].id];
            if (t >= 0 && p->spans[t].last < p->live + o)
                p->spans[t].last = p->live + o;
        }
        const gv_node_info *y = gv_node_of(g, s->y);
        p->tangent[s->y.id] =
            add_span(p, &y->value, p->live + o, y->output ? time_end(p) : p->live + o);
    }
}

/* ---- placing ---- */

static int larger_first(const void *a, const void *b)
{
    const span *x = *(const span *const *)a, *y = *(const span *const *)b;
    if (x->size != y->size)
        return x->size < y->size ? 1 : -1;
    return x < y ? -1 : x > y; /* a fixed order, whatever qsort does with equals */
}

/* First fit by decreasing size. placed is kept sorted by offset. Returns the bytes of the block. */
static size_t place(span *spans, int32_t count, span **sorted, span **placed)
{
    size_t total = 0;
    for (int32_t i = 0; i < count; i++)
        sorted[i] = &spans[i];
    qsort(sorted, (size_t)count, sizeof *sorted, larger_first);
    for (int32_t i = 0; i < count; i++) {
        span *s = sorted[i];
        size_t offset = 0;
        for (int32_t k = 0; k < i; k++) {
            const span *q = placed[k];
            if (q->last < s->first || s->last < q->first)
                continue;
            if (q->offset >= offset + s->size)
                break;
            if (q->offset + q->size > offset)
                offset = q->offset + q->size;
        }
        s->offset = offset;
        if (offset + s->size > total)
            total = offset + s->size;
        int32_t at = i;
        for (; at > 0 && placed[at - 1]->offset > offset; at--)
            placed[at] = placed[at - 1];
        placed[at] = s;
    }
    return total;
}

/* ---- handing out ---- */

static gv_map map_at(const plan *p, const gv_map *shape, int32_t at)
{
    gv_map m = *shape;
    m.data = at < 0 ? NULL : (float *)(void *)(p->g->memory + p->spans[at].offset);
    return m;
}

static void assign_nodes(const plan *p)
{
    gv_graph *g = p->g;
    for (int32_t i = 1; i < g->node_count; i++) {
        gv_node_info *n = &g->nodes[i];
        if (n->role != GV_ROLE_CONSTANT)
            n->value = map_at(p, &n->value, p->value[i]);
        n->grad = map_at(p, &n->value, p->grad[i]);
        n->tangent = map_at(p, &n->value, p->tangent[i]);
        n->seed = map_at(p, &n->value, p->seed[i]);
    }
}

/* written[i]: the gradient of node i already holds a contribution when its turn comes. */
static void assign_steps(const plan *p, void *scratch, bool *written)
{
    gv_graph *g = p->g;
    for (int32_t i = 1; i < g->node_count; i++)
        written[i] = g->nodes[i].seed.data != NULL; /* copied in before the first bwd */
    for (int32_t o = g->order_count - 1; o >= 0; o--) {
        gv_step_info *s = &g->steps[g->order[o]];
        const gv_node_info *y = gv_node_of(g, s->y);
        s->run.y = y->value;
        s->run.dy = y->grad;
        s->run.ty = y->tangent;
        s->run.scratch = scratch;
        for (int k = 0; k < s->count; k++) {
            int32_t id = s->inputs[k].id;
            const gv_node_info *x = &g->nodes[id];
            if (id == 0)
                continue;
            s->run.x[k] = x->value;
            s->run.dx[k] = x->grad;
            s->run.tx[k] = x->tangent;
            s->run.add[k] = written[id];
            written[id] = written[id] || s->varies;
        }
    }
}

/* ---- */

/* The plan's own tables, in an arena that dies with it. */
static gv_status init_plan(plan *p, gv_graph *g, gv_arena *arena, gv_error *err)
{
    size_t nodes = (size_t)g->node_count, steps = (size_t)g->step_count + 1;
    *p = (plan){.g = g, .live = g->order_count};
    p->position = gv_arena_alloc_array(arena, steps, sizeof *p->position);
    int32_t **tables[] = {&p->value, &p->grad, &p->tangent, &p->seed};
    for (size_t i = 0; i < 4; i++) {
        *tables[i] = gv_arena_alloc_array(arena, nodes, sizeof **tables[i]);
        if (!*tables[i])
            return gv_fail_memory(err, nodes * sizeof **tables[i]);
        memset(*tables[i], 0xff, nodes * sizeof **tables[i]); /* -1 */
    }
    p->spans = gv_arena_alloc_array(arena, 4 * nodes, sizeof *p->spans);
    if (!p->position || !p->spans)
        return gv_fail_memory(err, 4 * nodes * sizeof *p->spans);
    memset(p->position, 0xff, steps * sizeof *p->position);
    for (int32_t o = 0; o < g->order_count; o++)
        p->position[g->order[o]] = o;
    return GV_OK;
}

static size_t largest_scratch(const gv_graph *g)
{
    size_t most = 0;
    for (int32_t o = 0; o < g->order_count; o++)
        if (g->steps[g->order[o]].scratch_bytes > most)
            most = g->steps[g->order[o]].scratch_bytes;
    return (most + ALIGN - 1) / ALIGN * ALIGN;
}

gv_status gv_plan(gv_graph *g, gv_error *err)
{
    gv_status status;
    gv_arena arena;
    gv_arena_init(&arena, 0);
    plan p;
    GV_TRY(init_plan(&p, g, &arena, err));

    size_t nodes = (size_t)g->node_count;
    int64_t *times = gv_arena_alloc_array(&arena, nodes, sizeof *times);
    bool *written = gv_arena_alloc_array(&arena, nodes, sizeof *written);
    span **sorted = gv_arena_alloc_array(&arena, 8 * nodes, sizeof *sorted);
    if (!times || !written || !sorted) {
        status = gv_fail_memory(err, 8 * nodes * sizeof *sorted);
        goto done;
    }
    find_last_reads(&p, times);
    plan_values(&p, times);
    if (g->modes & GV_GRAPH_BWD)
        plan_gradients(&p, times);
    if (g->modes & GV_GRAPH_JVP)
        plan_tangents(&p);

    size_t planned = place(p.spans, p.count, sorted, sorted + 4 * nodes);
    g->memory_bytes = planned + largest_scratch(g);
    g->memory = gv_mem_alloc(g->memory_bytes);
    if (!g->memory) {
        status = gv_fail_memory(err, g->memory_bytes);
        goto done;
    }
    assign_nodes(&p);
    assign_steps(&p, g->memory + planned, written);
done:
    gv_arena_deinit(&arena);
    return status;
}
