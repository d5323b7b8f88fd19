#include "base/file.h"
#include "base/memory.h"
#include "support.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

static const char *in_folder(const char *name)
{
    static char paths[4][400];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/ganvas-test-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

/* How many names the folder holds; with `clear` they are removed. */
static int count_names(bool clear)
{
    int count = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *d = readdir(dir); d; d = readdir(dir)) {
        if (d->d_name[0] == '.')
            continue;
        count++;
        if (clear)
            assert_int_equal(remove(in_folder(d->d_name)), 0);
    }
    closedir(dir);
    return count;
}

static int remove_folder(void **state)
{
    (void)state;
    count_names(true);
    return rmdir(folder);
}

static void put_text(const char *path, const char *text)
{
    gv_error err;
    gv_writer *w;
    assert_int_equal(gv_writer_open(&w, path, &err), GV_OK);
    assert_int_equal(gv_writer_put(w, text, strlen(text), &err), GV_OK);
    assert_int_equal(gv_writer_commit(w, &err), GV_OK);
}

static void assert_content(const char *path, const void *data, size_t size)
{
    gv_file f;
    gv_error err;
    assert_int_equal(gv_file_open(&f, path, &err), GV_OK);
    assert_int_equal(f.size, size);
    if (size > 0)
        gv_test_same_bits(f.data, data, size, path);
    gv_file_close(&f);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    enum { SIZE = 100000 };
    uint8_t *data = test_malloc(SIZE);
    for (int i = 0; i < SIZE; i++)
        data[i] = (uint8_t)(i * 31 + (i >> 8));
    /* Pieces below, at and above the size of the writer's buffer. */
    static const size_t pieces[] = {0, 1, 100, 32768, 32767, 1, 1, 33000, 1000};
    gv_error err;
    gv_writer *w;
    size_t at = 0;
    assert_int_equal(gv_writer_open(&w, in_folder("a"), &err), GV_OK);
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        assert_int_equal(gv_writer_put(w, data + at, pieces[i], &err), GV_OK);
        at += pieces[i];
    }
    assert_int_equal(gv_writer_commit(w, &err), GV_OK);
    assert_content(in_folder("a"), data, at);
    assert_int_equal(count_names(true), 1);
    test_free(data);
}

static void the_old_content_stays_until_commit(void **state)
{
    (void)state;
    gv_error err;
    gv_writer *w;
    put_text(in_folder("a"), "old");
    assert_int_equal(gv_writer_open(&w, in_folder("a"), &err), GV_OK);
    assert_int_equal(gv_writer_put(w, "new", 3, &err), GV_OK);
    assert_content(in_folder("a"), "old", 3);
    gv_writer_abort(w);
    assert_content(in_folder("a"), "old", 3);
    assert_int_equal(count_names(false), 1);
    put_text(in_folder("a"), "newer");
    assert_content(in_folder("a"), "newer", 5);
    assert_int_equal(count_names(true), 1);
    gv_writer_abort(NULL);
}

static void two_writers_of_one_file_do_not_meet(void **state)
{
    (void)state;
    gv_error err;
    gv_writer *a, *b;
    assert_int_equal(gv_writer_open(&a, in_folder("a"), &err), GV_OK);
    assert_int_equal(gv_writer_open(&b, in_folder("a"), &err), GV_OK);
    assert_int_equal(gv_writer_put(a, "first", 5, &err), GV_OK);
    assert_int_equal(gv_writer_put(b, "second", 6, &err), GV_OK);
    assert_int_equal(gv_writer_commit(b, &err), GV_OK);
    assert_int_equal(gv_writer_commit(a, &err), GV_OK);
    assert_content(in_folder("a"), "first", 5);
    assert_int_equal(count_names(true), 1);
}

