/* The pickle machine, opcode by opcode, and pickles that mean harm. */
#include "checkpoint_support.h"

#include "checkpoint/pickle.h"
#include "checkpoint/pickle_json.h"

enum { MEMORY_FACTOR = 24, MEMORY_BASE = 64 << 10 };

typedef struct loaded {
    gv_arena arena;
    gv_pickle pickle;
    uint8_t *data;
    gv_error err;
    gv_status status;
} loaded;

static loaded load(const void *data, size_t size)
{
    loaded l = {.data = exact_copy(data, size)};
    gv_cursor c = gv_cursor_make(l.data, size, "p.pkl");
    gv_arena_init(&l.arena, 0);
    l.status = gv_pickle_read(&l.pickle, &c, &l.arena, &l.err);
    /* The bound that the header promises; strings longer than 64 bytes count less still. */
    assert_true(l.arena.used <= MEMORY_BASE + MEMORY_FACTOR * size);
    if (l.status == GV_OK)
        assert_int_equal(l.pickle.size, c.pos);
    else
        assert_int_equal(l.pickle.root.kind, GV_PICKLE_UNSET);
    return l;
}

static void unload(loaded *l)
{
    gv_arena_deinit(&l->arena);
    free(l->data);
}

/* The bytes of a string literal, which may hold NUL. */
#define LOAD(literal) load(literal, sizeof literal - 1)

static void check_value(loaded l, gv_pickle_kind kind, int64_t value)
{
    if (l.status != GV_OK)
        fail_msg("%s", l.err.message);
    assert_int_equal(l.pickle.root.kind, kind);
    if (kind == GV_PICKLE_INT || kind == GV_PICKLE_BOOL)
        assert_int_equal(l.pickle.root.integer, value);
    else if (kind == GV_PICKLE_FLOAT)
        assert_true(l.pickle.root.real == (double)value / 8);
    else if (kind != GV_PICKLE_NONE)
        assert_int_equal(l.pickle.root.count, value);
    unload(&l);
}

static void reads_numbers(void **state)
{
    (void)state;
    check_value(LOAD("\x80\2N."), GV_PICKLE_NONE, 0);
    check_value(LOAD("\x80\5\x88."), GV_PICKLE_BOOL, 1);
    check_value(LOAD("\x89."), GV_PICKLE_BOOL, 0);
    check_value(LOAD("K\xff."), GV_PICKLE_INT, 255);
    check_value(LOAD("M\x01\xff."), GV_PICKLE_INT, 0xff01);
    check_value(LOAD("J\xfe\xff\xff\xff."), GV_PICKLE_INT, -2);
    check_value(LOAD("\x8a\0."), GV_PICKLE_INT, 0);
    check_value(LOAD("\x8a\1\xff."), GV_PICKLE_INT, -1);
    check_value(LOAD("\x8a\3\1\2\3."), GV_PICKLE_INT, 0x030201);
    check_value(LOAD("\x8a\10\0\0\0\0\0\0\0\x80."), GV_PICKLE_INT, INT64_MIN);
    check_value(LOAD("\x8b\2\0\0\0\0\1."), GV_PICKLE_INT, 256);
    check_value(LOAD("\x8a\11\0\0\0\0\0\0\0\x80\0."), GV_PICKLE_BIG, 9);
    check_value(LOAD("G\xbf\xf2\0\0\0\0\0\0."), GV_PICKLE_FLOAT, -9); /* -1.125 */
    check_value(LOAD("\x95\5\0\0\0\0\0\0\0K\7."), GV_PICKLE_INT, 7);
}

