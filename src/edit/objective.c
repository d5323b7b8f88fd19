#include "edit/objective.h"

#include "base/memory.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { TERM_L1, TERM_MSE, TERM_PERC, TERM_LPIPS, TERM_REG, TERMS };

struct gv_objective {
    gv_objective_options opt;
    gv_generator *gen;
    const gv_vgg *perceptual, *lpips;
    int threads;
    const gv_cancel *cancel;

    gv_graph *graph;
    int64_t n;     /* unknowns */
    int inputs;    /* nodes below: one, or one per row in w+ */
    int64_t width; /* unknowns of each */
    gv_node latent[GV_STYLEGAN2_MAX_WS], start[GV_STYLEGAN2_MAX_WS];
    gv_node target, image, loss, term[TERMS];
    gv_node noise[GV_STYLEGAN2_MAX_WS - 1]; /* inputs, for random noise */
    gv_node mask;                           /* the plane on the picture */
    gv_node pixel_l1, pixel_mse;            /* masks with the normalisation folded in */
    gv_node layer_mask[GV_VGG_MAX_CONVS];   /* of the perceptual layers, likewise */
    gv_node lpips_mask[GV_LPIPS_LAYERS];

    gv_torch_rng rng;
    float *noise_values;
    float *floats; /* as large as the unknowns or a picture plane */
    int64_t evaluations;
};

gv_objective_options gv_objective_defaults(void)
{
    return (gv_objective_options){.space = GV_SPACE_WPLUS,
                                  .l1 = 10.0,
                                  .perc = 0.01,
                                  .layers = {{5, 1.0}},
                                  .layer_count = 1,
                                  .mask_on = GV_MASK_ON_IMAGE,
                                  .noise = GV_NOISE_CONST,
                                  .label = -1};
}

/* ---- the generator's side ---- */

static gv_status check_options(const gv_objective *o, gv_error *err)
{
    const gv_objective_options *p = &o->opt;
    bool dcgan = o->gen->type == GV_NET_DCGAN;
    if (dcgan && p->space != GV_SPACE_Z)
        return gv_fail(err, GV_E_ARG, "this model is a DCGAN: it has z only, not w or w+");
    if (p->l1 < 0 || p->mse < 0 || p->perc < 0 || p->lpips < 0 || p->reg < 0)
        return gv_fail(err, GV_E_ARG, "a weight of the objective is negative");
    if (!(p->l1 > 0 || p->mse > 0 || p->perc > 0 || p->lpips > 0))
        return gv_fail(err, GV_E_ARG, "all weights of the objective are zero");
    if ((p->perc > 0 && !o->perceptual) || (p->lpips > 0 && !o->lpips))
        return gv_fail(err, GV_E_ARG, "the objective needs a VGG that is not there");
    if (p->perc > 0 && p->layer_count < 1)
        return gv_fail(err, GV_E_ARG, "the perceptual term has no layer");
    if (o->gen->channels != 3)
        return gv_fail(err, GV_E_UNSUPPORTED, "the model makes pictures of %lld channels, not RGB",
                       (long long)o->gen->channels);
    return GV_OK;
}

/* The inputs, the mapping in z, the picture. */
static gv_status build_generator(gv_objective *o, gv_error *err)
{
    gv_graph *g = o->graph;
    gv_generator *gen = o->gen;
    gv_node rows[GV_STYLEGAN2_MAX_WS], *noise = NULL, label = GV_NO_NODE;
    gv_status status = GV_OK;
    bool reg = o->opt.reg > 0;
    for (int i = 0; i < o->inputs; i++) {
        GV_TRY(gv_graph_input(g, &o->latent[i], "latent", 1, o->width, 1, 1, true, err));
        if (reg)
            GV_TRY(gv_graph_input(g, &o->start[i], "start", 1, o->width, 1, 1, false, err));
        rows[i] = o->latent[i];
    }
    if (gen->type == GV_NET_STYLEGAN2) {
        const gv_stylegan2 *m = &gen->stylegan2;
        if (o->opt.space == GV_SPACE_Z) {
            if (m->c_dim > 0) {
                GV_TRY(gv_graph_input(g, &label, "class", 1, m->c_dim, 1, 1, false, err));
            }
            GV_TRY(gv_stylegan2_mapping(g, m, &rows[0], o->latent[0], label, err));
        }
        for (int i = o->inputs; i < m->num_ws; i++)
            rows[i] = rows[0];
        noise = o->noise;
        if (o->opt.noise == GV_NOISE_CONST)
            GV_TRY(gv_stylegan2_noise_const(g, m, noise, err));
        else if (o->opt.noise == GV_NOISE_RANDOM)
            GV_TRY(gv_stylegan2_noise_inputs(g, m, noise, 1, false, err));
        else
            noise = NULL;
    }
    GV_TRY(gv_generator_build(g, gen, &o->image, rows, noise, false, err));
    GV_TRY(gv_graph_output(g, o->image, "image", err));
done:
    return status;
}

