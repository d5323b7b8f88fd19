#include "api/invert_summary.h"

#include "api/output.h"
#include "base/file.h"
#include "base/text.h"
#include "checkpoint/npy.h"
#include "job/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Pictures that the report shows in full. */
enum { SHOWN = 100 };

static char *path_in(const gv_invert_summary *s, const char *name)
{
    size_t length = strlen(s->out);
    return gv_invert_format("%s%s%s", s->out, s->out[length - 1] == '/' ? "" : "/", name);
}

gv_status gv_invert_summary_check(const gv_invert_summary *s, gv_error *err)
{
    static const char *const names[] = {"report.html", "index.csv", "latents.npz"};
    gv_status status = GV_OK;
    for (int i = 0; i < (s->batch->many ? 3 : 1) && status == GV_OK; i++) {
        char *path = path_in(s, names[i]);
        status = path != NULL ? gv_output_check(path, s->force, err) : gv_fail_memory(err, 0);
        gv_mem_free(path);
    }
    return status;
}

/* ---- numbers out of a record ---- */

static const json_t *result_of(const json_t *record)
{
    return json_object_get(record, "result");
}

/* "0.123", or "" for what is not there. */
static const char *number_text(char text[40], const json_t *object, const char *key,
                               const char *format)
{
    const json_t *v = json_object_get(object, key);
    text[0] = '\0';
    if (json_is_number(v))
        snprintf(text, 40, format, json_number_value(v));
    return text;
}

/* ---- index.csv ---- */

static void add_field(gv_text *t, const char *text)
{
    if (text[strcspn(text, ",\"\n\r")] == '\0') {
        gv_text_add(t, "%s", text);
        return;
    }
    gv_text_add(t, "\"");
    for (; *text != '\0'; text++)
        gv_text_add_bytes(t, *text == '"' ? "\"\"" : text, *text == '"' ? 2 : 1);
    gv_text_add(t, "\"");
}

static void add_index_row(gv_text *t, const gv_invert_summary *s, int64_t i, const json_t *record,
                          int64_t row)
{
    static const char *const keys[] = {"lpips", "mean_lpips", "psnr", "evaluations", "seconds"};
    const json_t *r = result_of(record);
    const char *error = s->errors[i];
    char text[40];
    bool interrupted = json_is_true(json_object_get(r, "interrupted"));
    add_field(t, s->batch->items[i].name);
    gv_text_add(t, ",");
    add_field(t, s->batch->items[i].path);
    gv_text_add(t, ",%s,",
                error != NULL ? "failed"
                : r == NULL   ? "missing"
                : interrupted ? "interrupted"
                              : "done");
    gv_text_add(t, "%s", number_text(text, json_object_get(r, "losses"), "total", "%.9g"));
    for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++)
        gv_text_add(t, ",%s", number_text(text, r, keys[k], "%.6g"));
    if (row >= 0)
        gv_text_add(t, ",%" PRId64 ",", row);
    else
        gv_text_add(t, ",,");
    add_field(t, error != NULL ? error : "");
    gv_text_add(t, "\n");
}

/* ---- latents.npz ---- */

typedef struct stack {
    int64_t size, count; /* floats of one latent; latents */
    float *latents;
} stack;

static gv_status stack_add(stack *k, const char *stem, const char *name, gv_error *err)
{
    gv_file f = {0};
    gv_view *views;
    size_t count;
    gv_arena arena;
    gv_status status;
    char *path = gv_invert_path(stem, ".npz");
    gv_arena_init(&arena, 0);
    if (path == NULL) {
        status = gv_fail_memory(err, 0);
        goto done;
    }
    GV_TRY(gv_file_open(&f, path, err));
    GV_TRY(gv_npz_read(&views, &count, f.data, f.size, path, &arena, err));
    for (size_t i = 0; i < count; i++)
        if (strcmp(views[i].name, name) == 0 && gv_view_count(&views[i]) == k->size) {
            status = gv_view_read_f32(k->latents + k->count * k->size, &views[i], path, err);
            k->count += status == GV_OK;
            goto done;
        }
    status = gv_fail(err, GV_E_FORMAT, "%s: holds no latent %s of the model", path, name);
done:
    gv_arena_deinit(&arena);
    gv_file_close(&f);
    gv_mem_free(path);
    return status;
}

