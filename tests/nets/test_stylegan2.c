/* StyleGAN2 against vectors: the project's own (skip, resnet, orig, conditional), and where
 * ../shared is there those of the official code. */
#include "nets_support.h"

#include "image/image.h"

#include <math.h>
#include <unistd.h>

#define THREADS 2

/* An independent float32 implementation agreed with the official one to 1.1e-5 on images and 2e-6
 * relative on gradients (../shared/reference/sg2); four times that is allowed. */
#define IMAGE_BOUND 4.4e-5
#define GRADIENT_BOUND 8e-6

/* What the tests need of one set of vectors; pictures are [seeds,3,R,R]. */
typedef struct vectors {
    gv_generator *gen;
    nets_worst worst;
    int64_t label; /* class of all samples; -1: none */
} vectors;

static void check_image(vectors *v, const char *what, const float *img, const gv_test_array *ref)
{
    nets_check(&v->worst.image, nets_error(img, ref->f32, ref->count), IMAGE_BOUND, v->worst.set,
               what);
}

static void check_gradient(vectors *v, const char *what, const float *grad,
                           const gv_test_array *ref)
{
    nets_check(&v->worst.gradient, gv_test_rel_error(grad, ref->f32, ref->count), GRADIENT_BOUND,
               v->worst.set, what);
}

/* Rows of one w for each sample. */
static float *repeat_rows(const gv_generator *gen, const float *w, int64_t n)
{
    float *rows = nets_floats(n * gen->rows * gen->row_dim);
    for (int64_t i = 0; i < n * gen->rows; ++i)
        memcpy(rows + i * gen->row_dim, w + i / gen->rows * gen->row_dim,
               (size_t)gen->row_dim * sizeof *rows);
    return rows;
}

/* Renders latents and compares; noise is drawn by torch's generator of that seed if mode asks. */
static void check_render(vectors *v, const char *what, const float *latents, gv_noise_mode mode,
                         uint64_t seed, const gv_test_array *ref)
{
    float *img = nets_floats(ref->count);
    gv_renderer *r;
    gv_torch_rng rng;
    gv_torch_seed(&rng, seed);
    OK(gv_renderer_new(&r, v->gen, 3, err));
    OK(gv_renderer_run(r, img, latents, ref->shape[0], mode, &rng, NULL, THREADS, NULL, err));
    gv_renderer_free(r);
    check_image(v, what, img, ref);
    free(img);
}

/* d loss / d z through mapping and synthesis of the first sample. */
static void check_grad_z(vectors *v, const float *z, const gv_test_array *target,
                         const gv_test_array *ref)
{
    const gv_stylegan2 *m = &v->gen->stylegan2;
    gv_node zn, cn = GV_NO_NODE, w, img, ws[GV_STYLEGAN2_MAX_WS], noise[GV_STYLEGAN2_MAX_WS];
    gv_graph *g;
    OK(gv_graph_new(&g, GV_GRAPH_BWD, err));
    OK(gv_graph_input(g, &zn, "z", 1, m->z_dim, 1, 1, true, err));
    if (m->c_dim > 0)
        OK(gv_graph_input(g, &cn, "c", 1, m->c_dim, 1, 1, false, err));
    OK(gv_stylegan2_mapping(g, m, &w, zn, cn, err));
    for (int k = 0; k < m->num_ws; ++k)
        ws[k] = w;
    OK(gv_stylegan2_noise_const(g, m, noise, err));
    OK(gv_stylegan2_synthesis(g, m, &img, ws, noise, false, err));
    OK(gv_graph_output(g, img, "img", err));
    OK(gv_graph_build(g, err));
    gv_graph_set(g, zn, z);
    if (m->c_dim > 0) {
        float *c = nets_floats(m->c_dim);
        c[v->label] = 1;
        gv_graph_set(g, cn, c);
        free(c);
    }
    OK(gv_graph_fwd(g, THREADS, NULL, err));
    float *picture = nets_floats(target->count), *grad = nets_floats(m->z_dim);
    gv_graph_get(g, img, picture);
    for (int64_t i = 0; i < target->count; ++i)
        picture[i] = 2 * (picture[i] - target->f32[i]) / (float)target->count;
    gv_graph_set_seed(g, img, picture);
    OK(gv_graph_bwd(g, THREADS, NULL, err));
    gv_graph_get_grad(g, zn, grad);
    check_gradient(v, "grad_z", grad, ref);
    free(picture);
    free(grad);
    gv_graph_free(g);
}