static void reads_strings(void **state)
{
    (void)state;
    check_value(LOAD("\x8c\3abc."), GV_PICKLE_TEXT, 3);
    check_value(LOAD("X\3\0\0\0abc."), GV_PICKLE_TEXT, 3);
    check_value(LOAD("\x8d\3\0\0\0\0\0\0\0abc."), GV_PICKLE_TEXT, 3);
    check_value(LOAD("U\3abc."), GV_PICKLE_TEXT, 3);
    check_value(LOAD("T\3\0\0\0abc."), GV_PICKLE_TEXT, 3);
    check_value(LOAD("C\3abc."), GV_PICKLE_BYTES, 3);
    check_value(LOAD("B\3\0\0\0abc."), GV_PICKLE_BYTES, 3);
    check_value(LOAD("\x8e\3\0\0\0\0\0\0\0abc."), GV_PICKLE_BYTES, 3);
    check_value(LOAD("\x96\3\0\0\0\0\0\0\0abc."), GV_PICKLE_BYTES, 3);
    check_value(LOAD("c__builtin__\nbytes\n)R."), GV_PICKLE_BYTES, 0);

    loaded l = LOAD("c_codecs\nencode\nX\6\0\0\0a\xc2\x80\xc3\xbf.X\6\0\0\0latin1\x86R.");
    assert_int_equal(l.status, GV_OK);
    assert_int_equal(l.pickle.root.kind, GV_PICKLE_BYTES);
    assert_int_equal(l.pickle.root.count, 4);
    assert_memory_equal(l.pickle.root.bytes, "a\x80\xff.", 4);
    unload(&l);
}

static void reads_containers(void **state)
{
    (void)state;
    check_value(LOAD(")."), GV_PICKLE_TUPLE, 0);
    check_value(LOAD("K\1\x85."), GV_PICKLE_TUPLE, 1);
    check_value(LOAD("K\1K\2\x86."), GV_PICKLE_TUPLE, 2);
    check_value(LOAD("K\1K\2K\3\x87."), GV_PICKLE_TUPLE, 3);
    check_value(LOAD("(K\1K\2K\3K\4t."), GV_PICKLE_TUPLE, 4);
    check_value(LOAD("(t."), GV_PICKLE_TUPLE, 0);
    check_value(LOAD("K\1(K\2K\3\x31."), GV_PICKLE_INT, 1); /* POP_MARK */
    check_value(LOAD("K\1K\2\x30."), GV_PICKLE_INT, 1);     /* POP */
    check_value(LOAD("K\1(\x30."), GV_PICKLE_INT, 1);       /* POP of a mark */
    check_value(LOAD("K\1\x32\x86."), GV_PICKLE_TUPLE, 2);  /* DUP */

    static const struct {
        const char *pickle;
        size_t size;
        gv_pickle_kind kind;
        uint32_t count;
    } cases[] = {
#define CASE(literal, kind, count) {literal, sizeof literal - 1, kind, count}
        CASE("}.", GV_PICKLE_DICT, 0),
        CASE("].", GV_PICKLE_LIST, 0),
        CASE("\x8f.", GV_PICKLE_SET, 0),
        CASE("]K\1a(K\2K\3e.", GV_PICKLE_LIST, 3),
        CASE("}K\1K\2s(K\3K\4K\5K\6u.", GV_PICKLE_DICT, 3),
        CASE("\x8f(K\1K\2\x90.", GV_PICKLE_SET, 2),
        CASE("(K\1K\2\x91.", GV_PICKLE_SET, 2),
        CASE("cbuiltins\nset\n](K\1K\2e\x85R.", GV_PICKLE_SET, 2),
        CASE("ccollections\nOrderedDict\n)RK\1K\2s.", GV_PICKLE_DICT, 1),
        CASE("ccollections\nOrderedDict\n]]K\1aK\2aa\x85R.", GV_PICKLE_DICT, 1),
        CASE("cdnnlib.util\nEasyDict\n)\x81K\1K\2s.", GV_PICKLE_DICT, 1),
        CASE("}K\1K\2s}b.", GV_PICKLE_DICT, 1), /* BUILD of a dict is left alone */
#undef CASE
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        loaded l = load(cases[i].pickle, cases[i].size);
        if (l.status != GV_OK || l.pickle.root.kind != cases[i].kind ||
            l.pickle.root.node->count != cases[i].count)
            fail_msg("case %zu: kind %u, '%s'", i, l.pickle.root.kind, l.err.message);
        unload(&l);
    }
}

static void finds_keys(void **state)
{
    (void)state;
    loaded l = LOAD("}(\x8c\1aK\1\x8c\1bK\2\x8c\1aK\3K\1K\4u.");
    const gv_pickle_value *root = &l.pickle.root;
    int64_t n;
    assert_true(gv_pickle_get_int(gv_pickle_find(root, "a"), &n) && n == 3); /* the last wins */
    assert_true(gv_pickle_get_int(gv_pickle_find(root, "b"), &n) && n == 2);
    assert_null(gv_pickle_find(root, "c"));
    assert_null(gv_pickle_find(gv_pickle_find(root, "a"), "c"));
    assert_null(gv_pickle_find(NULL, "c"));
    assert_false(gv_pickle_get_int(NULL, &n));
    unload(&l);
}

