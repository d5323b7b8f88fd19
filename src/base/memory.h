/* All memory of the library: the only callers of malloc and free are in memory.c. */
#ifndef GV_BASE_MEMORY_H
#define GV_BASE_MEMORY_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- checked sizes: false, and *out = 0, on overflow ---- */

bool gv_add_size(size_t *out, size_t a, size_t b);
bool gv_mul_size(size_t *out, size_t a, size_t b);
/* Product of non-negative factors; false if one is negative or the product passes INT64_MAX. */
bool gv_mul_i64(int64_t *out, int64_t a, int64_t b);

/* ---- single blocks ---- */

/* Returns owned zeroed memory (gv_mem_free), aligned to 64 bytes, or NULL. bytes may be 0: then a
 * distinct pointer is returned all the same. Blocks of 4 MiB and more are aligned to 2 MiB and
 * advised to use huge pages. */
void *gv_mem_alloc(size_t bytes);
/* count * size, checked. */
void *gv_mem_alloc_array(size_t count, size_t size);
/* Grows or shrinks a block from gv_mem_alloc, keeping the first min(old, new) bytes; the new bytes
 * are zero. NULL leaves the old block valid. */
void *gv_mem_resize(void *block, size_t old_bytes, size_t new_bytes);
/* block may be NULL. */
void gv_mem_free(void *block);

/* ---- arena: everything of one lifetime, freed at once ---- */

typedef struct gv_arena_chunk gv_arena_chunk;

typedef struct gv_arena {
    gv_arena_chunk *chunks;
    size_t used;  /* bytes handed out, padding included */
    size_t limit; /* an allocation that would take used beyond it fails; 0: no limit */
} gv_arena;

void gv_arena_init(gv_arena *arena, size_t limit);
void gv_arena_deinit(gv_arena *arena);
/* Zeroed, aligned to 16 bytes (align: a power of two up to 64 in the _aligned form); NULL when
 * memory or the limit is exhausted. Lives until gv_arena_deinit. */
void *gv_arena_alloc(gv_arena *arena, size_t bytes);
void *gv_arena_alloc_aligned(gv_arena *arena, size_t bytes, size_t align);
void *gv_arena_alloc_array(gv_arena *arena, size_t count, size_t size);
/* Copies of text; NULL as above. */
char *gv_arena_copy_text(gv_arena *arena, const char *text);
char *gv_arena_format(gv_arena *arena, const char *format, ...) GV_PRINTF(2, 3);

/* ---- for tests ---- */

/* The n-th allocation from now (1 = the next) fails, and only that one; 0 turns it off.
 * Not for use while other threads allocate. */
void gv_mem_fail_nth(int64_t n);
/* Blocks alive, and allocations made since the start, of the whole process. */
int64_t gv_mem_live(void);
int64_t gv_mem_made(void);

#endif
