/* StyleGAN2: what the file says about its architecture, and the check of every tensor. */
#include "nets/stylegan2.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

/* Module attributes win, then keyword arguments; where both are silent the caller's fallback is the
 * default of the official constructors. */
typedef struct reader {
    gv_stylegan2 *m;
    gv_net *net;
    const char *file;
    const json_t *root, *modules, *mapping, *synthesis; /* each may be NULL */
} reader;

/* ---- attributes ---- */

static const json_t *attribute(const reader *r, const char *module, const json_t *kwargs,
                               const char *key)
{
    const json_t *value = json_object_get(json_object_get(r->modules, module), key);
    return value ? value : json_object_get(kwargs, key);
}

static gv_status wrong_attribute(const reader *r, const char *module, const char *key,
                                 const char *expected, gv_error *err)
{
    return gv_fail(err, GV_E_FORMAT, "%s: attribute '%s' of '%s' is not %s", r->file, key, module,
                   expected);
}

/* *out keeps its value if the file is silent. null gives 0 where it has a meaning (no clamp). */
static gv_status read_float(const reader *r, const char *module, const json_t *kwargs,
                            const char *key, bool nullable, float *out, gv_error *err)
{
    const json_t *value = attribute(r, module, kwargs, key);
    if (!value)
        return GV_OK;
    if (nullable && json_is_null(value)) {
        *out = 0;
        return GV_OK;
    }
    double number = json_number_value(value);
    if (!json_is_number(value) || !isfinite((float)number))
        return wrong_attribute(r, module, key, nullable ? "a number or None" : "a number", err);
    *out = (float)number;
    return GV_OK;
}

static gv_status read_bool(const reader *r, const char *module, const json_t *kwargs,
                           const char *key, bool *out, gv_error *err)
{
    const json_t *value = attribute(r, module, kwargs, key);
    if (!value)
        return GV_OK;
    if (!json_is_boolean(value))
        return wrong_attribute(r, module, key, "true or false", err);
    *out = json_is_true(value);
    return GV_OK;
}

/* The activation with its default gain, as in the official table of activations. */
static gv_status read_activation(const reader *r, const char *module, const json_t *kwargs,
                                 gv_act *act, float *gain, gv_error *err)
{
    static const struct {
        const char *name;
        gv_act act;
        float gain;
    } known[] = {{"linear", GV_ACT_LINEAR, 1.0f},
                 {"relu", GV_ACT_RELU, 1.41421356f},
                 {"lrelu", GV_ACT_LRELU, 1.41421356f},
                 {"tanh", GV_ACT_TANH, 1.0f}};
    const json_t *value = attribute(r, module, kwargs, "activation");
    if (!value)
        return GV_OK;
    const char *name = json_string_value(value);
    if (!name)
        return wrong_attribute(r, module, "activation", "a name", err);
    for (size_t i = 0; i < sizeof known / sizeof *known; ++i) {
        if (strcmp(name, known[i].name) == 0) {
            *act = known[i].act;
            *gain = known[i].gain;
            return GV_OK;
        }
    }
    return gv_fail(err, GV_E_UNSUPPORTED,
                   "%s: activation '%s' of '%s', expected linear, relu, lrelu or tanh", r->file,
                   name, module);
}

/* A size at the root of the description; -1 if it is not there. */
static gv_status read_size(const reader *r, const char *key, int64_t *out, gv_error *err)
{
    const json_t *value = json_object_get(r->root, key);
    *out = -1;
    if (!value)
        return GV_OK;
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) > 65536)
        return gv_fail(err, GV_E_FORMAT, "%s: '%s' is not a size from 0 to 65536", r->file, key);
    *out = json_integer_value(value);
    return GV_OK;
}

static gv_status same_size(const reader *r, const char *key, int64_t found, gv_error *err)
{
    int64_t said;
    gv_status status = read_size(r, key, &said, err);
    if (status == GV_OK && said >= 0 && said != found)
        return gv_fail(err, GV_E_FORMAT, "%s: '%s' is %lld, but the tensors make it %lld", r->file,
                       key, (long long)said, (long long)found);
    return status;
}

