/* The report: what it holds, and that nothing in it can become markup. */
#include "job/report.h"

#include "base/memory.h"
#include "support.h"

#include <string.h>

static int64_t count_of(const char *text, const char *word)
{
    int64_t count = 0;
    for (; (text = strstr(text, word)) != NULL; text += strlen(word))
        count++;
    return count;
}

static void png_bytes_as_base64(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *want;
    } cases[] = {
        {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"\xff\xfe\xfd>?", "//79Pj8="}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        gv_text t = {0};
        gv_text_add_png_uri(&t, (const uint8_t *)cases[i].bytes, strlen(cases[i].bytes));
        assert_int_equal(strncmp(t.data, "data:image/png;base64,", 22), 0);
        assert_string_equal(t.data + 22, cases[i].want);
        gv_text_deinit(&t);
    }
}

static void a_whole_page(void **state)
{
    (void)state;
    const gv_report_picture pictures[] = {{"target", NULL, "data:image/png;base64,AAAA"},
                                          {"result", "loss <1>", "data:image/png;base64,BBBB"}};
    const gv_report_fact facts[] = {{"LPIPS", "0.1"}, {"note", "a \"b\" & <c>"}};
    const gv_report_point curve[] = {{1, 0, 4, 0}, {2, 0, 9, 1}, {3, 0, 1, 0}, {4, 0, 2, 0}};
    const gv_report_item item = {.title = "<script>alert(1)</script>",
                                 .sentence = "does not reach",
                                 .pictures = pictures,
                                 .starts = pictures,
                                 .picture_count = 2,
                                 .start_count = 2,
                                 .best_start = 1,
                                 .facts = facts,
                                 .fact_count = 2,
                                 .curve = curve,
                                 .curve_count = 4};
    gv_text t = {0};
    gv_report_begin(&t, "ganvas invert", "ganvas invert 'a<b'", facts, 1);
    gv_report_add(&t, &item);
    gv_report_say(&t, "1 < 2");
    gv_report_end(&t);
    assert_false(t.failed);
    assert_int_equal(strncmp(t.data, "<!doctype html>", 15), 0);
    assert_null(strstr(t.data, "<script"));
    assert_null(strstr(t.data, "<c>"));
    assert_non_null(strstr(t.data, "a &quot;b&quot; &amp; &lt;c&gt;"));
    assert_null(strstr(t.data, "http")); /* it needs no other file */
    assert_int_equal(count_of(t.data, "<img "), 4);
    assert_int_equal(count_of(t.data, "<figure class=\"best\">"), 1);
    assert_int_equal(count_of(t.data, "<polyline class=\"other\""), 1);
    /* The best start's line: start 1 has one point. */
    const char *line = strstr(t.data, "<polyline class=\"curve\" points=\"");
    assert_non_null(line);
    assert_int_equal(count_of(t.data, "</section>"), 1);
    assert_int_equal(count_of(t.data, "nan"), 0);
    gv_text_deinit(&t);
}

/* Curves that a logarithmic axis must survive. */
static void odd_curves(void **state)
{
    (void)state;
    static const gv_report_point curves[][3] = {
        {{0, 0, 0, 0}, {1, 0, 0, 0}, {2, 0, 0, 0}},
        {{1, 0, 5, 0}, {2, 0, 5, 0}, {3, 0, 5, 0}},
        {{1, 0, 1e-30, 0}, {2, 0, 1e30, 0}, {1e7, 0, 1, 0}},
        {{1, 0, 1.0001, 0}, {2, 0, 1.0, 0}, {3, 0, 0.9999, 0}},
    };
    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++) {
        gv_report_item item = {.title = "x", .curve = curves[i], .curve_count = 3};
        gv_text t = {0};
        gv_report_add(&t, &item);
        assert_false(t.failed);
        assert_int_equal(count_of(t.data, "nan"), 0);
        assert_int_equal(count_of(t.data, "inf"), 0);
        assert_true(t.length < 60000);
        gv_text_deinit(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(png_bytes_as_base64),
        cmocka_unit_test(a_whole_page),
        cmocka_unit_test(odd_curves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
