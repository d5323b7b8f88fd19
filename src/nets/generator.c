#include "nets/generator.h"

#include <math.h>
#include <string.h>

#define W_AVG_SAMPLES 10000
#define W_AVG_SEED 123
#define W_AVG_BATCH 50

/* ---- loading ---- */

static gv_status read_type(gv_generator *gen, gv_error *err)
{
    const gv_checkpoint *ck = gen->net.ck;
    gv_status status;
    gen->type = gv_net_type_of(ck);
    switch (gen->type) {
    case GV_NET_DCGAN:
        GV_TRY(gv_dcgan_init(&gen->dcgan, &gen->net, err));
        gen->z_dim = gen->row_dim = gen->dcgan.z_dim;
        gen->rows = 1;
        gen->resolution = gen->dcgan.resolution;
        gen->channels = gen->dcgan.channels;
        break;
    case GV_NET_STYLEGAN2:
        GV_TRY(gv_stylegan2_init(&gen->stylegan2, &gen->net, err));
        gen->z_dim = gen->stylegan2.z_dim;
        gen->c_dim = gen->stylegan2.c_dim;
        gen->rows = gen->stylegan2.num_ws;
        gen->row_dim = gen->stylegan2.w_dim;
        gen->resolution = gen->stylegan2.resolution;
        gen->channels = gen->stylegan2.channels;
        break;
    default: {
        char text[160];
        GV_TRY(gv_net_identify(ck, &gen->type, text, sizeof text, err));
        size_t count = gv_checkpoint_count(ck);
        status = gv_fail(
            err, GV_E_FORMAT,
            "%s: not a generator that ganvas knows (%s; %zu tensors, the first is '%s')",
            gv_checkpoint_path(ck), text, count, count ? gv_checkpoint_at(ck, 0)->name : "");
    }
    }
done:
    return status;
}

gv_status gv_generator_load(gv_generator **gen, gv_checkpoint *ck, gv_error *err)
{
    gv_status status;
    gv_generator *made = gv_mem_alloc(sizeof *made);
    *gen = NULL;
    if (!made) {
        gv_checkpoint_close(ck);
        return gv_fail_memory(err, sizeof *made);
    }
    GV_TRY(gv_net_init(&made->net, ck, err));
    GV_TRY(read_type(made, err));
    if (made->type == GV_NET_STYLEGAN2 && made->stylegan2.w_avg) {
        GV_TRY(gv_net_floats(&made->net, &made->w_avg, made->row_dim, err));
        GV_TRY(gv_net_read(&made->net, made->stylegan2.w_avg, made->w_avg, made->row_dim, err));
    }
    gv_net_loaded(&made->net);
    *gen = made;
    return GV_OK;
done:
    gv_generator_free(made);
    return status;
}

void gv_generator_free(gv_generator *gen)
{
    if (!gen)
        return;
    gv_net_deinit(&gen->net);
    gv_mem_free(gen);
}

/* ---- mapping ---- */

/* The mapping network for n samples at a time. */
typedef struct mapper {
    gv_graph *g;
    gv_node z, c, w;
    float *label; /* [n,c_dim] one-hot */
} mapper;

static void mapper_deinit(mapper *m)
{
    gv_graph_free(m->g);
    gv_mem_free(m->label);
    *m = (mapper){0};
}

static gv_status mapper_init(mapper *m, const gv_generator *gen, int64_t n, gv_error *err)
{
    gv_status status;
    *m = (mapper){0};
    GV_TRY(gv_graph_new(&m->g, GV_GRAPH_FWD, err));
    GV_TRY(gv_graph_input(m->g, &m->z, "z", n, gen->z_dim, 1, 1, false, err));
    if (gen->c_dim > 0) {
        GV_TRY(gv_graph_input(m->g, &m->c, "c", n, gen->c_dim, 1, 1, false, err));
        m->label = gv_mem_alloc_array((size_t)(n * gen->c_dim), sizeof(float));
        if (!m->label)
            GV_TRY(gv_fail_memory(err, (size_t)(n * gen->c_dim) * sizeof(float)));
    }
    GV_TRY(gv_stylegan2_mapping(m->g, &gen->stylegan2, &m->w, m->z, m->c, err));
    GV_TRY(gv_graph_output(m->g, m->w, "w", err));
    GV_TRY(gv_graph_build(m->g, err));
done:
    if (status != GV_OK)
        mapper_deinit(m);
    return status;
}

