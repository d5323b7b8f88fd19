#include "nets_support.h"

#include "kernels/conv.h"

#include <math.h>

double nets_error(const float *a, const float *b, int64_t n)
{
    double size = 0;
    for (int64_t i = 0; i < n; ++i)
        size = fmax(size, fabs((double)b[i]));
    return gv_test_rel_error(a, b, n) * (size < 1 ? size : 1);
}

void nets_check(double *worst, double error, double bound, const char *set, const char *what)
{
    *worst = fmax(*worst, error);
    if (!(error <= bound))
        fail_msg("%s: %s is off by %.3g, allowed %.3g", set, what, error, bound);
}

void nets_report(const nets_worst *w)
{
    print_message("%-20s largest error: values %.2g, gradients %.2g\n", w->set, w->image,
                  w->gradient);
}

gv_generator *nets_load(const char *path)
{
    gv_checkpoint *ck;
    gv_generator *gen;
    OK(gv_checkpoint_open(&ck, path, err));
    OK(gv_generator_load(&gen, ck, err));
    return gen;
}

float *nets_floats(int64_t count)
{
    float *p = calloc((size_t)count, sizeof *p);
    assert_non_null(p);
    return p;
}

nets_graph nets_graph_new(gv_generator *gen, int64_t n, unsigned modes, nets_noise noise, bool taps)
{
    nets_graph r = {
        .gen = gen, .n = n, .pixels = gen->channels * gen->resolution * gen->resolution};
    gv_node *maps = noise == NETS_NOISE_NONE ? NULL : r.noise;
    bool varies = modes & (GV_GRAPH_BWD | GV_GRAPH_JVP);
    OK(gv_graph_new(&r.g, modes, err));
    for (int64_t k = 0; k < gen->rows; ++k)
        OK(gv_graph_input(r.g, &r.row[k], "row", n, gen->row_dim, 1, 1, varies, err));
    if (gen->type == GV_NET_STYLEGAN2 && noise == NETS_NOISE_CONST)
        OK(gv_stylegan2_noise_const(r.g, &gen->stylegan2, r.noise, err));
    if (gen->type == GV_NET_STYLEGAN2 && noise == NETS_NOISE_VARIES)
        OK(gv_stylegan2_noise_inputs(r.g, &gen->stylegan2, r.noise, 1, varies, err));
    OK(gv_generator_build(r.g, gen, &r.img, r.row, maps, taps, err));
    if (!taps || gen->type == GV_NET_DCGAN) /* else its tap has named it */
        OK(gv_graph_output(r.g, r.img, "img", err));
    OK(gv_graph_build(r.g, err));
    if (gen->type == GV_NET_STYLEGAN2 && noise == NETS_NOISE_VARIES) {
        float *stored = nets_floats(gv_stylegan2_noise_floats(&gen->stylegan2));
        OK(gv_stylegan2_noise_stored(&gen->stylegan2, stored, err));
        gv_stylegan2_noise_set(r.g, &gen->stylegan2, r.noise, stored, 1);
        free(stored);
    }
    return r;
}

void nets_graph_fwd(nets_graph *r, const float *latents, float *img, int threads)
{
    int64_t dim = r->gen->row_dim, rows = r->gen->rows;
    float *row = nets_floats(r->n * dim);
    for (int64_t k = 0; k < rows; ++k) {
        for (int64_t i = 0; i < r->n; ++i)
            memcpy(row + i * dim, latents + (i * rows + k) * dim, (size_t)dim * sizeof *row);
        gv_graph_set(r->g, r->row[k], row);
    }
    free(row);
    OK(gv_graph_fwd(r->g, threads, NULL, err));
    gv_graph_get(r->g, r->img, img);
}

double nets_graph_bwd(nets_graph *r, const float *img, const float *target, int64_t targets,
                      float *grad, int threads)
{
    int64_t dim = r->gen->row_dim, rows = r->gen->rows, count = r->n * r->pixels;
    float *seed = nets_floats(count), *row = nets_floats(r->n * dim);
    double loss = 0;
    for (int64_t i = 0; i < count; ++i) {
        double d = (double)img[i] - (double)target[targets == 1 ? i % r->pixels : i];
        loss += d * d / (double)count;
        seed[i] = (float)(2 * d / (double)count);
    }
    gv_graph_set_seed(r->g, r->img, seed);
    OK(gv_graph_bwd(r->g, threads, NULL, err));
    for (int64_t k = 0; k < rows; ++k) {
        gv_graph_get_grad(r->g, r->row[k], row);
        for (int64_t i = 0; i < r->n; ++i)
            memcpy(grad + (i * rows + k) * dim, row + i * dim, (size_t)dim * sizeof *row);
    }
    free(seed);
    free(row);
    return loss;
}

int64_t nets_kernel_calls(const char *text)
{
    static const char *const names[] = {"ref", "direct-avx2", "direct-avx512", "dnnl"};
    int64_t sum = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; ++i)
        if (strncmp(names[i], text, strlen(text)) == 0)
            sum += gv_conv_calls(names[i]);
    return sum;
}

bool nets_kernel_is_built(const char *text)
{
    size_t count;
    const gv_conv_kernel *const *list = gv_conv_kernels(&count);
    for (size_t i = 0; i < count; ++i)
        if (strncmp(list[i]->name, text, strlen(text)) == 0)
            return true;
    return false;
}