static gv_status read_architecture(const reader *r, gv_stylegan2_architecture *out, gv_error *err)
{
    const json_t *value = attribute(r, "synthesis.b4", r->synthesis, "architecture");
    const char *name = json_string_value(value);
    *out = GV_STYLEGAN2_SKIP;
    if (!value) {
        /* Without a description the tensors tell: only skip has a toRGB in every block. */
        if (gv_net_has(r->net, "synthesis.b8.conv0.weight") &&
            !gv_net_has(r->net, "synthesis.b4.torgb.weight"))
            *out = gv_net_has(r->net, "synthesis.b8.skip.weight") ? GV_STYLEGAN2_RESNET
                                                                  : GV_STYLEGAN2_ORIG;
        return GV_OK;
    }
    if (!name)
        return wrong_attribute(r, "synthesis", "architecture", "a name", err);
    if (strcmp(name, "skip") == 0)
        return GV_OK;
    *out = strcmp(name, "resnet") == 0 ? GV_STYLEGAN2_RESNET : GV_STYLEGAN2_ORIG;
    if (*out == GV_STYLEGAN2_ORIG && strcmp(name, "orig") != 0)
        return gv_fail(err, GV_E_UNSUPPORTED,
                       "%s: architecture '%s', expected skip, resnet or orig", r->file, name);
    return GV_OK;
}

/* ---- layers ---- */

/* module     "mapping.fc0"
 * lr_mult    with which the gains are made where the file does not tell them
 * in         -1: whatever the tensor has */
static gv_status read_dense(const reader *r, const char *module, const json_t *kwargs, int64_t in,
                            int64_t out, float lr_mult, gv_stylegan2_dense *d, gv_error *err)
{
    gv_status status;
    int64_t found[2];
    GV_TRY(gv_net_name(r->net, &d->weight, err, "%s.weight", module));
    GV_TRY(gv_net_name(r->net, &d->bias, err, "%s.bias", module));
    GV_TRY(gv_net_need(r->net, d->weight, 2, (int64_t[]){out, in}, found, err));
    GV_TRY(gv_net_need(r->net, d->bias, 1, &found[0], NULL, err));
    d->out = found[0];
    d->in = found[1];
    d->weight_gain = (float)((double)lr_mult / sqrt((double)d->in));
    d->bias_gain = lr_mult;
    GV_TRY(read_float(r, module, NULL, "weight_gain", false, &d->weight_gain, err));
    GV_TRY(read_float(r, module, NULL, "bias_gain", false, &d->bias_gain, err));
    GV_TRY(read_activation(r, module, kwargs, &d->act, &d->act_gain, err));
done:
    return status;
}

/* Style of a layer: w -> in, linear. base is "synthesis.b8.conv0". */
static gv_status read_affine(const reader *r, const char *base, int64_t in, gv_stylegan2_dense *d,
                             const char **tap, gv_error *err)
{
    gv_status status;
    const char *module;
    *d = (gv_stylegan2_dense){.act = GV_ACT_LINEAR, .act_gain = 1};
    GV_TRY(gv_net_name(r->net, &module, err, "%s.affine", base));
    *tap = module + strlen("synthesis.");
    GV_TRY(read_dense(r, module, NULL, r->m->w_dim, in, 1, d, err));
done:
    return status;
}

static gv_status read_clamp(const reader *r, const char *module, float *clamp, gv_error *err)
{
    *clamp = 0;
    if (!r->root) {
        *clamp = 256;
        r->m->assumed_clamp = true;
        return GV_OK;
    }
    gv_status status = read_float(r, module, r->synthesis, "conv_clamp", true, clamp, err);
    if (status == GV_OK && *clamp < 0)
        return wrong_attribute(r, module, "conv_clamp", "a positive number or None", err);
    return status;
}