static gv_status write_stack(const gv_invert_summary *s, const stack *k, gv_error *err)
{
    static const char writer[] = "ganvas " GANVAS_VERSION;
    const gv_generator *gen = s->model->gen;
    const int64_t mark_shape[1] = {(int64_t)sizeof writer - 1};
    const int64_t w_shape[3] = {k->count, gen->rows, gen->row_dim};
    const int64_t z_shape[2] = {k->count, gen->z_dim};
    const gv_view views[2] = {
        gv_view_of("ganvas", GV_U8, 1, mark_shape, writer),
        s->z ? gv_view_of("z", GV_F32, 2, z_shape, k->latents)
             : gv_view_of("w", GV_F32, 3, w_shape, k->latents),
    };
    char *path = path_in(s, "latents.npz");
    gv_status status = path != NULL ? gv_npz_write(path, views, 2, err) : gv_fail_memory(err, 0);
    gv_mem_free(path);
    return status;
}

/* ---- report.html ---- */

/* What a section borrows its texts from. */
typedef struct section {
    gv_arena arena;
    gv_report_item item;
    gv_report_picture *pictures, *starts;
    gv_report_fact facts[16];
    char sentence[256];
} section;

static void add_fact(section *c, const char *name, const char *value)
{
    if (value != NULL && value[0] != '\0')
        c->facts[c->item.fact_count++] = (gv_report_fact){name, value};
}

static void add_number(section *c, const char *name, const json_t *object, const char *key,
                       const char *format)
{
    char text[40];
    add_fact(c, name, gv_arena_copy_text(&c->arena, number_text(text, object, key, format)));
}

/* A PNG file of the item as a picture of the section; one that is gone is left out. */
static void add_file(section *c, const char *stem, const char *end, const char *caption,
                     const char *detail)
{
    gv_file f;
    gv_text t = {0};
    char *path = gv_invert_path(stem, end);
    if (path != NULL && gv_file_open(&f, path, NULL) == GV_OK) {
        gv_text_add_png_uri(&t, f.data, f.size);
        gv_file_close(&f);
        const char *uri = t.failed ? NULL : gv_arena_copy_text(&c->arena, t.data);
        if (uri != NULL)
            c->pictures[c->item.picture_count++] = (gv_report_picture){caption, detail, uri};
    }
    gv_text_deinit(&t);
    gv_mem_free(path);
}

static void add_starts(section *c, const json_t *record)
{
    const json_t *list = json_object_get(record, "starts");
    const char *init =
        json_string_value(json_object_get(json_object_get(record, "options"), "init"));
    const char *first = init != NULL && strcmp(init, "mean") == 0 ? "mean" : "saved latent";
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *start = json_array_get(list, i);
        const json_t *seed = json_object_get(start, "seed");
        const char *uri = json_string_value(json_object_get(start, "thumbnail"));
        const char *caption =
            json_is_integer(seed)
                ? gv_arena_format(&c->arena, "seed %lld", (long long)json_integer_value(seed))
                : first;
        const char *detail = gv_arena_format(&c->arena, "loss %.4g",
                                             json_number_value(json_object_get(start, "loss")));
        if (uri != NULL && caption != NULL)
            c->starts[c->item.start_count++] = (gv_report_picture){caption, detail, uri};
    }
    c->item.best_start = (size_t)json_integer_value(json_object_get(record, "best_start"));
}

static void add_curve(section *c, const json_t *record)
{
    const json_t *curve = json_object_get(record, "curve");
    const json_t *x = json_object_get(curve, "evaluations"), *y = json_object_get(curve, "loss");
    const json_t *start = json_object_get(curve, "start");
    size_t count = json_array_size(x);
    gv_report_point *points = gv_arena_alloc_array(&c->arena, count, sizeof *points);
    for (size_t i = 0; points != NULL && i < count; i++)
        points[i] = (gv_report_point){
            .evaluations = json_number_value(json_array_get(x, i)),
            .loss = json_number_value(json_array_get(y, i)),
            .start = json_integer_value(json_array_get(start, i)),
        };
    c->item.curve = points;
    c->item.curve_count = points != NULL ? count : 0;
}

