/* The objective: its values by the definition, its gradient by central differences, masks, threads.
 */
#include "edit_support.h"

#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Only terms that are smooth enough for differences in float32. */
static gv_objective_options smooth(gv_space space)
{
    gv_objective_options opt = gv_objective_defaults();
    opt.space = space;
    opt.l1 = 0.0;
    opt.mse = 1.0;
    opt.perc = 1e-3;
    opt.layers[0] = (gv_perceptual_layer){2, 1.0};
    opt.layers[1] = (gv_perceptual_layer){5, 0.5};
    opt.layer_count = 2;
    opt.lpips = 0.5;
    opt.reg = 0.3;
    return opt;
}

static double loss_at(const gv_problem *p, const double *x)
{
    double loss;
    gv_error err;
    assert_int_equal(p->loss(p->ctx, &loss, x, &err), GV_OK);
    return loss;
}

/* <gradient, direction> against differences along the gradient and along random directions.
 * The gradient's own direction has by far the largest slope, so rounding matters least there. */
static void check_gradient(edit_fixture *f, const gv_objective_options *opt, const char *what)
{
    gv_objective *o = edit_objective(f, opt, 1);
    gv_problem p = gv_objective_problem(o);
    gv_error err;
    int64_t n = p.n;
    double *x = edit_latent(o, 3), *start = edit_latent(o, 4), *g = calloc((size_t)n, sizeof *g);
    double *at = calloc((size_t)n, sizeof *at), worst = 0.0;
    gv_objective_set_start(o, start);
    (void)loss_at(&p, x);
    assert_int_equal(p.gradient(p.ctx, g, &err), GV_OK);
    double norm = 0.0;
    for (int64_t i = 0; i < n; i++)
        norm += g[i] * g[i];
    norm = sqrt(norm);
    assert_true(norm > 0.0);
    for (int k = 0; k < 4; k++) {
        double *d = edit_latent(o, 10 + (uint64_t)k), slope = 0.0, length = 0.0;
        for (int64_t i = 0; i < n; i++) { /* mostly the gradient, turned a little at random */
            d[i] = g[i] / norm + (k ? 0.5 / sqrt((double)n) * d[i] : 0.0);
            slope += d[i] * g[i];
            length += d[i] * d[i];
        }
        double h = 4e-3 / sqrt(length), side[2];
        for (int s = 0; s < 2; s++) {
            for (int64_t i = 0; i < n; i++)
                at[i] = x[i] + (s ? h : -h) * d[i];
            side[s] = loss_at(&p, at);
        }
        double difference = (side[1] - side[0]) / (2.0 * h);
        worst = fmax(worst, fabs(difference - slope) / fabs(slope));
        free(d);
    }
    printf("  %-28s |g| %.2e, worst difference %.1e\n", what, norm, worst);
    assert_true(worst < 5e-3);
    free(x);
    free(start);
    free(g);
    free(at);
    gv_objective_free(o);
}

static void gradients(void **state)
{
    (void)state;
    edit_fixture f = edit_open("sg2_skip.safetensors");
    gv_objective_options opt = smooth(GV_SPACE_WPLUS);
    check_gradient(&f, &opt, "w+");
    opt = smooth(GV_SPACE_W);
    check_gradient(&f, &opt, "w");
    opt = smooth(GV_SPACE_Z);
    check_gradient(&f, &opt, "z");
    opt = smooth(GV_SPACE_WPLUS);
    opt.masked = true;
    check_gradient(&f, &opt, "w+, mask on image");
    opt.mask_on = GV_MASK_ON_BOTH;
    check_gradient(&f, &opt, "w+, mask on both");
    opt.mask_on = GV_MASK_ON_FEATURES;
    opt.hw5 = true;
    opt.lpips = 0.0;
    check_gradient(&f, &opt, "w+, the course's form");
    edit_close(&f);
    f = edit_open("dcgan_course.pth");
    opt = smooth(GV_SPACE_Z);
    opt.perc = 1e-4;
    check_gradient(&f, &opt, "z of a DCGAN");
    edit_close(&f);
}

/* ---- values by the definition ---- */

