/* Maps: strides, import and export, lanes. */
#include "base/memory.h"
#include "kernels/map.h"

#include "support.h"

#include <math.h>

static void fill(float *v, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        v[i] = (float)(i + 1);
}

static void round_trip(gv_map m)
{
    int64_t elements = m.n * m.c * m.h * m.w, floats = gv_map_floats(&m);
    float *in = gv_mem_alloc_array((size_t)elements, sizeof *in);
    float *out = gv_mem_alloc_array((size_t)elements, sizeof *out);
    m.data = gv_mem_alloc_array((size_t)floats + 1, sizeof *m.data);
    assert_true(in && out && m.data);
    fill(in, elements);
    for (int64_t i = 0; i <= floats; i++)
        m.data[i] = NAN;

    gv_map_import(&m, in);
    assert_true(m.data[floats] != m.data[floats]);
    assert_true(gv_map_lanes_are_zero(&m));
    for (int64_t i = 0; i < floats; i++)
        assert_true(m.data[i] == m.data[i]); /* nothing is left out: these maps have no gaps */
    gv_map_export(out, &m);
    gv_test_same_bits(out, in, (size_t)elements * sizeof *in, "round trip");

    gv_map_zero(&m);
    for (int64_t i = 0; i < floats; i++)
        assert_true(m.data[i] == 0.0f);
    assert_true(m.data[floats] != m.data[floats]);
    gv_mem_free(in);
    gv_mem_free(out);
    gv_mem_free(m.data);
}

static void blocked_and_planes(void **state)
{
    (void)state;
    static const int64_t channels[] = {1, 3, 10, 16, 17, 100};
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) {
        round_trip(gv_map_blocked(2, channels[i], 3, 5));
        round_trip(gv_map_blocked(1, channels[i], 1, 1));
        gv_map nhwc = gv_map_blocked(2, channels[i], 3, 5);
        nhwc.pixel = gv_blocks(channels[i]) * GV_LANES;
        nhwc.block = GV_LANES;
        nhwc.sample = 15 * nhwc.pixel;
        round_trip(nhwc);
    }
    round_trip(gv_map_plane(3, 7, 9));
    round_trip(gv_map_plane(1, 1, 1));
}

static void an_element_is_where_the_header_says(void **state)
{
    (void)state;
    gv_map m = gv_map_blocked(2, 20, 3, 4);
    float in[2 * 20 * 3 * 4];
    fill(in, 480);
    m.data = gv_mem_alloc_array((size_t)gv_map_floats(&m), sizeof *m.data);
    assert_non_null(m.data);
    gv_map_import(&m, in);
    assert_int_equal(gv_map_floats(&m), 2 * 32 * 12);
    /* n 1, c 18, y 2, x 3 */
    assert_true(m.data[m.sample + m.block + (2 * 4 + 3) * m.pixel + 2] ==
                in[((1 * 20 + 18) * 3 + 2) * 4 + 3]);
    gv_mem_free(m.data);
}

static void dirty_lanes_are_found(void **state)
{
    (void)state;
    gv_map m = gv_map_blocked(2, 17, 2, 2);
    m.data = gv_mem_alloc_array((size_t)gv_map_floats(&m), sizeof *m.data);
    assert_non_null(m.data);
    assert_true(gv_map_lanes_are_zero(&m));
    float *lane = m.data + m.sample + m.block + 3 * m.pixel + 15;
    *lane = 1e-40f;
    assert_false(gv_map_lanes_are_zero(&m));
    *lane = NAN;
    assert_false(gv_map_lanes_are_zero(&m));
    m.data[m.sample + m.block + 3 * m.pixel] = 5; /* lane 0 of it is channel 16 */
    *lane = -0.0f;
    assert_true(gv_map_lanes_are_zero(&m));
    gv_mem_free(m.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocked_and_planes),
        cmocka_unit_test(an_element_is_where_the_header_says),
        cmocka_unit_test(dirty_lanes_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
