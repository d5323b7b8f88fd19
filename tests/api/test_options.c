/* The command line, the table behind it, and settings as JSON and as a line. */
#include "ganvas.h"

#include "api/options.h"
#include "base/memory.h"
#include "support.h"

#include <string.h>

static ganvas_settings *parsed(const char *command, int count, const char *const *words)
{
    ganvas_settings *s;
    gv_error err;
    assert_int_equal(ganvas_settings_new(&s, command, NULL), GANVAS_OK);
    if (ganvas_settings_parse(s, count, words, &err) != GANVAS_OK)
        fail_msg("%s", err.message);
    return s;
}
#define PARSED(command, ...)                                                                       \
    parsed(command, (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)),                 \
           (const char *[]){__VA_ARGS__})

/* Parsing must fail with exactly this sentence. */
static void refuse(const char *command, const char *message, int count, const char *const *words)
{
    ganvas_settings *s;
    gv_error err = {0};
    assert_int_equal(ganvas_settings_new(&s, command, NULL), GANVAS_OK);
    assert_int_equal(ganvas_settings_parse(s, count, words, &err), GANVAS_E_ARG);
    assert_string_equal(err.message, message);
    ganvas_settings_free(s);
}
#define REFUSE(command, message, ...)                                                              \
    refuse(command, message, (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)),        \
           (const char *[]){__VA_ARGS__})

static void every_form_of_an_option(void **state)
{
    (void)state;
    ganvas_settings *s = PARSED("sample", "--psi", "-0.5", "--noise=none", "-oout/", "-m", "x.pkl",
                                "--raw", "--force=true");
    assert_string_equal(ganvas_settings_get(s, "psi"), "-0.5");
    assert_string_equal(ganvas_settings_get(s, "noise"), "none");
    assert_string_equal(ganvas_settings_get(s, "out"), "out/");
    assert_string_equal(ganvas_settings_get(s, "model"), "x.pkl");
    assert_true(ganvas_settings_flag(s, "raw") && ganvas_settings_flag(s, "force"));
    assert_false(ganvas_settings_flag(s, "json"));
    assert_string_equal(ganvas_settings_get(s, "seeds"), "0-15");
    assert_null(ganvas_settings_get(s, "latents"));
    assert_null(ganvas_settings_get(s, "no-such"));
    ganvas_settings_free(s);

    s = PARSED("convert", "--", "--in", "out.safetensors");
    ganvas_settings_free(s);
    s = PARSED("sample", "--help", "--nonsense");
    assert_true(ganvas_settings_flag(s, "help"));
    ganvas_settings_free(s);
}

static void wrong_usage_is_one_sentence(void **state)
{
    (void)state;
    REFUSE("sample", "sample needs -o OUT", "--psi", "1");
    REFUSE("sample", "sample has no option 'psy', did you mean '--psi'?", "--psy", "1");
    REFUSE("sample", "sample has no option 'sedes', did you mean '--seeds'?", "--sedes=1");
    REFUSE("sample", "sample has no option 'qqqqqq'; `ganvas sample --help` lists them",
           "--qqqqqq");
    REFUSE("sample", "sample has no option 'x'; `ganvas sample --help` lists them", "-x");
    REFUSE("sample", "--psi needs a value", "--psi");
    REFUSE("sample", "--psi: 'abc' is not a number", "--psi", "abc");
    REFUSE("sample", "--psi: '0x1' is not a number", "--psi", "0x1");
    REFUSE("sample", "--psi: 'nan' is not a number", "--psi", "nan");
    REFUSE("sample", "--psi: 11 is not in -10 to 10", "--psi", "11");
    REFUSE("sample", "--cutoff: 'al' is not a whole number or all", "--cutoff", "al");
    REFUSE("sample", "--noise: 'fixed' is none of const|random|none", "--noise", "fixed");
    REFUSE("sample", "--raw: takes no value", "--raw=7");
    REFUSE("sample", "-q takes no value, found '-qj'", "-qj");
    REFUSE("sample", "--seeds: 5-2 runs backwards", "--seeds", "1,5-2");
    REFUSE("sample", "--seeds: '1,' is not a list of numbers such as 0-15,20", "--seeds", "1,");
    REFUSE("sample", "--seeds: 4294967296 is not in 0 to 4294967295", "--seeds", "4294967296");
    REFUSE("sample", "--seeds: more than 1000000 numbers", "--seeds", "0-1000000");
    REFUSE("sample", "--model: is empty", "--model", "");
    REFUSE("sample", "sample takes options only, found 'a.png'", "-o", "x.png", "a.png");
    REFUSE("inspect", "inspect needs FILE", "--json");
    REFUSE("convert", "convert takes IN OUT.safetensors, found 'c' too many", "a", "b", "c");

    ganvas_settings *s;
    gv_error err;
    assert_int_equal(ganvas_settings_new(&s, "smaple", &err), GANVAS_E_ARG);
    assert_string_equal(err.message, "unknown command 'smaple', did you mean 'sample'?");
    assert_null(s);
    assert_int_equal(ganvas_settings_new(&s, "xyzzy", &err), GANVAS_E_ARG);
    assert_string_equal(err.message, "unknown command 'xyzzy'; `ganvas help` lists them");
}

