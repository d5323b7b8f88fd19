#include "base/error.h"
#include "support.h"

#include <string.h>

static void the_sentence_is_written(void **state)
{
    (void)state;
    gv_error err = {0};
    assert_int_equal(gv_fail(&err, GV_E_IO, "%s: %d bytes", "a.pth", 7), GV_E_IO);
    assert_int_equal(err.status, GV_E_IO);
    assert_string_equal(err.message, "a.pth: 7 bytes");
}

static void no_error_object_is_fine(void **state)
{
    (void)state;
    assert_int_equal(gv_fail(NULL, GV_E_ARG, "%d", 1), GV_E_ARG);
    assert_int_equal(gv_fail_memory(NULL, 1), GV_E_MEMORY);
    gv_error_clear(NULL);
}

static void long_text_ends_in_dots(void **state)
{
    (void)state;
    char text[1000];
    gv_error err;
    for (size_t length = sizeof err.message - 3; length < sizeof err.message + 3; length++) {
        memset(text, 'x', length);
        text[length] = '\0';
        assert_int_equal(gv_fail(&err, GV_E_ARG, "%s", text), GV_E_ARG);
        size_t kept = strlen(err.message);
        if (length < sizeof err.message) {
            assert_string_equal(err.message, text);
        } else {
            assert_int_equal(kept, sizeof err.message - 1);
            assert_string_equal(err.message + kept - 4, "x...");
        }
    }
}

static void control_characters_are_replaced(void **state)
{
    (void)state;
    gv_error err;
    assert_int_equal(gv_fail(&err, GV_E_FORMAT, "%s", "a\x1b[31m\n\x7f\xc3\xa9"), GV_E_FORMAT);
    assert_string_equal(err.message, "a?[31m??\xc3\xa9");
}

static void a_sentence_may_go_into_the_next(void **state)
{
    (void)state;
    gv_error err;
    assert_int_equal(gv_fail(&err, GV_E_ARG, "%s", "threads is -1"), GV_E_ARG);
    assert_int_equal(gv_fail(&err, GV_E_IO, "sample: %s; %s", err.message, err.message), GV_E_IO);
    assert_string_equal(err.message, "sample: threads is -1; threads is -1");
}

static void memory_and_clear(void **state)
{
    (void)state;
    gv_error err;
    assert_int_equal(gv_fail_memory(&err, 12345), GV_E_MEMORY);
    assert_non_null(strstr(err.message, "12345"));
    gv_error_clear(&err);
    assert_int_equal(err.status, GV_OK);
    assert_string_equal(err.message, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sentence_is_written),
        cmocka_unit_test(no_error_object_is_fine),
        cmocka_unit_test(long_text_ends_in_dots),
        cmocka_unit_test(control_characters_are_replaced),
        cmocka_unit_test(a_sentence_may_go_into_the_next),
        cmocka_unit_test(memory_and_clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
