/* XXH64 with seed 0: a fast content hash. Source the xxHash specification, version 0.1.1. */
#ifndef GV_CHECKPOINT_HASH_H
#define GV_CHECKPOINT_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t gv_hash64(const uint8_t *data, size_t size);

#endif
