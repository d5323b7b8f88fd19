#include "base/memory.h"

#include <assert.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    BLOCK_ALIGN = 64,
    HUGE_PAGE = 2 << 20,
    HUGE_FROM = 4 << 20, /* smaller blocks would waste too much of a huge page */
    ARENA_ALIGN = 16,
    CHUNK_FIRST = 4 << 10,
    CHUNK_LAST = 256 << 10,
};

/* Under AddressSanitizer every arena allocation is a block of its own, so that it sees a byte
 * read past one of them. */
#if defined(__SANITIZE_ADDRESS__)
#define SEPARATE_CHUNKS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SEPARATE_CHUNKS 1
#endif
#endif
#ifndef SEPARATE_CHUNKS
#define SEPARATE_CHUNKS 0
#endif

/* ---- counting and planned failures: process-wide, for tests ---- */

static _Atomic int64_t fail_countdown;
static _Atomic int64_t blocks_alive;
static _Atomic int64_t allocations_made;

static bool must_fail(void)
{
    atomic_fetch_add_explicit(&allocations_made, 1, memory_order_relaxed);
    if (atomic_load_explicit(&fail_countdown, memory_order_relaxed) <= 0)
        return false;
    return atomic_fetch_sub_explicit(&fail_countdown, 1, memory_order_relaxed) == 1;
}

void gv_mem_fail_nth(int64_t n)
{
    atomic_store(&fail_countdown, n);
}

int64_t gv_mem_live(void)
{
    return atomic_load(&blocks_alive);
}

int64_t gv_mem_made(void)
{
    return atomic_load(&allocations_made);
}

/* ---- checked sizes ---- */

bool gv_add_size(size_t *out, size_t a, size_t b)
{
    bool fits = !__builtin_add_overflow(a, b, out);
    if (!fits)
        *out = 0;
    return fits;
}

bool gv_mul_size(size_t *out, size_t a, size_t b)
{
    bool fits = !__builtin_mul_overflow(a, b, out);
    if (!fits)
        *out = 0;
    return fits;
}

bool gv_mul_i64(int64_t *out, int64_t a, int64_t b)
{
    bool fits = a >= 0 && b >= 0 && !__builtin_mul_overflow(a, b, out);
    if (!fits)
        *out = 0;
    return fits;
}

/* ---- single blocks ---- */

static void *block_new(size_t bytes)
{
    size_t align = bytes >= HUGE_FROM ? HUGE_PAGE : BLOCK_ALIGN;
    void *block;
    if (posix_memalign(&block, align, bytes > 0 ? bytes : 1) != 0)
        return NULL;
    /* Before the first touch; a system without huge pages refuses, and nothing is lost. */
    if (bytes >= HUGE_FROM)
        (void)madvise(block, bytes, MADV_HUGEPAGE);
    memset(block, 0, bytes);
    atomic_fetch_add_explicit(&blocks_alive, 1, memory_order_relaxed);
    return block;
}

void *gv_mem_alloc(size_t bytes)
{
    return must_fail() ? NULL : block_new(bytes);
}

void *gv_mem_alloc_array(size_t count, size_t size)
{
    size_t bytes;
    return gv_mul_size(&bytes, count, size) ? gv_mem_alloc(bytes) : NULL;
}

void *gv_mem_resize(void *block, size_t old_bytes, size_t new_bytes)
{
    /* realloc would keep neither the alignment nor the zeros. */
    void *grown = gv_mem_alloc(new_bytes);
    if (!grown)
        return NULL;
    size_t kept = old_bytes < new_bytes ? old_bytes : new_bytes;
    if (kept > 0)
        memcpy(grown, block, kept);
    gv_mem_free(block);
    return grown;
}

void gv_mem_free(void *block)
{
    if (!block)
        return;
    atomic_fetch_sub_explicit(&blocks_alive, 1, memory_order_relaxed);
    free(block);
}

/* ---- arena ---- */

struct gv_arena_chunk {
    gv_arena_chunk *next;
    size_t size; /* bytes after the header */
    size_t used;
};

/* The header takes one full alignment unit, so that the data behind it is aligned to 64. */
enum { CHUNK_HEADER = BLOCK_ALIGN };
_Static_assert(sizeof(gv_arena_chunk) <= CHUNK_HEADER, "the chunk's header must fit");

void gv_arena_init(gv_arena *arena, size_t limit)
{
    *arena = (gv_arena){.limit = limit};
}

void gv_arena_deinit(gv_arena *arena)
{
    while (arena->chunks) {
        gv_arena_chunk *next = arena->chunks->next;
        gv_mem_free(arena->chunks);
        arena->chunks = next;
    }
    arena->used = 0;
}

/* A chunk that holds at least `bytes`, put in front of the list. */
static gv_arena_chunk *arena_grow(gv_arena *arena, size_t bytes)
{
    size_t size = CHUNK_FIRST;
    if (SEPARATE_CHUNKS)
        size = 0;
    else if (arena->chunks)
        size = arena->chunks->size < CHUNK_LAST / 2 ? arena->chunks->size * 2 : CHUNK_LAST;
    if (size < bytes)
        size = bytes;

    size_t total;
    if (!gv_add_size(&total, size, CHUNK_HEADER))
        return NULL;
    gv_arena_chunk *chunk = block_new(total);
    if (!chunk)
        return NULL;
    chunk->size = size;
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    return chunk;
}

void *gv_arena_alloc_aligned(gv_arena *arena, size_t bytes, size_t align)
{
    assert(align > 0 && align <= BLOCK_ALIGN && (align & (align - 1)) == 0);
    if (must_fail())
        return NULL;

    gv_arena_chunk *chunk = arena->chunks;
    size_t padding = chunk ? (0 - chunk->used) & (align - 1) : 0;
    bool fits = chunk && !SEPARATE_CHUNKS && padding <= chunk->size - chunk->used &&
                bytes <= chunk->size - chunk->used - padding;
    if (!fits)
        padding = 0;

    size_t used;
    if (!gv_add_size(&used, arena->used, padding) || !gv_add_size(&used, used, bytes) ||
        (arena->limit > 0 && used > arena->limit))
        return NULL;
    if (!fits)
        chunk = arena_grow(arena, bytes);
    if (!chunk)
        return NULL;

    char *data = (char *)chunk + CHUNK_HEADER + chunk->used + padding;
    chunk->used += padding + bytes;
    arena->used = used;
    return data;
}

void *gv_arena_alloc(gv_arena *arena, size_t bytes)
{
    return gv_arena_alloc_aligned(arena, bytes, ARENA_ALIGN);
}

void *gv_arena_alloc_array(gv_arena *arena, size_t count, size_t size)
{
    size_t bytes;
    return gv_mul_size(&bytes, count, size) ? gv_arena_alloc(arena, bytes) : NULL;
}

char *gv_arena_copy_text(gv_arena *arena, const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = gv_arena_alloc_aligned(arena, bytes, 1);
    return copy ? memcpy(copy, text, bytes) : NULL;
}

char *gv_arena_format(gv_arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0)
        return NULL;

    size_t bytes = (size_t)length + 1;
    char *text = gv_arena_alloc_aligned(arena, bytes, 1);
    if (!text)
        return NULL;
    va_start(args, format);
    vsnprintf(text, bytes, format, args);
    va_end(args);
    return text;
}
