#include "nets/lpips.h"

/* Convolutions whose ReLU LPIPS looks at: relu1_2, 2_2, 3_3, 4_3, 5_3. */
static const int taps[GV_LPIPS_LAYERS] = {2, 4, 7, 10, 13};

int64_t gv_lpips_channels(int layer)
{
    static const int64_t channels[GV_LPIPS_LAYERS] = {64, 128, 256, 512, 512};
    return channels[layer];
}

gv_status gv_lpips_features(gv_graph *g, const gv_vgg *v, gv_node features[GV_LPIPS_LAYERS],
                            gv_node x, gv_error *err)
{
    gv_vgg_features f;
    gv_vgg_set relu = 0;
    if (!v->lin[0])
        return gv_fail(err, GV_E_ARG, "%s holds no LPIPS layers", gv_checkpoint_path(v->net.ck));
    for (int l = 0; l < GV_LPIPS_LAYERS; ++l)
        relu |= 1u << (taps[l] - 1);
    gv_status status = gv_vgg_build(g, v, &f, x, GV_VGG_LPIPS, 0, relu, err);
    for (int l = 0; l < GV_LPIPS_LAYERS; ++l)
        features[l] = status == GV_OK ? f.relu[taps[l] - 1] : GV_NO_NODE;
    return status;
}

gv_status gv_lpips_distance(gv_graph *g, const gv_vgg *v, gv_node *y,
                            const gv_node x[GV_LPIPS_LAYERS], const gv_node t[GV_LPIPS_LAYERS],
                            const gv_node *mask, gv_error *err)
{
    static const float ones[GV_LPIPS_LAYERS] = {1, 1, 1, 1, 1};
    gv_node terms[GV_LPIPS_LAYERS];
    gv_status status;
    *y = GV_NO_NODE;
    for (int l = 0; l < GV_LPIPS_LAYERS; ++l)
        GV_TRY(gv_graph_lpips_layer(g, &terms[l], x[l], t[l], mask ? mask[l] : GV_NO_NODE,
                                    gv_net_param(&v->net, v->lin[l]), err));
    GV_TRY(gv_graph_weighted_sum(g, y, terms, ones, GV_LPIPS_LAYERS, err));
done:
    return status;
}

gv_status gv_lpips_compare(const gv_vgg *v, float *distance, const float *a, const float *b,
                           int64_t n, int64_t b_count, int64_t h, int64_t w, int threads,
                           const gv_cancel *cancel, gv_error *err)
{
    gv_node x[2], features[2][GV_LPIPS_LAYERS], y;
    gv_graph *g = NULL;
    gv_status status;
    int64_t floats = 3 * h * w;
    GV_TRY(gv_graph_new(&g, GV_GRAPH_FWD, err));
    for (int i = 0; i < 2; ++i) {
        GV_TRY(gv_graph_input(g, &x[i], i ? "b" : "a", 1, 3, h, w, false, err));
        GV_TRY(gv_lpips_features(g, v, features[i], x[i], err));
    }
    GV_TRY(gv_lpips_distance(g, v, &y, features[0], features[1], NULL, err));
    GV_TRY(gv_graph_output(g, y, "distance", err));
    GV_TRY(gv_graph_build(g, err));
    for (int64_t i = 0; i < n; ++i) {
        gv_graph_set(g, x[0], a + i * floats);
        gv_graph_set(g, x[1], b + (b_count == 1 ? 0 : i) * floats);
        GV_TRY(gv_graph_fwd(g, threads, cancel, err));
        gv_graph_get(g, y, distance + i);
    }
done:
    gv_graph_free(g);
    return status;
}
