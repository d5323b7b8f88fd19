#include "checkpoint/pickle.h"

#include "base/canary.h"

#include <string.h>

enum {
    OP_MARK = 0x28,
    OP_EMPTY_TUPLE = 0x29,
    OP_STOP = 0x2e,
    OP_POP = 0x30,
    OP_POP_MARK = 0x31,
    OP_DUP = 0x32,
    OP_BINBYTES = 0x42,
    OP_SHORT_BINBYTES = 0x43,
    OP_BINFLOAT = 0x47,
    OP_BININT = 0x4a,
    OP_BININT1 = 0x4b,
    OP_BININT2 = 0x4d,
    OP_NONE = 0x4e,
    OP_BINPERSID = 0x51,
    OP_REDUCE = 0x52,
    OP_BINSTRING = 0x54,
    OP_SHORT_BINSTRING = 0x55,
    OP_BINUNICODE = 0x58,
    OP_EMPTY_LIST = 0x5d,
    OP_APPEND = 0x61,
    OP_BUILD = 0x62,
    OP_GLOBAL = 0x63,
    OP_APPENDS = 0x65,
    OP_BINGET = 0x68,
    OP_LONG_BINGET = 0x6a,
    OP_BINPUT = 0x71,
    OP_LONG_BINPUT = 0x72,
    OP_SETITEM = 0x73,
    OP_TUPLE = 0x74,
    OP_SETITEMS = 0x75,
    OP_EMPTY_DICT = 0x7d,
    OP_PROTO = 0x80,
    OP_NEWOBJ = 0x81,
    OP_TUPLE1 = 0x85,
    OP_TUPLE2 = 0x86,
    OP_TUPLE3 = 0x87,
    OP_NEWTRUE = 0x88,
    OP_NEWFALSE = 0x89,
    OP_LONG1 = 0x8a,
    OP_LONG4 = 0x8b,
    OP_SHORT_BINUNICODE = 0x8c,
    OP_BINUNICODE8 = 0x8d,
    OP_BINBYTES8 = 0x8e,
    OP_EMPTY_SET = 0x8f,
    OP_ADDITEMS = 0x90,
    OP_FROZENSET = 0x91,
    OP_NEWOBJ_EX = 0x92,
    OP_STACK_GLOBAL = 0x93,
    OP_MEMOIZE = 0x94,
    OP_FRAME = 0x95,
    OP_BYTEARRAY8 = 0x96,

    HIGHEST_PROTOCOL = 5,
    MEMORY_FACTOR = 24,
    MEMORY_BASE = 64 << 10,
    LONG_STRING = 64 /* bytes of a string that count MEMORY_FACTOR times; the rest count once */
};

typedef struct vector {
    gv_pickle_value *data;
    size_t count, capacity;
} vector;

typedef struct machine {
    gv_cursor *c;
    gv_arena *arena;
    gv_pickle *out;
    gv_pickle_persistent *last_persistent;
    vector stack;
    vector marks; /* INT: heights of the stack */
    vector memo;  /* by index; UNSET where nothing was put */
    size_t memo_used;
    size_t start, op_pos; /* positions of the first and the current opcode */
    size_t long_bytes;    /* bytes of strings that count once */
    size_t base;          /* the arena's limit, or what was used, at the start */
    uint8_t op;
} machine;

/* ---- memory ---- */

static size_t scratch_bytes(const machine *m)
{
    return (m->stack.capacity + m->marks.capacity + m->memo.capacity) * sizeof(gv_pickle_value);
}

/* What tree and stacks may take together after the bytes that were read so far. */
static size_t allowance(const machine *m)
{
    if (GV_CANARY_IS(PICKLE_3))
        return SIZE_MAX / 2;
    size_t read = m->c->pos - m->start;
    return MEMORY_BASE + MEMORY_FACTOR * (read - m->long_bytes) + m->long_bytes;
}

/* Whether so many bytes more stay within the limit. */
static bool allowed(const machine *m, size_t bytes)
{
    return m->arena->used + scratch_bytes(m) + bytes <= m->base + allowance(m);
}

static gv_status fail_memory(const machine *m, size_t bytes, gv_error *err)
{
    if (allowed(m, bytes))
        return gv_fail_memory(err, bytes);
    return gv_fail(err, GV_E_MEMORY,
                   "%s: byte %zu: this pickle would take more than %d times its size in memory",
                   m->c->file, m->op_pos, MEMORY_FACTOR);
}

