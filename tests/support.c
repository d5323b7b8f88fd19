#include "support.h"

#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"

/* ---- files ---- */

/* "$variable/path", or "fallback/path" without it. */
static const char *path_below(const char *variable, const char *fallback, const char *path)
{
    static char texts[8][1024];
    static unsigned next;

    const char *root = getenv(variable);
    char *text = texts[next++ % 8];
    int length = snprintf(text, sizeof texts[0], "%s/%s", root ? root : fallback, path);
    assert_true(length > 0 && (size_t)length < sizeof texts[0]);
    return text;
}

const char *gv_test_source(const char *path)
{
    return path_below("GANVAS_SOURCE_ROOT", ".", path);
}

const char *gv_test_shared(const char *path)
{
    const char *full = path_below("GANVAS_SHARED", "../shared", path);
    struct stat info;
    if (stat(full, &info) == 0)
        return full;

    const char *required = getenv("GANVAS_REQUIRE_SHARED");
    if (required && strcmp(required, "1") == 0)
        fail_msg("%s is missing, and GANVAS_REQUIRE_SHARED=1", full);
    print_message("SKIPPED: %s is missing\n", full);
    skip();
    return NULL;
}

static char scratch_folder[64];

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    (void)info, (void)kind, (void)place;
    return remove(path);
}

static void remove_scratch(void)
{
    nftw(scratch_folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

const char *gv_test_scratch(const char *name)
{
    if (scratch_folder[0] == '\0') {
        strcpy(scratch_folder, "/tmp/ganvas-test-XXXXXX");
        assert_non_null(mkdtemp(scratch_folder));
        atexit(remove_scratch);
    }
    return path_below("", scratch_folder, name);
}

static uint8_t *read_whole(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("%s cannot be opened", path);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long length = ftell(file);
    assert_true(length >= 0);
    rewind(file);
    uint8_t *data = malloc((size_t)length + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, (size_t)length, file), length);
    fclose(file);
    data[length] = 0;
    *size = (size_t)length;
    return data;
}

/* ---- arrays ---- */

static const struct {
    const char *descr;
    size_t size;
} dtypes[] = {
    [GV_TEST_F32] = {"<f4", 4}, [GV_TEST_F64] = {"<f8", 8}, [GV_TEST_U8] = {"|u1", 1},
    [GV_TEST_I32] = {"<i4", 4}, [GV_TEST_U32] = {"<u4", 4}, [GV_TEST_I64] = {"<i8", 8},
};

/* Fills all but the data from a header such as {'descr': '<f4', 'fortran_order': False,
 * 'shape': (2, 3), }, which ends in '\0'. */
static void parse_header(gv_test_array *a, const char *header, const char *path)
{
    size_t count = sizeof dtypes / sizeof dtypes[0];
    size_t type = 0;
    const char *descr = strstr(header, "'descr': '");
    const char *shape = strstr(header, "'shape': (");
    if (!descr || !shape || !strstr(header, "'fortran_order': False"))
        fail_msg("%s: unexpected header %s", path, header);
    descr += strlen("'descr': '");
    while (type < count && strncmp(descr, dtypes[type].descr, 3) != 0)
        type++;
    if (type == count)
        fail_msg("%s: type %.4s is not read here", path, descr);
    a->dtype = (gv_test_dtype)type;

    a->count = 1;
    const char *text = shape + strlen("'shape': (");
    while (*text != ')') {
        char *end;
        assert_true(a->rank < 8);
        a->shape[a->rank] = strtoll(text, &end, 10);
        assert_true(end != text);
        a->count *= a->shape[a->rank++];
        text = end + strspn(end, ", ");
    }
}

static gv_test_array parse_npy(const uint8_t *data, size_t size, const char *path)
{
    gv_test_array a = {0};
    if (size < 12 || memcmp(data, "\x93NUMPY", 6) != 0)
        fail_msg("%s is not an npy file", path);
    size_t start = data[6] == 1 ? 10 : 12;
    size_t length = (size_t)data[8] | (size_t)data[9] << 8;
    char header[512];
    assert_true(length < sizeof header && start + length <= size);
    memcpy(header, data + start, length);
    header[length] = '\0';
    parse_header(&a, header, path);

    size_t bytes = (size_t)a.count * dtypes[a.dtype].size;
    if (bytes > size - start - length)
        fail_msg("%s is shorter than its shape says", path);
    a.data = malloc(bytes + 1);
    assert_non_null(a.data);
    memcpy(a.data, data + start + length, bytes);
    return a;
}

gv_test_array gv_test_npy(const char *path)
{
    size_t size;
    uint8_t *data = read_whole(path, &size);
    gv_test_array a = parse_npy(data, size, path);
    free(data);
    return a;
}

gv_test_array gv_test_npy_typed(const char *path, gv_test_dtype dtype)
{
    gv_test_array a = gv_test_npy(path);
    if (a.dtype != dtype)
        fail_msg("%s is of type %s, expected %s", path, dtypes[a.dtype].descr, dtypes[dtype].descr);
    return a;
}

static size_t little(const uint8_t *p, int bytes)
{
    size_t value = 0;
    for (int i = bytes - 1; i >= 0; i--)
        value = value << 8 | p[i];
    return value;
}

gv_test_array gv_test_npz(const char *path, const char *name)
{
    enum { CENTRAL = 46, LOCAL = 30 };
    size_t size;
    uint8_t *data = read_whole(path, &size);
    size_t name_length = strlen(name);

    /* numpy writes no comment: the end record is the last 22 bytes. */
    assert_true(size >= 22 && memcmp(data + size - 22, "PK\5\6", 4) == 0);
    size_t at = little(data + size - 6, 4);
    while (at + CENTRAL <= size && memcmp(data + at, "PK\1\2", 4) == 0) {
        const uint8_t *entry = data + at;
        size_t length = little(entry + 28, 2);
        if (length == name_length + 4 && memcmp(entry + CENTRAL, name, name_length) == 0) {
            if (little(entry + 10, 2) != 0)
                fail_msg("%s: %s is compressed", path, name);
            size_t local = little(entry + 42, 4);
            size_t start =
                local + LOCAL + little(data + local + 26, 2) + little(data + local + 28, 2);
            size_t bytes = little(entry + 24, 4);
            assert_true(start + bytes <= size);
            gv_test_array a = parse_npy(data + start, bytes, path);
            free(data);
            return a;
        }
        at += CENTRAL + length + little(entry + 30, 2) + little(entry + 32, 2);
    }
    fail_msg("%s has no array %s", path, name);
    return (gv_test_array){0};
}

void gv_test_array_free(gv_test_array *a)
{
    free(a->data);
    *a = (gv_test_array){0};
}

/* ---- comparisons ---- */

double gv_test_rel_error(const float *a, const float *b, int64_t n)
{
    double difference = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        if (isnan(a[i]) || isnan(b[i]))
            return INFINITY;
        difference = fmax(difference, fabs((double)a[i] - (double)b[i]));
        size = fmax(size, fabs((double)b[i]));
    }
    return difference > 0 ? difference / size : 0;
}

