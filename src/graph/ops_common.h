/* What the builders of operations share: comparing shapes, saying them, arrays of one float a
 * channel. */
#ifndef GV_GRAPH_OPS_COMMON_H
#define GV_GRAPH_OPS_COMMON_H

#include "graph/op.h"

/* "x is " GV_DIMS with the argument GV_DIMS_OF(&map) */
#define GV_DIMS "[%lld,%lld,%lld,%lld]"
#define GV_DIMS_OF(m) (long long)(m)->n, (long long)(m)->c, (long long)(m)->h, (long long)(m)->w

static inline bool gv_same_layout(const gv_map *a, const gv_map *b)
{
    return a->c == b->c && a->h == b->h && a->w == b->w && gv_map_is_plane(a) == gv_map_is_plane(b);
}

static inline bool gv_is_vector(const gv_map *m)
{
    return m->h == 1 && m->w == 1 && !gv_map_is_plane(m);
}

/* May b, of n samples or one for all, go with a? */
static inline bool gv_samples_fit(const gv_map *a, const gv_map *b)
{
    return b->n == a->n || b->n == 1;
}

/* Strides like those of x, but with memory for every sample, as results have. */
gv_map gv_graph_like(const gv_map *x);

/* The shape of an optional node: all zero for GV_NO_NODE. */
gv_map gv_graph_shape_or_none(const gv_graph *g, gv_node x);

/* A stored tensor of c floats with zeros up to a multiple of 16; *out NULL for GV_NO_PARAM. */
gv_status gv_graph_channel_floats(const float **out, gv_param p, int64_t c, gv_error *err);

/* GV_E_ARG unless mask is absent or a constant plane with the pixels of x, for all or each of its
 * samples. */
gv_status gv_graph_check_mask(const gv_graph *g, const char *op, gv_node x, gv_node mask,
                              gv_error *err);

/* Every operation that nets can add, for the tests: none may miss its check. Ends with NULL. */
extern const gv_op *const gv_ops_conv[];
extern const gv_op *const gv_ops_pointwise[];
extern const gv_op *const gv_ops_mask[];
extern const gv_op *const gv_ops_modulate[];
extern const gv_op *const gv_ops_resample[];
extern const gv_op *const gv_ops_norm[];
extern const gv_op *const gv_ops_loss[];

#endif
