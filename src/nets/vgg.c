#include "nets/vgg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Convolutions of a block; a 2 x 2 maximum follows each block. */
static const int blocks16[5] = {2, 2, 3, 3, 3};
static const int blocks19[5] = {2, 2, 4, 4, 4};
static const int64_t channels_of_block[5] = {64, 128, 256, 512, 512};

#define SHARED_CONVS 7 /* conv_1 to conv_7 sit at the same place in both */

/* ---- loading ---- */

typedef struct place {
    int block, within; /* from 0 */
    int index;         /* in torchvision's features */
} place;

static place place_of(int depth, int k)
{
    const int *blocks = depth == 16 ? blocks16 : blocks19;
    place p = {.within = k - 1};
    while (p.within >= blocks[p.block])
        p.within -= blocks[p.block++];
    /* Two modules a convolution, one a pooling before it. */
    p.index = 2 * (k - 1) + p.block;
    return p;
}

static int convs_of(int depth)
{
    return depth == 16 ? 13 : 16;
}

static gv_status read_convs(gv_vgg *v, gv_error *err)
{
    gv_net *net = &v->net;
    gv_status status = GV_OK;
    v->depth = gv_net_has(net, "features.16.weight")   ? 19
               : gv_net_has(net, "features.17.weight") ? 16
                                                       : 0;
    int64_t in = 3;
    for (int k = 1; k <= convs_of(v->depth); ++k) {
        place p = place_of(v->depth, k);
        int64_t out = channels_of_block[p.block];
        const char **weight = &v->weight[k - 1], **bias = &v->bias[k - 1];
        GV_TRY(gv_net_name(net, weight, err, "features.%d.weight", p.index));
        GV_TRY(gv_net_name(net, bias, err, "features.%d.bias", p.index));
        /* Files may hold only the first layers, as a loss needs no more. */
        if (k > 1 && !gv_net_has(net, *weight))
            break;
        GV_TRY(gv_net_need(net, *weight, 4, (int64_t[]){out, in, 3, 3}, NULL, err));
        GV_TRY(gv_net_need(net, *bias, 1, &out, NULL, err));
        v->index[k - 1] = p.index;
        v->num_convs = k;
        in = out;
    }
done:
    return status;
}

static gv_status read_lin(gv_vgg *v, gv_error *err)
{
    gv_status status = GV_OK;
    const char *names[5];
    if (!gv_net_has(&v->net, "lin0.model.1.weight") || v->depth != 16 || v->num_convs != 13)
        return GV_OK;
    for (int i = 0; i < 5; ++i) {
        GV_TRY(gv_net_name(&v->net, &names[i], err, "lin%d.model.1.weight", i));
        GV_TRY(gv_net_need(&v->net, names[i], 4, (int64_t[]){1, channels_of_block[i], 1, 1}, NULL,
                           err));
    }
    memcpy(v->lin, names, sizeof names);
done:
    return status;
}

static gv_status read_all(gv_vgg *v, gv_error *err)
{
    gv_status status;
    GV_TRY(read_convs(v, err));
    GV_TRY(read_lin(v, err));
done:
    return status;
}

gv_status gv_vgg_load(gv_vgg **v, gv_checkpoint *ck, gv_error *err)
{
    gv_status status;
    gv_vgg *made = gv_mem_alloc(sizeof *made);
    *v = NULL;
    if (!made) {
        gv_checkpoint_close(ck);
        return gv_fail_memory(err, sizeof *made);
    }
    GV_TRY(gv_net_init(&made->net, ck, err));
    GV_TRY(read_all(made, err));
    gv_net_loaded(&made->net);
    *v = made;
    return GV_OK;
done:
    gv_vgg_free(made);
    return status;
}

void gv_vgg_free(gv_vgg *v)
{
    if (!v)
        return;
    gv_net_deinit(&v->net);
    gv_mem_free(v);
}

gv_status gv_vgg_describe(const gv_checkpoint *ck, char *text, size_t size, gv_error *err)
{
    gv_vgg v = {0};
    gv_error why = {0};
    gv_net_init_borrowed(&v.net, ck);
    gv_status status = read_all(&v, &why);
    if (status == GV_OK)
        snprintf(text, size, "VGG%s features, conv_1 to conv_%d%s",
                 v.depth == 19   ? "19"
                 : v.depth == 16 ? "16"
                                 : "16 or VGG19",
                 v.num_convs, v.lin[0] ? ", with LPIPS" : "");
    else
        snprintf(text, size, "VGG features that cannot be loaded: %s", why.message);
    gv_net_deinit(&v.net);
    return status == GV_E_MEMORY ? gv_fail(err, GV_E_MEMORY, "%s", why.message) : GV_OK;
}

/* ---- layers by name ---- */

int64_t gv_vgg_channels(const gv_vgg *v, int k)
{
    return channels_of_block[place_of(v->depth, k).block];
}

int64_t gv_vgg_reduction(const gv_vgg *v, int k)
{
    return (int64_t)1 << place_of(v->depth, k).block;
}

/* "conv4_2" -> k in a network of this depth, 0 if it has no such layer. */
static int conv_at(int depth, long block, long within)
{
    const int *blocks = depth == 16 ? blocks16 : blocks19;
    if (block < 1 || block > 5 || within < 1 || within > blocks[block - 1])
        return 0;
    int k = (int)within;
    for (long b = 0; b < block - 1; ++b)
        k += blocks[b];
    return k;
}

