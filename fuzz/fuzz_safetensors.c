/* Tensors that are accepted cover the data of the file exactly once. */
#include "base/memory.h"
#include "checkpoint/json.h"
#include "checkpoint/safetensors.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    gv_arena arena;
    gv_view *views;
    size_t count, covered = 0;
    json_t *metadata;
    gv_error err = {0};
    fuzz_memory_begin();
    gv_arena_init(&arena, 0);
    gv_status status =
        gv_safetensors_read(data, size, "file", &arena, &views, &count, &metadata, &err);
    fuzz_memory_end(size, GV_JSON_FLOOR + 4096);
    fuzz_check_status(status, &err);
    for (size_t i = 0; i < count; i++) {
        fuzz_read_view(&views[i], data, size);
        covered += (size_t)gv_view_count(&views[i]) * gv_dtype_size(views[i].type);
    }
    if (status == GV_OK)
        CHECK(covered <= size - 8 && (count == 0 || views[0].data + covered == data + size));
    json_decref(metadata);
    gv_arena_deinit(&arena);
    fuzz_check_leaks();
    return 0;
}
