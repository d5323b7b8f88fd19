/* Inputs to pictures and the names of their results. */
#include "job/batch.h"
#include "support.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void touch(const char *name, const char *content)
{
    FILE *f = fopen(gv_test_scratch(name), "wb");
    assert_non_null(f);
    fputs(content, f);
    fclose(f);
}

static void folder(const char *name)
{
    assert_int_equal(mkdir(gv_test_scratch(name), 0777), 0);
}

/* The names, each followed by a blank. */
static const char *names_of(const gv_batch *b)
{
    static char text[1024];
    text[0] = '\0';
    for (int64_t i = 0; i < b->count; i++) {
        strcat(text, b->items[i].name);
        strcat(text, " ");
    }
    return text;
}

static void expect(const char *want, bool many, int count, const char *const *inputs,
                   const int64_t *snapshots, int64_t shots)
{
    gv_batch b;
    gv_error err;
    char *copies[8];
    for (int i = 0; i < count; i++) {
        copies[i] = strdup(gv_test_scratch(inputs[i]));
        assert_non_null(copies[i]);
    }
    if (gv_batch_init(&b, copies, count, gv_test_scratch("tree/out"), snapshots, shots, &err) !=
        GV_OK)
        fail_msg("%s", err.message);
    assert_string_equal(names_of(&b), want);
    assert_int_equal(b.many, many);
    gv_batch_deinit(&b);
    for (int i = 0; i < count; i++)
        free(copies[i]);
}
#define EXPECT(want, many, ...)                                                                    \
    expect(want, many, (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)),              \
           (const char *[]){__VA_ARGS__}, NULL, 0)

static int make_tree(void **state)
{
    (void)state;
    static const char *const folders[] = {"tree", "tree/a", "tree/b", "tree/out"};
    static const char *const files[] = {
        "tree/a/cat.jpg",   "tree/a/cat.png", "tree/a/.hidden.png", "tree/b/cat.JPEG",
        "tree/b/notes.doc", "tree/dog.webp",  "tree/out/old.png",   "tree/index.png"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        folder(folders[i]);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        touch(files[i], "");
    touch("tree/list.txt", "# a comment\r\nb/cat.JPEG\n\na/cat.png\na/../a/cat.png\r\ngone.png");
    return 0;
}

static void one_picture_is_no_batch(void **state)
{
    (void)state;
    EXPECT("cat ", false, "tree/a/cat.jpg");
    EXPECT("gone ", false, "tree/gone.png");       /* its absence is told when it is opened */
    EXPECT("index.png ", false, "tree/index.png"); /* index.csv is the batch's */
}

static void folders_give_their_pictures_in_order(void **state)
{
    (void)state;
    /* The output folder, hidden files and other kinds are left out. */
    EXPECT("a/cat.jpg a/cat.png b/cat dog index.png ", true, "tree");
    EXPECT("cat ", true, "tree/b");
    assert_int_equal(symlink("..", gv_test_scratch("tree/b/circle")), 0);
    EXPECT("cat ", true, "tree/b");
}

static void names_keep_what_lies_below_the_common_parent(void **state)
{
    (void)state;
    EXPECT("a/cat b/cat ", true, "tree/a/cat.png", "tree/b/cat.JPEG");
    EXPECT("cat.jpg cat.png ", true, "tree/a/cat.jpg", "tree/a/cat.png");
    EXPECT("cat.jpg cat.png ", true, "tree/a/cat.jpg", "tree/a/../a//cat.png", "tree/a/cat.png");
    EXPECT("a/cat dog ", true, "tree/a/cat.jpg", "tree/dog.webp");
}

static void lists_are_relative_to_themselves(void **state)
{
    (void)state;
    EXPECT("b/cat a/cat gone ", true, "tree/list.txt");
}

static void clashes_are_found_again_and_again(void **state)
{
    (void)state;
    EXPECT("x.png.png x.png x.jpg ", true, "tree/x.png.png", "tree/x.png", "tree/x.jpg");
    /* cat-0250.png is what cat.jpg leaves after 250 evaluations. */
    const int64_t shots[] = {100, 250};
    const char *const inputs[] = {"tree/cat.jpg", "tree/cat-0250.jpg", "tree/cat-0251.jpg",
                                  "tree/owl-0250.jpg"};
    expect("cat cat-0250.jpg cat-0251 owl-0250 ", true, 4, inputs, shots, 2);
}

static void nothing_is_an_error(void **state)
{
    (void)state;
    gv_batch b;
    gv_error err;
    folder("empty");
    char *inputs[1] = {(char *)(uintptr_t)gv_test_scratch("empty")};
    assert_int_equal(gv_batch_init(&b, inputs, 1, "out", NULL, 0, &err), GV_E_ARG);
    assert_non_null(strstr(err.message, "empty: holds no pictures"));
    gv_batch_deinit(&b);
    inputs[0] = (char *)(uintptr_t)gv_test_scratch("no.txt");
    assert_int_equal(gv_batch_init(&b, inputs, 1, "out", NULL, 0, &err), GV_E_IO);
    gv_batch_deinit(&b);
}

static gv_status batch_once(void *ctx, gv_error *err)
{
    gv_batch b;
    char *inputs[1] = {ctx};
    gv_status status = gv_batch_init(&b, inputs, 1, "out", NULL, 0, err);
    gv_batch_deinit(&b);
    return status;
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s", gv_test_scratch("tree/list.txt"));
    assert_true(gv_test_fail_each_allocation(batch_once, path) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_picture_is_no_batch),
        cmocka_unit_test(folders_give_their_pictures_in_order),
        cmocka_unit_test(names_keep_what_lies_below_the_common_parent),
        cmocka_unit_test(lists_are_relative_to_themselves),
        cmocka_unit_test(clashes_are_found_again_and_again),
        cmocka_unit_test(nothing_is_an_error),
        cmocka_unit_test(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, make_tree, NULL);
}