static void keeps_unknown_calls(void **state)
{
    (void)state;
    /* os.system('x') with items, pairs refused, and a state: an opaque node. */
    loaded l = LOAD("cos\nsystem\n\x8c\1x\x85R\x94(K\1K\2e}\x8c\1sK\3sb.");
    assert_int_equal(l.status, GV_OK);
    const gv_pickle_value *root = &l.pickle.root;
    assert_true(gv_pickle_is_call(root, "os", "system"));
    assert_false(gv_pickle_is_call(root, "os", "exit"));
    assert_true(gv_pickle_is_text(gv_pickle_item(root, 0), "x"));
    assert_null(gv_pickle_item(root, 1));
    assert_int_equal(root->call->node.count, 2);
    assert_non_null(gv_pickle_find(&root->call->state, "s"));
    unload(&l);

    l = LOAD("\x8c\3mod\x8c\3Cls\x93)}\x92}b\x8c\1kK\1s.");
    assert_int_equal(l.status, GV_OK);
    assert_true(gv_pickle_is_call(&l.pickle.root, "mod", "Cls"));
    assert_non_null(gv_pickle_find(&l.pickle.root, "k"));
    unload(&l);

    l = LOAD("\x8c\1aQ\x8c\1bQ\x86.");
    assert_int_equal(l.status, GV_OK);
    assert_int_equal(gv_pickle_item(&l.pickle.root, 1)->kind, GV_PICKLE_PERSISTENT);
    assert_true(gv_pickle_is_text(&l.pickle.persistents->id, "a"));
    assert_true(gv_pickle_is_text(&l.pickle.persistents->next->id, "b"));
    assert_null(l.pickle.persistents->next->next);
    unload(&l);
}

static void shares_through_the_memo(void **state)
{
    (void)state;
    /* A list that is fetched before it is filled, by all ways to put and get it. */
    static const char *const puts[] = {"\x94", "q\1", "r\1\0\0\0"};
    static const size_t put_sizes[] = {1, 2, 5};
    static const char *const gets[] = {"h\1", "j\1\0\0\0"};
    static const size_t get_sizes[] = {2, 5};
    for (int i = 0; i < 6; i++) {
        bytes b = {0};
        put_text(&b, "N\x94\x30]");
        put(&b, puts[i % 3], put_sizes[i % 3]);
        put(&b, gets[i / 3], get_sizes[i / 3]);
        put(&b, "\x86h\1K\7a0.", 8);
        loaded l = load(b.data, b.size);
        if (l.status != GV_OK)
            fail_msg("way %d: %s", i, l.err.message);
        assert_ptr_equal(l.pickle.root.items[0].node, l.pickle.root.items[1].node);
        assert_int_equal(l.pickle.root.items[0].node->count, 1);
        unload(&l);
        free(b.data);
    }
}

static void reads_numpy_scalars(void **state)
{
    (void)state;
    double d;
    static const char start[] = "cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\n";
    static const struct {
        const char *rest;
        size_t size;
        double value;
    } cases[] = {
#define CASE(rest, value) {rest, sizeof rest - 1, value}
        CASE("\x8c\2f8\x89\x88\x87R(K\3\x8c\1<NNNtbC\10\0\0\0\0\0\0\xf2\x3f\x86R.", 1.125),
        CASE("\x8c\2f8\x89\x88\x87R(K\3\x8c\1>NNNtbC\10\x3f\xf2\0\0\0\0\0\0\x86R.", 1.125),
        CASE("\x8c\2f4\x89\x88\x87R(K\3\x8c\1<NNNtbC\4\0\0\x90\xbf\x86R.", -1.125),
        CASE("\x8c\2i2\x89\x88\x87R(K\3\x8c\1<NNNtbC\2\xfe\xff\x86R.", -2),
        CASE("\x8c\2u1\x89\x88\x87R(K\3\x8c\1|NNNtbC\1\xfe\x86R.", 254),
#undef CASE
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bytes b = {0};
        put_text(&b, start);
        put(&b, cases[i].rest, cases[i].size);
        loaded l = load(b.data, b.size);
        if (!gv_pickle_get_number(&l.pickle.root, &d) || d != cases[i].value)
            fail_msg("case %zu: %g '%s'", i, d, l.err.message);
        unload(&l);
        free(b.data);
    }
    loaded l = LOAD("cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\n\x8c\2f8\x85RC\4abcd\x86R.");
    assert_int_equal(l.status, GV_OK);
    assert_false(gv_pickle_get_number(&l.pickle.root, &d)); /* four bytes of an f8 */
    unload(&l);
}

