/* torch's CPU generator. The float32 normals follow the AVX2 build of torch, which the official
 * wheels run on every x86 of today: its logarithm, sine and cosine are the Cephes polynomials with
 * fused multiply-adds, and differ from libm's in one value of six. */
#include "base/rng.h"

#include <math.h>
#include <string.h>

static const double TWO_PI = 6.283185307179586476925286766559;

void gv_torch_seed(gv_torch_rng *rng, uint64_t seed)
{
    *rng = (gv_torch_rng){0};
    gv_mt19937_seed(&rng->mt, seed);
}

float gv_torch_rand(gv_torch_rng *rng)
{
    return (float)(gv_mt19937_next(&rng->mt) & 0xffffffu) * 0x1p-24f;
}

double gv_torch_rand_double(gv_torch_rng *rng)
{
    uint64_t high = gv_mt19937_next(&rng->mt);
    uint64_t bits = high << 32 | gv_mt19937_next(&rng->mt);
    return (double)(bits & 0x1fffffffffffffu) * 0x1p-53;
}

uint32_t gv_torch_randint(gv_torch_rng *rng, uint32_t n)
{
    return gv_mt19937_next(&rng->mt) % n;
}

void gv_torch_randperm(gv_torch_rng *rng, int64_t *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = i;
    for (int64_t i = 0; i < n - 1; i++) {
        int64_t j = i + gv_torch_randint(rng, (uint32_t)(n - i));
        int64_t kept = out[i];
        out[i] = out[j];
        out[j] = kept;
    }
}

/* ---- fewer than 16 samples: one after the other, in double, whatever the type ---- */

static double normal_one(gv_torch_rng *rng)
{
    if (rng->has_normal) {
        rng->has_normal = false;
        return rng->normal;
    }
    double u1 = gv_torch_rand_double(rng);
    double u2 = gv_torch_rand_double(rng);
    double r = sqrt(-2.0 * log1p(-u2));
    double theta = TWO_PI * u1;
    rng->normal = r * sin(theta);
    rng->has_normal = true;
    return r * cos(theta);
}

/* ---- 16 and more: blocks of 16 uniforms, the first eight paired with the last eight ---- */

enum { BLOCK = 16, PAIRS = BLOCK / 2 };

static inline __attribute__((always_inline)) float cephes_log(float x)
{
    static const float p[9] = {7.0376836292E-2f,  -1.1514610310E-1f, 1.1676998740E-1f,
                               -1.2420140846E-1f, 1.4249322787E-1f,  -1.6668057665E-1f,
                               2.0000714765E-1f,  -2.4999993993E-1f, 3.3333331174E-1f};
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    float e = (float)((int32_t)(bits >> 23) - 126);
    bits = (bits & 0x007fffffu) | 0x3f000000u;
    float m;
    memcpy(&m, &bits, sizeof m);

    float below = m;
    bool small = m < 0.707106781186547524f;
    m -= 1.0f;
    e -= small ? 1.0f : 0.0f;
    m += small ? below : 0.0f;

    float z = m * m;
    float y = p[0];
    for (int i = 1; i < 9; i++)
        y = fmaf(y, m, p[i]);
    y = y * m;
    y = fmaf(y, z, e * -2.12194440e-4f);
    y = fmaf(z, -0.5f, y);
    return fmaf(e, 0.693359375f, m + y);
}

/* For 0 <= theta < 2 pi. */
static inline __attribute__((always_inline)) void cephes_sincos(float *sine, float *cosine,
                                                                float theta)
{
    int j = ((int)(theta * 1.27323954473516f) + 1) & ~1;
    float y = (float)j;
    float x = fmaf(y, -0.78515625f, theta);
    x = fmaf(y, -2.4187564849853515625e-4f, x);
    x = fmaf(y, -3.77489497744594108e-8f, x);
    float z = x * x;

    float c = fmaf(2.443315711809948E-5f, z, -1.388731625493765E-3f);
    c = fmaf(c, z, 4.166664568298827E-2f) * z;
    c = fmaf(c, z, -(z * 0.5f)) + 1.0f;
    float s = fmaf(-1.9515295891E-4f, z, 8.3321608736E-3f);
    s = fmaf(s, z, -1.6666654611E-1f) * z;
    s = fmaf(s, x, x);

    bool swap = (j & 2) != 0;
    float sin_value = swap ? c : s;
    float cos_value = swap ? s : c;
    *sine = (j & 4) != 0 ? -sin_value : sin_value;
    *cosine = (~(j - 2) & 4) != 0 ? -cos_value : cos_value;
}

static inline __attribute__((always_inline)) void normal_block_body(float *d)
{
    for (int i = 0; i < PAIRS; i++) {
        float sine, cosine;
        float r = sqrtf(-2.0f * cephes_log(1.0f - d[i]));
        cephes_sincos(&sine, &cosine, (float)TWO_PI * d[i + PAIRS]);
        d[i] = r * cosine;
        d[i + PAIRS] = r * sine;
    }
}

typedef void normal_block_fn(float *d);

static void normal_block_plain(float *d)
{
    normal_block_body(d);
}

/* GV_RNG_PLAIN: a test's way to run the other on a CPU that has the instruction. */
#if defined(__x86_64__) && !defined(GV_RNG_PLAIN)
#define WITH_FMA 1
#else
#define WITH_FMA 0
#endif

#if WITH_FMA
/* The same body with the instruction in the place of fmaf's call: the same bits, in a third of the
 * time. */
__attribute__((target("avx2,fma"))) static void normal_block_fma(float *d)
{
    normal_block_body(d);
}
#endif

static normal_block_fn *pick_normal_block(void)
{
#if WITH_FMA
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return normal_block_fma;
#endif
    return normal_block_plain;
}

void gv_torch_randn(gv_torch_rng *rng, float *out, int64_t count)
{
    if (count < BLOCK) {
        for (int64_t i = 0; i < count; i++)
            out[i] = (float)normal_one(rng);
        return;
    }
    normal_block_fn *normal_block = pick_normal_block();
    for (int64_t i = 0; i < count; i++)
        out[i] = gv_torch_rand(rng);
    for (int64_t i = 0; i + BLOCK <= count; i += BLOCK)
        normal_block(out + i);
    if (count % BLOCK == 0)
        return;
    /* The last 16 are drawn again, over what the last whole block left there. */
    float *last = out + count - BLOCK;
    for (int i = 0; i < BLOCK; i++)
        last[i] = gv_torch_rand(rng);
    normal_block(last);
}

static void normal_block_double(double *d)
{
    for (int i = 0; i < PAIRS; i++) {
        double r = sqrt(-2.0 * log(1.0 - d[i]));
        double theta = TWO_PI * d[i + PAIRS];
        d[i] = r * cos(theta);
        d[i + PAIRS] = r * sin(theta);
    }
}

void gv_torch_randn_double(gv_torch_rng *rng, double *out, int64_t count)
{
    if (count < BLOCK) {
        for (int64_t i = 0; i < count; i++)
            out[i] = normal_one(rng);
        return;
    }
    for (int64_t i = 0; i < count; i++)
        out[i] = gv_torch_rand_double(rng);
    for (int64_t i = 0; i + BLOCK <= count; i += BLOCK)
        normal_block_double(out + i);
    if (count % BLOCK == 0)
        return;
    double *last = out + count - BLOCK;
    for (int i = 0; i < BLOCK; i++)
        last[i] = gv_torch_rand_double(rng);
    normal_block_double(last);
}