void gv_generator_seed_z(const gv_generator *gen, float *z, uint64_t seed)
{
    gv_numpy_rng rng;
    gv_numpy_seed(&rng, seed);
    for (int64_t i = 0; i < gen->z_dim; ++i) {
        double value;
        gv_numpy_randn(&rng, &value, 1);
        z[i] = (float)value;
    }
}

static gv_status mean_w(mapper *m, const gv_generator *gen, float *z, float *w, double *sum,
                        int threads, const gv_cancel *cancel, gv_error *err)
{
    gv_numpy_rng rng;
    gv_numpy_seed(&rng, W_AVG_SEED);
    for (int64_t done = 0; done < W_AVG_SAMPLES; done += W_AVG_BATCH) {
        for (int64_t i = 0; i < W_AVG_BATCH * gen->z_dim; ++i) {
            double value;
            gv_numpy_randn(&rng, &value, 1);
            z[i] = (float)value;
        }
        gv_graph_set(m->g, m->z, z);
        if (gen->c_dim > 0) {
            memset(m->label, 0, (size_t)(W_AVG_BATCH * gen->c_dim) * sizeof(float));
            for (int64_t i = 0; i < W_AVG_BATCH; ++i)
                m->label[i * gen->c_dim + (done + i) % gen->c_dim] = 1;
            gv_graph_set(m->g, m->c, m->label);
        }
        gv_status status = gv_graph_fwd(m->g, threads, cancel, err);
        if (status != GV_OK)
            return status;
        gv_graph_get(m->g, m->w, w);
        for (int64_t i = 0; i < W_AVG_BATCH * gen->row_dim; ++i)
            sum[i % gen->row_dim] += w[i];
    }
    return GV_OK;
}

gv_status gv_generator_w_avg(gv_generator *gen, const float **w_avg, int threads,
                             const gv_cancel *cancel, gv_error *err)
{
    gv_status status = GV_OK;
    mapper m = {0};
    gv_arena scratch;
    float *made;
    *w_avg = gen->w_avg;
    if (*w_avg)
        return GV_OK;
    if (gen->type != GV_NET_STYLEGAN2)
        return gv_fail(err, GV_E_ARG, "%s: a DCGAN has no w", gv_checkpoint_path(gen->net.ck));
    gv_arena_init(&scratch, 0);
    float *z = gv_arena_alloc_array(&scratch, (size_t)(W_AVG_BATCH * gen->z_dim), sizeof(float));
    float *w = gv_arena_alloc_array(&scratch, (size_t)(W_AVG_BATCH * gen->row_dim), sizeof(float));
    double *sum = gv_arena_alloc_array(&scratch, (size_t)gen->row_dim, sizeof(double));
    if (!z || !w || !sum)
        GV_TRY(gv_fail_memory(err, (size_t)(W_AVG_BATCH * gen->row_dim) * sizeof(float)));
    GV_TRY(gv_net_floats(&gen->net, &made, gen->row_dim, err));
    GV_TRY(mapper_init(&m, gen, W_AVG_BATCH, err));
    GV_TRY(mean_w(&m, gen, z, w, sum, threads, cancel, err));
    for (int64_t i = 0; i < gen->row_dim; ++i)
        made[i] = (float)(sum[i] / W_AVG_SAMPLES);
    *w_avg = gen->w_avg = made;
done:
    mapper_deinit(&m);
    gv_arena_deinit(&scratch);
    return status;
}

