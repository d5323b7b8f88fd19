#include "ganvas.h"

#include "api/options.h"
#include "support.h"

#include <stdio.h>
#include <string.h>

static void help_names_every_option_and_fits_80_columns(void **state)
{
    (void)state;
    for (int i = -1; i < GV_COMMANDS; i++) {
        char *text;
        assert_int_equal(ganvas_help(i < 0 ? NULL : gv_commands[i].name, &text, NULL), GANVAS_OK);
        for (const char *line = text; *line != '\0';) {
            size_t length = strcspn(line, "\n");
            if (length > 80)
                fail_msg("longer than 80: %.*s", (int)length, line);
            assert_true(length == 0 || line[length - 1] != ' ');
            line += length + (line[length] == '\n');
        }
        for (int k = 0; i >= 0 && k < gv_options_count; k++) {
            char flag[64];
            snprintf(flag, sizeof flag, "--%s", gv_options[k].name);
            bool shown = strstr(text, flag) != NULL;
            if (gv_option_belongs(&gv_options[k], &gv_commands[i]))
                assert_true(shown);
        }
        ganvas_free(text);
    }
    char *text;
    gv_error err;
    assert_int_equal(ganvas_help("benhc", &text, &err), GANVAS_E_ARG);
    assert_string_equal(err.message, "unknown command 'benhc', did you mean 'bench'?");
    assert_null(text);
}

static void the_manual_has_every_command(void **state)
{
    (void)state;
    char *text;
    assert_int_equal(ganvas_manual(&text, NULL), GANVAS_OK);
    assert_int_equal(strncmp(text, ".TH GANVAS 1", 12), 0);
    for (int i = 0; i < GV_COMMANDS; i++) {
        char head[64];
        snprintf(head, sizeof head, "\n.SS ganvas %s", gv_commands[i].name);
        assert_non_null(strstr(text, head));
    }
    ganvas_free(text);
}

static gv_status manual(void *ctx, gv_error *err)
{
    (void)ctx;
    char *text;
    gv_status status = ganvas_manual(&text, err);
    ganvas_free(text);
    return status;
}

static gv_status help(void *ctx, gv_error *err)
{
    (void)ctx;
    char *text;
    gv_status status = ganvas_help("sample", &text, err);
    ganvas_free(text);
    return status;
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(gv_test_fail_each_allocation(manual, NULL) > 2);
    assert_true(gv_test_fail_each_allocation(help, NULL) > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help_names_every_option_and_fits_80_columns),
        cmocka_unit_test(the_manual_has_every_command),
        cmocka_unit_test(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
