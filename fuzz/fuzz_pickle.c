/* One pickle: all that can be reached from its root lies in memory, and a whole StyleGAN2 pickle
 * loads or is refused. */
#include "base/memory.h"
#include "checkpoint/pickle.h"
#include "fuzz.h"

enum { DEPTH = 40, STEPS = 20000 };

typedef struct walk {
    int steps;
    volatile uint8_t sum;
} walk;

static void visit(walk *w, const gv_pickle_value *v, int depth);

static void visit_all(walk *w, const gv_pickle_value *v, int depth)
{
    gv_pickle_iterator it = gv_pickle_begin(v);
    const gv_pickle_value *key, *value;
    while (w->steps < STEPS && gv_pickle_next(&it, &key, &value)) {
        if (key)
            visit(w, key, depth + 1);
        visit(w, value, depth + 1);
    }
}

static void visit(walk *w, const gv_pickle_value *v, int depth)
{
    if (++w->steps > STEPS || depth > DEPTH)
        return;
    switch ((gv_pickle_kind)v->kind) {
    case GV_PICKLE_UNSET:
        CHECK(v->kind != GV_PICKLE_UNSET);
        break;
    case GV_PICKLE_TEXT:
    case GV_PICKLE_BYTES:
    case GV_PICKLE_BIG:
        for (uint32_t i = 0; i < v->count; i++)
            w->sum ^= v->bytes[i];
        w->steps += (int)(v->count / 16);
        break;
    case GV_PICKLE_CALL:
        visit(w, &v->call->callable, depth + 1);
        visit(w, &v->call->args, depth + 1);
        if (v->call->state.kind != GV_PICKLE_UNSET)
            visit(w, &v->call->state, depth + 1);
        visit_all(w, v, depth);
        break;
    case GV_PICKLE_GLOBAL:
        CHECK(v->count == 2);
        visit(w, &v->items[0], depth + 1);
        visit(w, &v->items[1], depth + 1);
        break;
    case GV_PICKLE_PERSISTENT:
        visit(w, &v->persistent->id, depth + 1);
        break;
    default:
        visit_all(w, v, depth);
        break;
    }
}

static void read_pickle(const uint8_t *data, size_t size)
{
    gv_arena arena;
    gv_pickle pickle;
    gv_error err = {0};
    gv_cursor c = gv_cursor_make(data, size, "file");
    fuzz_memory_begin();
    gv_arena_init(&arena, 0);
    gv_status status = gv_pickle_read(&pickle, &c, &arena, &err);
    fuzz_memory_end(size, 68 << 10); /* the reader's own floor of 64 KiB, and a little */
    fuzz_check_status(status, &err);
    walk w = {0};
    if (status == GV_OK)
        visit(&w, &pickle.root, 0);
    gv_arena_deinit(&arena);
}

static void open_checkpoint(const uint8_t *data, size_t size)
{
    gv_checkpoint *ck;
    gv_error err = {0};
    fuzz_memory_begin();
    gv_status status = gv_checkpoint_open_memory(&ck, data, size, "file", &err);
    fuzz_memory_end(size, 512 << 10);
    fuzz_check_status(status, &err);
    if (ck)
        fuzz_read_checkpoint(ck, data, size);
    gv_checkpoint_close(ck);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_pickle(data, size);
    open_checkpoint(data, size);
    fuzz_check_leaks();
    return 0;
}
