#include "checkpoint/hash.h"

#include "base/cursor.h"

static const uint64_t prime1 = 0x9e3779b185ebca87, prime2 = 0xc2b2ae3d27d4eb4f,
                      prime3 = 0x165667b19e3779f9, prime4 = 0x85ebca77c2b2ae63,
                      prime5 = 0x27d4eb2f165667c5;

static uint64_t rotate(uint64_t v, int bits)
{
    return v << bits | v >> (64 - bits);
}

static uint64_t mix(uint64_t lane, uint64_t input)
{
    return rotate(lane + input * prime2, 31) * prime1;
}

static uint64_t merge(uint64_t hash, uint64_t lane)
{
    return (hash ^ mix(0, lane)) * prime1 + prime4;
}

uint64_t gv_hash64(const uint8_t *data, size_t size)
{
    const uint8_t *p = data;
    size_t left = size;
    uint64_t hash = prime5;
    if (left >= 32) {
        uint64_t lane[4] = {prime1 + prime2, prime2, 0, 0 - prime1};
        for (; left >= 32; p += 32, left -= 32) {
            for (int i = 0; i < 4; i++)
                lane[i] = mix(lane[i], gv_load_u64(p + 8 * i));
        }
        hash = rotate(lane[0], 1) + rotate(lane[1], 7) + rotate(lane[2], 12) + rotate(lane[3], 18);
        for (int i = 0; i < 4; i++)
            hash = merge(hash, lane[i]);
    }
    hash += size;
    for (; left >= 8; p += 8, left -= 8)
        hash = rotate(hash ^ mix(0, gv_load_u64(p)), 27) * prime1 + prime4;
    for (; left >= 4; p += 4, left -= 4)
        hash = rotate(hash ^ gv_load_u32(p) * prime1, 23) * prime2 + prime3;
    for (; left > 0; p++, left--)
        hash = rotate(hash ^ *p * prime5, 11) * prime1;
    hash = (hash ^ hash >> 33) * prime2;
    hash = (hash ^ hash >> 29) * prime3;
    return hash ^ hash >> 32;
}
