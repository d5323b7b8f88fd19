/* Convolution and linear layers. Forward, gradient and tangent are one kind of call: the gradient
 * is the adjoint shape's convolution, the tangent the same convolution of the tangent. */
#include "graph/ops_common.h"
#include "kernels/conv.h"

#include <assert.h>

/* One direction: a kernel, its weights and its state. */
typedef struct pass {
    gv_conv_shape shape;
    const gv_conv_kernel *kernel; /* NULL: this direction is never run */
    const void *packed;           /* of the model */
    void *state;
    size_t scratch_bytes;
} pass;

typedef struct conv_attr {
    pass forward, adjoint;
    size_t sum_offset; /* in scratch: a map like dx, for gradients that are added */
} conv_attr;

static void run_pass(const pass *p, const gv_map *y, const gv_map *x, void *scratch)
{
    p->kernel->run(p->state, &p->shape, y, x, p->packed, scratch);
}

static void conv_fwd(const gv_step *s)
{
    const conv_attr *a = s->attr;
    run_pass(&a->forward, &s->y, &s->x[0], s->scratch);
}

/* dx += sum, both with the strides of dx. */
typedef struct addition {
    float *dx;
    const float *sum;
    int64_t floats;
} addition;

enum { ADD_CHUNK = 16384 };

static void add_chunk(void *ctx, int64_t i)
{
    const addition *t = ctx;
    int64_t end = (i + 1) * ADD_CHUNK < t->floats ? (i + 1) * ADD_CHUNK : t->floats;
    for (int64_t j = i * ADD_CHUNK; j < end; j++)
        t->dx[j] += t->sum[j];
}

static void conv_bwd(const gv_step *s)
{
    const conv_attr *a = s->attr;
    gv_map dx = s->dx[0];
    if (!dx.data)
        return;
    if (!s->add[0]) {
        run_pass(&a->adjoint, &dx, &s->dy, s->scratch);
        return;
    }
    gv_map sum = dx;
    sum.data = (float *)(void *)((char *)s->scratch + a->sum_offset);
    run_pass(&a->adjoint, &sum, &s->dy, s->scratch);
    addition t = {dx.data, sum.data, gv_map_floats(&dx)};
    gv_parallel_for((t.floats + ADD_CHUNK - 1) / ADD_CHUNK, add_chunk, &t);
}

static void conv_jvp(const gv_step *s)
{
    const conv_attr *a = s->attr;
    run_pass(&a->forward, &s->ty, &s->tx[0], s->scratch);
}

static void release_attr(conv_attr *a)
{
    if (a->forward.kernel)
        a->forward.kernel->release(a->forward.state);
    if (a->adjoint.kernel)
        a->adjoint.kernel->release(a->adjoint.state);
}

static void conv_release(void *attr)
{
    release_attr(attr);
}

static double conv_flops(const gv_step *s)
{
    const conv_attr *a = s->attr;
    return gv_conv_flops(&a->forward.shape);
}

static const char *conv_detail(const void *attr)
{
    const conv_attr *a = attr;
    return a->forward.kernel->detail(a->forward.state);
}

static const gv_op conv_op = {
    .name = "conv2d",
    .needs = GV_NEED_NONE,
    .fwd = conv_fwd,
    .bwd = conv_bwd,
    .jvp = conv_jvp,
    .release = conv_release,
    .flops = conv_flops,
    .detail = conv_detail,
};

static const gv_op linear_op = {
    .name = "linear",
    .needs = GV_NEED_NONE,
    .fwd = conv_fwd,
    .bwd = conv_bwd,
    .jvp = conv_jvp,
    .release = conv_release,
    .flops = conv_flops,
    .detail = conv_detail,
};

/* ---- building ---- */

static void pack_weights(void *dst, const float *src, int64_t count, const void *ctx)
{
    (void)count;
    const pass *p = ctx;
    p->kernel->pack(dst, src, &p->shape);
}

/* Chooses a kernel for shape, packs the weights, makes the state. */
static gv_status make_pass(pass *p, const gv_conv_shape *shape, gv_param w, gv_error *err)
{
    const gv_conv_kernel *kernel = gv_conv_choose(shape);
    pass made = {.shape = *shape, .kernel = kernel};
    char layout[160];
    gv_status status = gv_weights_pack(&made.packed, w, shape->k * shape->c * shape->kh * shape->kw,
                                       kernel->layout(layout, sizeof layout, shape),
                                       kernel->packed_bytes(shape), pack_weights, &made, err);
    if (status == GV_OK)
        status = kernel->prepare(&made.state, &made.scratch_bytes, shape, err);
    if (status == GV_OK)
        *p = made;
    return status;
}

