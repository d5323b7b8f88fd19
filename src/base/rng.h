/* Random numbers of NumPy's RandomState and of torch's CPU generator, bit for bit.
 * Source FORMATS section 6; vectors in ../shared/reference/rng. */
#ifndef GV_BASE_RNG_H
#define GV_BASE_RNG_H

#include "base/error.h"

/* MT19937, seeded by init_genrand(seed mod 2^32): the same raw stream in both libraries. */
typedef struct gv_mt19937 {
    uint32_t state[624];
    int next; /* 624: refill before the next word */
} gv_mt19937;

void gv_mt19937_seed(gv_mt19937 *mt, uint64_t seed);
uint32_t gv_mt19937_next(gv_mt19937 *mt);

/* numpy.random.RandomState(seed) */
typedef struct gv_numpy_rng {
    gv_mt19937 mt;
    bool has_gauss;
    double gauss;
} gv_numpy_rng;

void gv_numpy_seed(gv_numpy_rng *rng, uint64_t seed);
double gv_numpy_rand(gv_numpy_rng *rng);                            /* uniform in [0,1) */
void gv_numpy_randn(gv_numpy_rng *rng, double *out, int64_t count); /* polar method */

/* torch.Generator on the CPU after manual_seed(seed). */
typedef struct gv_torch_rng {
    gv_mt19937 mt;
    bool has_normal; /* the cache of the path for fewer than 16 samples */
    double normal;
} gv_torch_rng;

void gv_torch_seed(gv_torch_rng *rng, uint64_t seed);
float gv_torch_rand(gv_torch_rng *rng);         /* float32 uniform in [0,1) */
double gv_torch_rand_double(gv_torch_rng *rng); /* float64 uniform in [0,1) */
/* One call of torch.randn(count): the path depends on count (below 16 or not). */
void gv_torch_randn(gv_torch_rng *rng, float *out, int64_t count);
void gv_torch_randn_double(gv_torch_rng *rng, double *out, int64_t count);
/* torch.randint(0, n): n in [1, 2^32). */
uint32_t gv_torch_randint(gv_torch_rng *rng, uint32_t n);
/* torch.randperm(n) for n < 2^31. */
void gv_torch_randperm(gv_torch_rng *rng, int64_t *out, int64_t n);

#endif
