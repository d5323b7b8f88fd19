/* mask. */
#include "graph/ops_common.h"
#include "kernels/mask.h"

static void mask_fwd(const gv_step *s)
{
    gv_mask_apply(&s->y, false, &s->x[0], &s->x[1]);
}

static void mask_bwd(const gv_step *s)
{
    if (s->dx[0].data)
        gv_mask_apply(&s->dx[0], s->add[0], &s->dy, &s->x[1]);
}

static void mask_jvp(const gv_step *s)
{
    gv_mask_apply(&s->ty, false, &s->tx[0], &s->x[1]);
}

static const gv_op mask_op = {.name = "mask",
                              .needs = GV_NEED_X(1),
                              .in_place = true,
                              .fwd = mask_fwd,
                              .bwd = mask_bwd,
                              .jvp = mask_jvp};

const gv_op *const gv_ops_mask[] = {&mask_op, NULL};

gv_status gv_graph_mask(gv_graph *g, gv_node *y, gv_node x, gv_node mask, gv_error *err)
{
    *y = GV_NO_NODE;
    gv_map in = gv_graph_shape(g, x), out = gv_graph_like(&in);
    if (gv_map_is_plane(&in) || !gv_graph_has(mask))
        return gv_graph_refuse(err, "mask", "takes a map and a plane");
    gv_status status = gv_graph_check_mask(g, "mask", x, mask, err);
    if (status != GV_OK)
        return status;
    return gv_graph_append(g, y, &mask_op, &out, (gv_node[]){x, mask}, 2, NULL, 0, 0, err);
}
