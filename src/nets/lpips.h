/* LPIPS v0.1 on VGG16: how different two pictures look.
 * Source Zhang et al. 2018 (arXiv 1801.03924). */
#ifndef GV_NETS_LPIPS_H
#define GV_NETS_LPIPS_H

#include "nets/vgg.h"

#define GV_LPIPS_LAYERS 5

/* Relu1_2, 2_2, 3_3, 4_3 and 5_3 of x [N,3,H,W] in [-1,1], at least 16 x 16. The features of a
 * fixed picture are computed once by a graph of their own and set as inputs of another: layer l is
 * [n, gv_lpips_channels(l), H >> l, W >> l].
 * Errors GV_E_ARG if the file has no LPIPS layers or the picture is too small. */
gv_status gv_lpips_features(gv_graph *g, const gv_vgg *v, gv_node features[GV_LPIPS_LAYERS],
                            gv_node x, gv_error *err);
int64_t gv_lpips_channels(int layer);

/* y plane [N,1,1,1]: the distance of each sample.
 * x, t   from gv_lpips_features or inputs of those shapes; t may be of one sample for all
 * mask   NULL, or a plane for each layer (its nodes may be GV_NO_NODE): the mean over pixels
 * becomes sum(mask*d) / sum(mask) */
gv_status gv_lpips_distance(gv_graph *g, const gv_vgg *v, gv_node *y,
                            const gv_node x[GV_LPIPS_LAYERS], const gv_node t[GV_LPIPS_LAYERS],
                            const gv_node *mask, gv_error *err);

/* The whole thing on numbers: distance[i] of n pairs a, b [n,3,h,w]; b_count 1 compares all with
 * one. Builds its graph anew: for reports, not for loops.
 * Errors GV_E_ARG, GV_E_MEMORY, GV_E_CANCELLED */
gv_status gv_lpips_compare(const gv_vgg *v, float *distance, const float *a, const float *b,
                           int64_t n, int64_t b_count, int64_t h, int64_t w, int threads,
                           const gv_cancel *cancel, gv_error *err);

#endif
