#include "base/memory.h"
#include "image/png.h"
#include "support.h"

#include <string.h>

/* Signature, IHDR, a foreign tEXt, ours, IEND; checksums are not looked at. */
static const uint8_t file[] = "\x89PNG\r\n\x1a\n"
                              "\0\0\0\x04IHDR....crc0"
                              "\0\0\0\x08tEXtganvasX\0crc1"
                              "\0\0\0\x09tEXtganvas\0{}crc2"
                              "\0\0\0\0IENDcrc3";
static const size_t size = sizeof file - 1;

static void the_record_is_found(void **state)
{
    (void)state;
    const char *text;
    size_t length;
    assert_int_equal(gv_png_record(&text, &length, file, size, "a.png", NULL), GV_OK);
    assert_int_equal(length, 2);
    assert_memory_equal(text, "{}", 2);
}

static void every_truncation_is_an_error(void **state)
{
    (void)state;
    const char *text;
    size_t length;
    size_t end = size - 12; /* the record is whole from here on */
    for (size_t cut = 0; cut < end; cut++) {
        gv_error err = {0};
        assert_int_equal(gv_png_record(&text, &length, file, cut, "a.png", &err), GV_E_FORMAT);
        assert_null(text);
        assert_non_null(strstr(err.message, "a.png: "));
    }
    assert_int_equal(gv_png_record(&text, &length, file, end, "a.png", NULL), GV_OK);
}

static void a_length_past_the_end_is_an_error(void **state)
{
    (void)state;
    uint8_t copy[sizeof file];
    memcpy(copy, file, sizeof file);
    memset(copy + 8, 0xff, 4);
    const char *text;
    size_t length;
    assert_int_equal(gv_png_record(&text, &length, copy, size, "a.png", NULL), GV_E_FORMAT);
}

static void a_record_is_added(void **state)
{
    (void)state;
    uint8_t *out;
    const char *text;
    size_t out_size, length;
    /* A real header, so that the chunk's place is right. */
    static const uint8_t plain[] = "\x89PNG\r\n\x1a\n"
                                   "\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0crc0"
                                   "\0\0\0\0IEND\xae\x42\x60\x82";
    assert_int_equal(gv_png_add_record(&out, &out_size, plain, sizeof plain - 1, "{\"a\":1}", NULL),
                     GV_OK);
    assert_int_equal(gv_png_record(&text, &length, out, out_size, "out", NULL), GV_OK);
    assert_int_equal(length, 7);
    assert_memory_equal(text, "{\"a\":1}", 7);
    /* zlib.crc32(b'tEXtganvas\0{"a":1}') */
    const uint8_t crc[4] = {0xea, 0xa4, 0x0f, 0x84};
    assert_memory_equal(text + 7, crc, 4);
    assert_memory_equal(text + 11, plain + 33, sizeof plain - 34);
    gv_mem_free(out);
    assert_int_equal(gv_png_add_record(&out, &out_size, plain, 20, "{}", NULL), GV_E_ARG);
    assert_null(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_record_is_found),
        cmocka_unit_test(every_truncation_is_an_error),
        cmocka_unit_test(a_length_past_the_end_is_an_error),
        cmocka_unit_test(a_record_is_added),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
