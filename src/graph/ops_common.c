#include "graph/ops_common.h"

#include <string.h>

gv_map gv_graph_like(const gv_map *x)
{
    return gv_map_is_plane(x) ? gv_map_plane(x->n, x->h, x->w)
                              : gv_map_blocked(x->n, x->c, x->h, x->w);
}

gv_map gv_graph_shape_or_none(const gv_graph *g, gv_node x)
{
    return gv_graph_has(x) ? gv_graph_shape(g, x) : (gv_map){0};
}

static void pack_floats(void *dst, const float *src, int64_t count, const void *ctx)
{
    (void)ctx;
    memcpy(dst, src, (size_t)count * sizeof *src);
}

gv_status gv_graph_channel_floats(const float **out, gv_param p, int64_t c, gv_error *err)
{
    *out = NULL;
    if (!p.name)
        return GV_OK;
    size_t bytes = (size_t)(gv_blocks(c) * GV_LANES) * sizeof(float);
    const void *packed = NULL;
    gv_status status = gv_weights_pack(&packed, p, c, "lanes16", bytes, pack_floats, NULL, err);
    *out = packed;
    return status;
}

gv_status gv_graph_check_mask(const gv_graph *g, const char *op, gv_node x, gv_node mask,
                              gv_error *err)
{
    if (!gv_graph_has(mask))
        return GV_OK;
    gv_map in = gv_graph_shape(g, x), m = gv_graph_shape(g, mask);
    if (!gv_map_is_plane(&m) || m.h != in.h || m.w != in.w || !gv_samples_fit(&in, &m))
        return gv_graph_refuse(err, op, "the mask is " GV_DIMS ", expected a plane for " GV_DIMS,
                               GV_DIMS_OF(&m), GV_DIMS_OF(&in));
    if (gv_graph_varies(g, mask))
        return gv_graph_refuse(err, op, "has no gradient with respect to its mask");
    return GV_OK;
}