/* out -1: whatever the tensor has. */
static gv_status read_layer(const reader *r, int64_t resolution, const char *name, int64_t in,
                            int64_t out, gv_stylegan2_layer *l, gv_error *err)
{
    gv_status status;
    const char *module, *strength;
    int64_t found[4];
    bool use_noise = true;
    *l = (gv_stylegan2_layer){.in = in,
                              .resolution = resolution,
                              .up = strcmp(name, "conv0") == 0,
                              .act = GV_ACT_LRELU,
                              .act_gain = 1.41421356f};
    GV_TRY(gv_net_name(r->net, &module, err, "synthesis.b%d.%s", (int)resolution, name));
    l->name = module + strlen("synthesis.");
    GV_TRY(gv_net_name(r->net, &l->noise_input, err, "noise_%s", l->name));
    GV_TRY(gv_net_name(r->net, &l->weight, err, "%s.weight", module));
    GV_TRY(gv_net_name(r->net, &l->bias, err, "%s.bias", module));
    GV_TRY(gv_net_need(r->net, l->weight, 4, (int64_t[]){out, in, 3, 3}, found, err));
    l->out = found[0];
    GV_TRY(gv_net_need(r->net, l->bias, 1, &l->out, NULL, err));
    GV_TRY(read_affine(r, module, in, &l->affine, &l->affine_tap, err));
    GV_TRY(read_activation(r, module, r->synthesis, &l->act, &l->act_gain, err));
    GV_TRY(read_float(r, module, NULL, "act_gain", false, &l->act_gain, err));
    GV_TRY(read_clamp(r, module, &l->clamp, err));
    GV_TRY(read_bool(r, module, r->synthesis, "use_noise", &use_noise, err));
    if (use_noise) {
        GV_TRY(gv_net_name(r->net, &strength, err, "%s.noise_strength", module));
        GV_TRY(gv_net_need(r->net, strength, 0, NULL, NULL, err));
        GV_TRY(gv_net_read(r->net, strength, &l->noise_strength, 1, err));
        GV_TRY(gv_net_name(r->net, &l->noise_const, err, "%s.noise_const", module));
        GV_TRY(
            gv_net_need(r->net, l->noise_const, 2, (int64_t[]){resolution, resolution}, NULL, err));
    }
done:
    return status;
}

static gv_status read_torgb(const reader *r, int64_t resolution, int64_t in, gv_stylegan2_torgb *t,
                            gv_error *err)
{
    gv_status status;
    const char *module;
    int64_t found[4];
    *t = (gv_stylegan2_torgb){.present = true, .in = in};
    GV_TRY(gv_net_name(r->net, &module, err, "synthesis.b%d.torgb", (int)resolution));
    t->name = module + strlen("synthesis.");
    GV_TRY(gv_net_name(r->net, &t->weight, err, "%s.weight", module));
    GV_TRY(gv_net_name(r->net, &t->bias, err, "%s.bias", module));
    int64_t channels = r->m->channels ? r->m->channels : -1;
    GV_TRY(gv_net_need(r->net, t->weight, 4, (int64_t[]){channels, in, 1, 1}, found, err));
    r->m->channels = found[0];
    GV_TRY(gv_net_need(r->net, t->bias, 1, &found[0], NULL, err));
    GV_TRY(read_affine(r, module, in, &t->affine, &t->affine_tap, err));
    t->weight_gain = (float)(1 / sqrt((double)in));
    GV_TRY(read_float(r, module, NULL, "weight_gain", false, &t->weight_gain, err));
    GV_TRY(read_clamp(r, module, &t->clamp, err));
done:
    return status;
}

/* The resampling filter is stored as the outer product of its taps with themselves, divided by its
 * sum. Only symmetric filters of four taps occur: then correlation is convolution. */
static gv_status read_filter(const reader *r, int64_t resolution, float taps[4], gv_error *err)
{
    gv_status status;
    const char *name;
    float f[16];
    GV_TRY(gv_net_name(r->net, &name, err, "synthesis.b%d.resample_filter", (int)resolution));
    GV_TRY(gv_net_need(r->net, name, 2, (int64_t[]){4, 4}, NULL, err));
    GV_TRY(gv_net_read(r->net, name, f, 16, err));
    for (int i = 0; i < 4; ++i)
        taps[i] = f[4 * i] + f[4 * i + 1] + f[4 * i + 2] + f[4 * i + 3];
    for (int i = 0; i < 16; ++i) {
        if (fabsf(f[i] - taps[i / 4] * taps[i % 4]) > 1e-6f ||
            fabsf(taps[i / 4] - taps[3 - i / 4]) > 1e-6f)
            return gv_fail(err, GV_E_UNSUPPORTED,
                           "%s: tensor '%s' is not a separable, symmetric filter of sum 1", r->file,
                           name);
    }
done:
    return status;
}