/* One picture with gradients of rows and, if maps is given, of noise maps. */
typedef gv_test_array noise_gradient_fn(void *ctx, const char *layer);

static void check_gradients(vectors *v, const char *what, const float *latents, nets_noise noise,
                            const gv_test_array *target, const gv_test_array *ref, double loss,
                            noise_gradient_fn *maps, void *ctx)
{
    gv_generator *gen = v->gen;
    nets_graph r = nets_graph_new(gen, 1, GV_GRAPH_BWD, noise, false);
    float *img = nets_floats(r.pixels), *grad = nets_floats(gen->rows * gen->row_dim);
    nets_graph_fwd(&r, latents, img, THREADS);
    double found = nets_graph_bwd(&r, img, target->f32, 1, grad, THREADS);
    if (loss > 0)
        nets_check(&v->worst.image, fabs(found / loss - 1), 1e-5, v->worst.set, "loss");
    check_gradient(v, what, grad, ref);
    for (int k = 0; maps && k < gen->stylegan2.num_layers; ++k) {
        gv_test_array map = maps(ctx, gen->stylegan2.layer[k].name);
        float *found_map = nets_floats(map.count);
        gv_graph_get_grad(r.g, r.noise[k], found_map);
        check_gradient(v, gen->stylegan2.layer[k].noise_input, found_map, &map);
        free(found_map);
        gv_test_array_free(&map);
    }
    free(img);
    free(grad);
    gv_graph_free(r.g);
}

/* ---- taps, in the order in which they are computed ---- */

/* false: no such vector. */
typedef bool tap_fn(void *ctx, const char *name, gv_test_array *ref);

static int check_tap(vectors *v, const nets_graph *r, const char *tap, const char *vector,
                     float factor, tap_fn *read, void *ctx)
{
    gv_test_array ref;
    gv_node node = gv_graph_named(r->g, tap);
    if (!node.id || !read(ctx, vector, &ref))
        return 0;
    float *found = nets_floats(ref.count);
    gv_graph_get(r->g, node, found);
    for (int64_t i = 0; i < ref.count; ++i)
        ref.f32[i] *= factor;
    check_image(v, vector, found, &ref);
    free(found);
    gv_test_array_free(&ref);
    return 1;
}

static int check_taps(vectors *v, const float *latents, tap_fn *read, void *ctx)
{
    const gv_stylegan2 *m = &v->gen->stylegan2;
    nets_graph r = nets_graph_new(v->gen, 1, GV_GRAPH_FWD, NETS_NOISE_CONST, true);
    float *img = nets_floats(r.pixels);
    int compared = 0;
    nets_graph_fwd(&r, latents, img, THREADS);
    for (int b = 0; b < m->num_blocks; ++b) {
        const gv_stylegan2_block *block = &m->block[b];
        for (int k = b ? 2 * b - 1 : 0; k <= 2 * b; ++k) {
            const gv_stylegan2_layer *l = &m->layer[k];
            compared += check_tap(v, &r, l->affine_tap, l->affine_tap, 1, read, ctx);
            compared += check_tap(v, &r, l->name, l->name, 1, read, ctx);
        }
        const char *x =
            m->architecture == GV_STYLEGAN2_RESNET && b ? block->x_tap : m->layer[2 * b].name;
        compared += check_tap(v, &r, x, block->x_tap, 1, read, ctx);
        if (!block->torgb.present)
            continue;
        compared += check_tap(v, &r, block->torgb.affine_tap, block->torgb.affine_tap,
                              block->torgb.weight_gain, read, ctx);
        compared += check_tap(v, &r, block->torgb.name, block->torgb.name, 1, read, ctx);
        compared +=
            check_tap(v, &r, b ? block->img_tap : block->torgb.name, block->img_tap, 1, read, ctx);
    }
    free(img);
    gv_graph_free(r.g);
    return compared;
}

/* ---- the project's own vectors ---- */

static const char *own_file(const char *name, const char *ending)
{
    char path[128];
    snprintf(path, sizeof path, "tests/nets/data/%s%s", name, ending);
    return gv_test_source(path);
}

/* Local and central headers hold the names as text. */
static bool npz_has(const char *path, const char *member)
{
    static char data[1 << 18];
    char file[80];
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t size = fread(data, 1, sizeof data, f);
    fclose(f);
    assert_true(size < sizeof data);
    snprintf(file, sizeof file, "%s.npy", member);
    return memmem(data, size, file, strlen(file)) != NULL;
}