/* ---- the terms ---- */

/* A plane input of size w x w that set_target fills. */
static gv_status plane(gv_objective *o, gv_node *y, const char *name, int64_t w, gv_error *err)
{
    return gv_graph_input_plane(o->graph, y, name, 1, w, w, false, err);
}

static gv_status build_pixel_terms(gv_objective *o, gv_error *err)
{
    gv_graph *g = o->graph;
    int64_t r = o->gen->resolution;
    gv_status status = GV_OK;
    if (o->opt.l1 > 0) {
        GV_TRY(plane(o, &o->pixel_l1, "mask l1", r, err));
        GV_TRY(gv_graph_distance(g, &o->term[TERM_L1], o->image, o->target, o->pixel_l1,
                                 GV_DISTANCE_L1, 1.0f, err));
    }
    if (o->opt.mse > 0) {
        GV_TRY(plane(o, &o->pixel_mse, "mask mse", r, err));
        GV_TRY(gv_graph_distance(g, &o->term[TERM_MSE], o->image, o->target, o->pixel_mse,
                                 GV_DISTANCE_L2, 1.0f, err));
    }
done:
    return status;
}

/* What enters the VGG: the picture, grey outside the mask if the mask acts there. */
static gv_status composite(gv_objective *o, gv_node *y, gv_node x, gv_error *err)
{
    *y = x;
    if (!o->opt.masked || !(o->opt.mask_on & GV_MASK_ON_IMAGE) || o->opt.hw5)
        return GV_OK;
    return gv_graph_mask(o->graph, y, x, o->mask, err);
}

static gv_status build_perceptual_term(gv_objective *o, gv_node x, gv_node t, gv_error *err)
{
    gv_graph *g = o->graph;
    gv_vgg_input input = o->opt.hw5 ? GV_VGG_UNIT : GV_VGG_SIGNED;
    gv_vgg_set set = 0;
    gv_vgg_features fx, ft;
    gv_node terms[GV_VGG_MAX_CONVS];
    float weights[GV_VGG_MAX_CONVS];
    gv_status status = GV_OK;
    for (int i = 0; i < o->opt.layer_count; i++)
        set |= 1u << (o->opt.layers[i].conv - 1);
    GV_TRY(gv_vgg_build(g, o->perceptual, &fx, x, input, set, 0, err));
    GV_TRY(gv_vgg_build(g, o->perceptual, &ft, t, input, set, 0, err));
    for (int i = 0; i < o->opt.layer_count; i++) {
        int k = o->opt.layers[i].conv;
        int64_t side = o->gen->resolution / gv_vgg_reduction(o->perceptual, k);
        GV_TRY(plane(o, &o->layer_mask[i], "mask features", side, err));
        GV_TRY(gv_graph_distance(g, &terms[i], fx.conv[k - 1], ft.conv[k - 1], o->layer_mask[i],
                                 GV_DISTANCE_L2, 1.0f, err));
        weights[i] = (float)o->opt.layers[i].weight;
    }
    GV_TRY(gv_graph_weighted_sum(g, &o->term[TERM_PERC], terms, weights, o->opt.layer_count, err));
done:
    return status;
}

static gv_status build_lpips_term(gv_objective *o, gv_node x, gv_node t, gv_error *err)
{
    gv_graph *g = o->graph;
    gv_node fx[GV_LPIPS_LAYERS], ft[GV_LPIPS_LAYERS], *mask = NULL;
    gv_status status = GV_OK;
    GV_TRY(gv_lpips_features(g, o->lpips, fx, x, err));
    GV_TRY(gv_lpips_features(g, o->lpips, ft, t, err));
    if (o->opt.masked && (o->opt.mask_on & GV_MASK_ON_FEATURES)) {
        for (int i = 0; i < GV_LPIPS_LAYERS; i++)
            GV_TRY(plane(o, &o->lpips_mask[i], "mask lpips", o->gen->resolution >> i, err));
        mask = o->lpips_mask;
    }
    GV_TRY(gv_lpips_distance(g, o->lpips, &o->term[TERM_LPIPS], fx, ft, mask, err));
done:
    return status;
}

