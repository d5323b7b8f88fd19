/* What an edit minimises: distances between a generated picture and a target, as one graph.
 *
 * latent -> generator -> picture -> pixel terms, VGG features, LPIPS; plus a pull towards the
 * start. The target's side of the graph does not vary, so its features are computed once a target.
 */
#ifndef GV_EDIT_OBJECTIVE_H
#define GV_EDIT_OBJECTIVE_H

#include "edit/optimizer.h"
#include "nets/generator.h"
#include "nets/lpips.h"

typedef enum gv_space { GV_SPACE_Z, GV_SPACE_W, GV_SPACE_WPLUS } gv_space;

/* Where a mask acts on the perceptual terms; the pixel terms always obey it. */
typedef enum gv_mask_on {
    GV_MASK_ON_IMAGE = 1,    /* both pictures become grey outside before they enter the VGG */
    GV_MASK_ON_FEATURES = 2, /* distances of features are weighted by the shrunk mask */
    GV_MASK_ON_BOTH = 3
} gv_mask_on;

typedef struct gv_perceptual_layer {
    int conv; /* conv_k */
    double weight;
} gv_perceptual_layer;

typedef struct gv_objective_options {
    gv_space space;
    double l1, mse; /* of the mean over constrained pixels and channels */
    double perc;    /* of the weighted sum over layers of the mean squared difference */
    double lpips;
    double reg; /* of the mean over rows of |latent - start| */
    gv_perceptual_layer layers[GV_VGG_MAX_CONVS];
    int layer_count;
    gv_mask_on mask_on;
    bool masked; /* a mask will be set: without it nothing is composited */
    /* The course's form: means over all pixels whatever the mask, squared masks in squared terms,
     * ImageNet's normalisation applied to [-1,1] directly. */
    bool hw5;
    gv_noise_mode noise; /* const, none, or random: drawn anew at each evaluation */
    uint64_t noise_seed;
    int64_t label; /* class for z; -1: none */
} gv_objective_options;

/* The defaults of `invert`: w+, L1 10, conv_5 at 0.01, noise const. */
gv_objective_options gv_objective_defaults(void);

/* Unweighted values of the last evaluation; 0 for terms that are off. */
typedef struct gv_terms {
    double total, l1, mse, perc, lpips, reg;
} gv_terms;

typedef struct gv_objective gv_objective;

/* Builds graph and memory for pictures of the generator's resolution.
 * *o          returned owned (gv_objective_free); gen, perceptual, lpips are kept
 * perceptual  for perc; may be NULL if perc is 0
 * lpips       VGG16 with LPIPS's layers, for the lpips term; may be NULL if that is 0
 * threads, cancel  for all evaluations; cancel (may be NULL) is kept
 * Errors      GV_E_ARG for options that the model does not know; those of building graphs */
gv_status gv_objective_new(gv_objective **o, gv_generator *gen, const gv_vgg *perceptual,
                           const gv_vgg *lpips, const gv_objective_options *options, int threads,
                           const gv_cancel *cancel, gv_error *err);
void gv_objective_free(gv_objective *o);

/* Unknowns: z_dim, w_dim or num_ws * w_dim. */
int64_t gv_objective_size(const gv_objective *o);
gv_space gv_objective_space(const gv_objective *o);
/* Replaces the cancel of gv_objective_new; NULL: not to be cancelled. */
void gv_objective_set_cancel(gv_objective *o, const gv_cancel *cancel);

/* rgb [3,R,R] in [-1,1]; mask [R,R] in [0,1] or NULL: everything.
 * Errors GV_E_ARG if the mask is empty, or given to an objective that is not `masked`. */
gv_status gv_objective_set_target(gv_objective *o, const float *rgb, const float *mask,
                                  gv_error *err);
/* Where the reg term pulls to; n unknowns. */
void gv_objective_set_start(gv_objective *o, const double *x);

/* The minimiser's view: loss runs the graph forward, gradient backward. `accepted` is NULL. */
gv_problem gv_objective_problem(gv_objective *o);
/* Calls of loss since gv_objective_new. */
int64_t gv_objective_evaluations(const gv_objective *o);

/* Of the last loss. img [3,R,R]. */
gv_terms gv_objective_terms(const gv_objective *o);
void gv_objective_image(const gv_objective *o, float *img);

/* Unknowns -> the rows the generator takes, [rows, row_dim]: z is mapped, w repeated. */
gv_status gv_objective_rows(gv_objective *o, float *rows, const double *x, gv_error *err);
/* Rows -> unknowns in w (the mean over rows) and w+; GV_E_ARG in z of a StyleGAN2. */
gv_status gv_objective_from_rows(const gv_objective *o, double *x, const float *rows,
                                 gv_error *err);

/* Bytes of the graph, and steps of it for profiles. */
const gv_graph *gv_objective_graph(const gv_objective *o);

#endif
