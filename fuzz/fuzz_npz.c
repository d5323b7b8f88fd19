/* Archives and, for what does not begin as one, single arrays. */
#include "base/memory.h"
#include "checkpoint/npy.h"
#include "fuzz.h"

#include <string.h>

enum { INFLATED = 1 << 20, ZLIB = 64 << 10 };

static void read_archive(const uint8_t *data, size_t size)
{
    gv_arena arena;
    gv_view *views;
    size_t count;
    gv_error err = {0};
    fuzz_memory_begin();
    gv_arena_init(&arena, INFLATED);
    gv_status status = gv_npz_read(&views, &count, data, size, "file", &arena, &err);
    fuzz_memory_end(size, INFLATED + ZLIB);
    fuzz_check_status(status, &err);
    for (size_t i = 0; i < count; i++) {
        CHECK(i == 0 || strcmp(views[i - 1].name, views[i].name) != 0);
        fuzz_read_view(&views[i], NULL, 0); /* perhaps inflated */
    }
    gv_arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 2 && memcmp(data, "PK", 2) == 0) {
        read_archive(data, size);
    } else {
        gv_view v;
        gv_error err = {0};
        gv_status status = gv_npy_read(&v, data, size, "file", &err);
        fuzz_check_status(status, &err);
        if (status == GV_OK)
            fuzz_read_view(&v, data, size);
    }
    fuzz_check_leaks();
    return 0;
}
