/* A static graph of operations: add them for fixed shapes, build once, run thousands of times.
 *
 * Building can fail; running cannot (it can be cancelled). All memory, gradients and scratch
 * included, is one block planned by gv_graph_build. Gradients exist with respect to inputs only.
 *
 *     gv_graph_new, gv_graph_input, operations..., gv_graph_output, gv_graph_build
 *     gv_graph_set, gv_graph_fwd, gv_graph_get
 *     gv_graph_set_seed, gv_graph_bwd, gv_graph_get_grad
 *
 * A graph is used by one thread at a time. Every builder: *y is the new node; x must be of g;
 * errors GV_E_ARG when shapes do not fit, GV_E_MEMORY, and what reading weights can raise. Shapes
 * are PyTorch's [N,C,H,W]; vectors are [N,C,1,1]; a plane is a map of one channel without padding.
 */
#ifndef GV_GRAPH_GRAPH_H
#define GV_GRAPH_GRAPH_H

#include "base/parallel.h"
#include "graph/weights.h"
#include "kernels/kinds.h" /* gv_bias_act, gv_distance */

typedef struct gv_graph gv_graph;

typedef struct gv_node {
    int32_t id; /* 0: none */
} gv_node;

#define GV_NO_NODE ((gv_node){0})

#define GV_GRAPH_FWD 0u
#define GV_GRAPH_BWD 1u /* gradients with respect to the varying inputs */
#define GV_GRAPH_JVP                                                                               \
    2u /* tangents; values are then kept, so jvp and bwd may repeat after one fwd */

/* Returned owned (gv_graph_free). modes: GV_GRAPH_ bits, fixed from the start. */
gv_status gv_graph_new(gv_graph **g, unsigned modes, gv_error *err);
void gv_graph_free(gv_graph *g);

/* ---- inputs and outputs ---- */

/* A blocked input [n,c,h,w]. varies: gradients and tangents are wanted. */
gv_status gv_graph_input(gv_graph *g, gv_node *y, const char *name, int64_t n, int64_t c, int64_t h,
                         int64_t w, bool varies, gv_error *err);
/* A plane input [n,1,h,w]; n is 1 for a plane shared by all samples. */
gv_status gv_graph_input_plane(gv_graph *g, gv_node *y, const char *name, int64_t n, int64_t h,
                               int64_t w, bool varies, gv_error *err);
/* A tensor of the model as a node: blocked [1,c,h,w] repeated for n samples, or a plane (c == 1,
 * as_plane). */
gv_status gv_graph_weight(gv_graph *g, gv_node *y, gv_param p, int64_t n, int64_t c, int64_t h,
                          int64_t w, bool as_plane, gv_error *err);
/* The value of x stays readable after fwd, its gradient seedable before bwd; name (kept) may be
 * NULL. Named outputs are what tests compare layer by layer. */
gv_status gv_graph_output(gv_graph *g, gv_node x, const char *name, gv_error *err);

gv_status gv_graph_build(gv_graph *g, gv_error *err);

/* ---- running ---- */

/* Contiguous float32 [N,C,H,W], copied. */
void gv_graph_set(gv_graph *g, gv_node input, const float *nchw);
void gv_graph_get(const gv_graph *g, gv_node output, float *nchw);
/* An output by name; GV_NO_NODE if there is none. */
gv_node gv_graph_named(const gv_graph *g, const char *name);
void gv_graph_dims(const gv_graph *g, gv_node x, int64_t dims[4]);

/* Values of all nodes. threads as in gv_job_run; cancel may be NULL and is looked at between steps.
 * Errors GV_E_CANCELLED (values are then unspecified), GV_E_MEMORY if no compute thread starts. */
gv_status gv_graph_fwd(gv_graph *g, int threads, const gv_cancel *cancel, gv_error *err);
/* d(sum over outputs of <seed, output>)/d(input), from the values of the last fwd. Outputs without
 * a seed count as zero. Once per fwd, unless the graph has GV_GRAPH_JVP. */
gv_status gv_graph_bwd(gv_graph *g, int threads, const gv_cancel *cancel, gv_error *err);
/* Tangents of all nodes along the tangents set at the inputs (default zero). */
gv_status gv_graph_jvp(gv_graph *g, int threads, const gv_cancel *cancel, gv_error *err);

