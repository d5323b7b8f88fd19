/* ZIP directories: the forms that torch and others write, and every field broken once. */
#include "checkpoint_support.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "checkpoint/zip.h"

enum { END_SIZE = 22 };

static gv_status read_zip(gv_zip *zip, gv_arena *arena, const uint8_t *data, size_t size,
                          gv_error *err)
{
    gv_arena_init(arena, 0);
    return gv_zip_read(zip, data, size, "a.zip", arena, err);
}

static bytes make_archive(bool zip64, bool zeroed)
{
    zip_maker z = {.zip64 = zip64, .zeroed = zeroed};
    zip_add(&z, "b/second", "two", 3);
    zip_add(&z, "a", "", 0);
    zip_add(&z, "b/first", "number one", 10);
    return zip_end(&z, 0);
}

static void check_member(const gv_zip *zip, const char *name, const char *content)
{
    const gv_zip_member *m = gv_zip_find(zip, name, strlen(name));
    assert_non_null(m);
    assert_int_equal(m->size, strlen(content));
    assert_memory_equal(m->data, content, strlen(content));
    assert_int_equal(m->method, GV_ZIP_STORED);
}

static void reads_all_forms(void **state)
{
    (void)state;
    for (int form = 0; form < 4; form++) {
        bytes b = make_archive(form & 1, form & 2);
        gv_arena arena;
        gv_zip zip;
        gv_error err = {0};
        if (read_zip(&zip, &arena, b.data, b.size, &err) != GV_OK)
            fail_msg("form %d: %s", form, err.message);
        assert_int_equal(zip.count, 3);
        check_member(&zip, "a", "");
        check_member(&zip, "b/first", "number one");
        check_member(&zip, "b/second", "two");
        assert_null(gv_zip_find(&zip, "b/", 2));
        assert_null(gv_zip_find(&zip, "c", 1));
        gv_arena_deinit(&arena);
        free(b.data);
    }
}

static void reads_comment_and_empty(void **state)
{
    (void)state;
    bytes b = make_archive(false, false);
    patch(&b, b.size - 2, 9, 2);
    put_text(&b, "PK\5\6 nine");
    assert_int_equal(b.data[b.size - 9], 'P');
    gv_arena arena;
    gv_zip zip;
    assert_int_equal(read_zip(&zip, &arena, b.data, b.size, NULL), GV_OK);
    assert_int_equal(zip.count, 3);
    gv_arena_deinit(&arena);
    free(b.data);

    zip_maker z = {0};
    b = zip_end(&z, 0);
    assert_int_equal(read_zip(&zip, &arena, b.data, b.size, NULL), GV_OK);
    assert_int_equal(zip.count, 0);
    assert_null(gv_zip_find(&zip, "a", 1));
    gv_arena_deinit(&arena);
    free(b.data);
}

static void refuses_truncation(void **state)
{
    (void)state;
    for (int form = 0; form < 4; form++) {
        bytes b = make_archive(form & 1, form & 2);
        for (size_t size = 0; size < b.size; size++) {
            uint8_t *copy = exact_copy(b.data, size);
            gv_arena arena;
            gv_zip zip;
            gv_error err = {0};
            assert_int_equal(read_zip(&zip, &arena, copy, size, &err), GV_E_FORMAT);
            assert_non_null(strstr(err.message, "a.zip: "));
            assert_int_equal(zip.count, 0);
            gv_arena_deinit(&arena);
            free(copy);
        }
        free(b.data);
    }
}

/* Position of the n-th (from 0) record of that signature. */
static size_t find_record(const bytes *b, uint32_t signature, int n)
{
    uint8_t wanted[4] = {(uint8_t)signature, (uint8_t)(signature >> 8), (uint8_t)(signature >> 16),
                         (uint8_t)(signature >> 24)};
    for (size_t i = 0; i + 4 <= b->size; i++) {
        if (memcmp(b->data + i, wanted, 4) == 0 && n-- == 0)
            return i;
    }
    fail_msg("record %08x is not there", signature);
    return 0;
}