static gv_status take(const machine *m, void **block, size_t bytes, gv_error *err)
{
    m->arena->limit = m->base + allowance(m);
    *block = allowed(m, bytes) ? gv_arena_alloc(m->arena, bytes) : NULL;
    return *block ? GV_OK : fail_memory(m, bytes, err);
}

/* Room for count entries. */
static gv_status reserve(const machine *m, vector *v, size_t count, gv_error *err)
{
    if (count <= v->capacity)
        return GV_OK;
    size_t capacity = v->capacity + v->capacity / 4 + 16;
    if (capacity < count)
        capacity = count;
    size_t bytes = capacity * sizeof *v->data; /* while the old entries are copied both are there */
    if (!allowed(m, bytes))
        return fail_memory(m, bytes, err);
    gv_pickle_value *data = gv_mem_resize(v->data, v->capacity * sizeof *data, bytes);
    if (!data)
        return gv_fail_memory(err, bytes);
    v->data = data;
    v->capacity = capacity;
    return GV_OK;
}

/* ---- stack ---- */

static gv_status bad(const machine *m, const char *what, gv_error *err)
{
    return gv_fail(err, GV_E_FORMAT, "%s: byte %zu: pickle opcode 0x%02x %s", m->c->file, m->op_pos,
                   m->op, what);
}

static gv_status push(machine *m, gv_pickle_value v, gv_error *err)
{
    gv_status status = reserve(m, &m->stack, m->stack.count + 1, err);
    if (status == GV_OK)
        m->stack.data[m->stack.count++] = v;
    return status;
}

/* The values above the last mark. */
static size_t above_mark(const machine *m)
{
    size_t floor = m->marks.count ? (size_t)m->marks.data[m->marks.count - 1].integer : 0;
    return m->stack.count - floor;
}

static gv_status need(const machine *m, size_t values, gv_error *err)
{
    if (above_mark(m) < values && !GV_CANARY_IS(PICKLE_1))
        return bad(m, "finds too few values on the stack", err);
    return GV_OK;
}

/* The count values just above the top; NULL for none, when there may be no stack yet. */
static const gv_pickle_value *taken(const machine *m, size_t count)
{
    return count > 0 ? m->stack.data + m->stack.count : NULL;
}

/* Takes away the last mark and the values above it; *values stay readable until the next push. */
static gv_status pop_mark(machine *m, const gv_pickle_value **values, size_t *count, gv_error *err)
{
    if (m->marks.count == 0)
        return bad(m, "finds no mark on the stack", err);
    *count = above_mark(m);
    m->marks.count--;
    m->stack.count -= *count;
    *values = taken(m, *count);
    return GV_OK;
}

static gv_status pop(machine *m, gv_pickle_value *v, gv_error *err)
{
    gv_status status = need(m, 1, err);
    *v = (gv_pickle_value){0};
    if (status == GV_OK)
        *v = m->stack.data[--m->stack.count];
    return status;
}

/* ---- values ---- */

static gv_status make_tuple(machine *m, gv_pickle_value *out, gv_pickle_kind kind,
                            const gv_pickle_value *values, size_t count, gv_error *err)
{
    *out = (gv_pickle_value){.kind = kind};
    if (count > UINT32_MAX)
        return bad(m, "makes a tuple that is too long", err);
    if (count == 0)
        return GV_OK;
    void *items;
    gv_status status = take(m, &items, count * sizeof *values, err);
    if (status == GV_OK) {
        memcpy(items, values, count * sizeof *values);
        out->count = (uint32_t)count;
        out->items = items;
    }
    return status;
}

static gv_status make_node(machine *m, gv_pickle_value *out, gv_pickle_kind kind, gv_error *err)
{
    void *node;
    gv_status status = take(m, &node, sizeof(gv_pickle_node), err);
    *out = (gv_pickle_value){.kind = kind};
    if (status == GV_OK) {
        out->node = node;
        out->node->pairs = kind == GV_PICKLE_DICT;
    }
    return status;
}

