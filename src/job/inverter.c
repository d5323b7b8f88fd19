#include "job/inverter.h"

#include <math.h>
#include <string.h>

/* Pictures whose mean stands for a model without w_avg. */
#define MEAN_OF 64
/* Above this share of the mean picture's distance the model has not got the picture. */
#define REACHED_SHARE 0.6
/* Smaller pictures do not survive LPIPS's pooling. */
#define LPIPS_LEAST 16

struct gv_inverter {
    gv_inverter_options opt;
    gv_generator *gen;
    const gv_vgg *perceptual, *lpips;
    gv_objective *objective; /* of the last kind of target, masked or not */
    bool masked;
    float *mean;  /* [3,R,R], NULL until it is asked for */
    float *pairs; /* scratch of measuring: two pictures and their targets */
};

/* Graphs cost memory: only one of the two kinds is there at a time. */
static gv_status need_objective(gv_inverter *inv, bool masked, gv_error *err)
{
    if (inv->objective != NULL && inv->masked == masked)
        return GV_OK;
    gv_objective_free(inv->objective);
    inv->objective = NULL;
    inv->masked = masked;
    gv_objective_options o = inv->opt.objective;
    o.masked = masked;
    return gv_objective_new(&inv->objective, inv->gen, inv->perceptual, inv->lpips, &o,
                            inv->opt.threads, inv->opt.cancel, err);
}

gv_status gv_inverter_new(gv_inverter **out, gv_generator *gen, const gv_vgg *perceptual,
                          const gv_vgg *lpips, const gv_inverter_options *options, gv_error *err)
{
    *out = NULL;
    gv_inverter *inv = gv_mem_alloc(sizeof *inv);
    if (inv == NULL)
        return gv_fail_memory(err, sizeof *inv);
    inv->opt = *options;
    inv->gen = gen;
    inv->perceptual = perceptual;
    inv->lpips = lpips;
    gv_status status;
    size_t floats = (size_t)(4 * 3 * gen->resolution * gen->resolution);
    inv->pairs = gv_mem_alloc_array(floats, sizeof(float));
    if (inv->pairs == NULL) {
        status = gv_fail_memory(err, floats * sizeof(float));
        goto done;
    }
    GV_TRY(need_objective(inv, options->objective.masked, err));
    *out = inv;
    inv = NULL;
done:
    gv_inverter_free(inv);
    return status;
}

void gv_inverter_free(gv_inverter *inv)
{
    if (inv == NULL)
        return;
    gv_objective_free(inv->objective);
    gv_mem_free(inv->mean);
    gv_mem_free(inv->pairs);
    gv_mem_free(inv);
}

gv_status gv_inverter_run(gv_inverter *inv, gv_inversion *result, const gv_target *target,
                          const gv_invert_options *options, gv_error *err)
{
    gv_status status;
    *result = (gv_inversion){0};
    gv_arena_init(&result->arena, 0);
    GV_TRY(need_objective(inv, target->mask != NULL, err));
    GV_TRY(gv_objective_set_target(inv->objective, target->rgb, target->mask, err));
    status = gv_invert(result, inv->objective, inv->gen, options, inv->opt.threads, inv->opt.cancel,
                       err);
done:
    return status;
}

gv_status gv_job_invert_image(gv_inverter *inv, gv_inversion *result, gv_target *target,
                              const char *path, const gv_target_options *picture,
                              const gv_invert_options *options, gv_error *err)
{
    gv_target own;
    gv_target *t = target != NULL ? target : &own;
    *result = (gv_inversion){0};
    gv_arena_init(&result->arena, 0);
    gv_status status = gv_target_load(t, path, inv->gen->resolution, picture, err);
    if (status == GV_OK)
        status = gv_inverter_run(inv, result, t, options, err);
    if (target == NULL)
        gv_target_deinit(&own);
    return status;
}

gv_status gv_inverter_render(gv_inverter *inv, float *image, const double *x, gv_error *err)
{
    gv_problem p = gv_objective_problem(inv->objective);
    double loss;
    gv_objective_set_cancel(inv->objective, NULL);
    gv_status status = p.loss(p.ctx, &loss, x, err);
    gv_objective_set_cancel(inv->objective, inv->opt.cancel);
    if (status == GV_OK)
        gv_objective_image(inv->objective, image);
    return status;
}

/* ---- how near ---- */

static float clamped(float v)
{
    return v < -1.0f ? -1.0f : v > 1.0f ? 1.0f : v;
}

