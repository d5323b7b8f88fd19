/* Inversion: it descends, keeps its budget, keeps the best, and can be stopped. */
#include "edit_support.h"

#include "edit/invert.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static gv_objective_options pixels_only(gv_space space)
{
    gv_objective_options opt = gv_objective_defaults();
    opt.space = space;
    opt.perc = 0.0;
    return opt;
}

static gv_status invert(gv_inversion *r, edit_fixture *f, gv_space space,
                        const gv_invert_options *opt, const gv_cancel *cancel, gv_error *err)
{
    gv_objective_options how = pixels_only(space);
    gv_objective *o = edit_objective(f, &how, 1);
    gv_objective_set_cancel(o, cancel);
    gv_status status = gv_invert(r, o, f->gen, opt, 1, cancel, err);
    gv_objective_free(o);
    return status;
}

/* The result's own numbers fit together. */
static void check_result(const gv_inversion *r)
{
    assert_non_null(r->x);
    assert_true(r->curve_count > 0);
    double lowest = INFINITY;
    for (int64_t i = 0; i < r->curve_count; i++) {
        lowest = fmin(lowest, r->curve[i].loss);
        if (i > 0)
            assert_true(r->curve[i].evaluations >= r->curve[i - 1].evaluations &&
                        r->curve[i].seconds >= r->curve[i - 1].seconds);
    }
    assert_true(r->terms.total == lowest); /* x is the lowest completed iterate, to the bit */
    for (int64_t i = 1; i < r->snapshot_count; i++)
        assert_true(r->snapshots[i].loss <= r->snapshots[i - 1].loss);
}

static void every_way_descends(void **state)
{
    (void)state;
    const struct {
        const char *model;
        gv_space space;
        gv_optimizer optimizer;
        gv_init init;
        double least; /* first loss / last loss */
    } ways[] = {
        {"sg2_skip.safetensors", GV_SPACE_WPLUS, GV_OPTIMIZER_LBFGS, GV_INIT_MEAN, 1.5},
        {"sg2_skip.safetensors", GV_SPACE_W, GV_OPTIMIZER_LBFGS, GV_INIT_RANDOM, 1.05},
        {"sg2_skip.safetensors", GV_SPACE_Z, GV_OPTIMIZER_LBFGS, GV_INIT_MEAN, 1.01},
        {"sg2_skip.safetensors", GV_SPACE_WPLUS, GV_OPTIMIZER_WOLFE, GV_INIT_MEAN, 1.1},
        {"sg2_skip.safetensors", GV_SPACE_WPLUS, GV_OPTIMIZER_ADAM, GV_INIT_MEAN, 1.2},
        {"dcgan_course.pth", GV_SPACE_Z, GV_OPTIMIZER_LBFGS, GV_INIT_RANDOM, 1.05},
    };
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
        edit_fixture f = edit_open(ways[w].model);
        gv_invert_options opt = gv_invert_defaults();
        opt.optimizer = ways[w].optimizer;
        opt.init = ways[w].init;
        opt.evals = 60;
        const int64_t snapshots[] = {20, 40, 60};
        opt.snapshots = snapshots;
        opt.snapshot_count = 3;
        gv_inversion r;
        gv_error err;
        gv_status status = invert(&r, &f, ways[w].space, &opt, NULL, &err);
        if (status != GV_OK)
            fail_msg("%s", err.message);
        check_result(&r);
        printf("  way %zu: %.4f -> %.4f in %lld, %s\n", w, r.first_loss, r.terms.total,
               (long long)r.evaluations, gv_stop_text(r.stop));
        assert_true(r.evaluations <= 60);
        assert_true(r.evaluations == 60 || r.stop != GV_STOP_ITERATIONS);
        assert_true(r.first_loss > ways[w].least * r.terms.total);
        if (r.evaluations == 60)
            assert_int_equal(r.snapshot_count, 3);
        gv_inversion_deinit(&r);
        edit_close(&f);
    }
}

/* A picture of the generator itself is found again. */
static void finds_its_own_picture(void **state)
{
    (void)state;
    edit_fixture f = edit_open("sg2_skip.safetensors");
    gv_objective_options how = pixels_only(GV_SPACE_WPLUS);
    how.l1 = 0.0;
    how.mse = 1.0;
    gv_objective *o = edit_objective(&f, &how, 1);
    gv_problem p = gv_objective_problem(o);
    double *x = edit_latent(o, 7), loss;
    gv_error err;
    assert_int_equal(p.loss(p.ctx, &loss, x, &err), GV_OK);
    gv_objective_image(o, f.target);
    assert_int_equal(gv_objective_set_target(o, f.target, NULL, &err), GV_OK);
    gv_invert_options opt = gv_invert_defaults();
    opt.evals = 150;
    gv_inversion r;
    assert_int_equal(gv_invert(&r, o, f.gen, &opt, 1, NULL, &err), GV_OK);
    printf("  mse %.2e -> %.2e\n", r.first_loss, r.terms.total);
    assert_true(r.terms.total < 1e-2 * r.first_loss);
    gv_inversion_deinit(&r);
    gv_objective_free(o);
    free(x);
    edit_close(&f);
}

