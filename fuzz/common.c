#include "fuzz.h"

#include "base/canary.h"
#include "base/memory.h"

#include <jansson.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MEMORY_FACTOR = 24,
    ARENA_HEADER = 64, /* under the sanitizer every allocation of an arena is a block of its own */
    LARGE_VIEW = 1 << 16,
    TREE_LINES = 500
};

#ifdef GV_CANARY
int gv_canary;
#endif

/* Of the sanitizers' runtime; absent in builds without. */
__attribute__((weak)) int
__sanitizer_install_malloc_and_free_hooks(void (*allocated)(const volatile void *, size_t),
                                          void (*freed)(const volatile void *));
__attribute__((weak)) size_t __sanitizer_get_allocated_size(const volatile void *block);

static _Atomic long long memory_now, memory_peak;
static _Atomic bool measuring;
static int64_t made_before;

static void on_malloc(const volatile void *block, size_t size)
{
    (void)block;
    if (!atomic_load(&measuring))
        return;
    long long now = atomic_fetch_add(&memory_now, (long long)size) + (long long)size;
    if (now > atomic_load(&memory_peak))
        atomic_store(&memory_peak, now);
}

static void on_free(const volatile void *block)
{
    if (atomic_load(&measuring) && block)
        atomic_fetch_sub(&memory_now, (long long)__sanitizer_get_allocated_size(block));
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    json_object_seed(1); /* the same input takes the same path */
    if (__sanitizer_install_malloc_and_free_hooks)
        CHECK(__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) != 0);
#ifdef GV_CANARY
    const char *canary = getenv("GV_CANARY");
    gv_canary = canary ? atoi(canary) : 0;
#endif
    return 0;
}

/* Of libFuzzer; absent in a replay, which does not mutate. */
__attribute__((weak)) size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

/* Now and then a few bytes are repeated very often, in place: no other mutation gets as far as the
 * limits of memory. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    enum { ONE_IN = 16, LONGEST = 12 };
    if (seed % ONE_IN != 0 || size == 0 || size >= max_size)
        return LLVMFuzzerMutate(data, size, max_size);
    seed /= ONE_IN;
    size_t begin = seed % size;
    size_t length = 1 + seed / 65536 % LONGEST;
    if (length > size - begin)
        length = size - begin;
    size_t repeats = (max_size - size) / length;
    repeats = repeats >> seed % 4;
    memmove(data + begin + repeats * length, data + begin, size - begin);
    for (size_t i = 0; i < repeats * length; i++)
        data[begin + i] = data[begin + repeats * length + i % length];
    return size + repeats * length;
}

_Noreturn void fuzz_fail(const char *file, int line, const char *text)
{
    fprintf(stderr, "%s:%d: CHECK(%s) failed\n", file, line, text);
    abort();
}

void fuzz_check_status(gv_status status, const gv_error *err)
{
    if (status == GV_OK)
        return;
    CHECK(status == GV_E_FORMAT || status == GV_E_UNSUPPORTED || status == GV_E_MEMORY ||
          status == GV_E_NUMERIC);
    CHECK(err->status == status);
    CHECK(err->message[0] != '\0' && strlen(err->message) < sizeof err->message);
}

void fuzz_memory_begin(void)
{
    made_before = gv_mem_made();
    atomic_store(&memory_now, 0);
    atomic_store(&memory_peak, 0);
    atomic_store(&measuring, true);
}

void fuzz_memory_end(size_t input_size, size_t more)
{
    atomic_store(&measuring, false);
    long long peak = atomic_load(&memory_peak);
    size_t headers = ARENA_HEADER * (size_t)(gv_mem_made() - made_before);
    if (peak > (long long)(MEMORY_FACTOR * input_size + more + headers)) {
        fprintf(stderr, "an input of %zu bytes took %lld\n", input_size, peak);
        fuzz_fail(__FILE__, __LINE__, "memory at most 24 times the input");
    }
}

void fuzz_check_leaks(void)
{
    CHECK(gv_mem_live() == 0);
}

void fuzz_read_view(const gv_view *v, const uint8_t *data, size_t size)
{
    CHECK(v->dims >= 0 && v->dims <= GV_MAX_DIMS && v->name);
    int64_t count = gv_view_count(v);
    size_t item = gv_dtype_size(v->type);
    CHECK(count >= 0);
    if (count == 0)
        return;
    const uint8_t *last = v->data + item - 1;
    for (int i = 0; i < v->dims; i++)
        last += (v->shape[i] - 1) * v->stride[i] * (int64_t)item;
    CHECK(!data || (v->data >= data && last < data + size));
    if ((uint64_t)count * item <= LARGE_VIEW) {
        float *values = malloc((size_t)count * 8);
        CHECK(values);
        gv_error err = {0};
        fuzz_check_status(gv_view_read_f32(values, v, "f", &err), &err);
        gv_view_read_raw(values, v);
        free(values);
        return;
    }
    volatile uint8_t sum = *v->data;
    sum ^= *last;
    (void)sum;
}

void fuzz_read_checkpoint(gv_checkpoint *ck, const uint8_t *data, size_t size)
{
    CHECK(gv_checkpoint_count(ck) > 0);
    /* Protocol 2 writes bytes as text in latin1: those are decoded to somewhere else. */
    bool decoded = memmem(data, size, "latin1", strlen("latin1")) != NULL;
    for (size_t i = 0; i < gv_checkpoint_count(ck); i++) {
        const gv_view *v = gv_checkpoint_at(ck, i);
        CHECK(gv_checkpoint_find(ck, v->name) == v);
        fuzz_read_view(v, decoded ? NULL : data, size);
    }
    gv_mem_free(gv_checkpoint_tree_text(ck, TREE_LINES));
}
