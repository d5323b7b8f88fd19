#include "nets/dcgan.h"

#include <math.h>

#define NORM_EPS 1e-5f

/* ---- loading ---- */

/* Where PyTorch's modules of layer i (from 0) sit: "deconv1.0" and "deconv1.1", "main.0" and
 * "main.1", "up_conv1.0" and "up_conv1.1", but "up_conv2.1" and "up_conv2.2", as 0 is Upsample. */
static gv_status name_modules(gv_net *net, gv_dcgan_layout layout, int i, gv_dcgan_layer *layer,
                              gv_error *err)
{
    gv_status status;
    switch (layout) {
    case GV_DCGAN_EXAMPLES:
        GV_TRY(gv_net_name(net, &layer->conv_tap, err, "main.%d", 3 * i));
        GV_TRY(gv_net_name(net, &layer->norm_tap, err, "main.%d", 3 * i + 1));
        break;
    case GV_DCGAN_UPSAMPLE:
        GV_TRY(gv_net_name(net, &layer->conv_tap, err, "up_conv%d.%d", i + 1, i > 0));
        GV_TRY(gv_net_name(net, &layer->norm_tap, err, "up_conv%d.%d", i + 1, (i > 0) + 1));
        break;
    default:
        GV_TRY(gv_net_name(net, &layer->conv_tap, err, "deconv%d.0", i + 1));
        GV_TRY(gv_net_name(net, &layer->norm_tap, err, "deconv%d.1", i + 1));
    }
    GV_TRY(gv_net_name(net, &layer->weight, err, "%s.weight", layer->conv_tap));
done:
    return status;
}

/* Kernel size and padding follow from the weight's shape: the first layer makes 4 x 4 out of 1 x 1,
 * every other doubles. */
static gv_status read_conv(gv_net *net, gv_dcgan_layout layout, int i, gv_dcgan_layer *layer,
                           gv_error *err)
{
    bool transposed = layout != GV_DCGAN_UPSAMPLE;
    bool first = i == 0;
    int64_t shape[4] = {-1, -1, 4, 4}, found[4];
    layer->upsample = !transposed && !first;
    if (!transposed)
        shape[2] = shape[3] = first ? -1 : 3;
    shape[transposed ? 0 : 1] = first ? -1 : layer->in;
    gv_status status = gv_net_need(net, layer->weight, 4, shape, found, err);
    if (status != GV_OK)
        return status;
    layer->in = found[transposed ? 0 : 1];
    layer->out = found[transposed ? 1 : 0];
    if (found[2] != found[3] || found[2] % 2 != (layer->upsample ? 1 : 0) || found[2] > 6)
        return gv_fail(err, GV_E_UNSUPPORTED,
                       "%s: tensor '%s' is a %lld x %lld kernel, expected 2 x 2, 4 x 4 or 6 x 6",
                       gv_checkpoint_path(net->ck), layer->weight, (long long)found[2],
                       (long long)found[3]);
    layer->conv = (gv_conv2d){
        .channels = layer->out, .kernel = found[2], .stride = 1, .transposed = transposed};
    if (transposed) {
        layer->conv.stride = first ? 1 : 2;
        layer->conv.pad = first ? 0 : 1;
    } else {
        layer->conv.pad = first ? (found[2] + 2) / 2 : 1;
    }
    return GV_OK;
}

/* Evaluation mode of BatchNorm2d: y = x * scale + shift with the stored statistics. */
static gv_status read_batch_norm(gv_net *net, gv_dcgan_layer *layer, gv_error *err)
{
    static const char *const parts[] = {"running_mean", "running_var", "weight", "bias"};
    int64_t count = layer->out;
    float *values[4], *scale, *shift;
    gv_status status;
    for (int i = 0; i < 4; ++i) {
        const char *name;
        GV_TRY(gv_net_floats(net, &values[i], count, err));
        GV_TRY(gv_net_name(net, &name, err, "%s.%s", layer->norm_tap, parts[i]));
        GV_TRY(gv_net_need(net, name, 1, &count, NULL, err));
        GV_TRY(gv_net_read(net, name, values[i], count, err));
    }
    GV_TRY(gv_net_floats(net, &scale, count, err));
    GV_TRY(gv_net_floats(net, &shift, count, err));
    for (int64_t c = 0; c < count; ++c) {
        if (values[1][c] < 0)
            return gv_fail(err, GV_E_NUMERIC,
                           "%s: tensor '%s.running_var' is negative at element %lld",
                           gv_checkpoint_path(net->ck), layer->norm_tap, (long long)c);
        scale[c] = values[2][c] / sqrtf(values[1][c] + NORM_EPS);
        shift[c] = values[3][c] - values[0][c] * scale[c];
    }
    layer->scale = scale;
    layer->shift = shift;
done:
    return status;
}

/* InstanceNorm2d(affine=True). */
static gv_status read_instance_affine(gv_net *net, const char *weight, gv_dcgan_layer *layer,
                                      gv_error *err)
{
    float *scale, *shift;
    const char *bias;
    gv_status status;
    GV_TRY(gv_net_name(net, &bias, err, "%s.bias", layer->norm_tap));
    GV_TRY(gv_net_need(net, weight, 1, &layer->out, NULL, err));
    GV_TRY(gv_net_need(net, bias, 1, &layer->out, NULL, err));
    GV_TRY(gv_net_floats(net, &scale, layer->out, err));
    GV_TRY(gv_net_floats(net, &shift, layer->out, err));
    GV_TRY(gv_net_read(net, weight, scale, layer->out, err));
    GV_TRY(gv_net_read(net, bias, shift, layer->out, err));
    layer->scale = scale;
    layer->shift = shift;
done:
    return status;
}

