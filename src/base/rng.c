#include "base/rng.h"

#include <math.h>

/* ---- MT19937. Source Matsumoto and Nishimura 1998 ---- */

enum { WORDS = 624, MIDDLE = 397 };

void gv_mt19937_seed(gv_mt19937 *mt, uint64_t seed)
{
    mt->state[0] = (uint32_t)seed;
    for (uint32_t i = 1; i < WORDS; i++) {
        uint32_t before = mt->state[i - 1];
        mt->state[i] = 1812433253u * (before ^ before >> 30) + i;
    }
    mt->next = WORDS;
}

static uint32_t twist(uint32_t high, uint32_t low)
{
    uint32_t y = (high & 0x80000000u) | (low & 0x7fffffffu);
    return y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0);
}

static void refill(uint32_t *s)
{
    int i = 0;
    for (; i < WORDS - MIDDLE; i++)
        s[i] = s[i + MIDDLE] ^ twist(s[i], s[i + 1]);
    for (; i < WORDS - 1; i++)
        s[i] = s[i + MIDDLE - WORDS] ^ twist(s[i], s[i + 1]);
    s[i] = s[MIDDLE - 1] ^ twist(s[i], s[0]);
}

uint32_t gv_mt19937_next(gv_mt19937 *mt)
{
    if (mt->next == WORDS) {
        refill(mt->state);
        mt->next = 0;
    }
    uint32_t y = mt->state[mt->next++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
}

/* ---- NumPy ---- */

void gv_numpy_seed(gv_numpy_rng *rng, uint64_t seed)
{
    *rng = (gv_numpy_rng){0};
    gv_mt19937_seed(&rng->mt, seed);
}

double gv_numpy_rand(gv_numpy_rng *rng)
{
    uint32_t high = gv_mt19937_next(&rng->mt) >> 5;
    uint32_t low = gv_mt19937_next(&rng->mt) >> 6;
    return (high * 67108864.0 + low) / 9007199254740992.0;
}

static double numpy_normal(gv_numpy_rng *rng)
{
    if (rng->has_gauss) {
        rng->has_gauss = false;
        return rng->gauss;
    }
    double x1, x2, r;
    do {
        x1 = 2.0 * gv_numpy_rand(rng) - 1.0;
        x2 = 2.0 * gv_numpy_rand(rng) - 1.0;
        r = x1 * x1 + x2 * x2;
    } while (r >= 1.0 || r == 0.0);
    double f = sqrt(-2.0 * log(r) / r);
    rng->gauss = f * x1;
    rng->has_gauss = true;
    return f * x2;
}

void gv_numpy_randn(gv_numpy_rng *rng, double *out, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        out[i] = numpy_normal(rng);
}