static void refuses_bad_fields(void **state)
{
    (void)state;
    static const struct {
        bool zip64;
        uint32_t record;
        int n;
        size_t offset;
        uint64_t value;
        int size;
        gv_status status;
        const char *part;
    } cases[] = {
        {false, 0x06054b50, 0, 10, 4, 2, GV_E_FORMAT, "cannot be described"},
        {false, 0x06054b50, 0, 10, 60000, 2, GV_E_FORMAT, "cannot be described"},
        {false, 0x06054b50, 0, 12, 0x7fffffff, 4, GV_E_FORMAT, "outside the file"},
        {false, 0x06054b50, 0, 16, 0x7fffffff, 4, GV_E_FORMAT, "outside the file"},
        {false, 0x06054b50, 0, 16, 0, 4, GV_E_FORMAT, "no ZIP directory entry"},
        {false, 0x02014b50, 0, 0, 0, 4, GV_E_FORMAT, "no ZIP directory entry"},
        {false, 0x02014b50, 0, 8, 1, 2, GV_E_UNSUPPORTED, "encrypted"},
        {false, 0x02014b50, 0, 20, 4, 4, GV_E_FORMAT, "two sizes"},
        {false, 0x02014b50, 0, 28, 60000, 2, GV_E_FORMAT, "inside the ZIP directory"},
        {false, 0x02014b50, 0, 30, 60000, 2, GV_E_FORMAT, "inside the ZIP directory"},
        {false, 0x02014b50, 0, 32, 60000, 2, GV_E_FORMAT, "inside the ZIP directory"},
        {false, 0x02014b50, 0, 42, 1, 4, GV_E_FORMAT, "does not start at byte 1"},
        {false, 0x02014b50, 0, 42, 0xfffffff0, 4, GV_E_FORMAT, "does not start at byte"},
        {false, 0x02014b50, 0, 46, 'x', 1, GV_E_FORMAT, "another name"},
        {false, 0x04034b50, 0, 26, 60000, 2, GV_E_FORMAT, "ends past byte"},
        {false, 0x04034b50, 0, 26, 7, 2, GV_E_FORMAT, "another name"},
        {false, 0x04034b50, 0, 28, 60000, 2, GV_E_FORMAT, "ends past byte"},
        {false, 0x04034b50, 0, 28, 1, 2, GV_E_FORMAT, "overlap"},
        {true, 0x07064b50, 0, 8, 0x7fffffff, 4, GV_E_FORMAT, "zip64 end record"},
        {true, 0x07064b50, 0, 8, UINT64_MAX, 8, GV_E_FORMAT, "zip64 end record"},
        {true, 0x07064b50, 0, 0, 0, 4, GV_E_FORMAT, "outside the file"},
        {true, 0x06064b50, 0, 32, UINT64_MAX, 8, GV_E_FORMAT, "cannot be described"},
        {true, 0x06064b50, 0, 40, UINT64_MAX, 8, GV_E_FORMAT, "outside the file"},
        {true, 0x06064b50, 0, 48, UINT64_MAX, 8, GV_E_FORMAT, "outside the file"},
        {true, 0x02014b50, 0, 46 + 8 + 6 + 2, 8, 2, GV_OK, ""},
        {true, 0x02014b50, 0, 46 + 8 + 6 + 4, UINT64_MAX, 8, GV_E_FORMAT, "two sizes"},
        {true, 0x02014b50, 0, 46 + 8 + 6 + 20, UINT64_MAX, 8, GV_E_FORMAT, "does not start"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bytes b = make_archive(cases[i].zip64, false);
        size_t record = find_record(&b, cases[i].record, cases[i].n);
        patch(&b, record + cases[i].offset, cases[i].value, cases[i].size);
        gv_arena arena;
        gv_zip zip;
        gv_error err = {0};
        uint8_t *copy = exact_copy(b.data, b.size);
        gv_status status = read_zip(&zip, &arena, copy, b.size, &err);
        if (status != cases[i].status || (status && !strstr(err.message, cases[i].part)))
            fail_msg("case %zu: status %d '%s', expected '%s'", i, (int)status, err.message,
                     cases[i].part);
        gv_arena_deinit(&arena);
        free(copy);
        free(b.data);
    }
}

/* Both sizes of a member are too large: it reaches into the next one, or past the directory. */
static void refuses_long_members(void **state)
{
    (void)state;
    static const struct {
        uint64_t size;
        const char *part;
    } cases[] = {{4, "overlap"}, {0x7fffffff, "ends past byte"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bytes b = make_archive(false, false);
        size_t entry = find_record(&b, 0x02014b50, 0);
        patch(&b, entry + 20, cases[i].size, 4);
        patch(&b, entry + 24, cases[i].size, 4);
        gv_arena arena;
        gv_zip zip;
        gv_error err = {0};
        assert_int_equal(read_zip(&zip, &arena, b.data, b.size, &err), GV_E_FORMAT);
        assert_non_null(strstr(err.message, cases[i].part));
        gv_arena_deinit(&arena);
        free(b.data);
    }
}

static void refuses_repeated_members(void **state)
{
    (void)state;
    gv_arena arena;
    gv_zip zip;
    gv_error err = {0};
    zip_maker z = {0};
    zip_add(&z, "same", "1", 1);
    zip_add(&z, "same", "2", 1);
    bytes b = zip_end(&z, 0);
    assert_int_equal(read_zip(&zip, &arena, b.data, b.size, &err), GV_E_FORMAT);
    assert_non_null(strstr(err.message, "'same' appears twice"));
    gv_arena_deinit(&arena);

    /* Two entries for one local header. */
    size_t entry = find_record(&b, 0x02014b50, 1);
    patch(&b, entry + 42, 0, 4);
    assert_int_equal(read_zip(&zip, &arena, b.data, b.size, &err), GV_E_FORMAT);
    assert_non_null(strstr(err.message, "overlap"));
    gv_arena_deinit(&arena);
    free(b.data);
}

/* A member, the directory and both end records beyond 4 GiB, in a file that is nearly all hole. */
static void reads_beyond_4_gib(void **state)
{
    (void)state;
    const uint64_t hole = (5ull << 30) + 3;
    zip_maker z = {.zip64 = true};
    zip_add(&z, "far", "away", 4);
    patch(&z.directory, z.directory.size - 8, hole, 8);
    bytes tail = zip_end(&z, hole);

    const char *path = gv_test_scratch("far.zip");
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0);
    if (pwrite(fd, tail.data, tail.size, (off_t)hole) != (ssize_t)tail.size) {
        close(fd);
        free(tail.data);
        print_message("no room for a sparse file of 5 GiB\n");
        skip();
    }
    close(fd);
    gv_file file;
    gv_arena arena;
    gv_zip zip;
    gv_error err = {0};
    assert_int_equal(gv_file_open(&file, path, &err), GV_OK);
    if (read_zip(&zip, &arena, file.data, file.size, &err) != GV_OK)
        fail_msg("%s", err.message);
    check_member(&zip, "far", "away");
    assert_true((uint64_t)(zip.members[0].data - file.data) > hole);
    gv_arena_deinit(&arena);
    gv_file_close(&file);
    unlink(path);
    free(tail.data);
}

static gv_status read_again(void *ctx, gv_error *err)
{
    const bytes *b = ctx;
    gv_arena arena;
    gv_zip zip;
    gv_status status = read_zip(&zip, &arena, b->data, b->size, err);
    gv_arena_deinit(&arena);
    return status;
}

static void survives_failed_allocations(void **state)
{
    (void)state;
    bytes b = make_archive(true, true);
    assert_true(gv_test_fail_each_allocation(read_again, &b) > 0);
    free(b.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_all_forms),      cmocka_unit_test(reads_comment_and_empty),
        cmocka_unit_test(refuses_truncation),   cmocka_unit_test(refuses_bad_fields),
        cmocka_unit_test(refuses_long_members), cmocka_unit_test(refuses_repeated_members),
        cmocka_unit_test(reads_beyond_4_gib),   cmocka_unit_test(survives_failed_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
