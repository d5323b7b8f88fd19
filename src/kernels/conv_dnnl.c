/* Convolution and matrix products by oneDNN; all that this project knows of its API (v2) is here.
 *
 * oneDNN cuts work by the number of threads it finds, and some of its results depend on that. So it
 * is only ever called with one thread, from tasks of ours: one sample and a slice of the output
 * blocks, or a run of rows, each. Activations are nChw16c, its fast layout on AVX-512; where it has
 * no fast implementation for that, supports() is false. */
#include "kernels/conv_internal.h"

#include "base/memory.h"
#include "base/parallel.h"

#include <assert.h>
#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>
#include <string.h>

/* What one task hands to oneDNN: memory objects hold a pointer and so cannot be shared. */
typedef struct lane {
    dnnl_stream_t stream;
    dnnl_memory_t x, w, y, scratchpad;
} lane;

typedef struct plan {
    dnnl_engine_t engine;
    dnnl_primitive_t primitive;
    lane *lanes;
    int64_t lane_count;      /* n * output blocks */
    size_t scratchpad_bytes; /* of one lane */
    char detail[64];
} plan;

/* ---- shapes ---- */

/* A linear layer: rows of x times a matrix. */
static bool is_linear(const gv_conv_shape *s)
{
    return s->h * s->w * s->oh * s->ow * s->kh * s->kw == 1 && s->pad == 0;
}

/* Padding after the last pixel, of the convolution from `large` to `small` pixels. */
static int64_t pad_after(int64_t large, int64_t small, int64_t kernel, const gv_conv_shape *s)
{
    int64_t pad = (small - 1) * s->stride + kernel - large - s->pad;
    return pad > 0 ? pad : 0;
}

static bool fits(int64_t large, int64_t small, int64_t kernel, const gv_conv_shape *s)
{
    int64_t room = large + s->pad + pad_after(large, small, kernel, s) - kernel;
    return s->pad >= 0 && s->pad < kernel && room >= 0 && room / s->stride + 1 == small;
}

static bool supports(const gv_conv_shape *s)
{
    if (s->strided || s->c % GV_LANES != 0 || s->k % GV_LANES != 0)
        return false;
    dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
    if ((isa & dnnl_cpu_isa_avx512_core) != dnnl_cpu_isa_avx512_core)
        return false;
    if (is_linear(s))
        return true;
    if (!s->transposed)
        return fits(s->h, s->oh, s->kh, s) && fits(s->w, s->ow, s->kw, s);
    return s->stride == 2 && s->kh > 1 && fits(s->oh, s->h, s->kh, s) &&
           fits(s->ow, s->w, s->kw, s);
}

/* ---- weights ---- */

/* A slice of the blocked weights is OIhw16i16o, and for a transposed convolution, where oneDNN sees
 * the gradient of a convolution from our y to our x, OIhw16o16i. */
static char *layout(char *text, size_t size, const gv_conv_shape *s)
{
    char blocked[160];
    gv_conv_blocked_layout(blocked, sizeof blocked, s);
    snprintf(text, size, "%s%s", is_linear(s) ? "rows instead of " : "", blocked);
    return text;
}

/* [c][k] */
static void pack_rows(float *to, const float *w, const gv_conv_shape *s)
{
    for (int64_t c = 0; c < s->c; c++)
        for (int64_t k = 0; k < s->k; k++)
            *to++ = gv_conv_packed_weight(w, s, k, c, 0);
}

static void pack(void *packed, const float *w, const gv_conv_shape *s)
{
    if (is_linear(s))
        pack_rows(packed, w, s);
    else
        gv_conv_blocked_pack(packed, w, s);
}

/* ---- creating ---- */

static gv_status fail_dnnl(gv_error *err, dnnl_status_t code)
{
    return gv_fail(err, code == dnnl_out_of_memory ? GV_E_MEMORY : GV_E_UNSUPPORTED,
                   "oneDNN: a convolution cannot be made (status %d)", (int)code);
}

/* Leaves with status when oneDNN fails. */
#define DNNL_TRY(call)                                                                             \
    do {                                                                                           \
        dnnl_status_t code_ = (call);                                                              \
        if (code_ != dnnl_success) {                                                               \
            status = fail_dnnl(err, code_);                                                        \
            goto done;                                                                             \
        }                                                                                          \
    } while (0)

/* One sample and one output block, as oneDNN describes them. */
typedef struct descs {
    dnnl_memory_desc_t x, w, y;
    dnnl_dims_t strides, before, after;
} descs;

