#include "nets/net.h"

#include "nets/dcgan.h"
#include "nets/stylegan2.h"
#include "nets/vgg.h"

#include <stdarg.h>
#include <stdio.h>

/* ---- loading ---- */

static gv_status read_for_weights(void *model, const char *name, float *dst, int64_t count,
                                  gv_error *err)
{
    const gv_net *net = model;
    gv_status status = gv_net_read(net, name, dst, count, err);
    /* The packed form stays; the file's pages need not. */
    gv_checkpoint_release_pages(net->ck);
    return status;
}

void gv_net_init_borrowed(gv_net *net, const gv_checkpoint *ck)
{
    *net = (gv_net){.ck = ck};
    gv_arena_init(&net->arena, 0);
}

gv_status gv_net_init(gv_net *net, gv_checkpoint *ck, gv_error *err)
{
    gv_net_init_borrowed(net, ck);
    net->owned = ck;
    gv_status status = gv_weights_new(&net->weights, read_for_weights, net, err);
    if (status != GV_OK)
        gv_net_deinit(net);
    return status;
}

void gv_net_loaded(gv_net *net)
{
    gv_mem_free(net->scratch);
    net->scratch = NULL;
    net->scratch_count = 0;
    gv_checkpoint_release_pages(net->ck);
}

void gv_net_deinit(gv_net *net)
{
    gv_mem_free(net->scratch);
    gv_weights_free(net->weights);
    gv_arena_deinit(&net->arena);
    gv_checkpoint_close(net->owned);
    *net = (gv_net){0};
}

gv_status gv_net_need(gv_net *net, const char *name, int dims, const int64_t *shape, int64_t *found,
                      gv_error *err)
{
    const gv_view *v;
    gv_status status = gv_checkpoint_need(net->ck, &v, name, dims, shape, err);
    if (status != GV_OK)
        return status;
    for (int i = 0; found && i < dims; ++i)
        found[i] = v->shape[i];
    if (!net->owned)
        return GV_OK;
    int64_t count = gv_view_count(v);
    if (count > net->scratch_count) {
        gv_mem_free(net->scratch);
        net->scratch_count = 0;
        net->scratch = gv_mem_alloc_array((size_t)count, sizeof(float));
        if (!net->scratch)
            return gv_fail_memory(err, (size_t)count * sizeof(float));
        net->scratch_count = count;
    }
    return gv_view_read_f32(net->scratch, v, gv_checkpoint_path(net->ck), err);
}

bool gv_net_has(const gv_net *net, const char *name)
{
    return gv_checkpoint_find(net->ck, name) != NULL;
}

gv_status gv_net_read(const gv_net *net, const char *name, float *dst, int64_t count, gv_error *err)
{
    const char *file = gv_checkpoint_path(net->ck);
    const gv_view *v = gv_checkpoint_find(net->ck, name);
    if (!v)
        return gv_fail(err, GV_E_FORMAT, "%s: tensor '%s' is missing", file, name);
    if (gv_view_count(v) != count)
        return gv_fail(err, GV_E_FORMAT, "%s: tensor '%s' has %lld elements, expected %lld", file,
                       name, (long long)gv_view_count(v), (long long)count);
    return gv_view_read_f32(dst, v, file, err);
}

gv_status gv_net_name(gv_net *net, const char **name, gv_error *err, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    *name = gv_arena_copy_text(&net->arena, text);
    return *name ? GV_OK : gv_fail_memory(err, sizeof text);
}

gv_status gv_net_floats(gv_net *net, float **floats, int64_t count, gv_error *err)
{
    *floats = gv_arena_alloc_array(&net->arena, (size_t)count, sizeof(float));
    return *floats ? GV_OK : gv_fail_memory(err, (size_t)count * sizeof(float));
}

gv_param gv_net_param(const gv_net *net, const char *name)
{
    return (gv_param){net->weights, name};
}

/* ---- recognising ---- */

static bool has_dims(const gv_checkpoint *ck, const char *name, int dims)
{
    const gv_view *v = gv_checkpoint_find(ck, name);
    return v && v->dims == dims;
}

