#include "kernels/pieces.h"

#include "base/parallel.h"

/* Floats below which starting a task costs more than it gives. */
#define TASK_FLOATS 16384

gv_cut gv_cut_pixels(const gv_map *m)
{
    return (gv_cut){m->n, gv_blocks(m->c), m->h * m->w, GV_RUN, gv_pixel_lanes(m)};
}

gv_cut gv_cut_blocks(const gv_map *m)
{
    return (gv_cut){m->n, gv_blocks(m->c), 1, 1, m->h * m->w * gv_pixel_lanes(m)};
}

gv_cut gv_cut_rows(const gv_map *m)
{
    int64_t cost = m->w * gv_pixel_lanes(m);
    int64_t run = TASK_FLOATS / cost;
    return (gv_cut){m->n, gv_blocks(m->c), m->h, run > 1 ? run : 1, cost};
}

/* Pieces of one (n, block). */
static int64_t runs_of(const gv_cut *cut)
{
    return (cut->items + cut->run - 1) / cut->run;
}

int64_t gv_cut_count(const gv_cut *cut)
{
    return cut->samples * cut->blocks * runs_of(cut);
}

typedef struct tasks {
    const gv_cut *cut;
    gv_piece_fn *fn;
    void *ctx;
    int64_t pieces, runs, group; /* group: pieces in a task */
} tasks;

static void run_task(void *arg, int64_t task)
{
    const tasks *t = arg;
    const gv_cut *cut = t->cut;
    int64_t end = (task + 1) * t->group;
    if (end > t->pieces)
        end = t->pieces;
    for (int64_t i = task * t->group; i < end; i++) {
        int64_t first = i % t->runs * cut->run;
        int64_t left = cut->items - first;
        gv_piece p = {.n = i / t->runs / cut->blocks,
                      .block = i / t->runs % cut->blocks,
                      .first = first,
                      .count = left < cut->run ? left : cut->run,
                      .index = i};
        t->fn(t->ctx, &p);
    }
}

void gv_for_pieces(const gv_cut *cut, gv_piece_fn *fn, void *ctx)
{
    int64_t items = cut->items < cut->run ? cut->items : cut->run;
    int64_t group = TASK_FLOATS / (items * cut->cost + 1);
    tasks t = {.cut = cut,
               .fn = fn,
               .ctx = ctx,
               .pieces = gv_cut_count(cut),
               .runs = runs_of(cut),
               .group = group > 1 ? group : 1};
    gv_parallel_for((t.pieces + t.group - 1) / t.group, run_task, &t);
}