static bool own_tap(void *ctx, const char *name, gv_test_array *ref)
{
    char member[64];
    const char *path = own_file(ctx, ".npz");
    snprintf(member, sizeof member, "inter_%s", name);
    if (!npz_has(path, member))
        return false;
    *ref = gv_test_npz(path, member);
    return true;
}

static gv_test_array own_noise_gradient(void *ctx, const char *layer)
{
    char member[64];
    snprintf(member, sizeof member, "grad_noise_%s", layer);
    return gv_test_npz(own_file(ctx, ".npz"), member);
}

static void own_set(const char *name, int64_t label, int taps)
{
    const char *npz = own_file(name, ".npz");
    vectors v = {
        .gen = nets_load(own_file(name, ".safetensors")), .worst = {.set = name}, .label = label};
    gv_generator *gen = v.gen;
    gv_truncation t = {.psi = 1, .cutoff = -1, .label = label};
    gv_test_array z = gv_test_npz(npz, "z"), w = gv_test_npz(npz, "w");
    gv_test_array target = gv_test_npz(npz, "target"), ref;
    int64_t n = z.shape[0];

    float *latents = nets_floats(n * gen->rows * gen->row_dim);
    OK(gv_generator_map(gen, latents, z.f32, n, &t, THREADS, NULL, err));
    float *expected = repeat_rows(gen, w.f32, n);
    nets_check(&v.worst.image, nets_error(latents, expected, n * gen->rows * gen->row_dim),
               IMAGE_BOUND, name, "w");
    free(expected);
    assert_int_equal(check_taps(&v, latents, own_tap, (void *)name), taps);

    ref = gv_test_npz(npz, "img_const");
    check_render(&v, "img_const", latents, GV_NOISE_CONST, 0, &ref);
    gv_test_array_free(&ref);
    ref = gv_test_npz(npz, "img_none");
    check_render(&v, "img_none", latents, GV_NOISE_NONE, 0, &ref);
    gv_test_array_free(&ref);
    ref = gv_test_npz(npz, "img_random7");
    check_render(&v, "img_random7", latents, GV_NOISE_RANDOM, 7, &ref);
    gv_test_array_free(&ref);
    ref = gv_test_npz(npz, "grad_z");
    check_grad_z(&v, z.f32, &target, &ref);
    gv_test_array_free(&ref);
    if (gen->stylegan2.w_avg) {
        t.psi = 0.6f, t.cutoff = 3;
        OK(gv_generator_map(gen, latents, z.f32, n, &t, THREADS, NULL, err));
        ref = gv_test_npz(npz, "ws_psi0.6_cutoff3");
        nets_check(&v.worst.image, nets_error(latents, ref.f32, ref.count), IMAGE_BOUND, name,
                   "ws_psi0.6_cutoff3");
        gv_test_array_free(&ref);
    }

    gv_test_array wplus = gv_test_npz(npz, "wplus"), loss = gv_test_npz(npz, "loss_wplus");
    ref = gv_test_npz(npz, "img_wplus");
    check_render(&v, "img_wplus", wplus.f32, GV_NOISE_CONST, 0, &ref);
    gv_test_array_free(&ref);
    ref = gv_test_npz(npz, "grad_wplus");
    check_gradients(&v, "grad_wplus", wplus.f32, NETS_NOISE_VARIES, &target, &ref, loss.f32[0],
                    own_noise_gradient, (void *)name);
    gv_test_array_free(&ref);
    nets_report(&v.worst);
    gv_test_array_free(&wplus);
    gv_test_array_free(&loss);
    gv_test_array_free(&z);
    gv_test_array_free(&w);
    gv_test_array_free(&target);
    free(latents);
    gv_generator_free(gen);
}

static void test_own_skip(void **state)
{
    (void)state;
    own_set("sg2_skip", -1, 10);
}

static void test_own_resnet(void **state)
{
    (void)state;
    own_set("sg2_resnet", -1, 8);
}

static void test_own_orig(void **state)
{
    (void)state;
    own_set("sg2_orig", -1, 6);
}

static void test_own_conditional(void **state)
{
    (void)state;
    own_set("sg2_cond", 1, 6);
}

