/* What the convolution kernels share; nobody else includes this. */
#ifndef GV_KERNELS_CONV_INTERNAL_H
#define GV_KERNELS_CONV_INTERNAL_H

#include "kernels/conv.h"

#include <stdatomic.h>

/* The packed weights of "ref" and "direct" (and oneDNN's OIhw16i16o):
 *     packed[k/16][c/16][ky][kx][c%16][k%16] = gain * W(k,c,ky,kx), 0 beyond K and C. */
char *gv_conv_blocked_layout(char *text, size_t size, const gv_conv_shape *s);
size_t gv_conv_blocked_bytes(const gv_conv_shape *s);
void gv_conv_blocked_pack(void *packed, const float *w, const gv_conv_shape *s);

/* Where W(k,c,ky,kx) of conv.h is in the stored tensor. */
static inline int64_t gv_conv_weight_index(const gv_conv_shape *s, int64_t k, int64_t c, int64_t ky,
                                           int64_t kx)
{
    if (s->flip) {
        ky = s->kh - 1 - ky;
        kx = s->kw - 1 - kx;
    }
    int64_t pair = s->in_first ? c * s->k + k : k * s->c + c;
    return (pair * s->kh + ky) * s->kw + kx;
}

static inline float gv_conv_gain(const gv_conv_shape *s)
{
    return s->gain == 0.0f ? 1.0f : s->gain;
}

/* gain * W(k,c,tap/kw,tap%kw), and 0 beyond K and C. */
static inline float gv_conv_packed_weight(const float *w, const gv_conv_shape *s, int64_t k,
                                          int64_t c, int64_t tap)
{
    if (k >= s->k || c >= s->c)
        return 0.0f;
    return w[gv_conv_weight_index(s, k, c, tap / s->kw, tap % s->kw)] * gv_conv_gain(s);
}

/* Counters behind gv_conv_calls: each run adds one to its own. */
typedef enum gv_conv_variant {
    GV_CONV_REF,
    GV_CONV_DIRECT_AVX2,
    GV_CONV_DIRECT_AVX512,
    GV_CONV_DNNL,
    GV_CONV_VARIANTS
} gv_conv_variant;

void gv_conv_count(gv_conv_variant variant);

extern const gv_conv_kernel gv_conv_ref, gv_conv_direct_avx2, gv_conv_direct_avx512;

#if defined(GV_HAVE_DNNL)
extern const gv_conv_kernel gv_conv_dnnl;
#endif

#endif