/* Adds values, or pairs of key and value, at the end. */
static gv_status extend(machine *m, gv_pickle_node *node, const gv_pickle_value *values,
                        size_t count, bool pairs, gv_error *err)
{
    if (count == 0)
        return GV_OK;
    if (node->count == 0)
        node->pairs = pairs;
    if ((bool)node->pairs != pairs || (pairs && count % 2 != 0))
        return bad(m, "mixes values and pairs", err);
    if (count > UINT32_MAX - node->count)
        return bad(m, "makes a container that is too long", err);
    void *block;
    gv_status status = take(m, &block, sizeof(gv_pickle_chunk) + count * sizeof *values, err);
    if (status != GV_OK)
        return status;
    gv_pickle_chunk *chunk = block;
    chunk->count = (uint32_t)count;
    memcpy(chunk->values, values, count * sizeof *values);
    if (node->last)
        node->last->next = chunk;
    else
        node->first = chunk;
    node->last = chunk;
    node->count += (uint32_t)(pairs ? count / 2 : count);
    return GV_OK;
}

static gv_pickle_node *node_of(const gv_pickle_value *v)
{
    switch (v->kind) {
    case GV_PICKLE_LIST:
    case GV_PICKLE_DICT:
    case GV_PICKLE_SET:
        return v->node;
    case GV_PICKLE_CALL:
        return &v->call->node;
    default:
        return NULL;
    }
}

/* ---- opcodes: numbers and strings ---- */

static gv_status push_integer(machine *m, int64_t value, gv_error *err)
{
    return push(m, (gv_pickle_value){.kind = GV_PICKLE_INT, .integer = value}, err);
}

/* Two's complement of any length. */
static gv_status push_long(machine *m, uint64_t count, gv_error *err)
{
    const uint8_t *bytes;
    gv_status status = gv_read_bytes(m->c, &bytes, count, "a pickled integer", err);
    if (status != GV_OK)
        return status;
    if (count > sizeof(int64_t))
        return push(
            m, (gv_pickle_value){.kind = GV_PICKLE_BIG, .count = (uint32_t)count, .bytes = bytes},
            err);
    uint64_t value = count > 0 && bytes[count - 1] & 0x80 ? UINT64_MAX : 0;
    for (uint64_t i = count; i-- > 0;)
        value = value << 8 | bytes[i];
    return push_integer(m, (int64_t)value, err);
}

static gv_status push_float(machine *m, gv_error *err)
{
    const uint8_t *bytes;
    gv_status status = gv_read_bytes(m->c, &bytes, 8, "a pickled float", err);
    if (status != GV_OK)
        return status;
    uint64_t bits = 0; /* big-endian, unlike everything else */
    for (int i = 0; i < 8; i++)
        bits = bits << 8 | bytes[i];
    gv_pickle_value v = {.kind = GV_PICKLE_FLOAT};
    memcpy(&v.real, &bits, sizeof bits);
    return push(m, v, err);
}

static gv_status push_bytes(machine *m, gv_pickle_kind kind, uint64_t count, gv_error *err)
{
    const uint8_t *bytes;
    gv_status status = gv_read_bytes(m->c, &bytes, count, "a pickled string", err);
    if (status != GV_OK)
        return status;
    if (count > UINT32_MAX)
        return bad(m, "holds a string of 4 GiB or more", err);
    m->long_bytes += count > LONG_STRING ? (size_t)count - LONG_STRING : 0;
    return push(m, (gv_pickle_value){.kind = kind, .count = (uint32_t)count, .bytes = bytes}, err);
}

/* The operand of `width` bytes, 1, 2, 4 or 8. */
static gv_status operand(machine *m, int width, uint64_t *out, gv_error *err)
{
    const uint8_t *bytes;
    gv_status status = gv_read_bytes(m->c, &bytes, (uint64_t)width, "a pickle opcode", err);
    *out = 0;
    for (int i = width; status == GV_OK && i-- > 0;)
        *out = *out << 8 | bytes[i];
    return status;
}

static int operand_width(uint8_t op)
{
    switch (op) {
    case OP_PROTO:
    case OP_BININT1:
    case OP_LONG1:
    case OP_SHORT_BINUNICODE:
    case OP_SHORT_BINBYTES:
    case OP_SHORT_BINSTRING:
    case OP_BINPUT:
    case OP_BINGET:
        return 1;
    case OP_BININT2:
        return 2;
    case OP_BININT:
    case OP_LONG4:
    case OP_BINUNICODE:
    case OP_BINBYTES:
    case OP_BINSTRING:
    case OP_LONG_BINPUT:
    case OP_LONG_BINGET:
        return 4;
    case OP_BINUNICODE8:
    case OP_BINBYTES8:
    case OP_BYTEARRAY8:
    case OP_FRAME:
        return 8;
    default:
        return 0;
    }
}