static gv_status read_skip(const reader *r, gv_stylegan2_block *b, gv_error *err)
{
    gv_status status;
    const char *module;
    GV_TRY(gv_net_name(r->net, &module, err, "synthesis.b%d.skip", (int)b->resolution));
    GV_TRY(gv_net_name(r->net, &b->skip, err, "%s.weight", module));
    GV_TRY(gv_net_need(r->net, b->skip, 4, (int64_t[]){b->out, b->in, 1, 1}, NULL, err));
    b->skip_gain = (float)(1 / sqrt((double)b->in));
    GV_TRY(read_float(r, module, NULL, "weight_gain", false, &b->skip_gain, err));
    if (b->skip_gain <= 0)
        return wrong_attribute(r, module, "weight_gain", "a positive number", err);
done:
    return status;
}

/* Block i of resolution 4 << i; the first has no conv0. */
static gv_status read_block(const reader *r, int i, bool last, gv_error *err)
{
    gv_stylegan2 *m = r->m;
    gv_stylegan2_block *b = &m->block[i];
    gv_status status;
    b->resolution = (int64_t)4 << i;
    b->in = i > 0 ? m->block[i - 1].out : 0;
    GV_TRY(gv_net_name(r->net, &b->x_tap, err, "b%d.x", (int)b->resolution));
    GV_TRY(gv_net_name(r->net, &b->img_tap, err, "b%d.img", (int)b->resolution));
    GV_TRY(read_filter(r, b->resolution, b->taps, err));
    if (i == 0) {
        int64_t found[3];
        m->constant = "synthesis.b4.const";
        GV_TRY(gv_net_need(r->net, m->constant, 3, (int64_t[]){-1, 4, 4}, found, err));
        b->out = found[0];
    } else {
        gv_stylegan2_layer *conv0 = &m->layer[2 * i - 1];
        GV_TRY(read_layer(r, b->resolution, "conv0", b->in, -1, conv0, err));
        b->out = conv0->out;
    }
    GV_TRY(read_layer(r, b->resolution, "conv1", b->out, b->out, &m->layer[2 * i], err));
    if (last || m->architecture == GV_STYLEGAN2_SKIP)
        GV_TRY(read_torgb(r, b->resolution, b->out, &b->torgb, err));
    if (i > 0 && m->architecture == GV_STYLEGAN2_RESNET)
        GV_TRY(read_skip(r, b, err));
done:
    return status;
}

static gv_status read_synthesis(const reader *r, gv_error *err)
{
    gv_stylegan2 *m = r->m;
    gv_status status;
    GV_TRY(read_architecture(r, &m->architecture, err));
    GV_TRY(read_size(r, "img_resolution", &m->resolution, err));
    if (m->resolution < 0) {
        const char *name;
        for (m->resolution = 4; m->resolution < (4 << GV_STYLEGAN2_MAX_BLOCKS);
             m->resolution *= 2) {
            GV_TRY(gv_net_name(r->net, &name, err, "synthesis.b%d.conv0.weight",
                               (int)m->resolution * 2));
            if (!gv_net_has(r->net, name))
                break;
        }
    }
    while (m->num_blocks < GV_STYLEGAN2_MAX_BLOCKS && (4 << m->num_blocks) <= m->resolution)
        ++m->num_blocks;
    if (m->num_blocks == 0 || (int64_t)4 << (m->num_blocks - 1) != m->resolution)
        return gv_fail(err, GV_E_UNSUPPORTED,
                       "%s: pictures of %lld pixels, expected a power of two from 4 to 2048",
                       r->file, (long long)m->resolution);
    m->num_layers = 2 * m->num_blocks - 1;
    m->num_ws = m->num_layers + 1;
    for (int i = 0; i < m->num_blocks; ++i)
        GV_TRY(read_block(r, i, i == m->num_blocks - 1, err));
    GV_TRY(same_size(r, "img_channels", m->channels, err));
    GV_TRY(same_size(r, "num_ws", m->num_ws, err));
    if (m->channels != 3)
        return gv_fail(err, GV_E_UNSUPPORTED, "%s: pictures of %lld channels, expected 3", r->file,
                       (long long)m->channels);
done:
    return status;
}