/* w_avg is computed where the file has none: psi 0 then gives it, and it is near the mean of w. */
static void test_missing_w_avg(void **state)
{
    (void)state;
    gv_generator *gen = nets_load(own_file("sg2_cond", ".safetensors"));
    assert_null(gen->w_avg);
    enum { SAMPLES = 2000 };
    float *z = nets_floats(gen->z_dim), *rows = nets_floats(gen->rows * gen->row_dim);
    double *mean = calloc((size_t)gen->row_dim, sizeof *mean);
    assert_non_null(mean);
    for (int i = 0; i < SAMPLES; ++i) {
        gv_truncation t = {.psi = 1, .cutoff = -1, .label = i % gen->c_dim};
        gv_generator_seed_z(gen, z, (uint64_t)i);
        OK(gv_generator_map(gen, rows, z, 1, &t, 1, NULL, err));
        for (int64_t k = 0; k < gen->row_dim; ++k)
            mean[k] += rows[k] / (double)SAMPLES;
    }
    gv_truncation zero = {.psi = 0, .cutoff = -1, .label = 0};
    OK(gv_generator_map(gen, rows, z, 1, &zero, 1, NULL, err));
    for (int64_t k = 0; k < gen->row_dim; ++k)
        assert_true(fabs(mean[k] - rows[k]) < 0.15);
    free(mean);
    free(z);
    free(rows);
    gv_generator_free(gen);
}

/* ---- the official code's vectors ---- */

typedef struct official {
    const char *dir;  /* below sg2/ */
    const char *file; /* the pickle */
    int taps;         /* how many are stored */
    bool noise_grads;
} official;

static const char *official_file(const official *o, const char *name)
{
    char path[160];
    snprintf(path, sizeof path, "reference/sg2/%s/%s", o->dir, name);
    return gv_test_shared(path);
}

static bool official_has(const official *o, const char *name)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", gv_test_shared("reference/sg2"), o->dir);
    snprintf(path + strlen(path), sizeof path - strlen(path), "/%s", name);
    return access(path, R_OK) == 0;
}

static gv_test_array official_npy(const official *o, const char *name)
{
    return gv_test_npy_typed(official_file(o, name), GV_TEST_F32);
}

static bool official_tap(void *ctx, const char *name, gv_test_array *ref)
{
    char file[80];
    snprintf(file, sizeof file, "inter/%s.npy", name);
    if (!official_has(ctx, file))
        return false;
    *ref = official_npy(ctx, file);
    return true;
}

static gv_test_array official_noise_gradient(void *ctx, const char *layer)
{
    char file[80];
    snprintf(file, sizeof file, "grad_noise/%s.noise_const.npy", layer);
    return official_npy(ctx, file);
}

static double official_loss(const official *o, const char *key)
{
    json_t *root = json_load_file(official_file(o, "losses.json"), 0, NULL);
    double loss = json_number_value(json_object_get(json_object_get(root, "losses"), key));
    json_decref(root);
    assert_true(loss > 0);
    return loss;
}

/* z of all seeds through the mapping network, each with its class. */
static float *official_map(vectors *v, const official *o, float psi, int64_t cutoff)
{
    gv_generator *gen = v->gen;
    gv_test_array z = gv_test_npy_typed(official_file(o, "z.npy"), GV_TEST_F64), c = {0};
    float *latents = nets_floats(z.shape[0] * gen->rows * gen->row_dim);
    float *single = nets_floats(gen->z_dim), *drawn = nets_floats(gen->z_dim);
    static const uint64_t seeds[] = {0, 1, 2, 85};
    if (gen->c_dim > 0)
        c = official_npy(o, "c.npy");
    for (int64_t i = 0; i < z.shape[0]; ++i) {
        gv_truncation t = {.psi = psi, .cutoff = cutoff, .label = -1};
        for (int64_t k = 0; k < gen->z_dim; ++k)
            single[k] = (float)z.f64[i * gen->z_dim + k];
        gv_generator_seed_z(gen, drawn, seeds[i]);
        gv_test_same_bits(drawn, single, (size_t)gen->z_dim * sizeof *drawn, "z of a seed");
        for (int64_t k = 0; k < gen->c_dim; ++k)
            if (c.f32[i % c.shape[0] * gen->c_dim + k] == 1)
                t.label = k;
        if (i == 0)
            v->label = t.label;
        OK(gv_generator_map(gen, latents + i * gen->rows * gen->row_dim, single, 1, &t, THREADS,
                            NULL, err));
    }
    gv_test_array_free(&z);
    gv_test_array_free(&c);
    free(single);
    free(drawn);
    return latents;
}