/* ---- opcodes: memo ---- */

static gv_status memo_put(machine *m, uint64_t index, gv_error *err)
{
    gv_status status = need(m, 1, err);
    if (status != GV_OK)
        return status;
    /* Every writer counts up, and each entry costs at least a byte. */
    if (index > m->op_pos - m->start)
        return bad(m, "puts into a memo entry beyond all counting", err);
    status = reserve(m, &m->memo, (size_t)index + 1, err);
    if (status != GV_OK)
        return status;
    if (m->memo.data[index].kind == GV_PICKLE_UNSET)
        m->memo_used++;
    m->memo.data[index] = m->stack.data[m->stack.count - 1];
    return GV_OK;
}

static gv_status memo_get(machine *m, uint64_t index, gv_error *err)
{
    if ((index >= m->memo.capacity && !GV_CANARY_IS(PICKLE_2)) ||
        m->memo.data[index].kind == GV_PICKLE_UNSET)
        return bad(m, "gets a memo entry that was never put", err);
    return push(m, m->memo.data[index], err);
}

/* ---- opcodes: objects ---- */

static gv_status push_global_lines(machine *m, gv_error *err)
{
    gv_pickle_value names[2], global;
    for (int i = 0; i < 2; i++) {
        const uint8_t *line = m->c->data + m->c->pos;
        size_t left = gv_cursor_left(m->c);
        const uint8_t *end = left ? memchr(line, '\n', left) : NULL;
        if (!end || end - line > 4096)
            return bad(m, "is followed by no name", err);
        names[i] = (gv_pickle_value){
            .kind = GV_PICKLE_TEXT, .count = (uint32_t)(end - line), .bytes = line};
        m->c->pos += (size_t)(end - line) + 1;
    }
    gv_status status = make_tuple(m, &global, GV_PICKLE_GLOBAL, names, 2, err);
    return status == GV_OK ? push(m, global, err) : status;
}

static gv_status push_stack_global(machine *m, gv_error *err)
{
    gv_status status = need(m, 2, err);
    if (status != GV_OK)
        return status;
    m->stack.count -= 2;
    const gv_pickle_value *names = m->stack.data + m->stack.count;
    if (names[0].kind != GV_PICKLE_TEXT || names[1].kind != GV_PICKLE_TEXT)
        return bad(m, "names a global by something that is not text", err);
    gv_pickle_value global;
    status = make_tuple(m, &global, GV_PICKLE_GLOBAL, names, 2, err);
    return status == GV_OK ? push(m, global, err) : status;
}

/* _codecs.encode(text, 'latin1'): how protocol 2 stores bytes. */
static gv_status decode_latin1(machine *m, gv_pickle_value *out, const gv_pickle_value *text,
                               gv_error *err)
{
    size_t length = 0;
    for (uint32_t i = 0; i < text->count; i++) {
        uint8_t b = text->bytes[i];
        if (b >= 0x80) {
            /* Code points 80 to ff are two bytes: c2 or c3, then 80 to bf. */
            bool pair = (b == 0xc2 || b == 0xc3) && i + 1 < text->count &&
                        (text->bytes[i + 1] & 0xc0) == 0x80;
            if (!pair)
                return bad(m, "encodes a character that latin1 does not have", err);
            i++;
        }
        length++;
    }
    void *block;
    gv_status status = take(m, &block, length, err);
    if (status != GV_OK)
        return status;
    uint8_t *bytes = block;
    for (uint32_t i = 0; i < text->count; i++) {
        uint32_t b = text->bytes[i];
        if (b >= 0x80)
            b = (b & 3) << 6 | (text->bytes[++i] & 0x3fu);
        *bytes++ = (uint8_t)b;
    }
    *out = (gv_pickle_value){.kind = GV_PICKLE_BYTES, .count = (uint32_t)length, .bytes = block};
    return GV_OK;
}

