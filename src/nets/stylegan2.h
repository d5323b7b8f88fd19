/* StyleGAN2(-ADA): z -> mapping -> w -> synthesis -> image.
 *
 * Modulation scales the activations instead of the weights: y = d * conv(W, s x), so that one
 * packed W serves all styles and all samples.
 * Source Karras et al. 2020 (arXiv 1912.04958, 2006.06676); facts in docs/FORMATS.md. */
#ifndef GV_NETS_STYLEGAN2_H
#define GV_NETS_STYLEGAN2_H

#include "base/rng.h"
#include "graph/graph.h"
#include "nets/net.h"

#define GV_STYLEGAN2_MAX_BLOCKS 10 /* 4 to 2048 pixels */
#define GV_STYLEGAN2_MAX_WS (2 * GV_STYLEGAN2_MAX_BLOCKS)
#define GV_STYLEGAN2_MAX_FC 16

typedef enum gv_stylegan2_architecture {
    GV_STYLEGAN2_SKIP,
    GV_STYLEGAN2_RESNET,
    GV_STYLEGAN2_ORIG
} gv_stylegan2_architecture;

/* y = act(weight_gain * W x + bias_gain * b) * gain; parameters are stored without the gains. */
typedef struct gv_stylegan2_dense {
    const char *weight, *bias;
    int64_t in, out;
    float weight_gain, bias_gain;
    gv_act act;
    float act_gain;
} gv_stylegan2_dense;

/* A modulated 3 x 3 convolution with demodulation, noise, bias and activation. */
typedef struct gv_stylegan2_layer {
    const char *name;                        /* "b8.conv0", also the name of its tap */
    const char *affine_tap;                  /* "b8.conv0.affine" */
    const char *noise_input;                 /* "noise_b8.conv0" */
    const char *weight, *bias, *noise_const; /* noise_const: NULL without noise */
    int64_t in, out, resolution;
    bool up;
    gv_stylegan2_dense affine;
    gv_act act;
    float act_gain, clamp; /* clamp 0: none */
    float noise_strength;
} gv_stylegan2_layer;

/* A modulated 1 x 1 convolution without demodulation. */
typedef struct gv_stylegan2_torgb {
    bool present;
    const char *name, *affine_tap, *weight, *bias;
    int64_t in;
    gv_stylegan2_dense affine;
    float weight_gain; /* multiplies the style */
    float clamp;
} gv_stylegan2_torgb;

typedef struct gv_stylegan2_block {
    int64_t resolution, in, out;
    float taps[4]; /* of the resampling filter in each axis; they sum to 1 */
    gv_stylegan2_torgb torgb;
    const char *x_tap, *img_tap;
    const char *skip; /* weight of the 1 x 1 convolution beside conv0 and conv1; resnet only */
    float skip_gain;
} gv_stylegan2_block;

typedef struct gv_stylegan2 {
    gv_net *net; /* borrowed: the generator's */
    int64_t z_dim, c_dim, w_dim, resolution, channels;
    int num_ws;
    gv_stylegan2_architecture architecture;

    gv_stylegan2_dense embed; /* of the class, if c_dim > 0 */
    gv_stylegan2_dense fc[GV_STYLEGAN2_MAX_FC];
    int num_fc;
    const char *w_avg; /* NULL if the file has none */

    const char *constant; /* [C,4,4], the input of the first block */
    gv_stylegan2_block block[GV_STYLEGAN2_MAX_BLOCKS];
    int num_blocks;
    /* In the order they run. Layer k takes row k of ws: the first block has only conv1, so block b
     * has conv0 = layer[2b-1] and conv1 = layer[2b], and its toRGB takes row 2b+1. */
    gv_stylegan2_layer layer[GV_STYLEGAN2_MAX_WS - 1];
    int num_layers;
    bool assumed_clamp; /* the file does not say: 256, as all published configurations */
} gv_stylegan2;

/* Reads configuration and checks all tensors; net is kept.
 * Attributes of the modules win over keyword arguments, those over the tensors' shapes.
 * Errors  what gv_net_need raises; GV_E_UNSUPPORTED for activations and filters that no published
 *         configuration has */
gv_status gv_stylegan2_init(gv_stylegan2 *m, gv_net *net, gv_error *err);

/* ---- graph builders ---- */

/* w [N,w_dim,1,1] from z [N,z_dim,1,1] and, in conditional models, c [N,c_dim,1,1] (one-hot);
 * GV_NO_NODE otherwise. */
gv_status gv_stylegan2_mapping(gv_graph *g, const gv_stylegan2 *m, gv_node *w, gv_node z, gv_node c,
                               gv_error *err);

/* y = w_avg + psi * (w - w_avg). w_avg: w_dim floats, copied. psi 1 returns w itself. */
gv_status gv_stylegan2_truncate(gv_graph *g, const gv_stylegan2 *m, gv_node *y, gv_node w,
                                const float *w_avg, float psi, gv_error *err);

/* img [N,channels,R,R], unclamped.
 * ws     num_ws nodes [N,w_dim,1,1]; one node may stand for several rows
 * noise  num_layers planes [N or 1,1,R,R] in the order of layer[], as the two functions below make
 *        them; NULL: no noise
 * taps   true: the outputs of layers and blocks become named outputs of the graph: "b4.conv1",
 *        "b8.conv0.affine", "b8.torgb", "b8.img" (from b8 on), "b8.x" (resnet; elsewhere it is
 *        conv1's output). "b8.torgb.affine" includes toRGB's weight gain */
gv_status gv_stylegan2_synthesis(gv_graph *g, const gv_stylegan2 *m, gv_node *img,
                                 const gv_node *ws, const gv_node *noise, bool taps, gv_error *err);

/* The noise maps stored in the file. Layers without noise give GV_NO_NODE, here and below. */
gv_status gv_stylegan2_noise_const(gv_graph *g, const gv_stylegan2 *m, gv_node *noise,
                                   gv_error *err);
/* Inputs "noise_b4.conv1" ... [n,1,R,R]: for random or optimised maps. */
gv_status gv_stylegan2_noise_inputs(gv_graph *g, const gv_stylegan2 *m, gv_node *noise, int64_t n,
                                    bool varies, gv_error *err);

/* ---- noise as numbers ---- */

/* Floats of all noise maps of one sample; layers without noise take none. */
int64_t gv_stylegan2_noise_floats(const gv_stylegan2 *m);
/* Fills noise, map after map [n,1,R,R] in the order of layer[], as noise_mode='random' of the
 * official code does after torch.manual_seed.
 * noise  n * gv_stylegan2_noise_floats(m) floats */
void gv_stylegan2_noise_draw(const gv_stylegan2 *m, float *noise, int64_t n, gv_torch_rng *rng);
/* The stored maps in the same order, [1,1,R,R] each. */
gv_status gv_stylegan2_noise_stored(const gv_stylegan2 *m, float *noise, gv_error *err);
/* Sets the inputs of gv_stylegan2_noise_inputs from such an array. */
void gv_stylegan2_noise_set(gv_graph *g, const gv_stylegan2 *m, const gv_node *nodes,
                            const float *noise, int64_t n);

#endif