static void starts_are_ranked(void **state)
{
    (void)state;
    edit_fixture f = edit_open("sg2_skip.safetensors");
    gv_invert_options opt = gv_invert_defaults();
    opt.starts = 5;
    opt.evals = 200;
    gv_inversion r;
    gv_error err;
    assert_int_equal(invert(&r, &f, GV_SPACE_WPLUS, &opt, NULL, &err), GV_OK);
    check_result(&r);
    assert_int_equal(r.start_count, 5);
    assert_true(r.evaluations <= 200 && r.evaluations > 150);
    assert_int_equal(r.starts[0].seed, -1);
    int64_t spent[5] = {0};
    for (int64_t i = 0; i < r.curve_count; i++)
        spent[r.curve[i].start]++;
    for (int64_t i = 0; i < 5; i++) {
        assert_true(isfinite(r.starts[i].loss) && spent[i] > 0);
        assert_true(spent[r.best_start] >= spent[i]); /* the winner got most */
        if (i > 0)
            assert_int_equal(r.starts[i].seed, i);
    }
    gv_inversion_deinit(&r);
    edit_close(&f);
}

static void same_seed_same_bits(void **state)
{
    (void)state;
    edit_fixture f = edit_open("sg2_skip.safetensors");
    gv_invert_options opt = gv_invert_defaults();
    opt.init = GV_INIT_RANDOM;
    opt.seed = 11;
    opt.evals = 20;
    gv_inversion a, b;
    gv_error err;
    assert_int_equal(invert(&a, &f, GV_SPACE_WPLUS, &opt, NULL, &err), GV_OK);
    assert_int_equal(invert(&b, &f, GV_SPACE_WPLUS, &opt, NULL, &err), GV_OK);
    gv_test_same_bits(a.x, b.x, (size_t)a.n * sizeof *a.x, "x");
    gv_inversion_deinit(&b);
    opt.init = GV_INIT_GIVEN; /* and a saved latent is a start */
    opt.given = a.rows;
    opt.evals = 0;
    assert_int_equal(invert(&b, &f, GV_SPACE_WPLUS, &opt, NULL, &err), GV_OK);
    assert_true(fabs(b.terms.total - a.terms.total) <= 1e-5 * a.terms.total);
    gv_inversion_deinit(&a);
    gv_inversion_deinit(&b);
    edit_close(&f);
}

/* ---- stopping ---- */

typedef struct stopper {
    gv_cancel cancel;
    int64_t at, calls;
} stopper;

static void stop_at(void *ctx, const gv_invert_progress *p)
{
    stopper *s = ctx;
    s->calls++;
    assert_true(p->evaluations <= p->total);
    if (p->evaluations == s->at)
        gv_cancel_request(&s->cancel);
}

static void cancelled_keeps_the_best(void **state)
{
    (void)state;
    edit_fixture f = edit_open("sg2_skip.safetensors");
    gv_invert_options opt = gv_invert_defaults();
    stopper s = {.at = 25};
    opt.evals = 100;
    opt.progress = stop_at;
    opt.ctx = &s;
    gv_inversion r;
    gv_error err;
    assert_int_equal(invert(&r, &f, GV_SPACE_WPLUS, &opt, &s.cancel, &err), GV_E_CANCELLED);
    check_result(&r);
    assert_int_equal(r.evaluations, 25);
    assert_true(r.terms.total < r.first_loss);
    gv_inversion_deinit(&r);
    edit_close(&f);
}

static gv_status invert_shortly(void *ctx, gv_error *err)
{
    gv_invert_options opt = gv_invert_defaults();
    opt.evals = 6;
    opt.starts = 2;
    gv_inversion r;
    edit_fixture *f = ctx;
    gv_objective_options how = pixels_only(GV_SPACE_WPLUS);
    gv_objective *o = NULL;
    gv_status status;
    GV_TRY(gv_objective_new(&o, f->gen, NULL, NULL, &how, 1, NULL, err));
    GV_TRY(gv_objective_set_target(o, f->target, NULL, err));
    status = gv_invert(&r, o, f->gen, &opt, 1, NULL, err);
    gv_inversion_deinit(&r);
done:
    gv_objective_free(o);
    return status;
}

static void every_allocation_fails_once(void **state)
{
    (void)state;
    edit_fixture f = edit_open("sg2_skip.safetensors");
    gv_error err;
    assert_int_equal(invert_shortly(&f, &err), GV_OK); /* weights are packed, w_avg is known */
    assert_true(gv_test_fail_each_allocation(invert_shortly, &f) > 30);
    edit_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way_descends),       cmocka_unit_test(finds_its_own_picture),
        cmocka_unit_test(starts_are_ranked),        cmocka_unit_test(same_seed_same_bits),
        cmocka_unit_test(cancelled_keeps_the_best), cmocka_unit_test(every_allocation_fails_once),
    };
    return cmocka_run_group_tests_name("invert", tests, NULL, NULL);
}