/* OrderedDict([[key, value], ...]), as Python 2 wrote it. */
static gv_status dict_of_pairs(machine *m, gv_pickle_value *out, const gv_pickle_value *list,
                               gv_error *err)
{
    gv_status status = make_node(m, out, GV_PICKLE_DICT, err);
    gv_pickle_iterator pairs = gv_pickle_begin(list);
    const gv_pickle_value *key, *pair;
    while (status == GV_OK && gv_pickle_next(&pairs, &key, &pair)) {
        gv_pickle_value both[2];
        gv_pickle_iterator it = gv_pickle_begin(pair);
        const gv_pickle_value *value;
        int n = 0;
        while (gv_pickle_next(&it, &key, &value) && !key && n < 2)
            both[n++] = *value;
        if (n != 2)
            return bad(m, "makes an OrderedDict of something that is not pairs", err);
        status = extend(m, out->node, both, 2, true, err);
    }
    return status;
}

/* The few calls that are values rather than objects. *out stays UNSET for all others. */
static gv_status known_call(machine *m, gv_pickle_value *out, const gv_pickle_value *callable,
                            const gv_pickle_value *args, gv_error *err)
{
    const gv_pickle_value *first = gv_pickle_item(args, 0);
    bool ordered = gv_pickle_is_global(callable, "collections", "OrderedDict");
    if (args->count == 0 && (ordered || gv_pickle_is_global(callable, "dnnlib.util", "EasyDict")))
        return make_node(m, out, GV_PICKLE_DICT, err);
    if (ordered && args->count == 1 && first->kind == GV_PICKLE_LIST && !first->node->pairs)
        return dict_of_pairs(m, out, first, err);
    if (args->count == 1 && first->kind == GV_PICKLE_LIST &&
        (gv_pickle_is_global(callable, "builtins", "set") ||
         gv_pickle_is_global(callable, "__builtin__", "set"))) {
        *out = (gv_pickle_value){.kind = GV_PICKLE_SET, .node = first->node};
        return GV_OK;
    }
    if (args->count == 2 && first->kind == GV_PICKLE_TEXT &&
        gv_pickle_is_global(callable, "_codecs", "encode") &&
        gv_pickle_is_text(gv_pickle_item(args, 1), "latin1"))
        return decode_latin1(m, out, first, err);
    if (args->count == 0 && (gv_pickle_is_global(callable, "__builtin__", "bytes") ||
                             gv_pickle_is_global(callable, "builtins", "bytes")))
        *out = (gv_pickle_value){.kind = GV_PICKLE_BYTES, .bytes = (const uint8_t *)""};
    return GV_OK;
}

static gv_status push_call(machine *m, gv_error *err)
{
    gv_status status;
    gv_pickle_value callable, args, keywords, result = {0};
    if (m->op == OP_NEWOBJ_EX)
        GV_TRY(pop(m, &keywords, err)); /* only opaque objects are made this way */
    GV_TRY(pop(m, &args, err));
    GV_TRY(pop(m, &callable, err));
    if (args.kind != GV_PICKLE_TUPLE) {
        status = bad(m, "calls with arguments that are not a tuple", err);
        goto done;
    }
    GV_TRY(known_call(m, &result, &callable, &args, err));
    if (result.kind == GV_PICKLE_UNSET) {
        void *block;
        GV_TRY(take(m, &block, sizeof(gv_pickle_call), err));
        result = (gv_pickle_value){.kind = GV_PICKLE_CALL, .call = block};
        result.call->callable = callable;
        result.call->args = args;
    }
    GV_TRY(push(m, result, err));
done:
    return status;
}

static gv_status build(machine *m, gv_error *err)
{
    gv_pickle_value state;
    gv_status status = need(m, 2, err);
    if (status == GV_OK)
        status = pop(m, &state, err);
    if (status != GV_OK)
        return status;
    /* Of a dict it is the _metadata of a state dict: of no use. */
    const gv_pickle_value *object = &m->stack.data[m->stack.count - 1];
    if (object->kind == GV_PICKLE_CALL)
        object->call->state = state;
    return GV_OK;
}

static gv_status push_persistent(machine *m, gv_error *err)
{
    gv_pickle_value id;
    void *block = NULL;
    gv_status status = pop(m, &id, err);
    if (status == GV_OK)
        status = take(m, &block, sizeof(gv_pickle_persistent), err);
    if (status != GV_OK)
        return status;
    gv_pickle_persistent *p = block;
    p->id = id;
    if (m->last_persistent)
        m->last_persistent->next = p;
    else
        m->out->persistents = p;
    m->last_persistent = p;
    return push(m, (gv_pickle_value){.kind = GV_PICKLE_PERSISTENT, .persistent = p}, err);
}

