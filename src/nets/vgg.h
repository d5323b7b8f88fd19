/* VGG16 and VGG19 up to the last convolution: features for perceptual losses.
 * Source Simonyan and Zisserman 2015; torchvision's names (features.<i>.weight). */
#ifndef GV_NETS_VGG_H
#define GV_NETS_VGG_H

#include "graph/graph.h"
#include "nets/net.h"

#define GV_VGG_MAX_CONVS 16

typedef struct gv_vgg {
    gv_net net;
    int depth;                   /* 16 or 19; 0 if the file ends before the two differ (conv_8) */
    int num_convs;               /* convolutions present, counted from conv_1 without a gap */
    int index[GV_VGG_MAX_CONVS]; /* in torchvision's features */
    const char *weight[GV_VGG_MAX_CONVS], *bias[GV_VGG_MAX_CONVS];
    const char *lin[5]; /* LPIPS's linear layers; NULL if the file has none */
} gv_vgg;

/* How pictures come in. */
typedef enum gv_vgg_input {
    GV_VGG_UNIT, /* [0,1]: ImageNet's mean and deviation. The course feeds [-1,1] through it too */
    GV_VGG_SIGNED, /* [-1,1]: first (x+1)/2 */
    GV_VGG_LPIPS   /* [-1,1]: LPIPS's own shift and scale */
} gv_vgg_input;

/* *v     returned owned (gv_vgg_free)
 * ck     taken over in every case, after an error too
 * Errors what gv_net_need raises; GV_E_FORMAT if the file is no VGG */
gv_status gv_vgg_load(gv_vgg **v, gv_checkpoint *ck, gv_error *err);
/* v may be NULL. */
void gv_vgg_free(gv_vgg *v);

/* Bit k-1 stands for conv_k. */
typedef uint32_t gv_vgg_set;

/* Nodes by k-1; GV_NO_NODE where not asked for. */
typedef struct gv_vgg_features {
    gv_node conv[GV_VGG_MAX_CONVS]; /* before the ReLU */
    gv_node relu[GV_VGG_MAX_CONVS]; /* after it */
} gv_vgg_features;

/* Features of x [N,3,H,W], computed up to the last one that is asked for.
 * Errors GV_E_ARG if the file lacks one or the picture is too small for its pooling. */
gv_status gv_vgg_build(gv_graph *g, const gv_vgg *v, gv_vgg_features *f, gv_node x,
                       gv_vgg_input input, gv_vgg_set conv, gv_vgg_set relu, gv_error *err);

/* k from "conv_5" (counted from 1) or "conv3_1" (block, place). conv_k past 7 means VGG19's: with
 * another file it is an error that says so.
 * Errors GV_E_ARG */
gv_status gv_vgg_parse_layer(const gv_vgg *v, int *k, const char *name, gv_error *err);

/* Channels of conv_k, and by how much its map is smaller than the picture (a power of two). */
int64_t gv_vgg_channels(const gv_vgg *v, int k);
int64_t gv_vgg_reduction(const gv_vgg *v, int k);

/* One line for gv_net_identify; ck is one that gv_net_type_of called GV_NET_VGG. */
gv_status gv_vgg_describe(const gv_checkpoint *ck, char *text, size_t size, gv_error *err);

#endif
