/* Checkpoints of every kind, as a whole: the type is told from the content. */
#include "base/memory.h"
#include "checkpoint/checkpoint.h"
#include "fuzz.h"

enum { TREE_LINES = 200 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    gv_checkpoint *ck;
    gv_error err = {0};
    fuzz_memory_begin();
    gv_status status = gv_checkpoint_open_memory(&ck, data, size, "file", &err);
    fuzz_memory_end(size, 512 << 10);
    fuzz_check_status(status, &err);
    CHECK((status == GV_OK) == (ck != NULL));
    if (ck) {
        CHECK(gv_checkpoint_count(ck) > 0);
        for (size_t i = 0; i < gv_checkpoint_count(ck); i++) {
            const gv_view *v = gv_checkpoint_at(ck, i);
            CHECK(gv_checkpoint_find(ck, v->name) == v);
            fuzz_read_view(v);
        }
        gv_mem_free(gv_checkpoint_tree_text(ck, TREE_LINES));
    }
    gv_checkpoint_close(ck);
    fuzz_check_leaks();
    return 0;
}