static void pixel_terms_by_hand(void **state)
{
    (void)state;
    edit_fixture f = edit_open("sg2_skip.safetensors");
    int64_t pixels = f.side * f.side;
    float *img = calloc((size_t)(3 * pixels), sizeof *img);
    for (int hw5 = 0; hw5 < 2; hw5++) {
        gv_objective_options opt = gv_objective_defaults();
        opt.perc = 0.0;
        opt.l1 = 10.0;
        opt.mse = 3.0;
        opt.masked = true;
        opt.hw5 = hw5;
        gv_objective *o = edit_objective(&f, &opt, 1);
        gv_problem p = gv_objective_problem(o);
        double *x = edit_latent(o, 1), loss = loss_at(&p, x), area = 0.0, l1 = 0.0, mse = 0.0;
        gv_objective_image(o, img);
        for (int64_t i = 0; i < pixels; i++)
            area += hw5 ? 1.0 : (double)f.mask[i];
        for (int64_t i = 0; i < 3 * pixels; i++) {
            double m = (double)f.mask[i % pixels], d = (double)img[i] - (double)f.target[i];
            l1 += m * fabs(d) / (3.0 * area);
            mse += (hw5 ? m * m : m) * d * d / (3.0 * area);
        }
        gv_terms t = gv_objective_terms(o);
        assert_true(fabs(t.l1 - l1) < 1e-5 * l1);
        assert_true(fabs(t.mse - mse) < 1e-5 * mse);
        assert_true(fabs(loss - (10.0 * l1 + 3.0 * mse)) < 1e-5 * loss);
        assert_true(t.total == loss && t.perc == 0.0 && t.reg == 0.0);
        free(x);
        gv_objective_free(o);
    }
    free(img);
    edit_close(&f);
}

static void reg_is_the_mean_norm(void **state)
{
    (void)state;
    edit_fixture f = edit_open("sg2_skip.safetensors");
    gv_objective_options opt = gv_objective_defaults();
    opt.perc = 0.0;
    opt.reg = 0.1;
    gv_objective *o = edit_objective(&f, &opt, 1);
    gv_problem p = gv_objective_problem(o);
    double *x = edit_latent(o, 1), *start = edit_latent(o, 2), want = 0.0;
    gv_objective_set_start(o, start);
    (void)loss_at(&p, x);
    int64_t rows = f.gen->rows, width = f.gen->row_dim;
    for (int64_t r = 0; r < rows; r++) {
        double square = 0.0;
        for (int64_t i = r * width; i < (r + 1) * width; i++)
            square += (x[i] - start[i]) * (x[i] - start[i]);
        want += sqrt(square) / (double)rows;
    }
    assert_true(fabs(gv_objective_terms(o).reg - want) < 1e-5 * want);
    free(x);
    free(start);
    gv_objective_free(o);
    edit_close(&f);
}

/* ---- masks ---- */

static void value_and_gradient(gv_objective *o, double *loss, double *g)
{
    gv_problem p = gv_objective_problem(o);
    gv_error err;
    double *x = edit_latent(o, 5);
    *loss = loss_at(&p, x);
    assert_int_equal(p.gradient(p.ctx, g, &err), GV_OK);
    free(x);
}

/* With the mask on the image, what the target shows outside it changes no bit. */
static void outside_does_not_matter(void **state)
{
    (void)state;
    edit_fixture f = edit_open("sg2_skip.safetensors");
    const gv_mask_on modes[] = {GV_MASK_ON_IMAGE, GV_MASK_ON_BOTH};
    for (int m = 0; m < 2; m++) {
        gv_objective_options opt = smooth(GV_SPACE_WPLUS);
        opt.reg = 0.0;
        opt.l1 = 1.0;
        opt.masked = true;
        opt.mask_on = modes[m];
        gv_objective *o = edit_objective(&f, &opt, 1);
        size_t bytes = (size_t)gv_objective_size(o) * sizeof(double);
        double loss[2], *g[2] = {malloc(bytes), malloc(bytes)};
        value_and_gradient(o, &loss[0], g[0]);
        edit_fixture changed = f;
        int64_t pixels = f.side * f.side;
        changed.target = malloc((size_t)(3 * pixels) * sizeof(float));
        for (int64_t i = 0; i < 3 * pixels; i++)
            changed.target[i] = f.mask[i % pixels] > 0.0f ? f.target[i] : (float)(i % 7) / 3 - 1;
        gv_error err;
        assert_int_equal(gv_objective_set_target(o, changed.target, f.mask, &err), GV_OK);
        value_and_gradient(o, &loss[1], g[1]);
        gv_test_same_bits(&loss[0], &loss[1], sizeof loss[0], "loss");
        gv_test_same_bits(g[0], g[1], bytes, "gradient");
        free(changed.target);
        free(g[0]);
        free(g[1]);
        gv_objective_free(o);
    }
    edit_close(&f);
}