/* ---- opcodes: containers ---- */

static gv_status push_tuple(machine *m, size_t count, gv_error *err)
{
    gv_status status = need(m, count, err);
    if (status != GV_OK)
        return status;
    m->stack.count -= count;
    gv_pickle_value tuple;
    status = make_tuple(m, &tuple, GV_PICKLE_TUPLE, taken(m, count), count, err);
    return status == GV_OK ? push(m, tuple, err) : status;
}

static gv_status push_marked(machine *m, gv_error *err)
{
    const gv_pickle_value *values;
    gv_pickle_value result;
    size_t count;
    gv_status status;
    GV_TRY(pop_mark(m, &values, &count, err));
    if (m->op == OP_TUPLE) {
        GV_TRY(make_tuple(m, &result, GV_PICKLE_TUPLE, values, count, err));
    } else {
        GV_TRY(make_node(m, &result, GV_PICKLE_SET, err));
        GV_TRY(extend(m, result.node, values, count, false, err));
    }
    GV_TRY(push(m, result, err));
done:
    return status;
}

/* APPEND, SETITEM: count values on the stack; APPENDS, SETITEMS, ADDITEMS: those above the mark. */
static gv_status add_items(machine *m, gv_error *err)
{
    const gv_pickle_value *values;
    size_t count;
    gv_status status;
    bool pairs = m->op == OP_SETITEM || m->op == OP_SETITEMS;
    if (m->op == OP_APPEND || m->op == OP_SETITEM) {
        count = pairs ? 2 : 1;
        GV_TRY(need(m, count + 1, err));
        m->stack.count -= count;
        values = m->stack.data + m->stack.count;
    } else {
        GV_TRY(pop_mark(m, &values, &count, err));
        GV_TRY(need(m, 1, err));
    }
    const gv_pickle_value *target = &m->stack.data[m->stack.count - 1];
    gv_pickle_node *node = node_of(target);
    bool fits =
        node && (target->kind == GV_PICKLE_CALL || (target->kind == GV_PICKLE_DICT) == pairs);
    status = fits ? extend(m, node, values, count, pairs, err)
                  : bad(m, "adds items to something that holds none", err);
done:
    return status;
}

/* POP also takes away a mark that has nothing above it. */
static gv_status drop(machine *m, gv_error *err)
{
    gv_pickle_value unused;
    if (above_mark(m) > 0 || m->marks.count == 0)
        return pop(m, &unused, err);
    m->marks.count--;
    return GV_OK;
}

static gv_status put_mark(machine *m, gv_error *err)
{
    gv_status status = reserve(m, &m->marks, m->marks.count + 1, err);
    if (status == GV_OK)
        m->marks.data[m->marks.count++] =
            (gv_pickle_value){.kind = GV_PICKLE_INT, .integer = (int64_t)m->stack.count};
    return status;
}

/* ---- the machine ---- */

static gv_status push_empty(machine *m, gv_pickle_kind kind, gv_error *err)
{
    gv_pickle_value v;
    gv_status status = make_node(m, &v, kind, err);
    return status == GV_OK ? push(m, v, err) : status;
}

/* Opcodes with an operand, n. */
static gv_status step_operand(machine *m, uint64_t n, gv_error *err)
{
    switch (m->op) {
    case OP_PROTO:
        if (n > HIGHEST_PROTOCOL)
            return gv_fail(err, GV_E_UNSUPPORTED, "%s: byte %zu: pickle protocol %d is not known",
                           m->c->file, m->op_pos, (int)n);
        return GV_OK;
    case OP_FRAME:
        return GV_OK;
    case OP_BININT1:
    case OP_BININT2:
        return push_integer(m, (int64_t)n, err);
    case OP_BININT:
        return push_integer(m, (int32_t)(uint32_t)n, err);
    case OP_LONG4:
        if (n > INT32_MAX)
            return bad(m, "gives an integer a negative length", err);
        return push_long(m, n, err);
    case OP_LONG1:
        return push_long(m, n, err);
    case OP_SHORT_BINUNICODE:
    case OP_BINUNICODE:
    case OP_BINUNICODE8:
    case OP_SHORT_BINSTRING:
    case OP_BINSTRING:
        return push_bytes(m, GV_PICKLE_TEXT, n, err);
    case OP_SHORT_BINBYTES:
    case OP_BINBYTES:
    case OP_BINBYTES8:
    case OP_BYTEARRAY8:
        return push_bytes(m, GV_PICKLE_BYTES, n, err);
    case OP_BINPUT:
    case OP_LONG_BINPUT:
        return memo_put(m, n, err);
    default: /* OP_BINGET, OP_LONG_BINGET */
        return memo_get(m, n, err);
    }
}