gv_net_type gv_net_type_of(const gv_checkpoint *ck)
{
    if (gv_checkpoint_find(ck, "synthesis.b4.const"))
        return GV_NET_STYLEGAN2;
    /* The discriminator of pytorch/examples has main.0 too, but batch norm at main.3. */
    if (has_dims(ck, "deconv1.0.weight", 4) || has_dims(ck, "up_conv1.0.weight", 4) ||
        (has_dims(ck, "main.0.weight", 4) && has_dims(ck, "main.3.weight", 4)))
        return GV_NET_DCGAN;
    const gv_view *first = gv_checkpoint_find(ck, "features.0.weight");
    if (first && first->dims == 4 && first->shape[0] == 64 && first->shape[2] == 3)
        return GV_NET_VGG;
    return GV_NET_UNKNOWN;
}

static gv_status describe_stylegan2(gv_net *net, char *text, size_t size, gv_error *err)
{
    static const char *const architectures[] = {[GV_STYLEGAN2_SKIP] = "skip",
                                                [GV_STYLEGAN2_RESNET] = "resnet",
                                                [GV_STYLEGAN2_ORIG] = "orig"};
    gv_stylegan2 m;
    gv_status status = gv_stylegan2_init(&m, net, err);
    if (status != GV_OK)
        return status;
    char classes[48] = "";
    if (m.c_dim > 0)
        snprintf(classes, sizeof classes, ", %lld classes", (long long)m.c_dim);
    snprintf(
        text, size,
        "StyleGAN2 generator, %lld px, z %lld, w %lld, mapping depth %d%s, %s, channels %lld to "
        "%lld%s",
        (long long)m.resolution, (long long)m.z_dim, (long long)m.w_dim, m.num_fc, classes,
        architectures[m.architecture], (long long)m.block[0].out,
        (long long)m.block[m.num_blocks - 1].out, m.assumed_clamp ? ", clamp 256 assumed" : "");
    return GV_OK;
}

static gv_status describe_dcgan(gv_net *net, char *text, size_t size, gv_error *err)
{
    static const char *const layouts[] = {[GV_DCGAN_COURSE] = "course",
                                          [GV_DCGAN_EXAMPLES] = "pytorch/examples",
                                          [GV_DCGAN_UPSAMPLE] = "upsampling and convolution"};
    static const char *const norms[] = {[GV_DCGAN_NORM_NONE] = "no norm",
                                        [GV_DCGAN_NORM_INSTANCE] = "instance norm",
                                        [GV_DCGAN_NORM_BATCH] = "batch norm"};
    gv_dcgan m;
    gv_status status = gv_dcgan_init(&m, net, err);
    if (status == GV_OK)
        snprintf(text, size, "DCGAN generator (%s, %s), %lld px, z %lld", layouts[m.layout],
                 norms[m.layer[0].norm], (long long)m.resolution, (long long)m.z_dim);
    return status;
}

gv_status gv_net_identify(const gv_checkpoint *ck, gv_net_type *type, char *text, size_t size,
                          gv_error *err)
{
    static const char *const names[] = {[GV_NET_UNKNOWN] = "unknown network",
                                        [GV_NET_DCGAN] = "DCGAN generator",
                                        [GV_NET_STYLEGAN2] = "StyleGAN2 generator",
                                        [GV_NET_VGG] = "VGG features"};
    *type = gv_net_type_of(ck);
    snprintf(text, size, "%s", names[*type]);
    if (*type == GV_NET_VGG)
        return gv_vgg_describe(ck, text, size, err);
    if (*type == GV_NET_UNKNOWN)
        return GV_OK;
    gv_net net;
    gv_net_init_borrowed(&net, ck);
    gv_error why = {0};
    gv_status status = *type == GV_NET_DCGAN ? describe_dcgan(&net, text, size, &why)
                                             : describe_stylegan2(&net, text, size, &why);
    gv_net_deinit(&net);
    if (status == GV_E_MEMORY)
        return gv_fail(err, GV_E_MEMORY, "%s", why.message);
    if (status != GV_OK)
        snprintf(text, size, "%s that cannot be loaded: %s", names[*type], why.message);
    return GV_OK;
}
