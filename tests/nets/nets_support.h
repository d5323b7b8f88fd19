/* What the tests of networks share. */
#ifndef GV_TESTS_NETS_SUPPORT_H
#define GV_TESTS_NETS_SUPPORT_H

#include "support.h"

#include "nets/generator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Fails the running test with the sentence of the error. */
#define OK(call)                                                                                   \
    do {                                                                                           \
        gv_error ok_error = {0};                                                                   \
        gv_error *err = &ok_error;                                                                 \
        if ((call) != GV_OK)                                                                       \
            fail_msg("%s:%d: %s", __FILE__, __LINE__, ok_error.message);                           \
    } while (0)

/* ---- comparing ---- */

/* Largest |a - b| in units of max(1, max|b|): absolute for pictures, relative for large features.
 */
double nets_error(const float *a, const float *b, int64_t n);

/* Of all values compared under one heading. */
typedef struct nets_worst {
    const char *set; /* "sg2/tiny" */
    double image, gradient;
} nets_worst;

void nets_check(double *worst, double error, double bound, const char *set, const char *what);

void nets_report(const nets_worst *w);

/* ---- loading ---- */

gv_generator *nets_load(const char *path);

float *nets_floats(int64_t count);

/* ---- a generator as a graph, with all inputs apart ---- */

typedef struct nets_graph {
    gv_generator *gen;
    gv_graph *g;
    gv_node row[GV_STYLEGAN2_MAX_WS], noise[GV_STYLEGAN2_MAX_WS], img;
    int64_t n, pixels; /* of one picture, all channels */
} nets_graph;

typedef enum nets_noise { NETS_NOISE_NONE, NETS_NOISE_CONST, NETS_NOISE_VARIES } nets_noise;

nets_graph nets_graph_new(gv_generator *gen, int64_t n, unsigned modes, nets_noise noise,
                          bool taps);

/* latents [n,rows,row_dim] -> img [n,3,R,R]. */
void nets_graph_fwd(nets_graph *r, const float *latents, float *img, int threads);

/* d mean((img - target)^2) / d latents [n,rows,row_dim]; returns the loss. target may be of one
 * picture for all. */
double nets_graph_bwd(nets_graph *r, const float *img, const float *target, int64_t targets,
                      float *grad, int threads);

/* ---- forced kernels ---- */

/* How often kernels whose name is text, or text before the dash, have run. */
int64_t nets_kernel_calls(const char *text);

bool nets_kernel_is_built(const char *text);

#endif