static void add_pictures(section *c, const json_t *record, const char *stem)
{
    const json_t *shots = json_object_get(record, "snapshots"), *r = result_of(record);
    const char *target = json_string_value(json_object_get(record, "target"));
    const json_t *terms = json_object_get(r, "losses");
    bool masked = json_is_true(json_object_get(json_object_get(record, "source"), "masked"));
    if (target != NULL)
        c->pictures[c->item.picture_count++] =
            (gv_report_picture){"target", masked ? "grey is not constrained" : NULL, target};
    if (c->item.start_count > 0) {
        const gv_report_picture *s =
            &c->starts[c->item.best_start < c->item.start_count ? c->item.best_start : 0];
        c->pictures[c->item.picture_count++] = (gv_report_picture){"start", s->detail, s->uri};
    }
    for (size_t i = 0; i < json_array_size(shots); i++) {
        const json_t *shot = json_array_get(shots, i);
        long long n = json_integer_value(json_object_get(shot, "evaluations"));
        char end[40];
        snprintf(end, sizeof end, "-%04lld.png", n);
        add_file(c, stem, end, gv_arena_format(&c->arena, "after %lld evaluations", n),
                 gv_arena_format(&c->arena, "loss %.4g",
                                 json_number_value(json_object_get(shot, "loss"))));
    }
    add_file(c, stem, ".png", "result",
             gv_arena_format(&c->arena, "loss %.4g",
                             json_number_value(json_object_get(terms, "total"))));
}

static void add_facts(section *c, const json_t *record)
{
    static const char *const terms[] = {"l1", "mse", "perc", "lpips", "reg"};
    static const char *const named[] = {"L1", "MSE", "VGG features", "LPIPS term",
                                        "distance from the start"};
    const json_t *r = result_of(record), *source = json_object_get(record, "source");
    const json_t *losses = json_object_get(r, "losses");
    add_fact(c, "picture", json_string_value(json_object_get(source, "file")));
    add_fact(c, "size",
             gv_arena_format(&c->arena, "%lld x %lld",
                             (long long)json_integer_value(json_object_get(source, "width")),
                             (long long)json_integer_value(json_object_get(source, "height"))));
    add_fact(c, "space", json_string_value(json_object_get(r, "latent")));
    add_number(c, "loss at the start", r, "first_loss", "%.5g");
    add_number(c, "loss", losses, "total", "%.5g");
    for (size_t i = 0; i < sizeof terms / sizeof terms[0]; i++)
        if (json_number_value(json_object_get(losses, terms[i])) > 0.0)
            add_number(c, named[i], losses, terms[i], "%.5g");
    add_number(c, "LPIPS", r, "lpips", "%.4f");
    add_number(c, "LPIPS of the mean picture", r, "mean_lpips", "%.4f");
    add_number(c, "PSNR in dB", r, "psnr", "%.2f");
    add_number(c, "evaluations", r, "evaluations", "%.0f");
    add_number(c, "seconds", r, "seconds", "%.2f");
    add_fact(c, "note", json_string_value(json_object_get(source, "note")));
}

static gv_status add_section(gv_text *t, const gv_batch_item *b, const json_t *record,
                             const char *stem, gv_error *err)
{
    section c = {0};
    gv_arena_init(&c.arena, 0);
    gv_status status = GV_OK;
    size_t pictures = json_array_size(json_object_get(record, "snapshots")) + 3;
    size_t starts = json_array_size(json_object_get(record, "starts"));
    c.pictures = gv_arena_alloc_array(&c.arena, pictures, sizeof *c.pictures);
    c.starts = gv_arena_alloc_array(&c.arena, starts, sizeof *c.starts);
    if (c.pictures == NULL || c.starts == NULL) {
        status = gv_fail_memory(err, 0);
    } else {
        add_starts(&c, record);
        add_pictures(&c, record, stem);
        add_facts(&c, record);
        add_curve(&c, record);
        c.item.title = b->name;
        c.item.sentence = gv_invert_sentence(c.sentence, sizeof c.sentence, record);
        c.item.pictures = c.pictures;
        c.item.starts = c.starts;
        c.item.facts = c.facts;
        gv_report_add(t, &c.item);
    }
    gv_arena_deinit(&c.arena);
    return status;
}