/* A bias before a normalisation is unusual: batch norm's shift takes it in, instance norm removes
 * it. */
static void fold_bias(gv_dcgan_layer *layer, float *bias)
{
    if (layer->norm == GV_DCGAN_NORM_NONE)
        return;
    for (int64_t c = 0; layer->norm == GV_DCGAN_NORM_BATCH && c < layer->out; ++c)
        layer->shift[c] += bias[c] * layer->scale[c];
    layer->bias = NULL;
}

static gv_status read_norm(gv_net *net, bool last, gv_dcgan_layer *layer, gv_error *err)
{
    gv_status status;
    const char *bias, *mean, *weight;
    float *values = NULL;
    GV_TRY(gv_net_name(net, &bias, err, "%s.bias", layer->conv_tap));
    GV_TRY(gv_net_name(net, &mean, err, "%s.running_mean", layer->norm_tap));
    GV_TRY(gv_net_name(net, &weight, err, "%s.weight", layer->norm_tap));
    if (gv_net_has(net, bias)) {
        GV_TRY(gv_net_need(net, bias, 1, &layer->out, NULL, err));
        GV_TRY(gv_net_floats(net, &values, layer->out, err));
        GV_TRY(gv_net_read(net, bias, values, layer->out, err));
        layer->bias = bias;
    }
    if (gv_net_has(net, mean)) {
        layer->norm = GV_DCGAN_NORM_BATCH;
        GV_TRY(read_batch_norm(net, layer, err));
    } else if (gv_net_has(net, weight)) {
        layer->norm = GV_DCGAN_NORM_INSTANCE;
        GV_TRY(read_instance_affine(net, weight, layer, err));
    } else if (!last && !layer->bias) {
        layer->norm = GV_DCGAN_NORM_INSTANCE;
    }
    if (layer->bias)
        fold_bias(layer, values);
done:
    return status;
}

gv_status gv_dcgan_init(gv_dcgan *m, gv_net *net, gv_error *err)
{
    gv_status status = GV_OK;
    *m = (gv_dcgan){.net = net, .layout = GV_DCGAN_COURSE};
    if (gv_net_has(net, "main.0.weight"))
        m->layout = GV_DCGAN_EXAMPLES;
    else if (gv_net_has(net, "up_conv1.0.weight"))
        m->layout = GV_DCGAN_UPSAMPLE;
    for (int i = 0;; ++i) {
        gv_dcgan_layer layer = {.in = i > 0 ? m->layer[i - 1].out : 0};
        GV_TRY(name_modules(net, m->layout, i, &layer, err));
        if (i > 0 && !gv_net_has(net, layer.weight))
            break;
        if (i == GV_DCGAN_MAX_LAYERS)
            return gv_fail(err, GV_E_UNSUPPORTED, "%s: more than %d layers",
                           gv_checkpoint_path(net->ck), GV_DCGAN_MAX_LAYERS);
        GV_TRY(read_conv(net, m->layout, i, &layer, err));
        m->layer[i] = layer;
        m->num_layers = i + 1;
    }
    for (int i = 0; i < m->num_layers; ++i)
        GV_TRY(read_norm(net, i == m->num_layers - 1, &m->layer[i], err));
    m->z_dim = m->layer[0].in;
    m->channels = m->layer[m->num_layers - 1].out;
    m->resolution = (int64_t)4 << (m->num_layers - 1);
    if (m->channels != 3)
        return gv_fail(err, GV_E_UNSUPPORTED,
                       "%s: tensor '%s' makes pictures of %lld channels, expected 3",
                       gv_checkpoint_path(net->ck), m->layer[m->num_layers - 1].weight,
                       (long long)m->channels);
done:
    return status;
}

/* ---- graph ---- */

static gv_status tap(gv_graph *g, gv_node x, const char *name, bool taps, gv_error *err)
{
    return taps ? gv_graph_output(g, x, name, err) : GV_OK;
}

gv_status gv_dcgan_build(gv_graph *g, const gv_dcgan *m, gv_node *img, gv_node z, bool taps,
                         gv_error *err)
{
    gv_status status = GV_OK;
    gv_node x = z;
    *img = GV_NO_NODE;
    for (int i = 0; i < m->num_layers; ++i) {
        const gv_dcgan_layer *layer = &m->layer[i];
        gv_bias_act act = {
            .act = i == m->num_layers - 1 ? GV_ACT_TANH : GV_ACT_RELU, .gain = 1, .bias_gain = 1};
        gv_param bias = layer->bias ? gv_net_param(m->net, layer->bias) : GV_NO_PARAM;
        if (layer->upsample)
            GV_TRY(gv_graph_upsample2(g, &x, x, err));
        GV_TRY(gv_graph_conv2d(g, &x, x, gv_net_param(m->net, layer->weight), &layer->conv, err));
        GV_TRY(tap(g, x, layer->conv_tap, taps && !layer->bias, err));
        if (layer->norm == GV_DCGAN_NORM_INSTANCE)
            GV_TRY(gv_graph_instance_norm(g, &x, x, NORM_EPS, err));
        if (layer->scale)
            GV_TRY(gv_graph_affine(g, &x, x, layer->scale, layer->shift, err));
        if (layer->norm != GV_DCGAN_NORM_NONE)
            GV_TRY(tap(g, x, layer->norm_tap, taps, err));
        GV_TRY(gv_graph_bias_act(g, &x, x, GV_NO_NODE, GV_NO_NODE, bias, &act, err));
    }
    *img = x;
done:
    return status;
}
