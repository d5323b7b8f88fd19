/* JSON from untrusted files: what is read, what is refused, and what it may cost. */
#include "support.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "checkpoint/json.h"

/* ---- jansson's memory, counted with malloc's own overhead ---- */

static struct {
    size_t now, peak;
    long made, fail_at; /* 0: none fails */
} heap;

static size_t block_size(void *block)
{
    return malloc_usable_size(block) + sizeof(size_t);
}

static void *counted_malloc(size_t size)
{
    if (++heap.made == heap.fail_at)
        return NULL;
    void *block = malloc(size);
    if (block)
        heap.now += block_size(block);
    if (heap.now > heap.peak)
        heap.peak = heap.now;
    return block;
}

static void counted_free(void *block)
{
    if (block)
        heap.now -= block_size(block);
    free(block);
}

static int count_jansson(void **state)
{
    (void)state;
    json_object_seed(1);
    json_set_alloc_funcs(counted_malloc, counted_free);
    return 0;
}

/* Parses exactly size bytes of the heap, so that a sanitizer sees a byte too far. */
static gv_status parse(json_t **value, const char *text, size_t size, gv_error *err)
{
    char *copy = malloc(size > 0 ? size : 1);
    assert_non_null(copy);
    memcpy(copy, text, size);
    gv_status status = gv_json_parse(value, copy, size, "file", err);
    free(copy);
    return status;
}

static void refuse_sized(const char *text, size_t size, gv_status expected, const char *message)
{
    json_t *value;
    gv_error err = {0};
    gv_status status = parse(&value, text, size, &err);
    assert_null(value);
    assert_int_equal(status, expected);
    if (!strstr(err.message, message))
        fail_msg("'%s' does not hold '%s'", err.message, message);
    assert_int_equal(heap.now, 0);
}

static void refuse(const char *text, const char *message)
{
    refuse_sized(text, strlen(text), GV_E_FORMAT, message);
}

/* ---- grammar ---- */

static void good_values(void **state)
{
    (void)state;
    json_t *value;
    gv_error err;
    static const char text[] = " {\"a\\\"\\u00e4\\ud83d\\ude00\": [1, -2.5e3, true, null, \"\"],"
                               "\"raw \xc3\xa4\": {\"k\": -9223372036854775808}}\n ";
    assert_int_equal(parse(&value, text, strlen(text), &err), GV_OK);
    const json_t *list = json_object_get(value, "a\"\xc3\xa4\xf0\x9f\x98\x80");
    assert_int_equal(json_array_size(list), 5);
    assert_true(json_real_value(json_array_get(list, 1)) == -2500);
    const json_t *inner = json_object_get(value, "raw \xc3\xa4");
    assert_true(json_integer_value(json_object_get(inner, "k")) == INT64_MIN);
    json_decref(value);
    assert_int_equal(heap.now, 0);
}

static void bad_grammar(void **state)
{
    (void)state;
    refuse("", "line 1");
    refuse("   ", "line");
    refuse("1", "'[' or '{' expected");
    refuse("{", "line 1 column 1");
    refuse("{\"a\":1} x", "end of file expected");
    refuse("{\"a\":1}{}", "end of file expected");
    refuse("{\"a\":1,}", "line 1");
    refuse("[1,]", "line 1");
    refuse("{'a':1}", "line 1");
    refuse("[NaN]", "line 1");
    refuse("[01]", "line 1");
    refuse("[\"\\\"", "line 1");
    refuse("[\"\\", "line 1");
    refuse_sized("{\"a\":1}\0", 8, GV_E_FORMAT, "end of file expected");
}

static void repeated_keys(void **state)
{
    (void)state;
    refuse("{\"a\":1,\"a\":1}", "duplicate object key near '\"a\"'");
    refuse("{\"a\":1,\"\\u0061\":2}", "duplicate object key");
    refuse("[{\"b\":{\"\":1,\"\":2}}]", "duplicate object key");
}

