/* Shapes, the packing that several kernels share, and the choice among the kernels. */
#include "kernels/conv.h"

#include "kernels/conv_internal.h"
#include "kernels/isa.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- shapes ---- */

static int64_t infer(const gv_conv_shape *s, int64_t in, int64_t kernel)
{
    if (s->transposed)
        return (in - 1) * s->stride + kernel - 2 * s->pad;
    int64_t room = in + 2 * s->pad - kernel;
    return room < 0 ? 0 : room / s->stride + 1;
}

void gv_conv_infer(gv_conv_shape *s)
{
    s->oh = infer(s, s->h, s->kh);
    s->ow = infer(s, s->w, s->kw);
}

gv_conv_shape gv_conv_adjoint(const gv_conv_shape *s)
{
    gv_conv_shape a = *s;
    a.c = s->k, a.h = s->oh, a.w = s->ow;
    a.k = s->c, a.oh = s->h, a.ow = s->w;
    a.in_first = !s->in_first;
    if (s->stride == 1 && !s->transposed && s->kh == s->kw) {
        /* The turned kernel instead of the transposed form, for the sake of simpler kernels. */
        a.flip = !s->flip;
        a.pad = s->kh - 1 - s->pad;
    } else {
        a.transposed = !s->transposed;
    }
    return a;
}

double gv_conv_flops(const gv_conv_shape *s)
{
    /* A transposed convolution does its taps at each input pixel. */
    int64_t pixels = s->transposed && s->stride > 1 ? s->h * s->w : s->oh * s->ow;
    return 2.0 * (double)(s->n * pixels) * (double)(s->k * s->c) * (double)(s->kh * s->kw);
}

/* ---- blocked weights ---- */

char *gv_conv_blocked_layout(char *text, size_t size, const gv_conv_shape *s)
{
    snprintf(text, size, "OIhw16i16o k%lld c%lld %lldx%lld%s%s gain %a", (long long)s->k,
             (long long)s->c, (long long)s->kh, (long long)s->kw, s->in_first ? " in_first" : "",
             s->flip ? " flip" : "", (double)gv_conv_gain(s));
    return text;
}

size_t gv_conv_blocked_bytes(const gv_conv_shape *s)
{
    int64_t floats = gv_blocks(s->k) * gv_blocks(s->c) * s->kh * s->kw * GV_LANES * GV_LANES;
    return (size_t)floats * sizeof(float);
}

void gv_conv_blocked_pack(void *packed, const float *w, const gv_conv_shape *s)
{
    float *to = packed;
    for (int64_t kb = 0; kb < gv_blocks(s->k); kb++)
        for (int64_t cb = 0; cb < gv_blocks(s->c); cb++)
            for (int64_t tap = 0; tap < s->kh * s->kw; tap++)
                for (int64_t c = cb * GV_LANES; c < (cb + 1) * GV_LANES; c++)
                    for (int64_t k = kb * GV_LANES; k < (kb + 1) * GV_LANES; k++)
                        *to++ = gv_conv_packed_weight(w, s, k, c, tap);
}

/* ---- the kernels of this build and CPU ---- */

static _Atomic int64_t calls[GV_CONV_VARIANTS];

void gv_conv_count(gv_conv_variant variant)
{
    atomic_fetch_add_explicit(&calls[variant], 1, memory_order_relaxed);
}

int64_t gv_conv_calls(const char *name)
{
    static const char *const names[GV_CONV_VARIANTS] = {"ref", "direct-avx2", "direct-avx512",
                                                        "dnnl"};
    for (int i = 0; i < GV_CONV_VARIANTS; i++)
        if (strcmp(names[i], name) == 0)
            return atomic_load_explicit(&calls[i], memory_order_relaxed);
    return 0;
}

const gv_conv_kernel *const *gv_conv_kernels(size_t *count)
{
    /* In ascending order of what they ask of the CPU. */
    static const gv_conv_kernel *const list[] = {
        &gv_conv_ref,
        &gv_conv_direct_avx2,
        &gv_conv_direct_avx512,
#if defined(GV_HAVE_DNNL)
        &gv_conv_dnnl,
#endif
    };
    gv_isa isa = gv_isa_best();
    *count = isa == GV_ISA_AVX512 ? sizeof list / sizeof *list : isa == GV_ISA_AVX2 ? 2 : 1;
    return list;
}

/* The first kernel whose name, or its part before the dash, is text[0..length). */
static const gv_conv_kernel *named(const char *text, size_t length, const gv_conv_shape *s)
{
    size_t count;
    const gv_conv_kernel *const *list = gv_conv_kernels(&count);
    for (size_t i = count; i-- > 0;) {
        const char *name = list[i]->name;
        bool same =
            strncmp(name, text, length) == 0 && (name[length] == '\0' || name[length] == '-');
        if (length > 0 && same && list[i]->supports(s))
            return list[i];
    }
    return NULL;
}

static const gv_conv_kernel *forced(const gv_conv_shape *s)
{
    const char *text = getenv("GANVAS_KERNELS");
    while (text && *text) {
        size_t length = strcspn(text, ",");
        const gv_conv_kernel *kernel = named(text, length, s);
        if (kernel)
            return kernel;
        text += length + (text[length] == ',');
    }
    return NULL;
}

/* Where "direct" was faster than "dnnl" (docs/SPEED.md): it shares out rows among the threads, of a
 * matrix or of a large map, where oneDNN has one task for 64 rows or for 16 output channels. */
static bool direct_beats_dnnl(const gv_conv_shape *s)
{
    enum { FEW_ROWS = 128, LARGE_MAP = 32768 };
    if (s->h * s->w == 1 && s->oh * s->ow == 1)
        return s->n < FEW_ROWS;
    return s->oh * s->ow > LARGE_MAP;
}

const gv_conv_kernel *gv_conv_choose(const gv_conv_shape *s)
{
    assert(s->stride >= 1 && s->oh >= 1 && s->ow >= 1);
    const gv_conv_kernel *kernel = forced(s);
    if (!kernel && !direct_beats_dnnl(s))
        kernel = named("dnnl", strlen("dnnl"), s);
    if (!kernel)
        kernel = named("direct", strlen("direct"), s);
    return kernel ? kernel : &gv_conv_ref;
}