static gv_status add_picture(gv_inverter *inv, gv_renderer *renderer, float *image, float *z,
                             float *rows, uint64_t seed, gv_error *err)
{
    gv_generator *gen = inv->gen;
    const float *w_avg = NULL;
    gv_status status;
    if (gen->type == GV_NET_STYLEGAN2) {
        GV_TRY(gv_generator_w_avg(gen, &w_avg, inv->opt.threads, NULL, err));
        for (int64_t i = 0; i < gen->rows; i++)
            memcpy(rows + i * gen->row_dim, w_avg, (size_t)gen->row_dim * sizeof *rows);
    } else {
        gv_generator_seed_z(gen, z, seed);
        memcpy(rows, z, (size_t)gen->z_dim * sizeof *rows);
    }
    status = gv_renderer_run(renderer, image, rows, 1, GV_NOISE_CONST, NULL, NULL, inv->opt.threads,
                             NULL, err);
done:
    return status;
}

gv_status gv_inverter_mean_picture(gv_inverter *inv, const float **image, gv_error *err)
{
    gv_generator *gen = inv->gen;
    size_t floats = (size_t)(3 * gen->resolution * gen->resolution);
    uint64_t count = gen->type == GV_NET_STYLEGAN2 ? 1 : MEAN_OF;
    gv_renderer *renderer = NULL;
    gv_arena scratch;
    gv_status status = GV_OK;
    *image = inv->mean;
    if (inv->mean != NULL)
        return GV_OK;
    gv_arena_init(&scratch, 0);
    float *mean = gv_mem_alloc_array(floats, sizeof *mean);
    float *one = gv_arena_alloc_array(&scratch, floats, sizeof *one);
    float *z = gv_arena_alloc_array(&scratch, (size_t)gen->z_dim, sizeof *z);
    float *rows = gv_arena_alloc_array(&scratch, (size_t)(gen->rows * gen->row_dim), sizeof *rows);
    if (mean == NULL || one == NULL || z == NULL || rows == NULL) {
        status = gv_fail_memory(err, floats * sizeof(float));
        goto done;
    }
    GV_TRY(gv_renderer_new(&renderer, gen, 1, err));
    for (uint64_t k = 0; k < count; k++) {
        GV_TRY(add_picture(inv, renderer, one, z, rows, k, err));
        for (size_t i = 0; i < floats; i++)
            mean[i] += clamped(one[i]) / (float)count;
    }
    *image = inv->mean = mean;
    mean = NULL;
done:
    gv_renderer_free(renderer);
    gv_mem_free(mean);
    gv_arena_deinit(&scratch);
    return status;
}

/* a gets the picture, b the target, or the picture where the mask is 0. Returns the masked mean
 * squared difference of values in [0,1]. */
static double compose(float *a, float *b, const float *image, const gv_target *t)
{
    int64_t count = t->side * t->side;
    double sum = 0.0, area = 0.0;
    for (int64_t i = 0; i < count; i++) {
        float m = t->mask != NULL ? t->mask[i] : 1.0f;
        for (int64_t c = 0; c < 3; c++) {
            int64_t k = c * count + i;
            a[k] = clamped(image[k]);
            b[k] = m * clamped(t->rgb[k]) + (1.0f - m) * a[k];
            double d = ((double)a[k] - (double)clamped(t->rgb[k])) / 2.0;
            sum += (double)m * d * d;
        }
        area += 3.0 * (double)m;
    }
    return sum / area;
}

gv_status gv_inverter_measure(gv_inverter *inv, gv_quality *q, const gv_target *target,
                              const float *image, gv_error *err)
{
    int64_t side = target->side, floats = 3 * side * side;
    float *pictures = inv->pairs, *targets = inv->pairs + 2 * floats, distance[2];
    const float *mean;
    gv_status status = GV_OK;
    double mse = compose(pictures, targets, image, target);
    *q = (gv_quality){.lpips = NAN, .mean_lpips = NAN, .reached = true};
    q->psnr = mse > 0.0 ? -10.0 * log10(mse) : INFINITY;
    if (side < LPIPS_LEAST)
        goto done;
    GV_TRY(gv_inverter_mean_picture(inv, &mean, err));
    compose(pictures + floats, targets + floats, mean, target);
    GV_TRY(gv_lpips_compare(inv->lpips, distance, pictures, targets, 2, 2, side, side,
                            inv->opt.threads, NULL, err));
    q->lpips = (double)distance[0];
    q->mean_lpips = (double)distance[1];
    q->reached = q->lpips <= REACHED_SHARE * q->mean_lpips;
done:
    return status;
}