static void bad_text(void **state)
{
    (void)state;
    refuse("[\"\xff\"]", "unable to decode byte 0xff");
    refuse("[\"\xc0\x80\"]", "unable to decode");         /* an overlong NUL */
    refuse("[\"\xed\xa0\x80\"]", "unable to decode");     /* half a surrogate pair */
    refuse("[\"\xf4\x90\x80\x80\"]", "unable to decode"); /* past U+10FFFF */
    refuse("[\"\\ud83d\"]", "invalid Unicode");
    refuse("[\"\\ude00\"]", "invalid Unicode");
    refuse("[\"\\ud83d\\u0041\"]", "invalid Unicode");
    refuse("[\"\\u0000\"]", "\\u0000 is not allowed");
    refuse("{\"a\\u0000\":1}", "NUL byte in object key");
    refuse("[\"a\tb\"]", "control character");
    refuse("[\"a\nb\"]", "unexpected newline");
    refuse_sized("[\"a\0b\"]", 7, GV_E_FORMAT, "control character");
    refuse("\xef\xbb\xbf{}", "'[' or '{' expected"); /* a byte order mark */
}

static void huge_numbers(void **state)
{
    (void)state;
    refuse("[9223372036854775808]", "too big integer");
    refuse("[-9223372036854775809]", "too big negative integer");
    refuse("[1e999]", "real number overflow");

    enum { DIGITS = 100000 };
    char *text = malloc(DIGITS + 2);
    assert_non_null(text);
    memset(text, '9', DIGITS + 2);
    text[0] = '[';
    text[DIGITS + 1] = ']';
    refuse_sized(text, DIGITS + 2, GV_E_FORMAT, "too big integer");
    free(text);
}

/* ---- limits ---- */

static void nest(char *text, int depth, bool objects)
{
    *text = '\0';
    for (int i = 0; i < depth; i++)
        strcat(text, objects ? "{\"k\":" : "[");
    strcat(text, objects ? "0" : "");
    for (int i = 0; i < depth; i++)
        strcat(text, objects ? "}" : "]");
}

static void depth(void **state)
{
    (void)state;
    for (int objects = 0; objects < 2; objects++) {
        char text[8 * GV_JSON_MAX_DEPTH];
        json_t *value;
        gv_error err;
        nest(text, GV_JSON_MAX_DEPTH, objects);
        assert_int_equal(parse(&value, text, strlen(text), &err), GV_OK);
        json_decref(value);
        nest(text, GV_JSON_MAX_DEPTH + 1, objects);
        refuse(text, "nested deeper than 16 levels at byte");
    }
    /* Brackets inside strings do not count. */
    json_t *value;
    gv_error err;
    static const char text[] = "[\"[[[[[[[[[[[[[[[[[[\\\"[[[[\\\\\",[]]";
    assert_int_equal(parse(&value, text, strlen(text), &err), GV_OK);
    json_decref(value);
}

static void size_limit(void **state)
{
    (void)state;
    size_t size = GV_JSON_MAX_SIZE + 1;
    char *text = malloc(size);
    assert_non_null(text);
    memset(text, ' ', size);
    text[0] = '{';
    text[size - 2] = '}';
    json_t *value;
    gv_error err = {0};
    assert_int_equal(gv_json_parse(&value, text, size - 1, "file", &err), GV_OK);
    json_decref(value);
    assert_int_equal(gv_json_parse(&value, text, size, "file", &err), GV_E_FORMAT);
    assert_non_null(strstr(err.message, "JSON of 16777217 bytes"));
    free(text);
}

/* head, then the unit again and again until size, then tail. "%" in the unit becomes six characters
 * that differ each time. Returned owned. */
static char *repeat(const char *head, const char *unit, const char *tail, size_t size)
{
    char *text = malloc(size + 256);
    assert_non_null(text);
    size_t used = (size_t)sprintf(text, "%s", head);
    for (int n = 0; used < size; n++) {
        if (n > 0)
            text[used++] = ',';
        for (const char *c = unit; *c; c++) {
            if (*c == '%')
                used += (size_t)sprintf(text + used, "%06x", (unsigned)n);
            else
                text[used++] = *c;
        }
    }
    strcpy(text + used, tail);
    return text;
}

/* Either the text is refused, or jansson stays below what the limit says; and what is refused would
 * indeed have taken more than the tenth of it. */