static void bad_use_is_refused(void **state)
{
    (void)state;
    edit_fixture f = edit_open("dcgan_course.pth");
    gv_objective *o;
    gv_error err;
    gv_objective_options opt = gv_objective_defaults();
    assert_int_equal(gv_objective_new(&o, f.gen, f.vgg, f.vgg, &opt, 1, NULL, &err), GV_E_ARG);
    assert_string_equal(err.message, "this model is a DCGAN: it has z only, not w or w+");
    assert_null(o);
    opt.space = GV_SPACE_Z;
    opt.l1 = opt.perc = 0.0;
    assert_int_equal(gv_objective_new(&o, f.gen, f.vgg, f.vgg, &opt, 1, NULL, &err), GV_E_ARG);
    opt.l1 = 1.0;
    opt.masked = true;
    o = edit_objective(&f, &opt, 1);
    memset(f.mask, 0, (size_t)(f.side * f.side) * sizeof *f.mask);
    assert_int_equal(gv_objective_set_target(o, f.target, f.mask, &err), GV_E_ARG);
    assert_string_equal(err.message, "the mask leaves nothing of the picture");
    gv_objective_free(o);
    edit_close(&f);
}

/* ---- running ---- */

static void same_bits_for_all_threads(void **state)
{
    (void)state;
    edit_fixture f = edit_open("sg2_skip.safetensors");
    gv_objective_options opt = smooth(GV_SPACE_WPLUS);
    opt.l1 = 10.0;
    double loss[3], *g[3];
    size_t bytes = 0;
    for (int t = 0; t < 3; t++) {
        gv_objective *o = edit_objective(&f, &opt, t + 1);
        bytes = (size_t)gv_objective_size(o) * sizeof(double);
        g[t] = malloc(bytes);
        value_and_gradient(o, &loss[t], g[t]);
        gv_objective_free(o);
        gv_test_same_bits(&loss[0], &loss[t], sizeof loss[0], "loss");
        gv_test_same_bits(g[0], g[t], bytes, "gradient");
    }
    for (int t = 0; t < 3; t++)
        free(g[t]);
    edit_close(&f);
}

/* The target's features are computed once, and nothing of ours is allocated in the loop. */
static void constant_parts_once(void **state)
{
    (void)state;
    edit_fixture f = edit_open("sg2_skip.safetensors");
    gv_objective_options opt = smooth(GV_SPACE_WPLUS);
    gv_objective *o = edit_objective(&f, &opt, 1);
    gv_problem p = gv_objective_problem(o);
    gv_graph *g = (gv_graph *)(uintptr_t)gv_objective_graph(o);
    double *x = edit_latent(o, 1), *grad = malloc((size_t)p.n * sizeof *grad);
    gv_error err;
    gv_objective_set_start(o, x);
    (void)loss_at(&p, x); /* compute thread and its team start here */
    assert_int_equal(p.gradient(p.ctx, grad, &err), GV_OK);
    gv_graph_profile_start(g);
    int64_t made = gv_mem_made(), fewest = INT64_MAX, most = 0, once = 0;
    for (int i = 0; i < 5; i++) {
        (void)loss_at(&p, x);
        assert_int_equal(p.gradient(p.ctx, grad, &err), GV_OK);
    }
    assert_int_equal(gv_mem_made(), made);
    for (size_t s = 0; s < gv_graph_steps(g); s++) {
        int64_t calls = gv_graph_profile(g, s).calls;
        fewest = calls < fewest ? calls : fewest;
        most = calls > most ? calls : most;
        once += calls == 0;
    }
    printf("  %lld of %zu steps ran before the loop only\n", (long long)once, gv_graph_steps(g));
    assert_int_equal(fewest, 0);
    assert_int_equal(most, 5);
    assert_true(once > 20); /* the target's VGG */
    free(x);
    free(grad);
    gv_objective_free(o);
    edit_close(&f);
}

static gv_status make_one(void *ctx, gv_error *err)
{
    edit_fixture *f = ctx;
    gv_objective_options opt = smooth(GV_SPACE_WPLUS);
    gv_objective *o;
    gv_status status = gv_objective_new(&o, f->gen, f->vgg, f->vgg, &opt, 1, NULL, err);
    gv_objective_free(o);
    return status;
}

static void every_allocation_fails_once(void **state)
{
    (void)state;
    edit_fixture f = edit_open("sg2_skip.safetensors");
    gv_error err;
    assert_int_equal(make_one(&f, &err), GV_OK); /* weights are packed: that is tested elsewhere */
    assert_true(gv_test_fail_each_allocation(make_one, &f) > 20);
    edit_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients),
        cmocka_unit_test(pixel_terms_by_hand),
        cmocka_unit_test(reg_is_the_mean_norm),
        cmocka_unit_test(outside_does_not_matter),
        cmocka_unit_test(bad_use_is_refused),
        cmocka_unit_test(same_bits_for_all_threads),
        cmocka_unit_test(constant_parts_once),
        cmocka_unit_test(every_allocation_fails_once),
    };
    return cmocka_run_group_tests_name("objective", tests, NULL, NULL);
}