double gv_test_rms_error(const float *a, const float *b, int64_t n)
{
    double difference = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        if (isnan(a[i]) || isnan(b[i]))
            return INFINITY;
        double d = (double)a[i] - (double)b[i];
        difference += d * d;
        size += (double)b[i] * (double)b[i];
    }
    return difference > 0 ? sqrt(difference / size) : 0;
}

void gv_test_close(const float *a, const float *b, int64_t n, double bound, const char *what)
{
    double error = gv_test_rel_error(a, b, n);
    if (!(error <= bound))
        fail_msg("%s: relative error %.3g, allowed %.3g", what, error, bound);
}

void gv_test_same_bits(const void *a, const void *b, size_t bytes, const char *what)
{
    const uint8_t *x = a, *y = b;
    for (size_t i = 0; i < bytes; i++) {
        if (x[i] != y[i])
            fail_msg("%s: byte %zu of %zu is 0x%02x, expected 0x%02x", what, i, bytes, x[i], y[i]);
    }
}

/* ---- failing allocations ---- */

int64_t gv_test_fail_each_allocation(gv_test_alloc_fn *fn, void *ctx)
{
    for (int64_t n = 1;; n++) {
        int64_t live = gv_mem_live();
        int64_t made = gv_mem_made();
        gv_error err = {0};

        gv_mem_fail_nth(n);
        gv_status status = fn(ctx, &err);
        gv_mem_fail_nth(0);

        bool met = gv_mem_made() - made >= n;
        if (gv_mem_live() != live)
            fail_msg("failing allocation %lld left %lld blocks behind", (long long)n,
                     (long long)(gv_mem_live() - live));
        if (!met) {
            if (status != GV_OK)
                fail_msg("without a failing allocation: %s", err.message);
            return n - 1;
        }
        if (status != GV_E_MEMORY || err.message[0] == '\0')
            fail_msg("failing allocation %lld gave status %d '%s', expected GV_E_MEMORY",
                     (long long)n, (int)status, err.message);
    }
}
