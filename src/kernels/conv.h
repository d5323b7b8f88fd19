/* Convolution: one description, several kernels, chosen by CPU and shape.
 *
 * Forward and data gradient are the same thing with other weights: the data gradient of a
 * convolution is a convolution (stride 1: flipped kernel; stride 2: transposed), so a kernel only
 * knows `run`. A linear layer is the 1 x 1 case on a 1 x 1 map. */
#ifndef GV_KERNELS_CONV_H
#define GV_KERNELS_CONV_H

#include "base/error.h"
#include "kernels/map.h"

/* y[n,k,oy,ox] = sum_{c,ky,kx} x[n,c,iy,ix] * W(k,c,ky,kx), zero outside x, with
 *     transposed == false:  iy = oy*stride + ky - pad
 *     transposed == true:   oy = iy*stride + ky - pad
 * and W(k,c,ky,kx) read from the stored tensor w:
 *     w[k][c][ky][kx]          (PyTorch's Conv2d)
 *     w[c][k][ky][kx]          if in_first (ConvTranspose2d)
 *     w[..][kh-1-ky][kw-1-kx]  if flip */
typedef struct gv_conv_shape {
    int64_t n, c, h, w;  /* x */
    int64_t k, oh, ow;   /* y */
    int64_t kh, kw;      /* 1..7 */
    int64_t stride, pad; /* stride 1 or 2; pad may be negative after gv_conv_adjoint */
    bool transposed, in_first, flip;
    bool strided; /* x or y is not dense nChw16c: other strides, or a map shared by all samples */
    float gain;   /* multiplies W as it is packed; 0 stands for 1 */
} gv_conv_shape;

/* Fills oh, ow from the rest; they may come out below 1, which nobody can run. */
void gv_conv_infer(gv_conv_shape *s);
/* The shape whose run, with the same stored tensor, is the data gradient of s. */
gv_conv_shape gv_conv_adjoint(const gv_conv_shape *s);
/* Multiply-adds times two, of the direct algorithm. */
double gv_conv_flops(const gv_conv_shape *s);

/* One implementation. Everything that can fail or allocate happens in prepare. */
typedef struct gv_conv_kernel {
    const char *name; /* "ref", "direct-avx512", "direct-avx2", "dnnl" */
    /* Identity of the packed weights: text that depends on all that pack depends on (e.g.
     * "blocked16 k512 c512 3x3 flip"), so that graphs of several shapes share one packing. Returns
     * text. */
    char *(*layout)(char *text, size_t size, const gv_conv_shape *s);
    bool (*supports)(const gv_conv_shape *s);
    size_t (*packed_bytes)(const gv_conv_shape *s);
    /* w: the stored tensor, contiguous float32. packed: 64-byte aligned. */
    void (*pack)(void *packed, const float *w, const gv_conv_shape *s);
    /* *state returned owned (release); *scratch_bytes is what run needs. state may stay NULL. */
    gv_status (*prepare)(void **state, size_t *scratch_bytes, const gv_conv_shape *s,
                         gv_error *err);
    /* y is overwritten, its lanes beyond K become zero; it shares no memory with x, which may have
     * sample stride 0. scratch: 64-byte aligned. Threads through base/parallel.h; the bits do not
     * depend on their number. */
    void (*run)(void *state, const gv_conv_shape *s, const gv_map *y, const gv_map *x,
                const void *packed, void *scratch);
    void (*release)(void *state); /* state may be NULL */
    /* What runs beneath, such as oneDNN's implementation name; text that lives as long as state. */
    const char *(*detail)(const void *state);
} gv_conv_kernel;

/* The kernel for a shape on this CPU. GANVAS_KERNELS (a comma list is an order of preference)
 * forces a variant where it supports the shape: a kernel's name, or the part of it before a dash
 * ("direct" is the widest that the CPU has). Never depends on the thread count. Never NULL: "ref"
 * supports everything. */
const gv_conv_kernel *gv_conv_choose(const gv_conv_shape *s);
/* All kernels of this build and CPU, "ref" first, for tests and bench. */
const gv_conv_kernel *const *gv_conv_kernels(size_t *count);
/* How often a kernel of that name has run since the start (a forced variant that was never called
 * fails its test). */
int64_t gv_conv_calls(const char *name);

#endif