static void lists_of_numbers(void **state)
{
    (void)state;
    int64_t *numbers, count;
    assert_int_equal(gv_parse_numbers(&numbers, &count, "0-2,85,7-7", NULL), GV_OK);
    const int64_t want[] = {0, 1, 2, 85, 7};
    assert_int_equal(count, 5);
    assert_memory_equal(numbers, want, sizeof want);
    gv_mem_free(numbers);
}

static void the_line_leaves_defaults_out_and_quotes(void **state)
{
    (void)state;
    char *line;
    ganvas_settings *s = PARSED("sample", "--psi", "0.7", "--noise", "const", "-o",
                                "my dir/it's.png", "--raw", "--json");
    assert_int_equal(ganvas_settings_write_line(s, &line, NULL), GANVAS_OK);
    assert_string_equal(line, "ganvas sample --psi 0.7 -o 'my dir/it'\\''s.png' --raw");
    ganvas_free(line);
    ganvas_settings_free(s);
}

static void json_there_and_back(void **state)
{
    (void)state;
    char *json, *again, *line, *line_again;
    ganvas_settings *s =
        PARSED("sample", "--psi", "0.7", "--class", "3", "-o", "a.png", "--seeds", "1-3,9");
    ganvas_settings *t;
    assert_int_equal(ganvas_settings_write_json(s, &json, NULL), GANVAS_OK);
    assert_non_null(strstr(json, "\"psi\": 0.7"));
    assert_non_null(strstr(json, "\"class\": 3"));
    assert_null(strstr(json, "threads"));
    assert_int_equal(ganvas_settings_read_json(&t, json, NULL), GANVAS_OK);
    assert_int_equal(ganvas_settings_write_json(t, &again, NULL), GANVAS_OK);
    assert_string_equal(json, again);
    assert_int_equal(ganvas_settings_write_line(s, &line, NULL), GANVAS_OK);
    assert_int_equal(ganvas_settings_write_line(t, &line_again, NULL), GANVAS_OK);
    assert_string_equal(line, line_again);
    ganvas_free(json);
    ganvas_free(again);
    ganvas_free(line);
    ganvas_free(line_again);
    ganvas_settings_free(s);
    ganvas_settings_free(t);
}

static void bad_json_is_refused(void **state)
{
    (void)state;
    const char *bad[] = {
        "",
        "[]",
        "{}",
        "{\"command\": 3}",
        "{\"command\": \"nothing\"}",
        "{\"command\": \"sample\"}", /* no -o */
        "{\"command\": \"sample\", \"options\": []}",
        "{\"command\": \"sample\", \"options\": {\"out\": \"a.png\", \"psi\": \"x\"}}",
        "{\"command\": \"sample\", \"options\": {\"out\": \"a.png\", \"psi\": {}}}",
        "{\"command\": \"sample\", \"options\": {\"out\": \"a.png\", \"spi\": 1}}",
        "{\"command\": \"inspect\", \"inputs\": [3]}",
        "{\"command\": \"inspect\", \"inputs\": [\"a\", \"b\"]}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ganvas_settings *s;
        gv_error err = {0};
        assert_int_not_equal(ganvas_settings_read_json(&s, bad[i], &err), GANVAS_OK);
        assert_null(s);
        assert_true(strlen(err.message) > 10);
    }
}

/* The table itself: presets fit their options, names and letters are unique in each command. */
static void the_table_is_sound(void **state)
{
    (void)state;
    for (int i = 0; i < gv_options_count; i++) {
        const gv_option *o = &gv_options[i];
        gv_error err = {0};
        if (o->preset != NULL && gv_option_check(o, o->preset, &err) != GV_OK)
            fail_msg("%s", err.message);
        if (o->kind == GV_OPTION_CHOICE)
            assert_int_equal(strncmp(o->words, o->preset, strlen(o->preset)), 0);
        assert_true(o->commands != 0 && (o->needed & ~o->commands) == 0 && strlen(o->help) > 5);
        assert_true(o->needed == 0 || o->letter != 0); /* the usage line shows letters */
        for (int k = 0; k < i; k++)
            if ((gv_options[k].commands & o->commands) != 0) {
                assert_string_not_equal(gv_options[k].name, o->name);
                assert_true(o->letter == 0 || gv_options[k].letter != o->letter);
            }
    }
    for (int i = 0; i < GV_COMMANDS; i++)
        assert_int_equal(gv_commands[i].id, i);
}

static gv_status settings_once(void *ctx, gv_error *err)
{
    (void)ctx;
    ganvas_settings *s = NULL;
    char *line = NULL;
    const char *words[] = {"-o", "a b.png", "--seeds", "3"};
    gv_status status;
    GV_TRY(ganvas_settings_new(&s, "sample", err));
    GV_TRY(ganvas_settings_parse(s, 4, words, err));
    status = ganvas_settings_write_line(s, &line, err);
done:
    ganvas_free(line);
    ganvas_settings_free(s);
    return status;
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(gv_test_fail_each_allocation(settings_once, NULL) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_of_an_option),
        cmocka_unit_test(wrong_usage_is_one_sentence),
        cmocka_unit_test(lists_of_numbers),
        cmocka_unit_test(the_line_leaves_defaults_out_and_quotes),
        cmocka_unit_test(json_there_and_back),
        cmocka_unit_test(bad_json_is_refused),
        cmocka_unit_test(the_table_is_sound),
        cmocka_unit_test(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
