#include "base/memory.h"
#include "support.h"

#include <string.h>

static void checked_sizes(void **state)
{
    (void)state;
    size_t size;
    int64_t product;
    assert_true(gv_add_size(&size, SIZE_MAX - 1, 1) && size == SIZE_MAX);
    assert_false(gv_add_size(&size, SIZE_MAX, 1) || size != 0);
    assert_true(gv_mul_size(&size, SIZE_MAX / 2, 2) && size == SIZE_MAX - 1);
    assert_false(gv_mul_size(&size, SIZE_MAX / 2 + 1, 2) || size != 0);
    assert_true(gv_mul_i64(&product, INT64_MAX, 1) && product == INT64_MAX);
    assert_true(gv_mul_i64(&product, INT64_MAX, 0) && product == 0);
    assert_false(gv_mul_i64(&product, INT64_MAX / 2 + 1, 2) || product != 0);
    assert_false(gv_mul_i64(&product, -1, -1) || product != 0);
    assert_false(gv_mul_i64(&product, 1, -1) || product != 0);
}

static void assert_zero(const uint8_t *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        if (data[i] != 0)
            fail_msg("byte %zu is %d", i, data[i]);
    }
}

static void blocks_are_zeroed_and_aligned(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 63, 64, 4097, (4 << 20) - 1, 4 << 20, (6 << 20) + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        /* A dirty block of the size, so that the next one is likely to be recycled. */
        for (int round = 0; round < 2; round++) {
            uint8_t *block = gv_mem_alloc(sizes[i]);
            assert_non_null(block);
            uintptr_t align = sizes[i] >= 4 << 20 ? 2 << 20 : 64;
            assert_int_equal((uintptr_t)block % align, 0);
            assert_zero(block, sizes[i]);
            memset(block, 0xab, sizes[i]);
            gv_mem_free(block);
        }
    }
    void *a = gv_mem_alloc(0), *b = gv_mem_alloc(0);
    assert_ptr_not_equal(a, b);
    gv_mem_free(a);
    gv_mem_free(b);
    gv_mem_free(NULL);
}

static void arrays_refuse_overflow(void **state)
{
    (void)state;
    assert_null(gv_mem_alloc_array(SIZE_MAX / 2, 3));
    uint8_t *a = gv_mem_alloc_array(10, 10);
    assert_zero(a, 100);
    gv_mem_free(a);
}

static void resize_keeps_and_zeroes(void **state)
{
    (void)state;
    uint8_t *a = gv_mem_alloc(10);
    memset(a, 7, 10);
    a = gv_mem_resize(a, 10, 200);
    for (int i = 0; i < 10; i++)
        assert_int_equal(a[i], 7);
    assert_zero(a + 10, 190);
    assert_int_equal((uintptr_t)a % 64, 0);
    a = gv_mem_resize(a, 200, 3);
    assert_int_equal(a[2], 7);
    gv_mem_fail_nth(1);
    assert_null(gv_mem_resize(a, 3, 100));
    assert_int_equal(a[2], 7);
    gv_mem_free(a);
    a = gv_mem_resize(NULL, 0, 5);
    assert_zero(a, 5);
    gv_mem_free(a);
}

static void planned_failures_and_counts(void **state)
{
    (void)state;
    int64_t live = gv_mem_live(), made = gv_mem_made();
    gv_mem_fail_nth(3);
    void *a = gv_mem_alloc(1), *b = gv_mem_alloc(1), *c = gv_mem_alloc(1), *d = gv_mem_alloc(1);
    assert_true(a && b && !c && d);
    assert_int_equal(gv_mem_live(), live + 3);
    assert_int_equal(gv_mem_made(), made + 4);
    gv_mem_free(a);
    gv_mem_free(b);
    gv_mem_free(d);
    assert_int_equal(gv_mem_live(), live);
    gv_mem_fail_nth(1);
    gv_mem_fail_nth(0);
    a = gv_mem_alloc(1);
    assert_non_null(a);
    gv_mem_free(a);
}