static void official_ws(vectors *v, const official *o)
{
    static const struct {
        const char *file;
        float psi;
        int64_t cutoff;
    } cases[] = {
        {"w_psi1.npy", 1, -1}, {"w_psi0.7.npy", 0.7f, -1}, {"ws_psi0.5_cutoff4.npy", 0.5f, 4}};
    for (size_t i = 0; i < 3; ++i) {
        float *found = official_map(v, o, cases[i].psi, cases[i].cutoff);
        gv_test_array ref = official_npy(o, cases[i].file);
        float *rows = ref.rank == 2 ? repeat_rows(v->gen, ref.f32, ref.shape[0]) : NULL;
        int64_t count = ref.shape[0] * v->gen->rows * v->gen->row_dim;
        nets_check(&v->worst.image, nets_error(found, rows ? rows : ref.f32, count), IMAGE_BOUND,
                   v->worst.set, cases[i].file);
        free(rows);
        free(found);
        gv_test_array_free(&ref);
    }
}

/* The uint8 pictures of generate.py: at most 0.1 % of the bytes may be off, by 1. */
static void official_bytes(vectors *v, const official *o, const float *latents)
{
    gv_test_array ref =
        gv_test_npy_typed(official_file(o, "img_psi0.7_const_u8_nhwc.npy"), GV_TEST_U8);
    float *img = nets_floats(ref.count);
    uint8_t *bytes = malloc((size_t)ref.count);
    assert_non_null(bytes);
    gv_renderer *r;
    int64_t size = v->gen->resolution, off = 0;
    OK(gv_renderer_new(&r, v->gen, 1, err));
    OK(gv_renderer_run(r, img, latents, ref.shape[0], GV_NOISE_CONST, NULL, NULL, THREADS, NULL,
                       err));
    gv_renderer_free(r);
    for (int64_t i = 0; i < ref.count; i += 3 * size * size)
        gv_rgb8_from_tensor(bytes + i, (size_t)(3 * size), img + i, size, size);
    for (int64_t i = 0; i < ref.count; ++i) {
        assert_true(abs(bytes[i] - ref.u8[i]) <= 1);
        off += bytes[i] != ref.u8[i];
    }
    print_message("%s: %lld of %lld bytes differ by 1\n", v->worst.set, (long long)off,
                  (long long)ref.count);
    assert_true(off * 1000 <= ref.count);
    free(img);
    free(bytes);
    gv_test_array_free(&ref);
}

static void official_pictures(vectors *v, const official *o)
{
    static const struct {
        const char *file;
        float psi;
        gv_noise_mode mode;
    } cases[] = {{"img_psi1_const.npy", 1, GV_NOISE_CONST},
                 {"img_psi1_none.npy", 1, GV_NOISE_NONE},
                 {"img_psi0.7_const.npy", 0.7f, GV_NOISE_CONST},
                 {"img_psi0.7_none.npy", 0.7f, GV_NOISE_NONE},
                 {"img_psi0.7_random_torchseed123.npy", 0.7f, GV_NOISE_RANDOM}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        float *latents = official_map(v, o, cases[i].psi, -1);
        gv_test_array ref = official_npy(o, cases[i].file);
        check_render(v, cases[i].file, latents, cases[i].mode, 123, &ref);
        if (i == 2)
            official_bytes(v, o, latents);
        free(latents);
        gv_test_array_free(&ref);
    }
}

static void official_gradients(vectors *v, const official *o)
{
    gv_test_array target = official_npy(o, "target.npy"), z, ref, wplus;
    float *latents = official_map(v, o, 0.7f, -1);
    ref = official_npy(o, "grad_ws_psi0.7_const.npy");
    check_gradients(v, "grad_ws_psi0.7_const", latents,
                    o->noise_grads ? NETS_NOISE_VARIES : NETS_NOISE_CONST, &target, &ref,
                    official_loss(o, "w_psi0.7_const"),
                    o->noise_grads ? official_noise_gradient : NULL, (void *)o);
    gv_test_array_free(&ref);
    ref = official_npy(o, "grad_ws_psi0.7_none.npy");
    check_gradients(v, "grad_ws_psi0.7_none", latents, NETS_NOISE_NONE, &target, &ref,
                    official_loss(o, "w_psi0.7_none"), NULL, NULL);
    gv_test_array_free(&ref);
    free(latents);

    wplus = official_npy(o, "wplus.npy");
    ref = official_npy(o, "grad_wplus_const.npy");
    check_gradients(v, "grad_wplus_const", wplus.f32, NETS_NOISE_CONST, &target, &ref,
                    official_loss(o, "wplus_const"), NULL, NULL);
    gv_test_array_free(&ref);
    gv_test_array_free(&wplus);

    z = gv_test_npy_typed(official_file(o, "z.npy"), GV_TEST_F64);
    float *first = nets_floats(v->gen->z_dim);
    for (int64_t k = 0; k < v->gen->z_dim; ++k)
        first[k] = (float)z.f64[k];
    ref = official_npy(o, "grad_z_psi1_const.npy");
    check_grad_z(v, first, &target, &ref);
    gv_test_array_free(&ref);
    gv_test_array_free(&z);
    gv_test_array_free(&target);
    free(first);
}

