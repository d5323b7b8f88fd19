/* DCGAN generators in the three layouts that are around: the course's DCGenerator (deconv1 ...),
 * pytorch/examples (main.0 ...) and upsampling with convolutions (up_conv1 ...).
 * Source Radford et al. 2016; facts in docs/FORMATS.md. */
#ifndef GV_NETS_DCGAN_H
#define GV_NETS_DCGAN_H

#include "graph/graph.h"
#include "nets/net.h"

#define GV_DCGAN_MAX_LAYERS 9 /* 4 to 1024 pixels */

typedef enum gv_dcgan_layout {
    GV_DCGAN_COURSE,
    GV_DCGAN_EXAMPLES,
    GV_DCGAN_UPSAMPLE
} gv_dcgan_layout;

typedef enum gv_dcgan_norm {
    GV_DCGAN_NORM_NONE,
    GV_DCGAN_NORM_INSTANCE,
    GV_DCGAN_NORM_BATCH
} gv_dcgan_norm;

typedef struct gv_dcgan_layer {
    const char *conv_tap, *norm_tap; /* the modules' names in PyTorch: "deconv1.0", "deconv1.1" */
    const char *weight, *bias;       /* bias NULL: none */
    int64_t in, out;
    bool upsample; /* nearest neighbour, twice the size, before the convolution */
    gv_conv2d conv;
    gv_dcgan_norm norm;
    float *scale, *shift; /* after normalisation, out floats; NULL: none */
} gv_dcgan_layer;

typedef struct gv_dcgan {
    gv_net *net; /* borrowed: the generator's */
    gv_dcgan_layout layout;
    int64_t z_dim, resolution, channels;
    gv_dcgan_layer layer[GV_DCGAN_MAX_LAYERS];
    int num_layers;
} gv_dcgan;

/* Reads the layout from names and shapes and checks all tensors; net is kept. A layer without bias
 * and without statistics is followed by InstanceNorm2d, which has no tensors. */
gv_status gv_dcgan_init(gv_dcgan *m, gv_net *net, gv_error *err);

/* img [N,channels,R,R] in [-1,1] from z [N,z_dim,1,1]. taps: outputs of convolutions and
 * normalisations become named outputs of the graph. */
gv_status gv_dcgan_build(gv_graph *g, const gv_dcgan *m, gv_node *img, gv_node z, bool taps,
                         gv_error *err);

#endif