static void begin_report(gv_text *t, const gv_invert_summary *s)
{
    char title[64];
    snprintf(title, sizeof title, "ganvas %s", s->command);
    const gv_report_fact facts[] = {
        {"model", s->model->path},
        {"program", "ganvas " GANVAS_VERSION},
    };
    gv_report_begin(t, title, s->line, facts, sizeof facts / sizeof facts[0]);
}

static void end_report(gv_text *t, const gv_invert_summary *s, int64_t hidden)
{
    for (int64_t i = 0, told = 0; i < s->batch->count; i++)
        if (s->errors[i] != NULL && told++ < SHOWN)
            gv_report_say(t, s->errors[i]);
    if (s->stopped)
        gv_report_say(t, "The run was interrupted; --resume does the rest.");
    if (hidden > 0) {
        char words[120];
        snprintf(words, sizeof words, "%" PRId64 " more pictures are listed in index.csv.", hidden);
        gv_report_say(t, words);
    }
    gv_report_end(t);
}

/* ---- all ---- */

static gv_status write_text(const gv_invert_summary *s, const char *name, gv_text *t, gv_error *err)
{
    char *path = path_in(s, name), *text = NULL;
    size_t length = t->length;
    gv_status status;
    if (path == NULL) {
        status = gv_fail_memory(err, 0);
        goto done;
    }
    GV_TRY(gv_text_take(t, &text, err));
    status = gv_file_write(path, text, length, err);
done:
    gv_mem_free(text);
    gv_mem_free(path);
    return status;
}

static gv_status add_item(const gv_invert_summary *s, int64_t i, gv_text *report, gv_text *index,
                          stack *latents, int64_t *shown, int64_t *hidden, gv_error *err)
{
    char *stem = path_in(s, s->batch->items[i].name);
    json_t *record = NULL;
    int64_t row = -1;
    gv_status status = GV_OK;
    if (stem == NULL) {
        status = gv_fail_memory(err, 0);
        goto done;
    }
    /* A failed one may have results of an earlier run, which are not this one's. */
    if (s->errors[i] == NULL)
        record = gv_invert_read(stem);
    if (record != NULL && s->batch->many) {
        row = latents->count;
        GV_TRY(stack_add(latents, stem, s->z ? "z" : "w", err));
    }
    add_index_row(index, s, i, record, row);
    if (record != NULL && *shown < SHOWN) {
        GV_TRY(add_section(report, &s->batch->items[i], record, stem, err));
        ++*shown;
    } else if (record != NULL) {
        ++*hidden;
    }
done:
    json_decref(record);
    gv_mem_free(stem);
    return status;
}

gv_status gv_invert_summary_write(const gv_invert_summary *s, gv_error *err)
{
    const gv_generator *gen = s->model->gen;
    gv_text report = {0}, index = {0};
    int64_t shown = 0, hidden = 0, rows = s->batch->many ? s->batch->count : 0;
    stack latents = {.size = s->z ? gen->z_dim : gen->rows * gen->row_dim};
    gv_status status;
    latents.latents =
        gv_mem_alloc_array((size_t)rows, (size_t)latents.size * sizeof *latents.latents);
    if (latents.latents == NULL) {
        status = gv_fail_memory(err, (size_t)(rows * latents.size) * sizeof(float));
        goto done;
    }
    begin_report(&report, s);
    gv_text_add(&index, GV_OUTPUT_INDEX_HEADER "\n");
    for (int64_t i = 0; i < s->batch->count; i++)
        GV_TRY(add_item(s, i, &report, &index, &latents, &shown, &hidden, err));
    end_report(&report, s, hidden);
    GV_TRY(write_text(s, "report.html", &report, err));
    if (s->batch->many) {
        GV_TRY(write_text(s, "index.csv", &index, err));
        GV_TRY(write_stack(s, &latents, err));
    }
done:
    gv_text_deinit(&report);
    gv_text_deinit(&index);
    gv_mem_free(latents.latents);
    return status;
}
