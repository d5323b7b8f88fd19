/* `ganvas bench`: how long one forward pass takes, and what share of the machine that is. */
#include "api/api.h"

#include "api/bench_model.h"
#include "api/bench_peak.h"
#include "base/memory.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { WARM = 3, LEAST = 15, MOST = 300 };
static const double seconds_each = 2.0; /* at least LEAST runs, then until this has passed */

typedef struct bench {
    ganvas_engine *engine;
    const ganvas_watch *watch;
    int threads;
    double peak;
    gv_text *text;
    json_t *results;
} bench;

/* Synthesis from rows of latents, noise const: a graph as the renderer builds it, but in our hands,
 * since flops are counted on graphs. */
typedef struct forward {
    gv_graph *g;
    gv_node rows[GV_STYLEGAN2_MAX_WS];
    int64_t rows_count;
    float *latent;
} forward;

static gv_status forward_init(forward *f, const gv_generator *gen, gv_error *err)
{
    gv_node noise[GV_STYLEGAN2_MAX_WS], image;
    gv_status status;
    GV_TRY(gv_graph_new(&f->g, GV_GRAPH_FWD, err));
    f->rows_count = gen->rows;
    for (int64_t i = 0; i < gen->rows; i++)
        GV_TRY(gv_graph_input(f->g, &f->rows[i], "latent", 1, gen->row_dim, 1, 1, false, err));
    if (gen->type == GV_NET_STYLEGAN2)
        GV_TRY(gv_stylegan2_noise_const(f->g, &gen->stylegan2, noise, err));
    GV_TRY(gv_generator_build(f->g, gen, &image, f->rows, noise, false, err));
    GV_TRY(gv_graph_output(f->g, image, "image", err));
    GV_TRY(gv_graph_build(f->g, err));
    f->latent = gv_mem_alloc_array((size_t)gen->row_dim, sizeof(float));
    if (f->latent == NULL) {
        status = gv_fail_memory(err, (size_t)gen->row_dim * sizeof(float));
        goto done;
    }
    for (int64_t i = 0; i < gen->row_dim; i++)
        f->latent[i] = 0.1f * (float)(i % 7 - 3);
done:
    return status;
}

static void forward_deinit(forward *f)
{
    gv_graph_free(f->g);
    gv_mem_free(f->latent);
}

/* One pass in *ms. */
static gv_status forward_run(forward *f, int threads, const gv_cancel *cancel, double *ms,
                             gv_error *err)
{
    double start = gv_now();
    /* Latents are set anew each time, or the graph would see that there is nothing to do. */
    for (int64_t i = 0; i < f->rows_count; i++)
        gv_graph_set(f->g, f->rows[i], f->latent);
    gv_status status = gv_graph_fwd(f->g, threads, cancel, err);
    *ms = (gv_now() - start) * 1e3;
    return status;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* ms of each run, sorted; *count of them. */
static gv_status time_forward(bench *b, forward *f, double *ms, int *count, gv_error *err)
{
    const gv_cancel *cancel = gv_watch_cancel(b->watch);
    gv_status status = GV_OK;
    double start = gv_now();
    for (int i = 0; i < WARM && status == GV_OK; i++)
        status = forward_run(f, b->threads, cancel, ms, err);
    *count = 0;
    while (status == GV_OK &&
           (*count < LEAST || (*count < MOST && gv_now() - start < seconds_each)))
        status = forward_run(f, b->threads, cancel, &ms[(*count)++], err);
    qsort(ms, (size_t)*count, sizeof *ms, by_value);
    return status;
}

static gv_status report(bench *b, const gv_bench_model *m, const double *ms, int count,
                        double flops, gv_error *err)
{
    double median = ms[count / 2], share = b->peak > 0 ? flops / (median * 1e-3) / b->peak : 0;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double rss = (double)usage.ru_maxrss / 1024.0;
    gv_text_add(b->text, "%-23s %9.2f %9.2f %9.2f %8.2f %8.0f %5.0f %% %7.0f\n", m->name, ms[0],
                median, ms[count - 1], flops * 1e-9, flops / (median * 1e-3) * 1e-9, share * 100,
                rss);
    json_t *row =
        json_pack("{s:s, s:{s:f, s:f, s:f}, s:f, s:i, s:f, s:f, s:i}", "name", m->name, "ms", "min",
                  ms[0], "median", median, "max", ms[count - 1], "gflop", flops * 1e-9, "threads",
                  b->threads, "peak_share", share, "rss_mb", rss, "runs", count);
    return json_array_append_new(b->results, row) == 0 ? GV_OK : gv_fail_memory(err, 0);
}

static gv_status bench_one(bench *b, const gv_bench_model *m, gv_error *err)
{
    void *data = NULL;
    size_t size;
    double ms[MOST];
    int count;
    ganvas_model *model = NULL;
    forward f = {0};
    gv_status status;
    GV_TRY(gv_bench_model_make(m, &data, &size, err));
    GV_TRY(ganvas_model_open_memory(&model, b->engine, data, size, m->name, err));
    GV_TRY(forward_init(&f, model->gen, err));
    GV_TRY(time_forward(b, &f, ms, &count, err));
    status = report(b, m, ms, count, gv_graph_flops(f.g), err);
done:
    forward_deinit(&f);
    ganvas_model_close(model);
    gv_mem_free(data);
    return status;
}

gv_status gv_run_bench(ganvas_engine *engine, const ganvas_settings *s, const ganvas_watch *watch,
                       gv_text *text, json_t *record, gv_error *err)
{
    int cores = engine->threads > 0 ? engine->threads : gv_cores();
    bench b = {.engine = engine, .watch = watch, .text = text, .results = json_array()};
    gv_status status = GV_OK;
    b.threads = (int)gv_settings_integer_or(s, "threads", cores);
    const gv_bench_model *only = NULL;
    if (json_object_set_new(record, "results", b.results) != 0)
        return gv_fail_memory(err, 0);
    if (s->inputs_count > 0) {
        only = gv_bench_model_find(s->inputs[0]);
        if (only == NULL)
            return gv_fail(err, GV_E_ARG,
                           "no bench is named '%s'; `ganvas bench --help` lists them",
                           s->inputs[0]);
    }
    b.peak = gv_bench_peak(b.threads);
    gv_text_add(text, "forward pass, batch 1, float32, %d thread%s", b.threads,
                b.threads == 1 ? "" : "s");
    if (b.peak > 0)
        gv_text_add(text, ", peak %.0f GFLOP/s", b.peak * 1e-9);
    gv_text_add(text, "\n%-23s %9s %9s %9s %8s %8s %7s %7s\n", "", "min ms", "median", "max",
                "GFLOP", "GFLOP/s", "of peak", "MB");
    for (int i = 0; i < gv_bench_models_count && status == GV_OK; i++)
        if (only == NULL || only == &gv_bench_models[i])
            status = bench_one(&b, &gv_bench_models[i], err);
    /* One result stands at the top level of the record. */
    if (status == GV_OK && only != NULL &&
        json_object_update(record, json_array_get(b.results, 0)) != 0)
        status = gv_fail_memory(err, 0);
    if (status == GV_OK && only != NULL)
        json_object_del(record, "results");
    return status;
}