static void refuses_bad_pickles(void **state)
{
    (void)state;
    static const struct {
        const char *pickle;
        size_t size;
        gv_status status;
        const char *part;
    } cases[] = {
#define CASE(literal, status, part) {literal, sizeof literal - 1, status, part}
        CASE("\x80\6N.", GV_E_UNSUPPORTED, "p.pkl: byte 0: pickle protocol 6"),
        CASE("NI1\n.", GV_E_FORMAT, "p.pkl: byte 1: pickle opcode 0x49 is not known"),
        CASE(".", GV_E_FORMAT, "exactly one value"),
        CASE("NN.", GV_E_FORMAT, "exactly one value"),
        CASE("N(.", GV_E_FORMAT, "exactly one value"),
        CASE("0.", GV_E_FORMAT, "too few values"),
        CASE("2.", GV_E_FORMAT, "too few values"),
        CASE("N\x86.", GV_E_FORMAT, "too few values"),
        CASE("N(N\x86.", GV_E_FORMAT, "too few values"), /* a mark is a wall */
        CASE("Q.", GV_E_FORMAT, "too few values"),
        CASE("]a.", GV_E_FORMAT, "too few values"),
        CASE("}Ns.", GV_E_FORMAT, "too few values"),
        CASE("(Ne.", GV_E_FORMAT, "too few values"),
        CASE("Nb.", GV_E_FORMAT, "too few values"),
        CASE("\x94N.", GV_E_FORMAT, "too few values"),
        CASE("t.", GV_E_FORMAT, "no mark"),
        CASE("1.", GV_E_FORMAT, "no mark"),
        CASE("NNa.", GV_E_FORMAT, "holds none"),
        CASE("]NNs.", GV_E_FORMAT, "holds none"),
        CASE("}Na.", GV_E_FORMAT, "holds none"),
        CASE(")(NNu.", GV_E_FORMAT, "holds none"),
        CASE("}(NNNu.", GV_E_FORMAT, "mixes"),
        CASE("cm\nC\n)\x81Na(NNu.", GV_E_FORMAT, "mixes"),
        CASE("h\0.", GV_E_FORMAT, "never put"),
        CASE("Nq\1h\0.", GV_E_FORMAT, "never put"),
        CASE("j\xff\xff\xff\xff.", GV_E_FORMAT, "never put"),
        CASE("Nr\xff\xff\xff\xff.", GV_E_FORMAT, "beyond all counting"),
        CASE("cm\n", GV_E_FORMAT, "no name"),
        CASE("NN\x93.", GV_E_FORMAT, "not text"),
        CASE("cm\nC\nNR.", GV_E_FORMAT, "not a tuple"),
        CASE("\x8b\xff\xff\xff\xffx.", GV_E_FORMAT, "negative length"),
        CASE("B\xff\xff\xff\xffx.", GV_E_FORMAT, "ends at byte 7 inside a pickled string"),
        CASE("\x8e\xff\xff\xff\xff\xff\xff\xff\xffx.", GV_E_FORMAT, "inside a pickled string"),
        CASE("c_codecs\nencode\n\x8c\2\xc4\x80\x8c\6latin1\x86R.", GV_E_FORMAT, "latin1"),
        CASE("c_codecs\nencode\n\x8c\1\xc3\x8c\6latin1\x86R.", GV_E_FORMAT, "latin1"),
        CASE("ccollections\nOrderedDict\n]]K\1aa\x85R.", GV_E_FORMAT, "not pairs"),
        CASE("ccollections\nOrderedDict\n]K\1a\x85R.", GV_E_FORMAT, "not pairs"),
#undef CASE
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        loaded l = load(cases[i].pickle, cases[i].size);
        if (l.status != cases[i].status || !strstr(l.err.message, cases[i].part))
            fail_msg("case %zu: status %d '%s', expected '%s'", i, (int)l.status, l.err.message,
                     cases[i].part);
        unload(&l);
    }
}

