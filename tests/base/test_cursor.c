#include "base/cursor.h"
#include "support.h"

#include <string.h>

static const uint8_t bytes[15] = {0x01, 0x02, 0x83, 0x04, 0x05, 0x06, 0x87, 0x08,
                                  0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x8f};

static void integers_are_little_endian(void **state)
{
    (void)state;
    gv_cursor c = gv_cursor_make(bytes, sizeof bytes, "a.bin");
    gv_error err;
    uint8_t b;
    uint16_t h;
    uint32_t w;
    uint64_t d;
    assert_int_equal(gv_read_u8(&c, &b, "x", &err), GV_OK);
    assert_int_equal(b, 0x01);
    assert_int_equal(gv_read_u16(&c, &h, "x", &err), GV_OK);
    assert_int_equal(h, 0x8302);
    assert_int_equal(gv_read_u32(&c, &w, "x", &err), GV_OK);
    assert_int_equal(w, 0x87060504u);
    assert_int_equal(gv_read_u64(&c, &d, "x", &err), GV_OK);
    assert_int_equal(d, 0x8f0e0d0c0b0a0908u);
    assert_int_equal(gv_cursor_left(&c), 0);
    assert_int_equal(gv_read_u8(&c, &b, "x", &err), GV_E_FORMAT);
}

/* Every size of data: a read succeeds if and only if it fits, else nothing moves. */
static void no_read_passes_the_end(void **state)
{
    (void)state;
    for (size_t size = 0; size <= 9; size++) {
        uint8_t *exact = test_malloc(size + 1); /* cmocka guards its end */
        memcpy(exact, bytes, size);
        gv_cursor c = gv_cursor_make(exact, size, "a.bin");
        gv_error err;
        uint8_t b = 9;
        uint16_t h = 9;
        uint32_t w = 9;
        uint64_t d = 9;
        c.pos = 0;
        assert_int_equal(gv_read_u8(&c, &b, "x", &err), size >= 1 ? GV_OK : GV_E_FORMAT);
        assert_int_equal(c.pos, size >= 1 ? 1 : 0);
        c.pos = 0;
        assert_int_equal(gv_read_u16(&c, &h, "x", &err), size >= 2 ? GV_OK : GV_E_FORMAT);
        assert_int_equal(c.pos, size >= 2 ? 2 : 0);
        c.pos = 0;
        assert_int_equal(gv_read_u32(&c, &w, "x", &err), size >= 4 ? GV_OK : GV_E_FORMAT);
        assert_int_equal(c.pos, size >= 4 ? 4 : 0);
        c.pos = 0;
        assert_int_equal(gv_read_u64(&c, &d, "x", &err), size >= 8 ? GV_OK : GV_E_FORMAT);
        assert_int_equal(c.pos, size >= 8 ? 8 : 0);
        if (size == 0)
            assert_true(b == 0 && h == 0 && w == 0 && d == 0);
        test_free(exact);
    }
}

static void the_end_is_named(void **state)
{
    (void)state;
    gv_cursor c = gv_cursor_make(bytes, 3, "a.bin");
    gv_error err;
    uint32_t w;
    assert_int_equal(gv_read_u32(&c, &w, "the header's length", &err), GV_E_FORMAT);
    assert_string_equal(err.message, "a.bin: ends at byte 3 inside the header's length");
}

static void byte_ranges(void **state)
{
    (void)state;
    gv_cursor c = gv_cursor_make(bytes, 10, "a.bin");
    gv_error err;
    const uint8_t *p;
    assert_int_equal(gv_read_bytes(&c, &p, 4, "x", &err), GV_OK);
    assert_ptr_equal(p, bytes);
    assert_int_equal(gv_read_bytes(&c, &p, 7, "x", &err), GV_E_FORMAT);
    assert_null(p);
    assert_int_equal(gv_read_bytes(&c, &p, UINT64_MAX, "x", &err), GV_E_FORMAT);
    assert_int_equal(gv_read_bytes(&c, &p, UINT64_MAX - 3, "x", &err), GV_E_FORMAT);
    assert_int_equal(c.pos, 4);
    assert_int_equal(gv_read_bytes(&c, &p, 6, "x", &err), GV_OK);
    assert_int_equal(gv_read_bytes(&c, &p, 0, "x", &err), GV_OK);
}

static void seeking(void **state)
{
    (void)state;
    gv_cursor c = gv_cursor_make(bytes, 10, "a.bin");
    gv_error err;
    assert_int_equal(gv_cursor_seek(&c, 10, "x", &err), GV_OK);
    assert_int_equal(gv_cursor_left(&c), 0);
    assert_int_equal(gv_cursor_seek(&c, 11, "the directory", &err), GV_E_FORMAT);
    assert_string_equal(err.message,
                        "a.bin: the directory is said to be at byte 11, the file has 10");
    assert_int_equal(gv_cursor_seek(&c, UINT64_MAX, "x", &err), GV_E_FORMAT);
    assert_int_equal(c.pos, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_little_endian),
        cmocka_unit_test(no_read_passes_the_end),
        cmocka_unit_test(the_end_is_named),
        cmocka_unit_test(byte_ranges),
        cmocka_unit_test(seeking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