static void refusals_name_path_and_reason(void **state)
{
    (void)state;
    gv_file f;
    gv_error err;
    gv_writer *w;
    char text[300];

    assert_int_equal(gv_file_open(&f, in_folder("missing"), &err), GV_E_IO);
    snprintf(text, sizeof text, "%s: cannot be opened: No such file or directory",
             in_folder("missing"));
    assert_string_equal(err.message, text);
    assert_true(!f.data && f.size == 0 && !f.path);

    assert_int_equal(gv_file_open(&f, folder, &err), GV_E_IO);
    snprintf(text, sizeof text, "%s: cannot be read: Is a directory", folder);
    assert_string_equal(err.message, text);

    assert_int_equal(mkfifo(in_folder("pipe"), 0600), 0);
    assert_int_equal(gv_file_open(&f, in_folder("pipe"), &err), GV_E_IO);
    snprintf(text, sizeof text, "%s: is not a regular file", in_folder("pipe"));
    assert_string_equal(err.message, text);

    assert_int_equal(gv_writer_open(&w, in_folder("pipe"), &err), GV_E_IO);
    assert_null(w);
    assert_int_equal(gv_writer_open(&w, folder, &err), GV_E_IO);
    assert_int_equal(gv_writer_open(&w, in_folder("no/such"), &err), GV_E_IO);
    snprintf(text, sizeof text, "%s: cannot be created: No such file or directory",
             in_folder("no/such"));
    assert_string_equal(err.message, text);
    assert_int_equal(count_names(true), 1);
}

static void a_refused_write_is_said_so(void **state)
{
    (void)state;
    /* The system refuses bytes past the limit, as it does on a full disk. */
    static uint8_t data[100000];
    struct rlimit before, small = {.rlim_cur = 50000};
    getrlimit(RLIMIT_FSIZE, &before);
    small.rlim_max = before.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    gv_error err = {0};
    char text[300];
    snprintf(text, sizeof text, "%s: cannot be written: File too large", in_folder("a"));

    for (size_t piece = 30000; piece <= sizeof data; piece += 70000) {
        gv_writer *w;
        gv_status status = GV_OK;
        assert_int_equal(gv_writer_open(&w, in_folder("a"), &err), GV_OK);
        setrlimit(RLIMIT_FSIZE, &small);
        for (size_t at = 0; at < sizeof data && status == GV_OK; at += piece)
            status = gv_writer_put(w, data, piece, &err);
        setrlimit(RLIMIT_FSIZE, &before);
        assert_int_equal(status, GV_E_IO);
        assert_string_equal(err.message, text);
        gv_writer_abort(w);
        assert_int_equal(count_names(false), 0);
    }
    /* Refused at the very end: the buffer is written by commit. */
    gv_writer *w;
    small.rlim_cur = 10;
    assert_int_equal(gv_writer_open(&w, in_folder("a"), &err), GV_OK);
    assert_int_equal(gv_writer_put(w, data, 100, &err), GV_OK);
    setrlimit(RLIMIT_FSIZE, &small);
    gv_status status = gv_writer_commit(w, &err);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(status, GV_E_IO);
    assert_string_equal(err.message, text);
    assert_int_equal(count_names(false), 0);
}

static void empty_files(void **state)
{
    (void)state;
    gv_file f;
    gv_error err;
    put_text(in_folder("empty"), "");
    assert_int_equal(gv_file_open(&f, in_folder("empty"), &err), GV_OK);
    assert_true(f.size == 0 && !f.data);
    gv_file_release(&f);
    gv_file_close(&f);
    gv_file_close(&f);
    count_names(true);
}

static void wrapped_memory_stays_the_callers(void **state)
{
    (void)state;
    gv_file f;
    gv_error err;
    char data[] = "abc";
    assert_int_equal(gv_file_wrap(&f, data, 3, "buffer", &err), GV_OK);
    assert_ptr_equal(f.data, data);
    assert_string_equal(f.path, "buffer");
    gv_file_release(&f);
    assert_string_equal(data, "abc");
    gv_file_close(&f);
    assert_string_equal(data, "abc");
}

static gv_status write_and_read(void *ctx, gv_error *err)
{
    (void)ctx;
    gv_file f = {0};
    gv_writer *w;
    gv_status status;
    GV_TRY(gv_writer_open(&w, in_folder("a"), err));
    GV_TRY(gv_writer_commit(w, err));
    GV_TRY(gv_file_open(&f, in_folder("a"), err));
    gv_file_close(&f);
    GV_TRY(gv_file_wrap(&f, "x", 1, "name", err));
done:
    gv_file_close(&f);
    return status;
}

static void allocations_fail_in_turn(void **state)
{
    (void)state;
    assert_int_equal(gv_test_fail_each_allocation(write_and_read, NULL), 5);
    assert_int_equal(count_names(true), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(the_old_content_stays_until_commit),
        cmocka_unit_test(two_writers_of_one_file_do_not_meet),
        cmocka_unit_test(refusals_name_path_and_reason),
        cmocka_unit_test(a_refused_write_is_said_so),
        cmocka_unit_test(empty_files),
        cmocka_unit_test(wrapped_memory_stays_the_callers),
        cmocka_unit_test(allocations_fail_in_turn),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