static void official_set(const official *o)
{
    char set[80];
    snprintf(set, sizeof set, "sg2/%s", o->file);
    vectors v = {.gen = nets_load(official_file(o, o->file)), .worst = {.set = set}, .label = -1};
    official_ws(&v, o);
    float *latents = official_map(&v, o, 0.7f, -1);
    assert_int_equal(check_taps(&v, latents, official_tap, (void *)o), o->taps);
    free(latents);
    official_pictures(&v, o);
    gv_test_array wplus = official_npy(o, "wplus.npy"),
                  ref = official_npy(o, "img_wplus_const.npy");
    check_render(&v, "img_wplus_const", wplus.f32, GV_NOISE_CONST, 0, &ref);
    gv_test_array_free(&wplus);
    gv_test_array_free(&ref);
    official_gradients(&v, o);
    nets_report(&v.worst);
    gv_generator_free(v.gen);
}

static void test_official_tiny(void **state)
{
    (void)state;
    official_set(&(official){"tiny", "tiny.pkl", 30, true});
}

static void test_official_tiny_proto3(void **state)
{
    (void)state;
    official_set(&(official){"tiny", "tiny_py37_torch171_proto3.pkl", 30, true});
}

static void test_official_tiny_proto2(void **state)
{
    (void)state;
    official_set(&(official){"tiny", "tiny_py37_proto2.pkl", 30, true});
}

static void test_official_conditional(void **state)
{
    (void)state;
    official_set(&(official){"tiny_cond", "tiny_cond.pkl", 30, false});
}

static void test_official_channels_last(void **state)
{
    (void)state;
    official_set(&(official){"tiny_nhwc", "tiny_nhwc.pkl", 30, false});
}

static void test_official_small32(void **state)
{
    (void)state;
    official_set(&(official){"small32", "small32.pkl", 30, true});
}

static void test_official_mid64(void **state)
{
    (void)state;
    official_set(&(official){"mid64", "mid64.pkl", 21, true});
}

/* The embedded model, against pictures that PyTorch made of it. */
static void test_cats64(void **state)
{
    (void)state;
    const char *npy = gv_test_shared("models/seeds0-3_psi1_const.npy");
    gv_test_array ref = gv_test_npy_typed(npy, GV_TEST_F32);
    vectors v = {.gen = nets_load(gv_test_shared("models/cats64-stylegan2.safetensors")),
                 .worst = {.set = "cats64"}};
    float *z = nets_floats(4 * v.gen->z_dim);
    float *latents = nets_floats(4 * v.gen->rows * v.gen->row_dim);
    for (int64_t i = 0; i < 4; ++i)
        gv_generator_seed_z(v.gen, z + i * v.gen->z_dim, (uint64_t)i);
    gv_truncation none = GV_TRUNCATION_NONE;
    OK(gv_generator_map(v.gen, latents, z, 4, &none, THREADS, NULL, err));
    check_render(&v, "seeds 0-3", latents, GV_NOISE_CONST, 0, &ref);
    nets_report(&v.worst);
    free(z);
    free(latents);
    gv_test_array_free(&ref);
    gv_generator_free(v.gen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_skip),
        cmocka_unit_test(test_own_resnet),
        cmocka_unit_test(test_own_orig),
        cmocka_unit_test(test_own_conditional),
        cmocka_unit_test(test_missing_w_avg),
        cmocka_unit_test(test_official_tiny),
        cmocka_unit_test(test_official_tiny_proto3),
        cmocka_unit_test(test_official_tiny_proto2),
        cmocka_unit_test(test_official_conditional),
        cmocka_unit_test(test_official_channels_last),
        cmocka_unit_test(test_official_small32),
        cmocka_unit_test(test_official_mid64),
        cmocka_unit_test(test_cats64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