static void an_arena_gives_separate_zeroed_memory(void **state)
{
    (void)state;
    int64_t live = gv_mem_live();
    gv_arena arena;
    gv_arena_init(&arena, 0);
    uint8_t *blocks[300];
    for (size_t i = 0; i < 300; i++) {
        blocks[i] = gv_arena_alloc(&arena, i * 7);
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
        assert_zero(blocks[i], i * 7);
        memset(blocks[i], (int)(i & 0xff), i * 7);
    }
    uint8_t *large = gv_arena_alloc(&arena, 1 << 20);
    assert_zero(large, 1 << 20);
    memset(large, 0xff, 1 << 20);
    for (size_t i = 0; i < 300; i++) {
        for (size_t j = 0; j < i * 7; j++)
            assert_int_equal(blocks[i][j], i & 0xff);
    }
    for (size_t align = 1; align <= 64; align *= 2) {
        assert_non_null(gv_arena_alloc_aligned(&arena, 1, 1));
        assert_int_equal((uintptr_t)gv_arena_alloc_aligned(&arena, 3, align) % align, 0);
    }
    gv_arena_deinit(&arena);
    assert_int_equal(gv_mem_live(), live);
}

static void an_arena_keeps_its_limit(void **state)
{
    (void)state;
    gv_arena arena;
    gv_arena_init(&arena, 1000);
    assert_non_null(gv_arena_alloc_aligned(&arena, 600, 1));
    assert_null(gv_arena_alloc_aligned(&arena, 401, 1));
    assert_int_equal(arena.used, 600);
    assert_non_null(gv_arena_alloc_aligned(&arena, 400, 1));
    assert_null(gv_arena_alloc_aligned(&arena, 1, 1));
    assert_null(gv_arena_alloc_aligned(&arena, SIZE_MAX, 1));
    gv_arena_deinit(&arena);

    gv_arena_init(&arena, 0);
    assert_null(gv_arena_alloc_array(&arena, SIZE_MAX / 2, 4));
    assert_null(gv_arena_alloc(&arena, SIZE_MAX));
    assert_null(gv_arena_alloc(&arena, SIZE_MAX - 100));
    assert_int_equal(arena.used, 0);
    gv_arena_deinit(&arena);
}

static void arena_text(void **state)
{
    (void)state;
    gv_arena arena;
    gv_arena_init(&arena, 20);
    assert_string_equal(gv_arena_copy_text(&arena, "noise"), "noise");
    assert_string_equal(gv_arena_format(&arena, "b%d.%s", 128, "conv0"), "b128.conv0");
    assert_null(gv_arena_format(&arena, "%d", 12345));
    assert_null(gv_arena_copy_text(&arena, "1234"));
    gv_arena_deinit(&arena);
}

static gv_status arena_work(void *ctx, gv_error *err)
{
    (void)ctx;
    gv_status status = GV_OK;
    gv_arena arena;
    gv_arena_init(&arena, 0);
    for (int i = 0; i < 3; i++) {
        if (!gv_arena_alloc(&arena, 8)) {
            status = gv_fail_memory(err, 8);
            break;
        }
    }
    gv_arena_deinit(&arena);
    return status;
}

static void arena_allocations_fail_in_turn(void **state)
{
    (void)state;
    assert_int_equal(gv_test_fail_each_allocation(arena_work, NULL), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checked_sizes),
        cmocka_unit_test(blocks_are_zeroed_and_aligned),
        cmocka_unit_test(arrays_refuse_overflow),
        cmocka_unit_test(resize_keeps_and_zeroes),
        cmocka_unit_test(planned_failures_and_counts),
        cmocka_unit_test(an_arena_gives_separate_zeroed_memory),
        cmocka_unit_test(an_arena_keeps_its_limit),
        cmocka_unit_test(arena_text),
        cmocka_unit_test(arena_allocations_fail_in_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
