#include "api/bench_model.h"

#include "base/memory.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const gv_bench_model gv_bench_models[] = {
    {"stylegan2-64", "StyleGAN2-ADA `auto`, 64 px", 64, 16384, 2},
    {"stylegan2-64-low-shot", "StyleGAN2 `low_shot`, 64 px", 64, 32768, 2},
    {"stylegan2-256", "StyleGAN2-ADA `paper256`, 256 px", 256, 16384, 8},
    {"dcgan", "the course's DCGenerator, 64 px", 64, 0, 0},
};
const int gv_bench_models_count = (int)(sizeof gv_bench_models / sizeof gv_bench_models[0]);

enum { W_DIM = 512 };

const gv_bench_model *gv_bench_model_find(const char *name)
{
    for (int i = 0; i < gv_bench_models_count; i++)
        if (strcmp(gv_bench_models[i].name, name) == 0)
            return &gv_bench_models[i];
    return NULL;
}

/* The file is walked twice: once for the header and the sizes, once for the values. */
typedef struct maker {
    gv_text header;
    float *values; /* NULL in the first walk */
    int64_t count;
    uint32_t state;
} maker;

/* Uniform with the given mean and standard deviation; a plain LCG is random enough to time with. */
static void fill(maker *m, int64_t count, float mean, float deviation)
{
    for (int64_t i = 0; i < count; i++) {
        m->state = m->state * 1664525u + 1013904223u;
        float uniform = (float)(m->state >> 8) * 0x1p-24f - 0.5f;
        m->values[m->count + i] = mean + deviation * 3.4641016f * uniform;
    }
}

/* shape: dims sizes. */
static void add(maker *m, const char *name, int dims, const int64_t *shape, float mean,
                float deviation)
{
    int64_t count = 1;
    for (int d = 0; d < dims; d++)
        count *= shape[d];
    if (m->values != NULL) {
        fill(m, count, mean, deviation);
    } else {
        gv_text_add(&m->header, ",\"%s\":{\"dtype\":\"F32\",\"shape\":[", name);
        for (int d = 0; d < dims; d++)
            gv_text_add(&m->header, "%s%" PRId64, d > 0 ? "," : "", shape[d]);
        gv_text_add(&m->header, "],\"data_offsets\":[%" PRId64 ",%" PRId64 "]}", m->count * 4,
                    (m->count + count) * 4);
    }
    m->count += count;
}

/* outer([1,3,3,1], [1,3,3,1]) / 64 */
static void add_filter(maker *m, const char *layer)
{
    static const float taps[4] = {1, 3, 3, 1};
    char name[160];
    snprintf(name, sizeof name, "%s.resample_filter", layer);
    add(m, name, 2, (int64_t[]){4, 4}, 0.0f, 0.0f);
    for (int i = 0; m->values != NULL && i < 16; i++)
        m->values[m->count - 16 + i] = taps[i / 4] * taps[i % 4] / 64.0f;
}

static void add_dense(maker *m, const char *layer, int64_t out, int64_t in, float bias,
                      float deviation)
{
    char name[160];
    snprintf(name, sizeof name, "%s.weight", layer);
    add(m, name, 2, (int64_t[]){out, in}, 0.0f, deviation);
    snprintf(name, sizeof name, "%s.bias", layer);
    add(m, name, 1, (int64_t[]){out}, bias, 0.0f);
}

/* conv0, conv1 or torgb; its affine turns w into styles around 1. */
static void add_layer(maker *m, int64_t resolution, const char *kind, int64_t in, int64_t out)
{
    char layer[64], name[128];
    bool rgb = strcmp(kind, "torgb") == 0;
    int64_t k = rgb ? 1 : 3;
    snprintf(layer, sizeof layer, "synthesis.b%" PRId64 ".%s", resolution, kind);
    snprintf(name, sizeof name, "%s.affine", layer);
    add_dense(m, name, in, W_DIM, 1.0f, 1.0f);
    snprintf(name, sizeof name, "%s.weight", layer);
    add(m, name, 4, (int64_t[]){out, in, k, k}, 0.0f, 1.0f);
    snprintf(name, sizeof name, "%s.bias", layer);
    add(m, name, 1, (int64_t[]){out}, 0.0f, 0.1f);
    if (rgb)
        return;
    add_filter(m, layer);
    snprintf(name, sizeof name, "%s.noise_strength", layer);
    add(m, name, 0, NULL, 0.1f, 0.0f);
    snprintf(name, sizeof name, "%s.noise_const", layer);
    add(m, name, 2, (int64_t[]){resolution, resolution}, 0.0f, 1.0f);
}

