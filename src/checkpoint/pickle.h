/* Python's pickle format read as data: a tree of values. Nothing is imported, nothing is called;
 * calls become nodes that later layers may give a meaning. Source FORMATS section 1.
 *
 * Values refer to each other through the memo, as in Python: the same list, dict or call may be
 * reached on many ways, and a list or dict may contain itself. Whoever walks the tree bounds the
 * depth and the number of steps. */
#ifndef GV_CHECKPOINT_PICKLE_H
#define GV_CHECKPOINT_PICKLE_H

#include "base/cursor.h"
#include "base/memory.h"

typedef enum gv_pickle_kind {
    GV_PICKLE_UNSET, /* never in a finished tree */
    GV_PICKLE_NONE,
    GV_PICKLE_BOOL,
    GV_PICKLE_INT,
    GV_PICKLE_BIG, /* an integer past 64 bits: little-endian two's complement bytes */
    GV_PICKLE_FLOAT,
    GV_PICKLE_TEXT,  /* UTF-8 in the file, unchecked, not terminated */
    GV_PICKLE_BYTES, /* in the file, or decoded into the arena (protocol 2) */
    GV_PICKLE_TUPLE,
    GV_PICKLE_GLOBAL, /* two items, TEXT: module and name */
    GV_PICKLE_LIST,
    GV_PICKLE_DICT, /* also OrderedDict and EasyDict */
    GV_PICKLE_SET,
    GV_PICKLE_CALL,      /* any other object: callable, arguments, state, items */
    GV_PICKLE_PERSISTENT /* a reference to something outside the pickle */
} gv_pickle_kind;

typedef struct gv_pickle_value gv_pickle_value;
typedef struct gv_pickle_chunk gv_pickle_chunk;
typedef struct gv_pickle_call gv_pickle_call;
typedef struct gv_pickle_persistent gv_pickle_persistent;

/* What a LIST, DICT or SET holds; a CALL of a subclass of these has one as well. */
typedef struct gv_pickle_node {
    gv_pickle_chunk *first, *last;
    uint32_t count; /* values; pairs in a DICT */
    unsigned pairs : 1;
    unsigned seen : 31; /* number of the last walk that came by */
} gv_pickle_node;

struct gv_pickle_value {
    uint32_t kind;  /* gv_pickle_kind */
    uint32_t count; /* TEXT, BYTES, BIG: bytes; TUPLE, GLOBAL: items */
    union {
        int64_t integer; /* INT, BOOL */
        double real;
        const uint8_t *bytes;
        const gv_pickle_value *items;
        gv_pickle_node *node; /* LIST, DICT, SET */
        gv_pickle_call *call;
        gv_pickle_persistent *persistent;
    };
};

struct gv_pickle_chunk {
    gv_pickle_chunk *next;
    uint32_t count; /* values; two for each pair */
    gv_pickle_value values[];
};

struct gv_pickle_call {
    gv_pickle_node node;
    gv_pickle_value callable; /* usually a GLOBAL */
    gv_pickle_value args;     /* TUPLE */
    gv_pickle_value state;    /* of the last BUILD, or UNSET */
};

struct gv_pickle_persistent {
    gv_pickle_persistent *next; /* in the order of the file */
    gv_pickle_value id;
};

typedef struct gv_pickle {
    gv_pickle_value root;
    gv_pickle_persistent *persistents;
    size_t size;         /* bytes from the first opcode to STOP */
    size_t opcode_bytes; /* the same without what long strings hold */
} gv_pickle;

/* Reads one pickle (protocols 2 to 5) and leaves c behind its STOP.
 * p       lives in the arena and in c's data
 * arena   its limit (or, without one, what was used) grows by 64 KiB + 24 times the opcodes + the
 *         long strings: with the bytes that were read, not with what they promise
 * Errors  GV_E_FORMAT with the byte; GV_E_MEMORY, also past that limit. */
gv_status gv_pickle_read(gv_pickle *p, gv_cursor *c, gv_arena *arena, gv_error *err);

/* ---- looking at values; v may be NULL: then the answer is no ---- */

bool gv_pickle_is_text(const gv_pickle_value *v, const char *text);
/* A GLOBAL of that module and name; module NULL: any. */
bool gv_pickle_is_global(const gv_pickle_value *v, const char *module, const char *name);
/* A CALL whose callable is that GLOBAL. */
bool gv_pickle_is_call(const gv_pickle_value *v, const char *module, const char *name);
/* DICT, or a CALL that was given pairs. */
bool gv_pickle_is_dict(const gv_pickle_value *v);
bool gv_pickle_get_int(const gv_pickle_value *v, int64_t *out);
/* i-th item of a TUPLE or argument of a CALL; NULL if there are fewer. */
const gv_pickle_value *gv_pickle_item(const gv_pickle_value *v, uint32_t i);
/* Value of a text key; the last one wins, as in Python. NULL if missing or v is no dict. */
const gv_pickle_value *gv_pickle_find(const gv_pickle_value *v, const char *key);

/* Over the values of a LIST, SET, TUPLE or CALL (key NULL), or the pairs of a DICT. */
typedef struct gv_pickle_iterator {
    const gv_pickle_chunk *chunk;
    const gv_pickle_value *tuple;
    uint32_t left, next;
    bool pairs;
} gv_pickle_iterator;

gv_pickle_iterator gv_pickle_begin(const gv_pickle_value *v);
bool gv_pickle_next(gv_pickle_iterator *it, const gv_pickle_value **key,
                    const gv_pickle_value **value);

#endif
