/* Members are disjoint, inside the file, sorted, and found by name. */
#include "base/memory.h"
#include "checkpoint/zip.h"
#include "fuzz.h"

static void check_member(const gv_zip *zip, size_t i, const uint8_t *data, size_t size)
{
    const gv_zip_member *m = &zip->members[i];
    volatile uint8_t sum = 0;
    CHECK(m->data >= data && m->packed_size <= size);
    for (size_t k = 0; k < m->name_size; k++)
        sum ^= (uint8_t)m->name[k];
    for (size_t k = 0; k < m->packed_size; k++)
        sum ^= m->data[k];
    (void)sum;
    CHECK(gv_zip_find(zip, m->name, m->name_size) == m);
    for (size_t k = 0; k < i; k++) {
        const gv_zip_member *other = &zip->members[k];
        CHECK(other->data + other->packed_size <= m->data ||
              m->data + m->packed_size <= other->data);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    gv_arena arena;
    gv_zip zip;
    gv_error err = {0};
    fuzz_memory_begin();
    gv_arena_init(&arena, 0);
    gv_status status = gv_zip_read(&zip, data, size, "file", &arena, &err);
    fuzz_memory_end(size, 4096);
    fuzz_check_status(status, &err);
    CHECK(status == GV_OK || zip.count == 0);
    for (size_t i = 0; i < zip.count; i++)
        check_member(&zip, i, data, size);
    gv_arena_deinit(&arena);
    fuzz_check_leaks();
    return 0;
}
