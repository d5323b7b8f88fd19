#include "edit_support.h"

#include "base/rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static gv_checkpoint *open_file(const char *path)
{
    gv_checkpoint *ck;
    gv_error err;
    if (gv_checkpoint_open(&ck, path, &err) != GV_OK)
        fail_msg("%s", err.message);
    return ck;
}

edit_fixture edit_open(const char *generator)
{
    edit_fixture f = {0};
    gv_error err;
    char path[128];
    snprintf(path, sizeof path, "tests/nets/data/%s", generator);
    if (gv_generator_load(&f.gen, open_file(gv_test_source(path)), &err) != GV_OK)
        fail_msg("%s", err.message);
    if (gv_vgg_load(&f.vgg, open_file(gv_test_source("models/vgg16-lpips.safetensors")), &err) !=
        GV_OK)
        fail_msg("%s", err.message);
    int64_t r = f.side = f.gen->resolution;
    f.target = calloc((size_t)(3 * r * r), sizeof *f.target);
    f.mask = calloc((size_t)(r * r), sizeof *f.mask);
    assert_true(f.target && f.mask);
    for (int64_t i = 0; i < 3 * r * r; i++) {
        double x = (double)(i % r) / (double)r, y = (double)(i / r % r) / (double)r;
        f.target[i] = (float)(0.7 * sin(5.0 * x + 3.0 * y * (double)(i / (r * r)) + 1.0));
    }
    for (int64_t i = 0; i < r * r; i++) {
        double x = (double)(i % r) - (double)r / 2, y = (double)(i / r) - (double)r / 2;
        f.mask[i] = (float)fmin(1.0, fmax(0.0, (double)r / 3 - sqrt(x * x + y * y)));
    }
    return f;
}

void edit_close(edit_fixture *f)
{
    gv_generator_free(f->gen);
    gv_vgg_free(f->vgg);
    free(f->target);
    free(f->mask);
}

gv_objective *edit_objective(edit_fixture *f, const gv_objective_options *options, int threads)
{
    gv_objective *o;
    gv_error err;
    if (gv_objective_new(&o, f->gen, f->vgg, f->vgg, options, threads, NULL, &err) != GV_OK)
        fail_msg("%s", err.message);
    if (gv_objective_set_target(o, f->target, options->masked ? f->mask : NULL, &err) != GV_OK)
        fail_msg("%s", err.message);
    return o;
}

double *edit_latent(const gv_objective *o, uint64_t seed)
{
    int64_t n = gv_objective_size(o);
    double *x = calloc((size_t)n, sizeof *x);
    assert_non_null(x);
    gv_numpy_rng rng;
    gv_numpy_seed(&rng, seed);
    gv_numpy_randn(&rng, x, n);
    return x;
}
