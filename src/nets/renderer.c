#include "nets/generator.h"

#include <string.h>

#define SLOTS 4

/* A graph for one batch size and way of noise; random and given maps are both inputs. */
typedef struct slot {
    gv_graph *g; /* NULL: free */
    int64_t n;
    gv_noise_mode mode;
    gv_node row[GV_STYLEGAN2_MAX_WS], noise[GV_STYLEGAN2_MAX_WS], img;
    uint64_t used; /* when last, for eviction */
} slot;

struct gv_renderer {
    gv_generator *gen;
    int64_t batch;
    float *rows;  /* [batch,row_dim], gathered */
    float *noise; /* all maps of a batch, made when first needed */
    slot slots[SLOTS];
    uint64_t clock;
};

gv_status gv_renderer_new(gv_renderer **r, gv_generator *gen, int64_t batch, gv_error *err)
{
    size_t bytes;
    *r = NULL;
    gv_renderer *made = gv_mem_alloc(sizeof *made);
    if (!made)
        return gv_fail_memory(err, sizeof *made);
    made->gen = gen;
    made->batch = batch;
    if (!gv_mul_size(&bytes, (size_t)batch, (size_t)gen->row_dim * sizeof(float)) ||
        !(made->rows = gv_mem_alloc(bytes))) {
        gv_renderer_free(made);
        return gv_fail_memory(err, bytes);
    }
    *r = made;
    return GV_OK;
}

void gv_renderer_free(gv_renderer *r)
{
    if (!r)
        return;
    for (int i = 0; i < SLOTS; ++i)
        gv_graph_free(r->slots[i].g);
    gv_mem_free(r->rows);
    gv_mem_free(r->noise);
    gv_mem_free(r);
}

static gv_status build(slot *s, const gv_generator *gen, gv_error *err)
{
    const gv_stylegan2 *m = &gen->stylegan2;
    gv_node *noise = NULL;
    gv_status status;
    GV_TRY(gv_graph_new(&s->g, GV_GRAPH_FWD, err));
    for (int64_t k = 0; k < gen->rows; ++k)
        GV_TRY(gv_graph_input(s->g, &s->row[k], "latent", s->n, gen->row_dim, 1, 1, false, err));
    if (gen->type == GV_NET_STYLEGAN2 && s->mode != GV_NOISE_NONE) {
        noise = s->noise;
        if (s->mode == GV_NOISE_CONST)
            GV_TRY(gv_stylegan2_noise_const(s->g, m, noise, err));
        else
            GV_TRY(gv_stylegan2_noise_inputs(s->g, m, noise, s->mode == GV_NOISE_RANDOM ? s->n : 1,
                                             false, err));
    }
    GV_TRY(gv_generator_build(s->g, gen, &s->img, s->row, noise, false, err));
    GV_TRY(gv_graph_output(s->g, s->img, "img", err));
    GV_TRY(gv_graph_build(s->g, err));
done:
    if (status != GV_OK) {
        gv_graph_free(s->g);
        *s = (slot){0};
    }
    return status;
}

/* A graph made before, or a new one in the place of the one unused for longest. */
static gv_status find_slot(gv_renderer *r, slot **found, int64_t n, gv_noise_mode mode,
                           gv_error *err)
{
    slot *oldest = &r->slots[0];
    for (int i = 0; i < SLOTS; ++i) {
        slot *s = &r->slots[i];
        if (s->g && s->n == n && s->mode == mode) {
            s->used = ++r->clock;
            *found = s;
            return GV_OK;
        }
        if (s->used < oldest->used)
            oldest = s;
    }
    gv_graph_free(oldest->g);
    *oldest = (slot){.n = n, .mode = mode, .used = ++r->clock};
    *found = oldest;
    return build(oldest, r->gen, err);
}

static gv_status set_noise(gv_renderer *r, slot *s, gv_torch_rng *rng, const float *given,
                           gv_error *err)
{
    const gv_stylegan2 *m = &r->gen->stylegan2;
    if (s->mode == GV_NOISE_GIVEN)
        gv_stylegan2_noise_set(s->g, m, s->noise, given, 1);
    if (s->mode != GV_NOISE_RANDOM)
        return GV_OK;
    if (!r->noise) {
        size_t count = (size_t)(r->batch * gv_stylegan2_noise_floats(m));
        r->noise = gv_mem_alloc_array(count, sizeof(float));
        if (!r->noise)
            return gv_fail_memory(err, count * sizeof(float));
    }
    gv_stylegan2_noise_draw(m, r->noise, s->n, rng);
    gv_stylegan2_noise_set(s->g, m, s->noise, r->noise, s->n);
    return GV_OK;
}

gv_status gv_renderer_run(gv_renderer *r, float *img, const float *latents, int64_t n,
                          gv_noise_mode mode, gv_torch_rng *rng, const float *noise, int threads,
                          const gv_cancel *cancel, gv_error *err)
{
    const gv_generator *gen = r->gen;
    size_t row_bytes = (size_t)gen->row_dim * sizeof(float);
    int64_t pixels = gen->channels * gen->resolution * gen->resolution;
    gv_status status = GV_OK;
    if (gen->type == GV_NET_DCGAN)
        mode = GV_NOISE_NONE;
    for (int64_t i = 0; i < n; i += r->batch) {
        int64_t count = n - i < r->batch ? n - i : r->batch;
        slot *s;
        GV_TRY(find_slot(r, &s, count, mode, err));
        for (int64_t k = 0; k < gen->rows; ++k) {
            for (int64_t j = 0; j < count; ++j)
                memcpy(r->rows + j * gen->row_dim,
                       latents + ((i + j) * gen->rows + k) * gen->row_dim, row_bytes);
            gv_graph_set(s->g, s->row[k], r->rows);
        }
        GV_TRY(set_noise(r, s, rng, noise, err));
        GV_TRY(gv_graph_fwd(s->g, threads, cancel, err));
        gv_graph_get(s->g, s->img, img + i * pixels);
    }
done:
    return status;
}