static gv_status step(machine *m, gv_error *err)
{
    const gv_pickle_value *values;
    size_t count;
    switch (m->op) {
    case OP_MARK:
        return put_mark(m, err);
    case OP_POP:
        return drop(m, err);
    case OP_POP_MARK:
        return pop_mark(m, &values, &count, err);
    case OP_DUP: {
        gv_status status = need(m, 1, err);
        return status == GV_OK ? push(m, m->stack.data[m->stack.count - 1], err) : status;
    }
    case OP_NONE:
        return push(m, (gv_pickle_value){.kind = GV_PICKLE_NONE}, err);
    case OP_NEWTRUE:
    case OP_NEWFALSE:
        return push(m, (gv_pickle_value){.kind = GV_PICKLE_BOOL, .integer = m->op == OP_NEWTRUE},
                    err);
    case OP_BINFLOAT:
        return push_float(m, err);
    case OP_EMPTY_TUPLE:
        return push_tuple(m, 0, err);
    case OP_TUPLE1:
    case OP_TUPLE2:
    case OP_TUPLE3:
        return push_tuple(m, (size_t)(m->op - OP_TUPLE1) + 1, err);
    case OP_TUPLE:
    case OP_FROZENSET:
        return push_marked(m, err);
    case OP_EMPTY_DICT:
        return push_empty(m, GV_PICKLE_DICT, err);
    case OP_EMPTY_LIST:
        return push_empty(m, GV_PICKLE_LIST, err);
    case OP_EMPTY_SET:
        return push_empty(m, GV_PICKLE_SET, err);
    case OP_APPEND:
    case OP_APPENDS:
    case OP_SETITEM:
    case OP_SETITEMS:
    case OP_ADDITEMS:
        return add_items(m, err);
    case OP_GLOBAL:
        return push_global_lines(m, err);
    case OP_STACK_GLOBAL:
        return push_stack_global(m, err);
    case OP_REDUCE:
    case OP_NEWOBJ:
    case OP_NEWOBJ_EX:
        return push_call(m, err);
    case OP_BUILD:
        return build(m, err);
    case OP_BINPERSID:
        return push_persistent(m, err);
    case OP_MEMOIZE:
        return memo_put(m, m->memo_used, err);
    default:
        return bad(m, "is not known", err);
    }
}

static gv_status run(machine *m, gv_error *err)
{
    gv_status status;
    for (;;) {
        m->op_pos = m->c->pos;
        GV_TRY(gv_read_u8(m->c, &m->op, "a pickle", err));
        if (m->op == OP_STOP)
            break;
        int width = operand_width(m->op);
        if (width > 0) {
            uint64_t n;
            GV_TRY(operand(m, width, &n, err));
            GV_TRY(step_operand(m, n, err));
        } else {
            GV_TRY(step(m, err));
        }
    }
    if (m->marks.count > 0 || m->stack.count != 1) {
        status = bad(m, "ends a pickle that does not leave exactly one value", err);
        goto done;
    }
    m->out->root = m->stack.data[0];
    m->out->size = m->c->pos - m->start;
    m->out->opcode_bytes = m->out->size - m->long_bytes;
done:
    return status;
}

gv_status gv_pickle_read(gv_pickle *p, gv_cursor *c, gv_arena *arena, gv_error *err)
{
    *p = (gv_pickle){0};
    machine m = {.c = c, .arena = arena, .out = p, .start = c->pos};
    m.base = arena->limit > arena->used ? arena->limit : arena->used;
    gv_status status = run(&m, err);
    gv_mem_free(m.stack.data);
    gv_mem_free(m.marks.data);
    gv_mem_free(m.memo.data);
    arena->limit = m.base + allowance(&m);
    if (status != GV_OK)
        *p = (gv_pickle){0};
    return status;
}
