/* No operation without a check: every builder that graph.h declares must be called by a
 * tests/graph/test_ops_*.c, whose last test then fails if the operation it makes was not reached.
 */
#include "support.h"

#include "base/file.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES = 1 << 20 };

/* The file's text, appended to text. */
static void append_file(char *text, const char *path)
{
    gv_file f;
    gv_error err;
    if (gv_file_open(&f, path, &err) != GV_OK)
        fail_msg("%s", err.message);
    size_t used = strlen(text);
    assert_true(used + f.size < TEXT_BYTES);
    memcpy(text + used, f.data, f.size);
    text[used + f.size] = '\0';
    gv_file_close(&f);
}

static void append_tests(char *text)
{
    char path[300];
    DIR *folder = opendir(gv_test_source("tests/graph"));
    assert_non_null(folder);
    for (struct dirent *e; (e = readdir(folder)) != NULL;)
        if (strncmp(e->d_name, "test_ops_", 9) == 0 && strcmp(e->d_name, "test_ops_list.c") != 0) {
            snprintf(path, sizeof path, "tests/graph/%.250s", e->d_name);
            append_file(text, gv_test_source(path));
        }
    closedir(folder);
}

static void every_builder_is_called(void **state)
{
    (void)state;
    char *header = calloc(1, TEXT_BYTES), *tests = calloc(1, TEXT_BYTES);
    assert_true(header && tests);
    append_file(header, gv_test_source("src/graph/graph.h"));
    append_tests(tests);
    char *at = strstr(header, "==== operations");
    assert_non_null(at);
    const char start[] = "gv_status gv_graph_";
    int count = 0;
    while ((at = strstr(at, start)) != NULL) {
        char call[100];
        at += strlen("gv_status ");
        snprintf(call, sizeof call, "%.*s(", (int)strcspn(at, "("), at);
        if (!strstr(tests, call))
            fail_msg("no tests/graph/test_ops_*.c calls %s...)", call);
        count++;
    }
    assert_true(count >= 18);
    free(header);
    free(tests);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_builder_is_called)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