static void add_stylegan2(maker *m, const gv_bench_model *b)
{
    char name[128];
    for (int i = 0; i < b->mapping_layers; i++) {
        snprintf(name, sizeof name, "mapping.fc%d", i);
        add_dense(m, name, W_DIM, W_DIM, 0.0f, 100.0f); /* 1 / lr_multiplier */
    }
    add(m, "mapping.w_avg", 1, (int64_t[]){W_DIM}, 0.0f, 0.1f);
    int64_t in = 0;
    for (int64_t resolution = 4; resolution <= b->resolution; resolution *= 2) {
        int64_t out = b->channel_base / resolution;
        out = out < 512 ? out : 512;
        if (resolution == 4)
            add(m, "synthesis.b4.const", 3, (int64_t[]){out, 4, 4}, 0.0f, 1.0f);
        else
            add_layer(m, resolution, "conv0", in, out);
        add_layer(m, resolution, "conv1", out, out);
        add_layer(m, resolution, "torgb", out, 3);
        snprintf(name, sizeof name, "synthesis.b%" PRId64, resolution);
        add_filter(m, name);
        in = out;
    }
}

static void add_dcgan(maker *m)
{
    static const int64_t channels[] = {100, 256, 128, 64, 32, 3};
    for (int i = 0; i < 5; i++) {
        char name[32];
        snprintf(name, sizeof name, "deconv%d.0.weight", i + 1);
        add(m, name, 4, (int64_t[]){channels[i], channels[i + 1], 4, 4}, 0.0f, 0.05f);
    }
}

static void walk(maker *m, const gv_bench_model *b)
{
    m->count = 0;
    m->state = 1;
    if (b->channel_base > 0)
        add_stylegan2(m, b);
    else
        add_dcgan(m);
}

static void add_metadata(gv_text *header, const gv_bench_model *b)
{
    gv_text_add(header, "{\"__metadata__\":{\"format\":\"pt\"");
    if (b->channel_base > 0)
        gv_text_add(header,
                    ",\"ganvas\":\"{\\\"type\\\":\\\"stylegan2\\\",\\\"z_dim\\\":%d,"
                    "\\\"c_dim\\\":0,\\\"w_dim\\\":%d,\\\"img_resolution\\\":%" PRId64
                    ",\\\"img_channels\\\":3,\\\"mapping_kwargs\\\":{\\\"num_layers\\\":%d},"
                    "\\\"synthesis_kwargs\\\":{\\\"channel_base\\\":%" PRId64
                    ",\\\"channel_max\\\":512,\\\"conv_clamp\\\":256}}\"",
                    W_DIM, W_DIM, b->resolution, b->mapping_layers, b->channel_base);
    gv_text_add(header, "}");
}

gv_status gv_bench_model_make(const gv_bench_model *b, void **data, size_t *size, gv_error *err)
{
    *data = NULL;
    *size = 0;
    maker m = {0};
    gv_status status = GV_OK;
    add_metadata(&m.header, b);
    walk(&m, b);
    gv_text_add(&m.header, "}");
    while (m.header.length % 8 != 0 && !m.header.failed)
        gv_text_add(&m.header, " ");
    size_t values = (size_t)m.count * sizeof(float), total = 8 + m.header.length + values;
    uint8_t *file = m.header.failed ? NULL : gv_mem_alloc(total);
    if (file == NULL) {
        status = gv_fail_memory(err, total);
        goto done;
    }
    for (int i = 0; i < 8; i++)
        file[i] = (uint8_t)((uint64_t)m.header.length >> (8 * i));
    memcpy(file + 8, m.header.data, m.header.length);
    /* Blocks are aligned to 64 bytes and the header to 8. */
    m.values = (float *)(void *)(file + 8 + m.header.length);
    walk(&m, b);
    *data = file;
    *size = total;
done:
    gv_text_deinit(&m.header);
    return status;
}