/* d(loss)/d(output) for the next bwds; NULL: none. */
void gv_graph_set_seed(gv_graph *g, gv_node output, const float *nchw);
void gv_graph_get_grad(const gv_graph *g, gv_node input, float *nchw);
void gv_graph_set_tangent(gv_graph *g, gv_node input, const float *nchw);
void gv_graph_get_tangent(const gv_graph *g, gv_node output, float *nchw);

/* ---- looking inside ---- */

size_t gv_graph_bytes(const gv_graph *g); /* the planned block; weights not included */
double gv_graph_flops(const gv_graph *g); /* of one fwd */

typedef struct gv_profile_row {
    const char *op, *detail, *output; /* output: name if it has one, else "" */
    int64_t dims[4];
    double fwd_seconds, bwd_seconds, jvp_seconds, flops; /* sums since gv_graph_profile_start */
    int64_t calls;
} gv_profile_row;

void gv_graph_profile_start(gv_graph *g);
size_t gv_graph_steps(const gv_graph *g);
gv_profile_row gv_graph_profile(const gv_graph *g, size_t step);

/* ==== operations ================================================================================
 * src/graph/ops_<family>.c defines them; the arithmetic is in src/kernels. */

/* ---- convolution and linear layers (ops_conv.c) ---- */

typedef struct gv_conv2d {
    int64_t channels; /* K */
    int64_t kernel;   /* square */
    int64_t stride, pad;
    bool transposed; /* ConvTranspose2d; no output padding */
    bool out_first;  /* stored [K,C,..] although transposed (StyleGAN2's conv0) */
} gv_conv2d;

/* y [N,K,OH,OW]. w is stored [K,C,k,k], or [C,K,k,k] if transposed and not out_first. */
gv_status gv_graph_conv2d(gv_graph *g, gv_node *y, gv_node x, gv_param w, const gv_conv2d *a,
                          gv_error *err);

/* y [N,out,1,1] = gain * W x, x [N,in,1,1], W stored [out,in]. Bias and activation:
 * gv_graph_bias_act. */
gv_status gv_graph_linear(gv_graph *g, gv_node *y, gv_node x, gv_param w, int64_t out, float gain,
                          gv_error *err);

/* ---- pointwise (ops_pointwise.c) ---- */

/* y = clamp(act(scale*x + strength*noise + bias_gain*bias) * gain).
 * x      [N,C,H,W]
 * scale  [N,C,1,1] or GV_NO_NODE (1): demodulation
 * noise  plane [N or 1,1,H,W] or GV_NO_NODE
 * bias   stored [C] or GV_NO_PARAM
 * Gradients with respect to x, scale and noise. The clamp passes the gradient at equality, as
 * torch does. Source bias_act in the official StyleGAN2 code; FORMATS 3.3. */
gv_status gv_graph_bias_act(gv_graph *g, gv_node *y, gv_node x, gv_node scale, gv_node noise,
                            gv_param bias, const gv_bias_act *a, gv_error *err);

/* y = a + b, same shapes. gain multiplies the sum (1 usually). */
gv_status gv_graph_add(gv_graph *g, gv_node *y, gv_node a, gv_node b, float gain, gv_error *err);

/* y[n,c] = x[n,c] * scale[c] + shift[c]; arrays of C floats, copied. Batch norm, ImageNet
 * normalisation, truncation towards w_avg. */
gv_status gv_graph_affine(gv_graph *g, gv_node *y, gv_node x, const float *scale,
                          const float *shift, gv_error *err);

/* y[n,c,p] = x[n,c,p] * mask[p]; mask a plane [N or 1,1,H,W] that does not vary. */
gv_status gv_graph_mask(gv_graph *g, gv_node *y, gv_node x, gv_node mask, gv_error *err);

/* [N,Ca,..] and [N,Cb,..] -> [N,Ca+Cb,..]. */
gv_status gv_graph_concat(gv_graph *g, gv_node *y, gv_node a, gv_node b, gv_error *err);

/* ---- StyleGAN2's modulation (ops_modulate.c) ---- */