static bool dense_blocked(const gv_map *m)
{
    gv_map dense = gv_map_blocked(m->n, m->c, m->h, m->w);
    return m->pixel == dense.pixel && m->block == dense.block &&
           (m->n == 1 || m->sample == dense.sample);
}

static gv_status append(gv_graph *g, gv_node *y, gv_node x, gv_param w, const gv_op *op,
                        gv_conv_shape *shape, gv_error *err)
{
    gv_map in = gv_graph_shape(g, x);
    gv_map out = gv_map_blocked(shape->n, shape->k, shape->oh, shape->ow);
    conv_attr attr = {.sum_offset = 0};
    gv_status status;
    /* Gradients and tangents are dense where the value is a map shared by all samples. */
    shape->strided = !dense_blocked(&in);
    GV_TRY(make_pass(&attr.forward, shape, w, err));

    size_t scratch = attr.forward.scratch_bytes;
    if ((gv_graph_modes(g) & GV_GRAPH_BWD) && gv_graph_varies(g, x)) {
        gv_conv_shape adjoint = gv_conv_adjoint(shape);
        GV_TRY(make_pass(&attr.adjoint, &adjoint, w, err));
        attr.sum_offset = (attr.adjoint.scratch_bytes + 63) / 64 * 64;
        gv_map sum = gv_map_blocked(in.n, in.c, in.h, in.w);
        size_t with_sum = attr.sum_offset + (size_t)gv_map_floats(&sum) * sizeof(float);
        scratch = with_sum > scratch ? with_sum : scratch;
    }
    GV_TRY(gv_graph_append(g, y, op, &out, &x, 1, &attr, sizeof attr, scratch, err));
    return GV_OK;
done:
    release_attr(&attr);
    *y = GV_NO_NODE;
    return status;
}

gv_status gv_graph_conv2d(gv_graph *g, gv_node *y, gv_node x, gv_param w, const gv_conv2d *a,
                          gv_error *err)
{
    gv_map in = gv_graph_shape(g, x);
    *y = GV_NO_NODE;
    if (gv_map_is_plane(&in))
        return gv_graph_refuse(err, "conv2d", "x of %s is a plane, expected a blocked map", w.name);
    if (a->channels < 1 || a->kernel < 1 || a->kernel > 7 || a->stride < 1 || a->stride > 2 ||
        a->pad < 0 || a->pad > a->kernel)
        return gv_graph_refuse(err, "conv2d",
                               "%s has %lld channels, kernel %lld, stride %lld, pad %lld; expected "
                               "kernel 1 to 7, stride 1 or 2, pad at most the kernel",
                               w.name, (long long)a->channels, (long long)a->kernel,
                               (long long)a->stride, (long long)a->pad);
    gv_conv_shape shape = {.n = in.n,
                           .c = in.c,
                           .h = in.h,
                           .w = in.w,
                           .k = a->channels,
                           .kh = a->kernel,
                           .kw = a->kernel,
                           .stride = a->stride,
                           .pad = a->pad,
                           .transposed = a->transposed,
                           .in_first = a->transposed && !a->out_first};
    gv_conv_infer(&shape);
    if (shape.oh < 1 || shape.ow < 1)
        return gv_graph_refuse(err, "conv2d", "x of %s is %lld x %lld, too small for kernel %lld",
                               w.name, (long long)in.h, (long long)in.w, (long long)a->kernel);
    return append(g, y, x, w, &conv_op, &shape, err);
}

gv_status gv_graph_linear(gv_graph *g, gv_node *y, gv_node x, gv_param w, int64_t out, float gain,
                          gv_error *err)
{
    gv_map in = gv_graph_shape(g, x);
    *y = GV_NO_NODE;
    if (in.h != 1 || in.w != 1 || gv_map_is_plane(&in))
        return gv_graph_refuse(err, "linear", "x of %s is %lld x %lld, expected a vector", w.name,
                               (long long)in.h, (long long)in.w);
    if (out < 1 || gain == 0.0f)
        return gv_graph_refuse(err, "linear", "%s has %lld outputs and gain %g, expected neither 0",
                               w.name, (long long)out, (double)gain);
    gv_conv_shape shape = {.n = in.n,
                           .c = in.c,
                           .h = 1,
                           .w = 1,
                           .k = out,
                           .oh = 1,
                           .ow = 1,
                           .kh = 1,
                           .kw = 1,
                           .stride = 1,
                           .gain = gain};
    return append(g, y, x, w, &linear_op, &shape, err);
}

const gv_op *const gv_ops_conv[] = {&conv_op, &linear_op, NULL};