/* n times the same bytes, then an end. */
static loaded load_repeated(const char *start, const char *text, size_t size, int n,
                            const char *end)
{
    bytes b = {0};
    put_text(&b, start);
    for (int i = 0; i < n; i++)
        put(&b, text, size);
    put_text(&b, end);
    loaded l = load(b.data, b.size);
    free(b.data);
    return l;
}

static void bounds_memory(void **state)
{
    (void)state;
    /* What one byte can ask for most of: containers, memo entries, calls, decoded strings. */
    loaded l = load_repeated("", "}", 1, 100000, "");
    assert_int_equal(l.status, GV_E_MEMORY);
    assert_non_null(strstr(l.err.message, "p.pkl: byte "));
    assert_non_null(strstr(l.err.message, "24 times"));
    unload(&l);
    l = load_repeated("cm\nC\n\x94", ")Rh\0000h\0", 7, 100000, "");
    assert_int_not_equal(l.status, GV_OK);
    unload(&l);
    l = load_repeated("cm\nC\n", ")R", 2, 100000, ".");
    assert_int_equal(l.status, GV_E_MEMORY);
    unload(&l);

    bytes b = {0};
    put_text(&b, "c_codecs\nencode\n\x94X");
    put_int(&b, 100000, 4);
    for (int i = 0; i < 100000; i++)
        put_text(&b, "x");
    put_text(&b, "\x8c\6latin1\x86\x94");
    for (int i = 0; i < 1000; i++) { /* 100 KB for each 6 bytes */
        put(&b, "h", 1);
        put_int(&b, 0, 1);
        put(&b, "h\1R0", 4);
    }
    l = load(b.data, b.size);
    assert_int_equal(l.status, GV_E_MEMORY);
    unload(&l);
    free(b.data);
}

static void reads_cycles_and_depth(void **state)
{
    (void)state;
    loaded l = LOAD("]\x94h\0a.");
    assert_int_equal(l.status, GV_OK);
    gv_pickle_iterator it = gv_pickle_begin(&l.pickle.root);
    const gv_pickle_value *key, *value;
    assert_true(gv_pickle_next(&it, &key, &value));
    assert_ptr_equal(value->node, l.pickle.root.node);
    assert_false(gv_pickle_next(&it, &key, &value));
    unload(&l);

    /* A tuple of a tuple of a tuple ... is read without recursion. */
    l = load_repeated("N", "\x85", 1, 1000000, ".");
    assert_int_equal(l.status, GV_OK);
    unload(&l);
}

static gv_status read_again(void *ctx, gv_error *err)
{
    const bytes *b = ctx;
    gv_arena arena;
    gv_pickle pickle;
    gv_cursor c = gv_cursor_make(b->data, b->size, "p.pkl");
    gv_arena_init(&arena, 0);
    gv_status status = gv_pickle_read(&pickle, &c, &arena, err);
    gv_arena_deinit(&arena);
    return status;
}

static void survives_failed_allocations(void **state)
{
    (void)state;
    bytes b = {0};
    put_text(&b, "(");
    for (int i = 0; i < 100; i++)
        put_text(&b, "}(\x8c\1aK\1K\2K\3u\x94\x8c\1iQcm\nC\n)R}b");
    put_text(&b, "t.");
    assert_true(gv_test_fail_each_allocation(read_again, &b) > 10);
    free(b.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_numbers),
        cmocka_unit_test(reads_strings),
        cmocka_unit_test(reads_containers),
        cmocka_unit_test(finds_keys),
        cmocka_unit_test(keeps_unknown_calls),
        cmocka_unit_test(shares_through_the_memo),
        cmocka_unit_test(reads_numpy_scalars),
        cmocka_unit_test(refuses_bad_pickles),
        cmocka_unit_test(bounds_memory),
        cmocka_unit_test(reads_cycles_and_depth),
        cmocka_unit_test(survives_failed_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
