/* Ways between latents: straight, round, over several ends; and how far apart pictures look. */
#include "edit/interpolate.h"

#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 65 };

static void fill(float *x, uint32_t seed)
{
    for (int i = 0; i < N; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float)(seed >> 8) / (float)(1 << 23) - 1.0f;
    }
}

static double dot(const float *a, const float *b)
{
    double sum = 0.0;
    for (int i = 0; i < N; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

static double angle(const float *a, const float *b)
{
    return acos(dot(a, b) / sqrt(dot(a, a) * dot(b, b)));
}

static void is_near(double value, double wanted, double bound)
{
    if (!(fabs(value - wanted) <= bound))
        fail_msg("%.17g is not %.17g to %g", value, wanted, bound);
}

static void both_ends_are_met_to_the_bit(void **state)
{
    (void)state;
    float a[N], b[N], out[N];
    fill(a, 1);
    fill(b, 2);
    void (*const ways[])(float *, const float *, const float *, int64_t, double) = {gv_lerp,
                                                                                    gv_slerp};
    for (int w = 0; w < 2; w++) {
        ways[w](out, a, b, N, 0.0);
        gv_test_same_bits(out, a, sizeof a, "t = 0");
        ways[w](out, a, b, N, 1.0);
        gv_test_same_bits(out, b, sizeof b, "t = 1");
    }
}

static void a_straight_way_is_the_weighted_mean(void **state)
{
    (void)state;
    float a[N], b[N], out[N];
    fill(a, 3);
    fill(b, 4);
    gv_lerp(out, a, b, N, 0.25);
    for (int i = 0; i < N; i++)
        is_near((double)out[i], 0.75 * (double)a[i] + 0.25 * (double)b[i], 1e-7);
    float in_place[N];
    memcpy(in_place, a, sizeof a);
    gv_lerp(in_place, in_place, b, N, 0.25);
    gv_test_same_bits(in_place, out, sizeof out, "in place");
}

static void a_round_way_turns_and_grows_evenly(void **state)
{
    (void)state;
    float a[N], b[N], out[N];
    fill(a, 5);
    fill(b, 6);
    for (int i = 0; i < N; i++)
        b[i] *= 3.0f;
    double whole = angle(a, b), la = sqrt(dot(a, a)), lb = sqrt(dot(b, b));
    assert_true(whole > 0.5);
    for (int k = 1; k < 8; k++) {
        double t = k / 8.0;
        gv_slerp(out, a, b, N, t);
        is_near(angle(a, out), t * whole, 1e-6);
        is_near(angle(out, b), (1.0 - t) * whole, 1e-6);
        is_near(sqrt(dot(out, out)), (1.0 - t) * la + t * lb, 1e-5 * lb);
    }
    /* The straight way is shorter in the middle: that is why the round one exists. */
    float straight[N];
    gv_lerp(straight, a, b, N, 0.5);
    gv_slerp(out, a, b, N, 0.5);
    assert_true(dot(straight, straight) < 0.95 * dot(out, out));
}

static void without_a_circle_the_way_is_straight(void **state)
{
    (void)state;
    float a[N], b[N], zero[N] = {0}, out[N], want[N];
    fill(a, 7);
    for (int i = 0; i < N; i++)
        b[i] = -2.0f * a[i];
    const float *pairs[][2] = {{a, a}, {a, b}, {zero, a}, {a, zero}, {zero, zero}};
    for (size_t p = 0; p < sizeof pairs / sizeof pairs[0]; p++) {
        gv_slerp(out, pairs[p][0], pairs[p][1], N, 0.3);
        gv_lerp(want, pairs[p][0], pairs[p][1], N, 0.3);
        gv_test_same_bits(out, want, sizeof out, "degenerate");
    }
    /* A hair away from the same direction: still finite and near. */
    memcpy(b, a, sizeof a);
    b[0] += 1e-4f;
    gv_slerp(out, a, b, N, 0.5);
    for (int i = 0; i < N; i++)
        is_near((double)out[i], 0.5 * ((double)a[i] + (double)b[i]), 1e-6);
}

static void only_the_rows_named_are_copied(void **state)
{
    (void)state;
    float dst[12], src[12];
    for (int i = 0; i < 12; i++) {
        dst[i] = (float)i;
        src[i] = (float)(100 + i);
    }
    const int64_t rows[] = {3, 1};
    gv_rows_copy(dst, src, 3, rows, 2);
    for (int i = 0; i < 12; i++)
        is_near((double)dst[i], (i / 3 % 2 == 1 ? 100 : 0) + i, 0.0);
}

/* ---- paths ---- */

static void a_pair_goes_from_0_to_1(void **state)
{
    (void)state;
    const gv_path path = {.ends = 2, .frames = 50};
    assert_int_equal(gv_path_count(&path), 50);
    for (int64_t i = 0; i < 50; i++) {
        gv_path_place at = gv_path_at(&path, i);
        assert_int_equal(at.from, 0);
        assert_int_equal(at.to, 1);
        is_near(at.t, (double)i / 49.0, 0.0);
    }
}

/* Every end is met by exactly one frame, at t = 0 or at the very last. */
static void every_end_is_one_frame(void **state)
{
    (void)state;
    for (int64_t ends = 2; ends < 5; ends++)
        for (int loop = 0; loop < 2; loop++) {
            const gv_path path = {.ends = ends, .frames = 10, .loop = loop};
            int64_t count = gv_path_count(&path), met[5] = {0};
            assert_int_equal(count, 10 * (loop ? ends : ends - 1));
            double before = -1.0;
            for (int64_t i = 0; i < count; i++) {
                gv_path_place at = gv_path_at(&path, i);
                assert_int_equal(at.to, (at.from + 1) % ends);
                assert_true(at.t >= 0.0 && at.t <= 1.0);
                assert_true((double)at.from + at.t > before); /* always onwards */
                before = (double)at.from + at.t;
                met[at.from] += at.t == 0.0;
                met[at.to] += at.t == 1.0;
            }
            for (int64_t e = 0; e < ends; e++)
                assert_int_equal(met[e], 1);
        }
}

static void rows_of_a_strip_begin_and_end_on_their_ends(void **state)
{
    (void)state;
    const gv_path path = {.ends = 3, .frames = 8, .loop = true, .closed = true};
    assert_int_equal(gv_path_count(&path), 24);
    for (int64_t row = 0; row < 3; row++) {
        gv_path_place first = gv_path_at(&path, row * 8), last = gv_path_at(&path, row * 8 + 7);
        assert_int_equal(first.from, row);
        is_near(first.t, 0.0, 0.0);
        assert_int_equal(last.to, (row + 1) % 3);
        is_near(last.t, 1.0, 0.0);
    }
}

/* ---- LPIPS ---- */

enum { SIDE = 32, PICTURE = 3 * SIDE * SIDE };

static void neighbours_are_as_far_apart_as_lpips_says(void **state)
{
    (void)state;
    gv_checkpoint *ck;
    gv_vgg *vgg;
    gv_neighbours *n;
    gv_error err;
    static float pictures[4][PICTURE];
    for (int p = 0; p < 4; p++)
        for (int i = 0; i < PICTURE; i++) /* the last leaves [-1,1], and is clamped */
            pictures[p][i] = sinf((float)(i % (7 + p)) + 0.3f * (float)p) * (p == 3 ? 1.5f : 0.8f);
    assert_int_equal(
        gv_checkpoint_open(&ck, gv_test_source("models/vgg16-lpips.safetensors"), &err), GV_OK);
    assert_int_equal(gv_vgg_load(&vgg, ck, &err), GV_OK);
    assert_int_equal(gv_neighbours_new(&n, vgg, SIDE, &err), GV_OK);

    double first, again;
    for (int p = 0; p < 4; p++) {
        double distance;
        assert_int_equal(gv_neighbours_next(n, &distance, pictures[p], 1, NULL, &err), GV_OK);
        if (p == 0) {
            is_near(distance, -1.0, 0.0);
            continue;
        }
        if (p == 3)
            for (int i = 0; i < PICTURE; i++)
                pictures[p][i] = fminf(fmaxf(pictures[p][i], -1.0f), 1.0f);
        float want;
        assert_int_equal(gv_lpips_compare(vgg, &want, pictures[p], pictures[p - 1], 1, 1, SIDE,
                                          SIDE, 1, NULL, &err),
                         GV_OK);
        assert_true(want > 0.01f);
        is_near(distance, (double)want, 1e-6);
    }
    /* The same picture is at 0; after a restart there is none before. */
    assert_int_equal(gv_neighbours_next(n, &again, pictures[3], 2, NULL, &err), GV_OK);
    is_near(again, 0.0, 1e-9);
    gv_neighbours_restart(n);
    assert_int_equal(gv_neighbours_next(n, &first, pictures[0], 1, NULL, &err), GV_OK);
    is_near(first, -1.0, 0.0);

    /* So it is after a cancelled one. */
    gv_cancel cancel = {0};
    gv_cancel_request(&cancel);
    assert_int_equal(gv_neighbours_next(n, &first, pictures[1], 1, &cancel, &err), GV_E_CANCELLED);
    assert_int_equal(gv_neighbours_next(n, &first, pictures[1], 1, NULL, &err), GV_OK);
    is_near(first, -1.0, 0.0);
    gv_neighbours_free(n);
    gv_vgg_free(vgg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ends_are_met_to_the_bit),
        cmocka_unit_test(a_straight_way_is_the_weighted_mean),
        cmocka_unit_test(a_round_way_turns_and_grows_evenly),
        cmocka_unit_test(without_a_circle_the_way_is_straight),
        cmocka_unit_test(only_the_rows_named_are_copied),
        cmocka_unit_test(a_pair_goes_from_0_to_1),
        cmocka_unit_test(every_end_is_one_frame),
        cmocka_unit_test(rows_of_a_strip_begin_and_end_on_their_ends),
        cmocka_unit_test(neighbours_are_as_far_apart_as_lpips_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