static gv_status read_mapping(const reader *r, gv_error *err)
{
    gv_stylegan2 *m = r->m;
    gv_status status;
    float lr_mult = 0.01f;
    int64_t embedded = 0;
    GV_TRY(read_float(r, "mapping", r->mapping, "lr_multiplier", false, &lr_mult, err));
    if (gv_net_has(r->net, "mapping.embed.weight")) {
        m->embed = (gv_stylegan2_dense){.act = GV_ACT_LINEAR, .act_gain = 1};
        GV_TRY(read_dense(r, "mapping.embed", NULL, -1, -1, 1, &m->embed, err));
        m->c_dim = m->embed.in;
        embedded = m->embed.out;
    }
    int64_t in = -1;
    for (;; ++m->num_fc) {
        const char *module, *weight;
        GV_TRY(gv_net_name(r->net, &module, err, "mapping.fc%d", m->num_fc));
        GV_TRY(gv_net_name(r->net, &weight, err, "%s.weight", module));
        if (m->num_fc > 0 && !gv_net_has(r->net, weight))
            break;
        if (m->num_fc == GV_STYLEGAN2_MAX_FC)
            return gv_fail(err, GV_E_UNSUPPORTED, "%s: more than %d mapping layers", r->file,
                           GV_STYLEGAN2_MAX_FC);
        gv_stylegan2_dense *fc = &m->fc[m->num_fc];
        *fc = (gv_stylegan2_dense){.act = GV_ACT_LRELU, .act_gain = 1.41421356f};
        GV_TRY(read_dense(r, module, r->mapping, in, -1, lr_mult, fc, err));
        in = fc->out;
    }
    int64_t layers = m->num_fc;
    const json_t *said = attribute(r, "mapping", r->mapping, "num_layers");
    if (said && (!json_is_integer(said) || json_integer_value(said) != layers))
        return gv_fail(
            err, GV_E_FORMAT,
            "%s: 'mapping' has %lld fully connected layers, not as many as its num_layers", r->file,
            (long long)layers);
    m->z_dim = m->fc[0].in - embedded;
    m->w_dim = in;
    if (m->z_dim < 1)
        return gv_fail(err, GV_E_FORMAT,
                       "%s: tensor '%s' takes %lld inputs, fewer than the class "
                       "embedding has",
                       r->file, m->fc[0].weight, (long long)m->fc[0].in);
    GV_TRY(same_size(r, "z_dim", m->z_dim, err));
    GV_TRY(same_size(r, "c_dim", m->c_dim, err));
    GV_TRY(same_size(r, "w_dim", m->w_dim, err));
    if (gv_net_has(r->net, "mapping.w_avg")) {
        m->w_avg = "mapping.w_avg";
        GV_TRY(gv_net_need(r->net, m->w_avg, 1, &m->w_dim, NULL, err));
    }
done:
    return status;
}

gv_status gv_stylegan2_init(gv_stylegan2 *m, gv_net *net, gv_error *err)
{
    gv_status status;
    *m = (gv_stylegan2){.net = net};
    const json_t *root = gv_checkpoint_config(net->ck);
    reader r = {.m = m,
                .net = net,
                .file = gv_checkpoint_path(net->ck),
                .root = root,
                .modules = json_object_get(root, "modules"),
                .mapping = json_object_get(root, "mapping_kwargs"),
                .synthesis = json_object_get(root, "synthesis_kwargs")};
    GV_TRY(read_mapping(&r, err));
    GV_TRY(read_synthesis(&r, err));
done:
    return status;
}