/* Mean over rows of |row - start|. */
static gv_status build_reg_term(gv_objective *o, gv_error *err)
{
    gv_node rows[GV_STYLEGAN2_MAX_WS], sums[3];
    float ones[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    gv_status status = GV_OK;
    int groups = 0;
    for (int i = 0; i < o->inputs; i++)
        GV_TRY(gv_graph_vector_norm(o->graph, &rows[i], o->latent[i], o->start[i],
                                    1.0f / (float)o->inputs, err));
    for (int i = 0; i < o->inputs; i += 8, groups++) {
        int count = o->inputs - i < 8 ? o->inputs - i : 8;
        GV_TRY(gv_graph_weighted_sum(o->graph, &sums[groups], rows + i, ones, count, err));
    }
    GV_TRY(gv_graph_weighted_sum(o->graph, &o->term[TERM_REG], sums, ones, groups, err));
done:
    return status;
}

static gv_status build_terms(gv_objective *o, gv_error *err)
{
    gv_graph *g = o->graph;
    const gv_objective_options *p = &o->opt;
    int64_t r = o->gen->resolution;
    const double weight[TERMS] = {p->l1, p->mse, p->perc, p->lpips, p->reg};
    gv_node x, t, terms[TERMS];
    float weights[TERMS];
    int count = 0;
    gv_status status = GV_OK;
    GV_TRY(gv_graph_input(g, &o->target, "target", 1, 3, r, r, false, err));
    if (p->masked)
        GV_TRY(plane(o, &o->mask, "mask", r, err));
    GV_TRY(build_pixel_terms(o, err));
    if (p->perc > 0 || p->lpips > 0) {
        GV_TRY(composite(o, &x, o->image, err));
        GV_TRY(composite(o, &t, o->target, err));
    }
    if (p->perc > 0)
        GV_TRY(build_perceptual_term(o, x, t, err));
    if (p->lpips > 0)
        GV_TRY(build_lpips_term(o, x, t, err));
    if (p->reg > 0)
        GV_TRY(build_reg_term(o, err));
    for (int i = 0; i < TERMS; i++) {
        if (!(weight[i] > 0))
            continue;
        GV_TRY(gv_graph_output(g, o->term[i], NULL, err));
        terms[count] = o->term[i];
        weights[count++] = (float)weight[i];
    }
    GV_TRY(gv_graph_weighted_sum(g, &o->loss, terms, weights, count, err));
    GV_TRY(gv_graph_output(g, o->loss, "loss", err));
done:
    return status;
}

/* ---- life ---- */

static void set_sizes(gv_objective *o)
{
    const gv_generator *gen = o->gen;
    o->inputs = o->opt.space == GV_SPACE_WPLUS ? (int)gen->rows : 1;
    o->width = o->opt.space == GV_SPACE_Z ? gen->z_dim : gen->row_dim;
    o->n = o->inputs * o->width;
}

static gv_status make_buffers(gv_objective *o, gv_error *err)
{
    int64_t r = o->gen->resolution, most = o->n > 3 * r * r ? o->n : 3 * r * r;
    o->floats = gv_mem_alloc_array((size_t)most, sizeof *o->floats);
    if (!o->floats)
        return gv_fail_memory(err, (size_t)most * sizeof *o->floats);
    if (o->opt.noise != GV_NOISE_RANDOM || o->gen->type != GV_NET_STYLEGAN2)
        return GV_OK;
    int64_t count = gv_stylegan2_noise_floats(&o->gen->stylegan2);
    o->noise_values = gv_mem_alloc_array((size_t)count, sizeof *o->noise_values);
    return o->noise_values ? GV_OK : gv_fail_memory(err, (size_t)count * sizeof(float));
}

static gv_status set_label(gv_objective *o, gv_error *err)
{
    gv_node c = gv_graph_named(o->graph, "class");
    if (!c.id)
        return GV_OK;
    int64_t classes = o->gen->c_dim;
    if (o->opt.label < 0 || o->opt.label >= classes)
        return gv_fail(err, GV_E_ARG, "the model needs a class from 0 to %lld",
                       (long long)classes - 1);
    float *one_hot = gv_mem_alloc_array((size_t)classes, sizeof *one_hot);
    if (!one_hot)
        return gv_fail_memory(err, (size_t)classes * sizeof *one_hot);
    one_hot[o->opt.label] = 1.0f;
    gv_graph_set(o->graph, c, one_hot);
    gv_mem_free(one_hot);
    return GV_OK;
}

gv_status gv_objective_new(gv_objective **out, gv_generator *gen, const gv_vgg *perceptual,
                           const gv_vgg *lpips, const gv_objective_options *options, int threads,
                           const gv_cancel *cancel, gv_error *err)
{
    const float one = 1.0f;
    gv_status status;
    *out = NULL;
    gv_objective *o = gv_mem_alloc(sizeof *o);
    if (!o)
        return gv_fail_memory(err, sizeof *o);
    o->opt = *options;
    o->gen = gen;
    o->perceptual = perceptual;
    o->lpips = lpips;
    o->threads = threads;
    o->cancel = cancel;
    gv_torch_seed(&o->rng, options->noise_seed);
    GV_TRY(check_options(o, err));
    set_sizes(o);
    GV_TRY(make_buffers(o, err));
    GV_TRY(gv_graph_new(&o->graph, GV_GRAPH_BWD, err));
    GV_TRY(build_generator(o, err));
    GV_TRY(build_terms(o, err));
    GV_TRY(gv_graph_build(o->graph, err));
    GV_TRY(set_label(o, err));
    gv_graph_set_seed(o->graph, o->loss, &one);
    *out = o;
    o = NULL;
done:
    gv_objective_free(o);
    return status;
}

void gv_objective_free(gv_objective *o)
{
    if (!o)
        return;
    gv_graph_free(o->graph);
    gv_mem_free(o->floats);
    gv_mem_free(o->noise_values);
    gv_mem_free(o);
}

int64_t gv_objective_size(const gv_objective *o)
{
    return o->n;
}

gv_space gv_objective_space(const gv_objective *o)
{
    return o->opt.space;
}

void gv_objective_set_cancel(gv_objective *o, const gv_cancel *cancel)
{
    o->cancel = cancel;
}

const gv_graph *gv_objective_graph(const gv_objective *o)
{
    return o->graph;
}

int64_t gv_objective_evaluations(const gv_objective *o)
{
    return o->evaluations;
}

/* ---- the target ---- */

/* dst [side,side] = means of the cells of mask [r,r] (NULL: ones). */
static void shrink(float *dst, int64_t side, const float *mask, int64_t r)
{
    int64_t cell = r / side;
    for (int64_t y = 0; y < side; y++)
        for (int64_t x = 0; x < side; x++) {
            double sum = 0.0;
            for (int64_t i = 0; i < cell * cell; i++)
                sum += mask ? (double)mask[(y * cell + i / cell) * r + x * cell + i % cell] : 1.0;
            dst[y * side + x] = (float)(sum / (double)(cell * cell));
        }
}

/* The weight of each pixel of a term over `channels` channels: its mask value over the mask's area;
 * the course divides by all pixels and, in squared terms, masks both sides before squaring. */
static void set_weights(gv_objective *o, gv_node node, const float *mask, int64_t channels,
                        bool squared)
{
    if (!node.id)
        return;
    int64_t dims[4];
    gv_graph_dims(o->graph, node, dims);
    int64_t count = dims[2] * dims[3];
    shrink(o->floats, dims[2], mask, o->gen->resolution);
    double area = 0.0;
    for (int64_t i = 0; i < count; i++)
        area += (double)o->floats[i];
    double norm = 1.0 / ((double)channels * (o->opt.hw5 ? (double)count : area));
    for (int64_t i = 0; i < count; i++) {
        double m = (double)o->floats[i];
        o->floats[i] = (float)((o->opt.hw5 && squared ? m * m : m) * norm);
    }
    gv_graph_set(o->graph, node, o->floats);
}

gv_status gv_objective_set_target(gv_objective *o, const float *rgb, const float *mask,
                                  gv_error *err)
{
    int64_t r = o->gen->resolution;
    if (mask && !o->opt.masked)
        return gv_fail(err, GV_E_ARG, "this objective was made without a mask");
    double area = 0.0;
    for (int64_t i = 0; i < r * r; i++)
        area += mask ? (double)mask[i] : 1.0;
    if (!(area > 0.0))
        return gv_fail(err, GV_E_ARG, "the mask leaves nothing of the picture");
    gv_graph_set(o->graph, o->target, rgb);
    set_weights(o, o->pixel_l1, mask, 3, false);
    set_weights(o, o->pixel_mse, mask, 3, true);
    const float *on_features = o->opt.hw5 || (o->opt.mask_on & GV_MASK_ON_FEATURES) ? mask : NULL;
    for (int i = 0; o->opt.perc > 0 && i < o->opt.layer_count; i++)
        set_weights(o, o->layer_mask[i], on_features,
                    gv_vgg_channels(o->perceptual, o->opt.layers[i].conv), true);
    for (int i = 0; i < GV_LPIPS_LAYERS; i++) {
        if (!o->lpips_mask[i].id)
            continue;
        shrink(o->floats, r >> i, mask, r);
        gv_graph_set(o->graph, o->lpips_mask[i], o->floats);
    }
    if (o->mask.id) {
        shrink(o->floats, r, mask, r);
        gv_graph_set(o->graph, o->mask, o->floats);
    }
    return GV_OK;
}

/* ---- evaluation ---- */

static void set_rows(gv_objective *o, const gv_node *nodes, const double *x)
{
    for (int64_t i = 0; i < o->n; i++)
        o->floats[i] = (float)x[i];
    for (int i = 0; i < o->inputs; i++)
        gv_graph_set(o->graph, nodes[i], o->floats + i * o->width);
}

void gv_objective_set_start(gv_objective *o, const double *x)
{
    if (o->opt.reg > 0)
        set_rows(o, o->start, x);
}

static gv_status loss_at(void *ctx, double *loss, const double *x, gv_error *err)
{
    gv_objective *o = ctx;
    float value;
    set_rows(o, o->latent, x);
    if (o->noise_values) {
        const gv_stylegan2 *m = &o->gen->stylegan2;
        gv_stylegan2_noise_draw(m, o->noise_values, 1, &o->rng);
        gv_stylegan2_noise_set(o->graph, m, o->noise, o->noise_values, 1);
    }
    gv_status status = gv_graph_fwd(o->graph, o->threads, o->cancel, err);
    if (status != GV_OK)
        return status;
    o->evaluations++;
    gv_graph_get(o->graph, o->loss, &value);
    *loss = (double)value;
    return GV_OK;
}

static gv_status gradient_here(void *ctx, double *grad, gv_error *err)
{
    gv_objective *o = ctx;
    gv_status status = gv_graph_bwd(o->graph, o->threads, o->cancel, err);
    if (status != GV_OK)
        return status;
    for (int i = 0; i < o->inputs; i++)
        gv_graph_get_grad(o->graph, o->latent[i], o->floats + i * o->width);
    for (int64_t i = 0; i < o->n; i++)
        grad[i] = (double)o->floats[i];
    return GV_OK;
}

gv_problem gv_objective_problem(gv_objective *o)
{
    return (gv_problem){.n = o->n, .loss = loss_at, .gradient = gradient_here, .ctx = o};
}

gv_terms gv_objective_terms(const gv_objective *o)
{
    gv_terms t = {0};
    double *const value[TERMS] = {&t.l1, &t.mse, &t.perc, &t.lpips, &t.reg};
    float f;
    for (int i = 0; i < TERMS; i++)
        if (o->term[i].id) {
            gv_graph_get(o->graph, o->term[i], &f);
            *value[i] = (double)f;
        }
    gv_graph_get(o->graph, o->loss, &f);
    t.total = (double)f;
    return t;
}

void gv_objective_image(const gv_objective *o, float *img)
{
    gv_graph_get(o->graph, o->image, img);
}

/* ---- unknowns and rows ---- */

gv_status gv_objective_rows(gv_objective *o, float *rows, const double *x, gv_error *err)
{
    const gv_generator *gen = o->gen;
    for (int64_t i = 0; i < o->n; i++)
        o->floats[i] = (float)x[i];
    if (o->opt.space == GV_SPACE_Z && gen->type == GV_NET_STYLEGAN2) {
        gv_truncation t = GV_TRUNCATION_NONE;
        t.label = o->opt.label;
        return gv_generator_map(o->gen, rows, o->floats, 1, &t, o->threads, o->cancel, err);
    }
    for (int64_t r = 0; r < gen->rows; r++)
        memcpy(rows + r * gen->row_dim, o->floats + (o->inputs > 1 ? r * o->width : 0),
               (size_t)gen->row_dim * sizeof *rows);
    return GV_OK;
}

gv_status gv_objective_from_rows(const gv_objective *o, double *x, const float *rows, gv_error *err)
{
    const gv_generator *gen = o->gen;
    if (o->opt.space == GV_SPACE_Z && gen->type == GV_NET_STYLEGAN2)
        return gv_fail(err, GV_E_ARG, "w has no way back to z");
    for (int64_t i = 0; i < o->n; i++)
        x[i] = 0.0;
    for (int64_t r = 0; r < gen->rows; r++)
        for (int64_t c = 0; c < gen->row_dim; c++) {
            double v = (double)rows[r * gen->row_dim + c];
            if (o->inputs > 1)
                x[r * o->width + c] = v;
            else
                x[c] += v / (double)gen->rows;
        }
    return GV_OK;
}
