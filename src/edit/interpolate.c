#include "edit/interpolate.h"

#include "base/memory.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* ---- between two ---- */

void gv_lerp(float *out, const float *a, const float *b, int64_t n, double t)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = (float)((1.0 - t) * (double)a[i] + t * (double)b[i]);
}

static double length_of(const float *x, int64_t n)
{
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sqrt(sum);
}

/* The angle between the directions of a and b. Kahan's form: the arc cosine of the dot product
 * loses half the digits near 0 and pi. */
static double angle_between(const float *a, double a_length, const float *b, double b_length,
                            int64_t n)
{
    double apart = 0.0, together = 0.0;
    for (int64_t i = 0; i < n; i++) {
        double u = (double)a[i] / a_length, v = (double)b[i] / b_length;
        apart += (u - v) * (u - v);
        together += (u + v) * (u + v);
    }
    return 2.0 * atan2(sqrt(apart), sqrt(together));
}

void gv_slerp(float *out, const float *a, const float *b, int64_t n, double t)
{
    double la = length_of(a, n), lb = length_of(b, n);
    double angle = la > 0.0 && lb > 0.0 ? angle_between(a, la, b, lb, n) : 0.0;
    double sine = sin(angle);
    if (sine < 1e-6 || t == 0.0 || t == 1.0) {
        gv_lerp(out, a, b, n, t);
        return;
    }
    double length = (1.0 - t) * la + t * lb;
    double from = length * sin((1.0 - t) * angle) / (sine * la);
    double to = length * sin(t * angle) / (sine * lb);
    for (int64_t i = 0; i < n; i++)
        out[i] = (float)(from * (double)a[i] + to * (double)b[i]);
}

void gv_rows_copy(float *dst, const float *src, int64_t row_dim, const int64_t *rows, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        memcpy(dst + rows[i] * row_dim, src + rows[i] * row_dim, (size_t)row_dim * sizeof(float));
}

/* ---- a journey over several ends ---- */

static int64_t pairs_of(const gv_path *path)
{
    return path->loop ? path->ends : path->ends - 1;
}

int64_t gv_path_count(const gv_path *path)
{
    return pairs_of(path) * path->frames;
}

gv_path_place gv_path_at(const gv_path *path, int64_t frame)
{
    assert(path->ends >= 2 && path->frames >= 2 && frame >= 0 && frame < gv_path_count(path));
    int64_t pair = frame / path->frames;
    bool closed = path->closed || (!path->loop && pair == pairs_of(path) - 1);
    return (gv_path_place){
        .from = pair,
        .to = (pair + 1) % path->ends,
        .t = (double)(frame % path->frames) / (double)(path->frames - (closed ? 1 : 0)),
    };
}

/* ---- how evenly it goes ---- */

struct gv_neighbours {
    gv_graph *graph;
    gv_node image, features[GV_LPIPS_LAYERS], before[GV_LPIPS_LAYERS], distance;
    float *moved; /* room for one layer on its way from `features` to `before` */
    float *clamped;
    int64_t side;
    bool any; /* `before` holds a picture */
};

static size_t layer_floats(const gv_neighbours *n, int layer)
{
    int64_t side = n->side >> layer;
    return (size_t)(gv_lpips_channels(layer) * side * side);
}

static gv_status build(gv_neighbours *n, const gv_vgg *vgg, gv_error *err)
{
    gv_status status;
    gv_graph *g;
    size_t most = 0;
    GV_TRY(gv_graph_new(&n->graph, GV_GRAPH_FWD, err));
    g = n->graph;
    GV_TRY(gv_graph_input(g, &n->image, "image", 1, 3, n->side, n->side, false, err));
    GV_TRY(gv_lpips_features(g, vgg, n->features, n->image, err));
    for (int l = 0; l < GV_LPIPS_LAYERS; l++) {
        int64_t side = n->side >> l;
        GV_TRY(gv_graph_output(g, n->features[l], NULL, err));
        GV_TRY(gv_graph_input(g, &n->before[l], "before", 1, gv_lpips_channels(l), side, side,
                              false, err));
        most = layer_floats(n, l) > most ? layer_floats(n, l) : most;
    }
    GV_TRY(gv_lpips_distance(g, vgg, &n->distance, n->features, n->before, NULL, err));
    GV_TRY(gv_graph_output(g, n->distance, "distance", err));
    GV_TRY(gv_graph_build(g, err));
    n->moved = gv_mem_alloc_array(most, sizeof(float));
    n->clamped = gv_mem_alloc_array((size_t)(3 * n->side * n->side), sizeof(float));
    if (n->moved == NULL || n->clamped == NULL)
        status = gv_fail_memory(err, most * sizeof(float));
done:
    return status;
}

gv_status gv_neighbours_new(gv_neighbours **out, const gv_vgg *vgg, int64_t side, gv_error *err)
{
    *out = NULL;
    gv_neighbours *n = gv_mem_alloc(sizeof *n);
    if (n == NULL)
        return gv_fail_memory(err, sizeof *n);
    n->side = side;
    gv_status status = build(n, vgg, err);
    if (status == GV_OK)
        *out = n;
    else
        gv_neighbours_free(n);
    return status;
}

void gv_neighbours_free(gv_neighbours *n)
{
    if (n == NULL)
        return;
    gv_graph_free(n->graph);
    gv_mem_free(n->moved);
    gv_mem_free(n->clamped);
    gv_mem_free(n);
}

void gv_neighbours_restart(gv_neighbours *n)
{
    n->any = false;
}

gv_status gv_neighbours_next(gv_neighbours *n, double *distance, const float *image, int threads,
                             const gv_cancel *cancel, gv_error *err)
{
    gv_status status;
    float y;
    bool first = !n->any;
    *distance = -1.0;
    n->any = false;
    for (int64_t i = 0; i < 3 * n->side * n->side; i++)
        n->clamped[i] = fminf(fmaxf(image[i], -1.0f), 1.0f);
    gv_graph_set(n->graph, n->image, n->clamped);
    GV_TRY(gv_graph_fwd(n->graph, threads, cancel, err));
    gv_graph_get(n->graph, n->distance, &y);
    for (int l = 0; l < GV_LPIPS_LAYERS; l++) {
        gv_graph_get(n->graph, n->features[l], n->moved);
        gv_graph_set(n->graph, n->before[l], n->moved);
    }
    n->any = true;
    if (!first)
        *distance = (double)y;
done:
    return status;
}