static gv_status check_truncation(const gv_generator *gen, const gv_truncation *t, gv_error *err)
{
    const char *file = gv_checkpoint_path(gen->net.ck);
    if (gen->type == GV_NET_DCGAN && t->psi != 1)
        return gv_fail(err, GV_E_ARG, "%s: a DCGAN has no w, so psi must be 1", file);
    if (!isfinite(t->psi) || t->cutoff < -1)
        return gv_fail(err, GV_E_ARG, "psi must be finite, cutoff at least 0");
    if (t->label < -1 || t->label >= gen->c_dim)
        return gv_fail(err, GV_E_ARG,
                       gen->c_dim ? "%s: class %lld, but it has the classes 0 to %lld"
                                  : "%s: class %lld, but it has no classes (%lld)",
                       file, (long long)t->label, (long long)(gen->c_dim ? gen->c_dim - 1 : 0));
    if (t->label < 0 && gen->c_dim > 0)
        return gv_fail(err, GV_E_ARG, "%s: a class from 0 to %lld must be given", file,
                       (long long)gen->c_dim - 1);
    return GV_OK;
}

/* dst [repeat,row_dim] and the rows after it: w, truncated where row < cutoff. */
static void place_rows(float *dst, const float *w, const float *w_avg, const gv_generator *gen,
                       int64_t first, int64_t repeat, const gv_truncation *t)
{
    for (int64_t k = 0; k < repeat; ++k) {
        float *row = dst + k * gen->row_dim;
        bool cut = w_avg && (t->cutoff < 0 || first + k < t->cutoff);
        for (int64_t i = 0; i < gen->row_dim; ++i)
            row[i] = cut ? w_avg[i] + t->psi * (w[i] - w_avg[i]) : w[i];
    }
}

/* Each z gives `repeat` neighbouring rows. */
static gv_status map_rows(gv_generator *gen, float *latents, const float *z, int64_t count,
                          int64_t repeat, const gv_truncation *t, int threads,
                          const gv_cancel *cancel, gv_error *err)
{
    gv_status status;
    mapper m = {0};
    const float *w_avg = NULL;
    float *w = NULL;
    GV_TRY(check_truncation(gen, t, err));
    if (gen->type == GV_NET_DCGAN) {
        memcpy(latents, z, (size_t)(count * gen->z_dim) * sizeof(float));
        goto done;
    }
    if (t->psi != 1)
        GV_TRY(gv_generator_w_avg(gen, &w_avg, threads, cancel, err));
    GV_TRY(mapper_init(&m, gen, 1, err));
    w = gv_mem_alloc_array((size_t)gen->row_dim, sizeof(float));
    if (!w)
        GV_TRY(gv_fail_memory(err, (size_t)gen->row_dim * sizeof(float)));
    if (gen->c_dim > 0) {
        m.label[t->label] = 1;
        gv_graph_set(m.g, m.c, m.label);
    }
    for (int64_t i = 0; i < count; ++i) {
        gv_graph_set(m.g, m.z, z + i * gen->z_dim);
        GV_TRY(gv_graph_fwd(m.g, threads, cancel, err));
        gv_graph_get(m.g, m.w, w);
        place_rows(latents + i * repeat * gen->row_dim, w, w_avg, gen, i * repeat % gen->rows,
                   repeat, t);
    }
done:
    mapper_deinit(&m);
    gv_mem_free(w);
    return status;
}

gv_status gv_generator_map(gv_generator *gen, float *latents, const float *z, int64_t n,
                           const gv_truncation *t, int threads, const gv_cancel *cancel,
                           gv_error *err)
{
    return map_rows(gen, latents, z, n, gen->rows, t, threads, cancel, err);
}

gv_status gv_generator_map_rows(gv_generator *gen, float *latents, const float *z, int64_t n,
                                const gv_truncation *t, int threads, const gv_cancel *cancel,
                                gv_error *err)
{
    return map_rows(gen, latents, z, n * gen->rows, 1, t, threads, cancel, err);
}

/* ---- as a graph ---- */

gv_status gv_generator_build(gv_graph *g, const gv_generator *gen, gv_node *img,
                             const gv_node *latent, const gv_node *noise, bool taps, gv_error *err)
{
    if (gen->type == GV_NET_DCGAN)
        return gv_dcgan_build(g, &gen->dcgan, img, latent[0], taps, err);
    return gv_stylegan2_synthesis(g, &gen->stylegan2, img, latent, noise, taps, err);
}