static void memory(void **state)
{
    (void)state;
    static const struct {
        const char *head, *unit, *tail;
        bool accepted;
    } texts[] = {
        {"[", "[]", "]", false},
        {"[", "{}", "]", false},
        {"[", "[0]", "]", false},
        {"[", "{\"\":0}", "]", false},
        {"[", "0", "]", false},
        {"[", "0.5", "]", true},
        {"[", "\"\"", "]", false},
        {"[", "\"%\"", "]", true},
        {"[", "true", "]", true},
        {"{", "\"%\":0", "}", true},
        {"{", "\"%\":{}", "}", false},
        {"{", "\"%\":[]", "}", false},
        {"{", "\"%\":\"\"", "}", true},
        {"{\"__metadata__\":{", "\"%\":\"\"", "}}", true},
        {"[\"", "\\u0041", "\"]", true},
        {"{\"", "aaaaaaaaaa", "\":0}", true},
        {"{", "\"%\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}", "}", true},
        {"{", "\"%\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[8,12]}", "}", true},
        {"{", "\"%\":{\"data_offsets\":[0,1],\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1]}", "}",
         true},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        for (size_t size = 1 << 17; size <= 1 << 19; size = size * 9 / 8) {
            char *text = repeat(texts[i].head, texts[i].unit, texts[i].tail, size);
            size_t length = strlen(text);
            json_t *value;
            gv_error err = {0};
            heap.peak = 0;
            gv_status status = gv_json_parse(&value, text, length, "file", &err);
            if (status != (texts[i].accepted ? GV_OK : GV_E_MEMORY))
                fail_msg("'%s' x %zu: status %d '%s'", texts[i].unit, size, (int)status,
                         err.message);
            if (heap.peak > GV_JSON_MAX_GROWTH * length + GV_JSON_FLOOR)
                fail_msg("'%s': %zu bytes of text took %zu", texts[i].unit, length, heap.peak);
            json_decref(value);
            free(text);
        }
    }
}

/* Small texts are never too dense. */
static void floor_of_memory(void **state)
{
    (void)state;
    char *text = repeat("[", "{}", "]", 800);
    json_t *value;
    gv_error err;
    assert_int_equal(gv_json_parse(&value, text, strlen(text), "file", &err), GV_OK);
    json_decref(value);
    free(text);
}

/* ---- damage ---- */

static const char sample[] = "{\"a\":{\"dtype\":\"F32\",\"shape\":[1,2,3,4,5,6,7,8,9,10],"
                             "\"data_offsets\":[0,1e1]},\"\\u00e9\\\\\":[true,{\"k\":null}]}";

static void truncations(void **state)
{
    (void)state;
    for (size_t size = 0; size < strlen(sample); size++)
        refuse_sized(sample, size, GV_E_FORMAT, "file: JSON line");
}

/* No change of one byte may do more than be refused. */
static void changed_bytes(void **state)
{
    (void)state;
    char text[sizeof sample];
    for (size_t i = 0; i < strlen(sample); i++) {
        for (int byte = 0; byte < 256; byte++) {
            memcpy(text, sample, sizeof sample);
            text[i] = (char)byte;
            json_t *value;
            gv_error err = {0};
            gv_status status = parse(&value, text, strlen(sample), &err);
            assert_true((status == GV_OK) == (value != NULL));
            assert_true(status == GV_OK || err.message[0] != '\0');
            json_decref(value);
            assert_int_equal(heap.now, 0);
        }
    }
}

static void failing_allocations(void **state)
{
    (void)state;
    for (long n = 1;; n++) {
        json_t *value;
        gv_error err = {0};
        heap.made = 0;
        heap.fail_at = n;
        gv_status status = parse(&value, sample, strlen(sample), &err);
        heap.fail_at = 0;
        if (heap.made < n) {
            assert_int_equal(status, GV_OK);
            json_decref(value);
            assert_true(n > 30);
            break;
        }
        /* Where a string is what there was no memory for, jansson says that it expected one. */
        assert_true(status == GV_E_MEMORY || strstr(err.message, " near '\""));
        assert_int_equal(heap.now, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_values),     cmocka_unit_test(bad_grammar),
        cmocka_unit_test(repeated_keys),   cmocka_unit_test(bad_text),
        cmocka_unit_test(huge_numbers),    cmocka_unit_test(depth),
        cmocka_unit_test(size_limit),      cmocka_unit_test(memory),
        cmocka_unit_test(floor_of_memory), cmocka_unit_test(truncations),
        cmocka_unit_test(changed_bytes),   cmocka_unit_test(failing_allocations),
    };
    return cmocka_run_group_tests_name("json", tests, count_jansson, NULL);
}