static dnnl_status_t describe(descs *d, const gv_conv_shape *s)
{
    int64_t k = GV_LANES;
    const dnnl_dims_t x = {1, s->c, s->h, s->w}, y = {1, k, s->oh, s->ow};
    const dnnl_dims_t forward = {k, s->c, s->kh, s->kw}, backward = {s->c, k, s->kh, s->kw};
    int64_t after[2] = {
        s->transposed ? pad_after(s->oh, s->h, s->kh, s) : pad_after(s->h, s->oh, s->kh, s),
        s->transposed ? pad_after(s->ow, s->w, s->kw, s) : pad_after(s->w, s->ow, s->kw, s)};
    for (int i = 0; i < 2; i++) {
        d->strides[i] = s->stride;
        d->before[i] = s->pad;
        d->after[i] = after[i];
    }
    dnnl_status_t code = dnnl_memory_desc_init_by_tag(&d->x, 4, x, dnnl_f32, dnnl_nChw16c);
    if (code == dnnl_success)
        code = dnnl_memory_desc_init_by_tag(&d->y, 4, y, dnnl_f32, dnnl_nChw16c);
    if (code == dnnl_success)
        code = dnnl_memory_desc_init_by_tag(&d->w, 4, s->transposed ? backward : forward, dnnl_f32,
                                            s->transposed ? dnnl_OIhw16o16i : dnnl_OIhw16i16o);
    return code;
}

/* *desc owned by the caller (dnnl_primitive_desc_destroy); NULL on failure. */
static gv_status make_desc(dnnl_primitive_desc_t *desc, const descs *d, bool transposed,
                           dnnl_engine_t engine, gv_error *err)
{
    gv_status status = GV_OK;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t hint = NULL;
    dnnl_convolution_desc_t conv;
    *desc = NULL;
    DNNL_TRY(dnnl_primitive_attr_create(&attr));
    DNNL_TRY(dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user));
    const dnnl_memory_desc_t *from = transposed ? &d->y : &d->x, *to = transposed ? &d->x : &d->y;
    DNNL_TRY(dnnl_convolution_forward_desc_init(&conv, dnnl_forward_training,
                                                dnnl_convolution_direct, from, &d->w, NULL, to,
                                                d->strides, d->before, d->after));
    if (!transposed) {
        DNNL_TRY(dnnl_primitive_desc_create(desc, &conv, attr, engine, NULL));
        goto done;
    }
    DNNL_TRY(dnnl_primitive_desc_create(&hint, &conv, attr, engine, NULL));
    DNNL_TRY(dnnl_convolution_backward_data_desc_init(&conv, dnnl_convolution_direct, from, &d->w,
                                                      to, d->strides, d->before, d->after));
    DNNL_TRY(dnnl_primitive_desc_create(desc, &conv, attr, engine, hint));
done:
    if (hint)
        dnnl_primitive_desc_destroy(hint);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    return status;
}

static void free_plan(void *state)
{
    plan *p = state;
    if (!p)
        return;
    for (int64_t i = 0; p->lanes && i < p->lane_count; i++) {
        lane *l = &p->lanes[i];
        dnnl_memory_t memories[4] = {l->x, l->w, l->y, l->scratchpad};
        for (int m = 0; m < 4; m++)
            if (memories[m])
                dnnl_memory_destroy(memories[m]);
        if (l->stream)
            dnnl_stream_destroy(l->stream);
    }
    gv_mem_free(p->lanes);
    if (p->primitive)
        dnnl_primitive_destroy(p->primitive);
    if (p->engine)
        dnnl_engine_destroy(p->engine);
    gv_mem_free(p);
}

static gv_status make_lanes(plan *p, const descs *d, const dnnl_memory_desc_t *scratchpad,
                            gv_error *err)
{
    gv_status status = GV_OK;
    p->lanes = gv_mem_alloc_array((size_t)p->lane_count, sizeof *p->lanes);
    if (!p->lanes)
        return gv_fail_memory(err, (size_t)p->lane_count * sizeof *p->lanes);
    for (int64_t i = 0; i < p->lane_count; i++) {
        lane *l = &p->lanes[i];
        DNNL_TRY(dnnl_stream_create(&l->stream, p->engine, dnnl_stream_default_flags));
        DNNL_TRY(dnnl_memory_create(&l->x, &d->x, p->engine, DNNL_MEMORY_NONE));
        DNNL_TRY(dnnl_memory_create(&l->w, &d->w, p->engine, DNNL_MEMORY_NONE));
        DNNL_TRY(dnnl_memory_create(&l->y, &d->y, p->engine, DNNL_MEMORY_NONE));
        DNNL_TRY(dnnl_memory_create(&l->scratchpad, scratchpad, p->engine, DNNL_MEMORY_NONE));
    }
done:
    return status;
}

static gv_status make_convolution(plan *p, const gv_conv_shape *s, gv_error *err)
{
    gv_status status = GV_OK;
    dnnl_primitive_desc_t desc = NULL;
    descs d;
    const char *name = NULL;
    DNNL_TRY(dnnl_engine_create(&p->engine, dnnl_cpu, 0));
    DNNL_TRY(describe(&d, s));
    GV_TRY(make_desc(&desc, &d, s->transposed, p->engine, err));
    DNNL_TRY(dnnl_primitive_create(&p->primitive, desc));
    DNNL_TRY(dnnl_primitive_desc_query(desc, dnnl_query_impl_info_str, 0, &name));
    snprintf(p->detail, sizeof p->detail, "dnnl %s", name);

    const dnnl_memory_desc_t *scratchpad =
        dnnl_primitive_desc_query_md(desc, dnnl_query_scratchpad_md, 0);
    p->scratchpad_bytes = (dnnl_memory_desc_get_size(scratchpad) + 63) / 64 * 64;
    p->lane_count = s->n * gv_blocks(s->k);
    GV_TRY(make_lanes(p, &d, scratchpad, err));
done:
    if (desc)
        dnnl_primitive_desc_destroy(desc);
    return status;
}