/* y[n,c,p] = x[n,c,p] * s[n,c]. Gradients with respect to x and s. */
gv_status gv_graph_modulate(gv_graph *g, gv_node *y, gv_node x, gv_node s, gv_error *err);

/* d[n,o] = rsqrt(sum_i s[n,i]^2 Q[o,i] + 1e-8), Q[o,i] = sum_k w[o,i,k]^2 computed once.
 * s [N,C,1,1], w stored [K,C,k,k], d [N,K,1,1]. */
gv_status gv_graph_demodulate(gv_graph *g, gv_node *d, gv_node s, gv_param w, int64_t channels,
                              int64_t kernel, gv_error *err);

/* y = x * rsqrt(mean over channels of x^2 + 1e-8), per sample; vectors only. */
gv_status gv_graph_normalize_2nd_moment(gv_graph *g, gv_node *y, gv_node x, gv_error *err);

/* ---- resampling and pooling (ops_resample.c) ---- */

/* Separable FIR correlation with taps[4] in each axis after zero insertion and padding, as
 * upfirdn2d: up 1 or 2 (samples at even places), pads before (left/top) and after (right/bottom).
 * y size = (H*up + before + after - 3). Gain is folded into the taps by the caller. */
gv_status gv_graph_fir(gv_graph *g, gv_node *y, gv_node x, const float taps[4], int64_t up,
                       int64_t before, int64_t after, gv_error *err);
/* Nearest neighbour, twice the size. */
gv_status gv_graph_upsample2(gv_graph *g, gv_node *y, gv_node x, gv_error *err);
/* 2 x 2, stride 2, floor. The gradient goes to the first maximum in row order, as in torch. */
gv_status gv_graph_max_pool2(gv_graph *g, gv_node *y, gv_node x, gv_error *err);
/* PyTorch's adaptive_avg_pool2d to h x w; works on planes too. */
gv_status gv_graph_adaptive_avg_pool(gv_graph *g, gv_node *y, gv_node x, int64_t h, int64_t w,
                                     gv_error *err);

/* ---- normalisation (ops_norm.c) ---- */

/* Per sample and channel: (x - mean) / sqrt(var + eps), biased variance, no affine part. */
gv_status gv_graph_instance_norm(gv_graph *g, gv_node *y, gv_node x, float eps, gv_error *err);

/* ---- losses (ops_loss.c): results are planes [N,1,1,1], one number a sample ---- */

/* weight * sum_{c,p} mask_p * |x - t|^k with k = 1 or 2 (L1's derivative at 0 is 0).
 * x, t   [N,C,H,W]; t may be [1,C,H,W]; gradients with respect to x (and t if it varies)
 * mask   plane [N or 1,1,H,W] or GV_NO_NODE (1 everywhere)
 * weight e.g. 1/(C*H*W) for a mean */
gv_status gv_graph_distance(gv_graph *g, gv_node *y, gv_node x, gv_node t, gv_node mask,
                            gv_distance kind, float weight, gv_error *err);

/* One layer of LPIPS: mean over pixels of sum_c lin_c * (x_c/|x| - t_c/|t|)^2, |x| = sqrt(sum_c
 * x_c^2) + 1e-10 at each pixel. mask as above turns the mean into sum(mask*d)/sum(mask).
 * lin stored [1,C,1,1]. Source Zhang et al. 2018, lpips v0.1. */
gv_status gv_graph_lpips_layer(gv_graph *g, gv_node *y, gv_node x, gv_node t, gv_node mask,
                               gv_param lin, gv_error *err);

/* Gram matrix F F^T / (C*H*W) of each sample: y is [N,C,C,1] blocked (row in c, column in h). */
gv_status gv_graph_gram(gv_graph *g, gv_node *y, gv_node x, gv_error *err);

/* weight * sqrt(sum_c (x - t)^2 + 1e-12) of vectors [N,C,1,1]; t may be [1,C,1,1]. */
gv_status gv_graph_vector_norm(gv_graph *g, gv_node *y, gv_node x, gv_node t, float weight,
                               gv_error *err);

/* sum_i weights[i] * terms[i] for planes [N,1,1,1]; up to 8 terms. */
gv_status gv_graph_weighted_sum(gv_graph *g, gv_node *y, const gv_node *terms, const float *weights,
                                int count, gv_error *err);

#endif
