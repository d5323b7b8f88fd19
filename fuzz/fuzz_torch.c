/* Checkpoints of every kind, as a whole: the type is told from the content. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    gv_checkpoint *ck;
    gv_error err = {0};
    fuzz_memory_begin();
    gv_status status = gv_checkpoint_open_memory(&ck, data, size, "file", &err);
    fuzz_memory_end(size, 512 << 10);
    fuzz_check_status(status, &err);
    CHECK((status == GV_OK) == (ck != NULL));
    if (ck)
        fuzz_read_checkpoint(ck, data, size);
    gv_checkpoint_close(ck);
    fuzz_check_leaks();
    return 0;
}