static gv_status prepare(void **state, size_t *scratch_bytes, const gv_conv_shape *s, gv_error *err)
{
    *state = NULL;
    *scratch_bytes = 0;
    plan *p = gv_mem_alloc(sizeof *p);
    if (!p)
        return gv_fail_memory(err, sizeof *p);
    gv_status status = GV_OK;
    if (is_linear(s)) {
        snprintf(p->detail, sizeof p->detail, "dnnl matrix product");
    } else {
        int before = gv_parallel_library_threads(1);
        status = make_convolution(p, s, err);
        gv_parallel_library_threads(before);
    }
    if (status != GV_OK) {
        free_plan(p);
        return status;
    }
    *scratch_bytes = p->scratchpad_bytes * (size_t)p->lane_count;
    *state = p;
    return GV_OK;
}

/* ---- running ---- */

typedef struct job {
    const plan *p;
    const gv_conv_shape *s;
    const gv_map *y, *x;
    const float *packed;
    char *scratch;
} job;

/* oneDNN's handles are not const; it only reads x and w. */
static void *writable(const float *p)
{
    void *q;
    memcpy(&q, &p, sizeof q);
    return q;
}

static void run_lane(void *ctx, int64_t i)
{
    const job *j = ctx;
    const plan *p = j->p;
    const lane *l = &p->lanes[i];
    int64_t n = i / gv_blocks(j->s->k), kb = i % gv_blocks(j->s->k);
    int64_t slice = gv_blocks(j->s->c) * j->s->kh * j->s->kw * GV_LANES * GV_LANES;
    int before = gv_parallel_library_threads(1);
    dnnl_memory_set_data_handle(l->x, writable(j->x->data + n * j->x->sample));
    dnnl_memory_set_data_handle(l->w, writable(j->packed + kb * slice));
    dnnl_memory_set_data_handle(l->y, j->y->data + n * j->y->sample + kb * j->y->block);
    dnnl_memory_set_data_handle(l->scratchpad, j->scratch + p->scratchpad_bytes * (size_t)i);
    const dnnl_exec_arg_t args[4] = {
        {j->s->transposed ? DNNL_ARG_DIFF_DST : DNNL_ARG_SRC, l->x},
        {DNNL_ARG_WEIGHTS, l->w},
        {j->s->transposed ? DNNL_ARG_DIFF_SRC : DNNL_ARG_DST, l->y},
        {DNNL_ARG_SCRATCHPAD, l->scratchpad},
    };
    dnnl_status_t code = dnnl_primitive_execute(p->primitive, l->stream, 4, args);
    if (code == dnnl_success)
        code = dnnl_stream_wait(l->stream);
    gv_parallel_library_threads(before);
    assert(code == dnnl_success);
    (void)code;
}

/* Enough for sgemm to reach its speed. */
enum { ROWS_PER_TASK = 64 };

static void run_rows(void *ctx, int64_t i)
{
    const job *j = ctx;
    int64_t first = i * ROWS_PER_TASK, left = j->s->n - first;
    int64_t rows = left < ROWS_PER_TASK ? left : ROWS_PER_TASK;
    int before = gv_parallel_library_threads(1);
    dnnl_status_t code = dnnl_sgemm('N', 'N', rows, j->s->k, j->s->c, 1.0f,
                                    j->x->data + first * j->x->sample, j->x->sample, j->packed,
                                    j->s->k, 0.0f, j->y->data + first * j->y->sample, j->y->sample);
    gv_parallel_library_threads(before);
    assert(code == dnnl_success);
    (void)code;
}

static void run(void *state, const gv_conv_shape *s, const gv_map *y, const gv_map *x,
                const void *packed, void *scratch)
{
    gv_conv_count(GV_CONV_DNNL);
    job j = {state, s, y, x, packed, scratch};
    if (is_linear(s))
        gv_parallel_for((s->n + ROWS_PER_TASK - 1) / ROWS_PER_TASK, run_rows, &j);
    else
        gv_parallel_for(j.p->lane_count, run_lane, &j);
}

static const char *detail(const void *state)
{
    const plan *p = state;
    return p->detail;
}

const gv_conv_kernel gv_conv_dnnl = {
    .name = "dnnl",
    .layout = layout,
    .supports = supports,
    .packed_bytes = gv_conv_blocked_bytes,
    .pack = pack,
    .prepare = prepare,
    .run = run,
    .release = free_plan,
    .detail = detail,
};