gv_status gv_vgg_parse_layer(const gv_vgg *v, int *k, const char *name, gv_error *err)
{
    const char *file = gv_checkpoint_path(v->net.ck);
    int block = 0, number = 0, used = 0;
    *k = 0;
    if (sscanf(name, "conv_%2d%n", &number, &used) == 1 && !name[used] && number >= 1 &&
        number <= convs_of(19)) {
        if (number > SHARED_CONVS && v->depth != 19)
            return gv_fail(err, GV_E_ARG,
                           "layer '%s' is counted in VGG19, and %s is not VGG19: conv_1 to conv_%d "
                           "can be used, or a VGG19 file given",
                           name, file, SHARED_CONVS);
    } else if (sscanf(name, "conv%1d_%1d%n", &block, &number, &used) == 2 && !name[used]) {
        int depth = v->depth ? v->depth : 19;
        number = conv_at(depth, block, number);
        if (!number)
            return gv_fail(err, GV_E_ARG, "VGG%d has no layer '%s'", depth, name);
    } else {
        return gv_fail(err, GV_E_ARG,
                       "'%s' is no layer of VGG: expected conv_1 to conv_16, or conv3_1", name);
    }
    if (number > v->num_convs)
        return gv_fail(err, GV_E_ARG, "layer '%s' is not in %s, which ends at conv_%d", name, file,
                       v->num_convs);
    *k = number;
    return GV_OK;
}

/* ---- graph ---- */

/* (u - mean) / deviation, where u is what the network was trained on. */
static gv_status normalize(gv_graph *g, gv_node *y, gv_node x, gv_vgg_input input, gv_error *err)
{
    static const float imagenet_mean[3] = {0.485f, 0.456f, 0.406f};
    static const float imagenet_std[3] = {0.229f, 0.224f, 0.225f};
    static const float lpips_mean[3] = {-0.030f, -0.088f, -0.188f};
    static const float lpips_std[3] = {0.458f, 0.448f, 0.450f};
    float scale[3], shift[3];
    for (int c = 0; c < 3; ++c) {
        double mean = input == GV_VGG_LPIPS ? lpips_mean[c] : imagenet_mean[c];
        double std = input == GV_VGG_LPIPS ? lpips_std[c] : imagenet_std[c];
        /* u = (x + 1) / 2 moves into the numbers. */
        if (input == GV_VGG_SIGNED) {
            mean = 2 * mean - 1;
            std = 2 * std;
        }
        scale[c] = (float)(1 / std);
        shift[c] = (float)(-mean / std);
    }
    return gv_graph_affine(g, y, x, scale, shift, err);
}

static gv_status pool(gv_graph *g, gv_node *x, gv_error *err)
{
    int64_t dims[4];
    gv_graph_dims(g, *x, dims);
    if (dims[2] < 2 || dims[3] < 2)
        return gv_fail(err, GV_E_ARG,
                       "the picture is too small for VGG: a %lld x %lld map is to be "
                       "halved",
                       (long long)dims[3], (long long)dims[2]);
    return gv_graph_max_pool2(g, x, *x, err);
}

gv_status gv_vgg_build(gv_graph *g, const gv_vgg *v, gv_vgg_features *f, gv_node x,
                       gv_vgg_input input, gv_vgg_set conv, gv_vgg_set relu, gv_error *err)
{
    static const gv_bias_act linear = {.act = GV_ACT_LINEAR, .gain = 1, .bias_gain = 1};
    static const gv_bias_act rectify = {.act = GV_ACT_RELU, .gain = 1, .bias_gain = 1};
    gv_status status;
    *f = (gv_vgg_features){0};
    if ((conv | relu) >> v->num_convs)
        return gv_fail(err, GV_E_ARG, "%s ends at conv_%d", gv_checkpoint_path(v->net.ck),
                       v->num_convs);
    GV_TRY(normalize(g, &x, x, input, err));
    for (int k = 1; (conv | relu) >> (k - 1); ++k) {
        gv_vgg_set bit = 1u << (k - 1);
        bool more = relu & bit || (conv | relu) >> k;
        gv_param bias = gv_net_param(&v->net, v->bias[k - 1]);
        place p = place_of(v->depth, k);
        if (p.within == 0 && p.block > 0)
            GV_TRY(pool(g, &x, err));
        gv_conv2d shape = {
            .channels = channels_of_block[p.block], .kernel = 3, .stride = 1, .pad = 1};
        GV_TRY(gv_graph_conv2d(g, &x, x, gv_net_param(&v->net, v->weight[k - 1]), &shape, err));
        if (conv & bit) {
            GV_TRY(gv_graph_bias_act(g, &x, x, GV_NO_NODE, GV_NO_NODE, bias, &linear, err));
            f->conv[k - 1] = x;
            bias = GV_NO_PARAM;
        }
        if (more)
            GV_TRY(gv_graph_bias_act(g, &x, x, GV_NO_NODE, GV_NO_NODE, bias, &rectify, err));
        if (relu & bit)
            f->relu[k - 1] = x;
    }
done:
    return status;
}
